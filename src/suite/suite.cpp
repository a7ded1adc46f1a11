#include "suite/suite.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <set>
#include <unordered_set>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "base/noise.h"
#include "base/tar_member.h"
#include "job/paths.h"
#include "job/reader.h"
#include "suite/json_line.h"

namespace assize::suite {

namespace fs = std::filesystem;
using Json = nlohmann::json;
using verdict::Protocol;

namespace {

constexpr int kMaxProblems = 20;
/// Fields that `kind: label` adds to a row of the data.
constexpr const char* kLabelFields[] = {"rewards", "criteria", "ranks",     "best",   "votes", "unreadable",   "missing",        "prompt",        "chosen",
                                        "rejected", "score_chosen", "score_rejected", "margin", "agreement", "orders", "chosen_index",
                                        "rejected_index", "chosen_images", "rejected_images"};
constexpr std::size_t kMostCandidates = 1000;  // of one prompt of unlabelled data

/// Collects the problems of the samples file up to a limit.
class SampleProblems {
 public:
  SampleProblems(fs::path file, job::Problems& problems) : file_(std::move(file)), problems_(problems) {}
  void add(int line, const std::string& id, const std::string& what) {
    if (++count_ > kMaxProblems) return;
    problems_.add({fmt::format("{}:{}", file_.string(), line), 0, 0}, id.empty() ? what : fmt::format("sample '{}': {}", id, what));
  }
  void finish() {
    if (count_ > kMaxProblems) problems_.add({file_.string(), 0, 0}, fmt::format("and {} more problems", count_ - kMaxProblems));
  }

 private:
  fs::path file_;
  job::Problems& problems_;
  int count_ = 0;
};

std::string label_text(const Json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_number_integer()) return std::to_string(value.get<long long>());
  if (value.is_number()) return fmt::format("{}", value.get<double>());
  return {};
}

/// One line of samples.jsonl being read; strict about types and unknown fields.
class LineReader {
 public:
  LineReader(const Json& json, Sample& sample, const fs::path& folder, SampleProblems& problems)
      : json_(json), sample_(sample), folder_(folder), problems_(problems) {}

  void read(const Suite& suite) {
    links_may_leave_ = suite.links_may_leave;
    sample_.id = text(json_, "id");
    if (sample_.id.empty()) problems_.add(sample_.line, "", "'id' is missing or not text");
    sample_.question = text(json_, "question");
    media(json_, sample_);
    fields();
    if (!suite.labelled) {
      for (const char* name : kLabelFields) {
        if (json_.contains(name)) problem(fmt::format("the field '{}' is one that assize writes; rename it", name));
      }
      sample_.cluster = sample_.id;
      candidates();
      return;
    }
    sample_.group = text(json_, "group");
    sample_.cluster = text(json_, "cluster");
    if (sample_.cluster.empty()) sample_.cluster = sample_.id;
    candidates();
    labels(suite);
    static const std::set<std::string> known{"id", "question", "images", "videos", "audio", "molecules", "fields", "candidates",
                                             "human", "annotators", "group", "cluster", "meta"};
    for (const auto& [key, unused] : json_.items()) {
      if (!known.count(key)) {
        const std::string near = job::nearest(key, {known.begin(), known.end()});
        problem(fmt::format("unknown field '{}'{}", key, near.empty() ? "" : fmt::format("; did you mean '{}'?", near)));
      }
    }
  }

 private:
  void problem(const std::string& what) { problems_.add(sample_.line, sample_.id, what); }

  std::string text(const Json& from, const char* key) {
    const auto at = from.find(key);
    if (at == from.end() || at->is_null()) return {};
    if (at->is_string()) return at->get<std::string>();
    if (at->is_number_integer()) return std::to_string(at->get<long long>());
    problem(fmt::format("'{}' must be text", key));
    return {};
  }

  std::vector<std::string> files(const Json& from, const char* key, const char* what) {
    std::vector<std::string> paths;
    const auto at = from.find(key);
    if (at == from.end() || at->is_null()) return paths;
    if (!at->is_array()) {
      problem(fmt::format("'{}' must be a list of paths", key));
      return paths;
    }
    for (const Json& name : *at) {
      if (!name.is_string()) {
        problem(fmt::format("'{}' must be a list of paths", key));
        continue;
      }
      const fs::path relative = fs::path(name.get<std::string>()).lexically_normal();
      if (relative.is_absolute() || (!relative.empty() && *relative.begin() == "..")) {
        problem(fmt::format("{} '{}' lies outside the suite's folder", what, relative.string()));
        continue;
      }
      const fs::path path = folder_ / relative;
      if (!base::file_exists(path)) problem(fmt::format("{} '{}' does not exist", what, path.string()));
      if (!links_may_leave_ && leaves(path)) {
        problem(fmt::format("{} '{}' is a link to a file outside the suite's folder; where that is meant, put 'links: anywhere' into "
                            "the suite file", what, path.string()));
      }
      paths.push_back(path.string());
    }
    return paths;
  }

  /// True if `path`, with its links followed, is not below the suite's folder. A broken link is another problem.
  bool leaves(const fs::path& path) const {
    std::error_code code;
    const fs::path real = fs::canonical(path, code);
    if (code) return false;
    const fs::path home = fs::canonical(folder_, code);
    return std::mismatch(home.begin(), home.end(), real.begin(), real.end()).first != home.end();
  }

  template <typename Holder>  // Sample or Candidate
  void media(const Json& from, Holder& to) {
    to.images = files(from, "images", "picture");
    const auto other = [&](const char* key, const char* what, MediaKind kind) {
      for (std::string& path : files(from, key, what)) to.other.push_back({kind, std::move(path)});
    };
    other("videos", "video", MediaKind::video);
    other("audio", "audio file", MediaKind::audio);
    other("molecules", "molecule file", MediaKind::molecule);
    to.other.shrink_to_fit();
  }

  void fields() {
    const auto at = json_.find("fields");
    if (at == json_.end() || at->is_null()) return;
    if (!at->is_object()) {
      problem("'fields' must be a map of name to text");
      return;
    }
    for (const auto& [name, unused] : at->items()) sample_.fields[name] = text(*at, name.c_str());
  }

  void candidates() {
    const auto at = json_.find("candidates");
    if (at == json_.end() || !at->is_array() || at->empty()) {
      problem("'candidates' must be a list with at least one entry");
      return;
    }
    for (const Json& entry : *at) {
      Candidate candidate;
      if (entry.is_string()) {
        candidate.text = entry.get<std::string>();
      } else if (entry.is_object()) {
        candidate.text = text(entry, "text");
        media(entry, candidate);
      } else {
        problem("a candidate must be text or {\"text\": …, \"images\": […]}");
      }
      sample_.candidates.push_back(std::move(candidate));
    }
  }

  std::string checked_label(const Json& value, const Suite& suite, const std::string& who) {
    const std::string label = label_text(value);
    if (suite.protocol == Protocol::score) {
      double number = 0;
      const auto [end, code] = std::from_chars(label.data(), label.data() + label.size(), number);
      if (code != std::errc{} || end != label.data() + label.size() || !(number >= suite.low && number <= suite.high)) {
        problem(fmt::format("{} is '{}', it must be a number from {} to {}", who, label, suite.low, suite.high));
        return {};
      }
      return label;
    }
    std::string canonical =
        canonical_label(label, suite.protocol, static_cast<int>(sample_.candidates.size()), suite.ties_allowed);
    if (canonical.empty()) {
      problem(fmt::format("{} is '{}', which is not a label of protocol {}{}", who, label, verdict::name(suite.protocol),
                          suite.protocol == Protocol::pair && !suite.ties_allowed ? " without ties" : ""));
    }
    return canonical;
  }

  void labels(const Suite& suite) {
    if (const auto at = json_.find("human"); at != json_.end() && !at->is_null()) {
      sample_.human = checked_label(*at, suite, "'human'");
    }
    const auto at = json_.find("annotators");
    if (at == json_.end() || at->is_null()) return;
    if (!at->is_object()) {
      problem("'annotators' must be a map of name to label");
      return;
    }
    for (const auto& [name, value] : at->items()) {
      sample_.annotators.emplace_back(name, checked_label(value, suite, fmt::format("'annotators.{}'", name)));
    }
  }

  const Json& json_;
  Sample& sample_;
  const fs::path& folder_;
  SampleProblems& problems_;
  bool links_may_leave_ = false;
};

void check_candidates(const Suite& suite, const Sample& sample, SampleProblems& problems) {
  const std::size_t n = sample.candidates.size();
  if (n == 0) return;
  if (!suite.labelled) {
    const bool compared = suite.protocol != Protocol::score;
    const std::size_t most = suite.protocol == Protocol::rank ? 26 : kMostCandidates;
    if (n < (compared ? 2u : 1u) || n > most) {
      problems.add(sample.line, sample.id, fmt::format("has {} candidates, protocol {} takes {} to {} of unlabelled data", n,
                                                       verdict::name(suite.protocol), compared ? 2 : 1, most));
    }
    return;
  }
  const bool two = suite.protocol == Protocol::pair || suite.protocol == Protocol::label;
  if ((two && n != 2) || (suite.protocol == Protocol::score && n != 1) ||
      (suite.protocol == Protocol::rank && (n < 2 || n > 26))) {
    problems.add(sample.line, sample.id,
                 fmt::format("has {} candidates, protocol {} takes {}", n, verdict::name(suite.protocol),
                             two ? "2" : (suite.protocol == Protocol::score ? "1" : "2 to 26")));
  }
}

void read_samples(const fs::path& file, std::string_view contents, const fs::path& folder, Suite& suite,
                  job::Problems& problems) {
  SampleProblems found(file, problems);
  std::unordered_set<std::string> ids;
  int line = 0;
  while (!contents.empty()) {
    const auto end = contents.find('\n');
    const std::string_view text = contents.substr(0, end);
    contents.remove_prefix(end == std::string_view::npos ? contents.size() : end + 1);
    ++line;
    if (text.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    Sample sample;
    sample.line = line;
    sample.row = static_cast<std::uint32_t>(suite.samples.size());
    const JsonLine read = read_json_line(text);
    if (!read.problem.empty()) {
      const auto id = read.object.is_object() ? read.object.find("id") : read.object.end();
      found.add(line, id != read.object.end() && id->is_string() ? id->get<std::string>() : "", read.problem);
      continue;
    }
    LineReader(read.object, sample, folder, found).read(suite);
    check_candidates(suite, sample, found);
    if (suite.annotators > 0 && sample.annotators.size() != static_cast<std::size_t>(suite.annotators)) {
      found.add(line, sample.id, fmt::format("has the labels of {} annotators, 'annotators' of the suite is {}",
                                             sample.annotators.size(), suite.annotators));
    }
    if (!sample.id.empty() && !ids.insert(sample.id).second) found.add(line, sample.id, "this id stands in the file twice");
    suite.samples.push_back(std::move(sample));
  }
  const bool grouped = std::any_of(suite.samples.begin(), suite.samples.end(), [](const auto& s) { return !s.group.empty(); });
  for (const auto& sample : suite.samples) {
    if (grouped && sample.group.empty()) found.add(sample.line, sample.id, "has no 'group', other samples have one");
  }
  found.finish();
}

/// Keeps the `limit` samples with the smallest seeded hash of their id: nested for growing limits.
void take_subset(Suite& suite, int limit, std::uint64_t seed) {
  if (limit <= 0 || static_cast<std::size_t>(limit) >= suite.samples.size()) return;
  std::vector<std::pair<std::uint64_t, std::size_t>> order;
  for (std::size_t i = 0; i < suite.samples.size(); ++i) order.emplace_back(base::hash64(suite.samples[i].id, seed), i);
  std::nth_element(order.begin(), order.begin() + limit, order.end());
  order.resize(static_cast<std::size_t>(limit));
  std::vector<Sample> kept;
  for (const auto& [unused, index] : order) kept.push_back(std::move(suite.samples[index]));
  suite.samples = std::move(kept);
}

void sort_by_id(Suite& suite) {
  std::sort(suite.samples.begin(), suite.samples.end(), [](const Sample& a, const Sample& b) { return a.id < b.id; });
}

}  // namespace

std::string canonical_label(const std::string& label, Protocol protocol, int candidates, bool ties_allowed) {
  std::string upper;
  for (char c : label) {
    if (c != ' ') upper += static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  }
  switch (protocol) {
    case Protocol::pair:
      if (upper == "A" || upper == "B") return upper;
      return upper == "TIE" && ties_allowed ? "tie" : "";
    case Protocol::label:
      if (upper == "A>B" || upper == "B<A") return "A>B";
      if (upper == "B>A" || upper == "A<B") return "B>A";
      if (upper == "A=B=GOOD") return "A=B=Good";
      if (upper == "A=B=BAD") return "A=B=Bad";
      return {};
    case Protocol::rank: {
      std::string sorted = upper;
      std::sort(sorted.begin(), sorted.end());
      std::string expected;
      for (int i = 0; i < candidates; ++i) expected += static_cast<char>('A' + i);
      return sorted == expected ? upper : "";
    }
    case Protocol::score: return label;
  }
  return {};
}

Suite load_suite(const fs::path& file, int limit, std::uint64_t seed, job::Profile profile) {
  const job::Tree tree = job::read_yaml(file);
  job::Problems problems;
  job::MapReader reader(&tree, job::Place{file.string(), 1, 1}, "", problems);
  Suite suite;
  suite.file = file;
  std::string samples_name = "samples.jsonl", prompt_name;
  int count = -1;
  reader.get("id", suite.id);
  reader.require("id");
  reader.get("title", suite.title);
  if (suite.title.empty()) suite.title = suite.id;
  reader.get("source", suite.source);
  reader.get("protocol", suite.protocol,
             {{"score", Protocol::score}, {"pair", Protocol::pair}, {"label", Protocol::label}, {"rank", Protocol::rank}});
  reader.require("protocol");
  reader.get("links", suite.links_may_leave, {{"inside", false}, {"anywhere", true}});
  reader.get("ties", suite.ties_allowed, {{"allowed", true}, {"none", false}});
  std::vector<std::string> range;
  reader.get("range", range);
  if (!range.empty()) {
    const auto number = [](const std::string& text, double& value) {
      return std::from_chars(text.data(), text.data() + text.size(), value).ptr == text.data() + text.size();
    };
    if (range.size() != 2 || !number(range[0], suite.low) || !number(range[1], suite.high) || suite.low >= suite.high) {
      problems.add(reader.place("range"), "'range' must be [low, high] of people's scores, for example [1, 5]");
    }
  }
  reader.get("samples", samples_name);
  reader.get("count", count, 0, 1 << 30);
  reader.get("annotators", suite.annotators, 0, 1 << 20);
  reader.get("prompt", prompt_name);
  reader.require("prompt");
  suite.profile = profile;
  suite.rules = read_profiles(reader.take("profiles"), reader.place("profiles"), file, profile, problems);
  reader.finish();
  problems.raise();

  const fs::path prompt_file = suite.rules.prompt.empty() ? job::resolve(prompt_name, file) : suite.rules.prompt;
  suite.prompt = load_prompt(prompt_file, suite.protocol);
  const fs::path samples_file = job::resolve(samples_name, file);
  std::error_code code;
  if (!fs::exists(samples_file, code)) {
    throw base::Error(fmt::format("{}: its samples file '{}' does not exist, neither beside it nor beside configs/; for a "
                                  "published suite tools/import-suite {} SOURCE makes it", file.string(), samples_name, suite.id));
  }
  const std::string contents = base::read_file(samples_file, std::uintmax_t{64} << 30);
  read_samples(samples_file, contents, samples_file.parent_path(), suite, problems);
  if (count >= 0 && problems.empty() && suite.samples.size() != static_cast<std::size_t>(count)) {
    problems.add(reader.place("count"), fmt::format("'count' is {}, but {} has {} samples", count, samples_file.string(),
                                                    suite.samples.size()));
  }
  problems.raise();
  suite.hash = base::Hasher().add(base::read_file(file)).add(contents).add(base::read_file(prompt_file)).digest();
  take_subset(suite, limit, seed);
  sort_by_id(suite);
  return suite;
}

Suite load_data(const job::DataSpec& data, int limit, std::uint64_t seed) {
  Suite suite;
  suite.file = data.file;
  suite.id = suite.title = data.id;
  suite.source = data.file.string();
  suite.protocol = verdict::protocol_named(data.protocol);
  suite.labelled = false;
  suite.prompt = load_prompt(data.prompt, suite.protocol);
  const std::string contents = base::read_file(data.file, std::uintmax_t{64} << 30);
  job::Problems problems;
  read_samples(data.file, contents, data.media, suite, problems);
  problems.raise();
  suite.hash = base::Hasher().add(contents).add(base::read_file(data.prompt)).digest();
  take_subset(suite, limit, seed);
  sort_by_id(suite);
  return suite;
}

}  // namespace assize::suite
