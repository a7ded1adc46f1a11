#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "base/file.h"
#include "fixture.h"
#include "report/items.h"
#include "report/text.h"
#include "support/catch.h"
#include "support/paths.h"

namespace assize::report {
namespace {

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

std::string all_findings(const SuiteReport& suite) {
  std::string out;
  for (const auto& finding : findings(suite)) out += finding + "\n";
  return out;
}

// The page alone, with the items that are inside it.
std::string page_of(const ReportData& data) { return html(data, lay_out_items(data, {})); }

const ReportData& example() {
  static const ReportData kData = fixture::data();
  return kData;
}

}  // namespace

TEST_CASE("nothing that a model wrote becomes markup", "[report]") {
  ReportData data = example();
  const std::string attack = fixture::kAttack;
  data.run = data.judge = data.made = data.version = data.state = data.job_text = data.cost.machine = attack;
  data.suites[0].id = data.suites[0].prompt = data.suites[0].profile = data.suites[0].rules = attack;
  for (auto& metric : data.suites[0].metrics) {
    metric.group = metric.group.empty() ? "" : attack;
    metric.name += attack;
    metric.rule = metric.estimate.no_interval = attack;
  }
  data.suites[0].distribution[0].label = data.suites[0].confusion.labels[0] = attack;
  auto items = fixture::items(fixture::pair_samples(40, 2, 0.7, 0.1, 0.1, 9), 12);
  for (auto& item : items) {
    item.suite = item.sample_id = item.group = item.question = item.human = item.verdict = attack;
    item.images = {"javascript:alert(1)", "data:text/html;base64,PHNjcmlwdD4=", "https://example.org/x.png",
                   "x\" onload=\"alert(1)"};
    for (auto& candidate : item.candidates) candidate.images = item.images;
    for (auto& call : item.calls) {
      call.criterion = call.verdict.reason = attack;
      call.verdict.status = verdict::VerdictStatus::unreadable;
    }
  }
  data.items = fixture::list_of(items);
  const std::string page = page_of(data);
  CHECK_FALSE(contains(page, "<script>"));
  CHECK_FALSE(contains(page, "<img src=x"));
  CHECK_FALSE(contains(page, "javascript:"));
  CHECK_FALSE(contains(page, "data:text/html"));
  CHECK_FALSE(contains(page, "https://"));
  CHECK_FALSE(contains(page, "\" onload=\""));
  CHECK(contains(page, "&lt;script&gt;document.title=&#39;attacked&#39;&lt;/script&gt;"));
  // Exactly one script, ours.
  const std::string open = "<script";
  CHECK(page.find(open) == page.rfind(open));
  CHECK(contains(page, "<script nonce="));
}

TEST_CASE("escaping keeps text and replaces what HTML cannot hold", "[report]") {
  CHECK(escaped("a<b>&\"'") == "a&lt;b&gt;&amp;&quot;&#39;");
  CHECK(escaped("é 好 🙂\n\t") == "é 好 🙂\n\t");
  CHECK(escaped(std::string_view("\x00\x1B\x7F", 3)) == "\uFFFD\uFFFD\uFFFD");
  CHECK(escaped("\xC3(") == "\uFFFD(");
  CHECK(escaped("\xED\xA0\x80") == "\uFFFD\uFFFD\uFFFD");  // a surrogate
  CHECK(escaped("\xF0\x9F\x99") == "\uFFFD\uFFFD\uFFFD");
  CHECK(markdown_cell("a|b\n<i>*") == "a\\|b \\<i\\>\\*");
  CHECK(csv_field("a,\"b\"") == "\"a,\"\"b\"\"\"");
  CHECK(csv_field("=cmd()") == "'=cmd()");
  CHECK(csv_field("-1.5") == "-1.5");
  CHECK(count_text(1234567) == "1\u202F234\u202F567");
  CHECK(number_text(-0.0001) == "0.000");
  CHECK(number_text(-0.25) == "−0.250");
  CHECK(duration_text(3725) == "1 h 02 min");
}

TEST_CASE("the page needs no network and names every suite", "[report]") {
  const std::string page = page_of(example());
  CHECK_FALSE(contains(page, "http://"));
  CHECK_FALSE(contains(page, "https://"));
  CHECK(contains(page, "default-src 'none'"));
  for (const auto& suite : example().suites) CHECK(contains(page, ">" + suite.id + "</a>"));
  CHECK_FALSE(contains(page, "nan"));
  CHECK(page.size() < 1000000);
  const auto folder = std::filesystem::path(support::binary_dir()) / "report-example";  // to be looked at
  std::filesystem::create_directories(folder);
  write_report(folder, example());
  CHECK(std::filesystem::file_size(folder / "report.html") == page.size());
}

namespace {

// The document after a browser has opened `page`; empty where there is no browser.
std::string document_of(const std::filesystem::path& page) {
  const char* const browsers[] = {"chromium", "chromium-browser", "google-chrome"};
  const auto found = std::find_if(std::begin(browsers), std::end(browsers), [](const std::string& name) {
    return std::system(("command -v " + name + " > /dev/null 2>&1").c_str()) == 0;
  });
  if (found == std::end(browsers)) {
    WARN("skipped: no Chromium on this machine");
    return {};
  }
  const auto folder = page.parent_path();
  const std::string command =
      std::string(*found) + " --headless --no-sandbox --disable-gpu --virtual-time-budget=10000 --user-data-dir='" +
      (folder / "profile").string() + "' --dump-dom 'file://" + page.string() + "' > '" + (folder / "dom.html").string() +
      "' 2> /dev/null";
  REQUIRE(std::system(command.c_str()) == 0);
  return base::read_file(folder / "dom.html");
}

}  // namespace

// The page as a browser sees it: our script has run, what the model wrote has not.
TEST_CASE("the page works in a browser", "[report][chromium]") {
  const auto folder = std::filesystem::path(support::binary_dir()) / "report-browser";
  std::filesystem::create_directories(folder);
  write_report(folder, example());
  const std::string dom = document_of(folder / "report.html");
  if (dom.empty()) return;
  CHECK(contains(dom, "<title>flex-vl-plain – assize</title>"));
  const std::string all = std::to_string(example().items.count);
  CHECK(contains(dom, ">" + all + " of " + all + "</span>"));
  CHECK_FALSE(contains(dom, "<img src"));
}

namespace {

// 2,700 small items: 700 too many for the page.
ReportData many_items() {
  ReportData data = example();
  const auto some = fixture::items(fixture::pair_samples(40, 1, 0.7, 0.1, 0.1, 9), 30);
  data.items.count = 2700;
  data.items.item = [some](std::size_t i, Pictures pictures) {
    Item item = some[i % some.size()];
    item.sample_id = fmt::format("{}-{}", i, pictures == Pictures::inlined ? "inside" : "beside");
    return item;
  };
  return data;
}

}  // namespace

TEST_CASE("a browser loads the items beside the page when they are asked for", "[report][chromium]") {
  const auto folder = std::filesystem::path(support::binary_dir()) / "report-loads";
  std::filesystem::create_directories(folder);
  write_report(folder, many_items());
  const auto clicked = folder / "clicked.html";
  std::ofstream(clicked) << base::read_file(folder / "report.html") << "<script nonce=\"assize-report\">"
                         << "setInterval(function () { document.querySelector('#more button').click(); }, 200);</script>";
  const std::string dom = document_of(clicked);
  if (dom.empty()) return;
  CHECK(contains(dom, ">2700 of 2700</span>"));
  CHECK(contains(dom, "2699-beside"));
  CHECK_FALSE(contains(dom, "<title>attacked</title>"));
  CHECK_FALSE(contains(dom, "<img src"));
}

TEST_CASE("the first lines say plainly how good the judge is", "[report]") {
  CHECK(contains(all_findings(example().suites[0]), "Agrees with people above chance: accuracy 0."));
  CHECK(contains(all_findings(example().suites[2]), "At chance: the interval of Cohen's kappa"));
  CHECK(contains(all_findings(example().suites[2]), "Most answers could not be read"));

  SuiteReport suite;
  CHECK(all_findings(suite) == "No call was judged yet.\n");
  auto samples = fixture::pair_samples(40, 1, 0.9, 0, 1.0, 1);
  CHECK(contains(all_findings(fixture::suite("x", samples, verdict::Protocol::pair)),
                 "Prefers the answer shown first"));
  CHECK_FALSE(contains(all_findings(fixture::suite("x", samples, verdict::Protocol::pair)), "People among themselves"));
  for (auto& sample : samples) sample.annotators = {"A", "A", "A"};
  CHECK(contains(all_findings(fixture::suite("x", samples, verdict::Protocol::pair)),
                 "People among themselves: accuracy against the others 1.000"));
  for (auto& sample : samples) sample.human.clear();
  CHECK(contains(all_findings(fixture::suite("x", samples, verdict::Protocol::pair)),
                 "agreement is not known"));
  const auto say = [&](const verdict::Verdict& verdict) {
    for (auto& sample : samples) {
      auto votes = sample.votes.unpacked();
      for (auto& vote : votes) vote.verdict = verdict;
      sample.votes = verdict::VoteList(votes);
      sample.combined = verdict::combine(votes, verdict::Protocol::pair, {});
    }
  };
  for (auto& sample : samples) sample.human = "A";
  say(verdict::no_verdict(verdict::VerdictStatus::unreadable, "nothing"));
  CHECK(contains(all_findings(fixture::suite("x", samples, verdict::Protocol::pair)),
                 "No labelled sample has a verdict"));
  say(fixture::pair_verdict("tie", 5, 5));
  const auto ties = all_findings(fixture::suite("x", samples, verdict::Protocol::pair));
  CHECK(contains(ties, "Calls most pairs a tie: 100.0 % of 40."));
  samples[0].human = "B";  // one verdict whatever people say is no matter of too few samples
  CHECK(contains(all_findings(fixture::suite("x", samples, verdict::Protocol::pair)), "At chance: Cohen's kappa 0.000"));
}

TEST_CASE("pictures stand with the candidate that they belong to", "[report]") {
  ReportData data = example();
  auto items = fixture::items(fixture::pair_samples(40, 2, 0.7, 0.1, 0.1, 9), 1);
  items[0].images = {"q.png"};
  items[0].candidates = {{"", {"a.png"}}, {"", {"b.png"}}};
  data.items = fixture::list_of(items);
  const std::string page = page_of(data);
  CHECK(contains(page, "<img alt=\"picture of the question\" loading=\"lazy\" src=\"q.png\">"));
  CHECK(contains(page, "<h4>Candidate B</h4><img alt=\"picture of candidate B\" loading=\"lazy\" src=\"b.png\">"));
}

TEST_CASE("metrics.json and metrics.csv hold the same figures", "[report]") {
  const auto json = nlohmann::json::parse(metrics_json(example()));
  const std::string csv = metrics_csv(example());
  std::size_t rows = 0;
  for (const auto& suite : json.at("suites")) {
    for (const auto& metric : suite.at("metrics")) {
      ++rows;
      if (metric.at("value").is_null()) {
        CHECK_FALSE(metric.at("undefined").get<std::string>().empty());
      } else {
        CHECK(contains(csv, fmt::format("{}", metric.at("value").get<double>())));
      }
      if (metric.contains("low")) CHECK(contains(csv, fmt::format("{}", metric.at("percentile_low").get<double>())));
    }
  }
  CHECK(rows == example().suites[0].metrics.size() + example().suites[1].metrics.size() +
                    example().suites[2].metrics.size());
  CHECK(static_cast<std::size_t>(std::count(csv.begin(), csv.end(), '\n')) == rows + 1);
  const auto& first = example().suites[0];  // every row names what its figure depends on
  CHECK(contains(csv, fmt::format(",pair,{},{}\n", first.prompt, first.profile)));
  CHECK(contains(page_of(example()), fmt::format("pair · prompt {} · {}</div></td>", first.prompt, first.profile)));
  CHECK(json.at("suites")[0].at("calls").at("judged") == 2000);
  CHECK(contains(markdown(example()), "# flex-vl-plain"));
  CHECK(metrics_json(example()) == metrics_json(fixture::data()));
}

TEST_CASE("the telling items come first: the worst of each reason in turn", "[report]") {
  auto samples = fixture::pair_samples(50, 3, 0.7, 0.1, 0.1, 9);
  std::vector<std::int64_t> sizes(samples.size(), 1);
  sizes[17] = 500;
  const auto items = telling_items(samples, verdict::Protocol::pair, sizes);
  CHECK(items.size() == 50);
  std::vector<int> seen(samples.size());
  for (const auto& item : items) {
    ++seen[item.sample];
    const auto& sample = samples[item.sample];
    CHECK(((item.reasons & kDisagrees) != 0) == (sample.combined.ok() && sample.human != sample.combined.choice));
    CHECK(((item.reasons & kUnreadable) != 0) == (sample.combined.unreadable > 0));
    CHECK(((item.reasons & kSampled) != 0) == (item.reasons == kSampled));
  }
  CHECK(*std::max_element(seen.begin(), seen.end()) == 1);
  unsigned first = 0;
  for (std::size_t i = 0; i < 5; ++i) first |= items[i].reasons;
  CHECK(first == (kDisagrees | kUnreadable | kLongest | kOrderFlips | kSampled));
  CHECK(items[2].sample == 17);
  CHECK(telling_items({}, verdict::Protocol::pair, {}).empty());
}

TEST_CASE("items that are too many for the page are beside it", "[report]") {
  const auto folder = std::filesystem::path(support::binary_dir()) / "report-many";
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder / kItemFolder);
  std::ofstream(folder / kItemFolder / "00007.js") << "of an earlier report";
  write_report(folder, many_items());
  const std::string page = base::read_file(folder / "report.html");
  CHECK(page.size() < (std::size_t{25} << 20));
  CHECK(contains(page, "1999-inside"));
  CHECK_FALSE(contains(page, "2000-"));
  CHECK(contains(page, "data-files=\"2\">700 more"));
  CHECK_FALSE(std::filesystem::exists(folder / kItemFolder / "00007.js"));
  const std::string first = base::read_file(folder / kItemFolder / "00000.js"), second = base::read_file(folder / kItemFolder / "00001.js");
  CHECK(contains(first, "2000-beside"));
  CHECK(contains(second, "2699-beside"));
  CHECK_FALSE(contains(first, "<script"));

  // Large items: the page stops at its size, not at their number.
  ReportData large = many_items();
  large.items.count = 60;
  large.items.item = [](std::size_t, Pictures) {
    Item item;
    item.question = std::string(std::size_t{1} << 20, 'x');
    return item;
  };
  const ItemPages pages = lay_out_items(large, folder);
  CHECK(pages.inside_count == 19);
  CHECK(pages.inside.size() < (std::size_t{20} << 20));
  CHECK(pages.files == 11);
}

TEST_CASE("a report of nothing is a report", "[report]") {
  ReportData data;
  data.suites.resize(1);
  data.suites[0].id = "empty";
  CHECK(contains(page_of(data), "Nothing was judged yet"));
  CHECK(contains(markdown(data), "No call was judged yet"));
  CHECK(nlohmann::json::parse(metrics_json(data)).at("suites").size() == 1);
}

TEST_CASE("only pictures become picture URIs", "[report]") {
  const auto folder = std::filesystem::path(support::binary_dir()) / "report-pictures";
  std::filesystem::create_directories(folder);
  std::ofstream(folder / "a.png", std::ios::binary) << "\x89PNG\r\n\x1A\nx";
  std::ofstream(folder / "b.png") << "<svg onload=alert(1)>";
  CHECK(image_uri(folder / "a.png", 100) == "data:image/png;base64,iVBORw0KGgp4");
  CHECK(image_uri(folder / "a.png", 5).empty());
  CHECK(image_uri(folder / "b.png", 100).empty());
  CHECK(image_uri(folder / "none.png", 100).empty());
  CHECK(image_link(folder / "a #1%.png", folder / "run") == "../a%20%231%25.png");
}

}  // namespace assize::report
