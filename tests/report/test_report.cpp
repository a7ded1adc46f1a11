#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "base/file.h"
#include "fixture.h"
#include "report/text.h"
#include "support/catch.h"

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
  for (auto& item : data.items) {
    item.suite = item.sample_id = item.group = item.question = item.human = item.verdict = attack;
    item.images = {"javascript:alert(1)", "data:text/html;base64,PHNjcmlwdD4=", "https://example.org/x.png",
                   "x\" onload=\"alert(1)"};
    for (auto& call : item.calls) {
      call.presentation = call.verdict.reason = attack;
      call.verdict.status = verdict::VerdictStatus::unreadable;
    }
  }
  const std::string page = html(data);
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
  const std::string page = html(example());
  CHECK_FALSE(contains(page, "http://"));
  CHECK_FALSE(contains(page, "https://"));
  CHECK(contains(page, "default-src 'none'"));
  for (const auto& suite : example().suites) CHECK(contains(page, ">" + suite.id + "</a>"));
  CHECK_FALSE(contains(page, "nan"));
  CHECK(page.size() < 1000000);
  const auto folder = std::filesystem::path(ASSIZE_BINARY_DIR) / "report-example";  // to be looked at
  std::filesystem::create_directories(folder);
  write_report(folder, example());
  CHECK(std::filesystem::file_size(folder / "report.html") == page.size());
}

// The page as a browser sees it: our script has run, what the model wrote has not.
TEST_CASE("the page works in a browser", "[report][chromium]") {
  const char* const browsers[] = {"chromium", "chromium-browser", "google-chrome"};
  const auto found = std::find_if(std::begin(browsers), std::end(browsers), [](const std::string& name) {
    return std::system(("command -v " + name + " > /dev/null 2>&1").c_str()) == 0;
  });
  if (found == std::end(browsers)) {
    WARN("skipped: no Chromium on this machine");
    return;
  }
  const auto folder = std::filesystem::path(ASSIZE_BINARY_DIR) / "report-browser";
  std::filesystem::create_directories(folder);
  write_report(folder, example());
  const std::string command =
      std::string(*found) + " --headless --no-sandbox --disable-gpu --user-data-dir='" +
      (folder / "profile").string() + "' --dump-dom 'file://" + (folder / "report.html").string() + "' > '" +
      (folder / "dom.html").string() + "' 2> /dev/null";
  REQUIRE(std::system(command.c_str()) == 0);
  const std::string dom = base::read_file(folder / "dom.html");
  CHECK(contains(dom, "<title>flex-vl-plain – assize</title>"));
  const std::string all = std::to_string(example().items.size());
  CHECK(contains(dom, ">" + all + " of " + all + "</span>"));
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
  for (auto& sample : samples) sample.human.clear();
  CHECK(contains(all_findings(fixture::suite("x", samples, verdict::Protocol::pair)),
                 "agreement is not known"));
  for (auto& sample : samples) {
    sample.human = "A";
    for (auto& vote : sample.votes)
      vote.verdict = verdict::no_verdict(verdict::VerdictStatus::unreadable, "nothing");
    sample.combined = verdict::combine(sample.votes, verdict::Protocol::pair, {});
  }
  CHECK(contains(all_findings(fixture::suite("x", samples, verdict::Protocol::pair)),
                 "No labelled sample has a verdict"));
  for (auto& sample : samples) {
    for (auto& vote : sample.votes) vote.verdict = fixture::pair_verdict("tie", 5, 5);
    sample.combined = verdict::combine(sample.votes, verdict::Protocol::pair, {});
  }
  const auto ties = all_findings(fixture::suite("x", samples, verdict::Protocol::pair));
  CHECK(contains(ties, "Calls most pairs a tie: 100.0 % of 40."));
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
    }
  }
  CHECK(rows == example().suites[0].metrics.size() + example().suites[1].metrics.size() +
                    example().suites[2].metrics.size());
  CHECK(static_cast<std::size_t>(std::count(csv.begin(), csv.end(), '\n')) == rows + 1);
  CHECK(json.at("suites")[0].at("calls").at("judged") == 2000);
  CHECK(contains(markdown(example()), "# flex-vl-plain"));
  CHECK(metrics_json(example()) == metrics_json(fixture::data()));
}

TEST_CASE("the telling items are the worst of each reason", "[report]") {
  auto samples = fixture::pair_samples(50, 3, 0.7, 0.1, 0.1, 9);
  std::vector<std::int64_t> sizes(samples.size(), 1);
  sizes[17] = 500;
  const auto items = telling_items(samples, verdict::Protocol::pair, sizes, 5);
  unsigned all = 0;
  int disagreements = 0;
  for (const auto& item : items) {
    all |= item.reasons;
    if (item.reasons & kDisagrees) {
      ++disagreements;
      CHECK(samples[item.sample].human != samples[item.sample].combined.choice);
    }
    if (item.reasons & kUnreadable) CHECK(samples[item.sample].combined.unreadable > 0);
  }
  CHECK(disagreements <= 5);
  CHECK((all & kUnreadable) != 0);
  CHECK(std::any_of(items.begin(), items.end(),
                    [](const auto& i) { return i.sample == 17 && (i.reasons & kLongest); }));
  CHECK(telling_items({}, verdict::Protocol::pair, {}, 5).empty());
}

TEST_CASE("a report of nothing is a report", "[report]") {
  ReportData data;
  data.suites.resize(1);
  data.suites[0].id = "empty";
  CHECK(contains(html(data), "Nothing was judged yet"));
  CHECK(contains(markdown(data), "No call was judged yet"));
  CHECK(nlohmann::json::parse(metrics_json(data)).at("suites").size() == 1);
}

TEST_CASE("only pictures become picture URIs", "[report]") {
  const auto folder = std::filesystem::path(ASSIZE_BINARY_DIR) / "report-pictures";
  std::filesystem::create_directories(folder);
  std::ofstream(folder / "a.png", std::ios::binary) << "\x89PNG\r\n\x1A\nx";
  std::ofstream(folder / "b.png") << "<svg onload=alert(1)>";
  CHECK(image_uri(folder / "a.png", 100) == "data:image/png;base64,iVBORw0KGgp4");
  CHECK(image_uri(folder / "a.png", 5).empty());
  CHECK(image_uri(folder / "b.png", 100).empty());
  CHECK(image_uri(folder / "none.png", 100).empty());
}

}  // namespace assize::report
