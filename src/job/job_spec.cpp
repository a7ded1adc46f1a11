#include "job/job_spec.h"

#include <charconv>

#include <fmt/format.h>

#include "base/error.h"
#include "job/paths.h"
#include "job/reader.h"
#include "job/tree.h"

namespace assize::job {

namespace fs = std::filesystem;

namespace {

// `judge: FILE` is replaced by the contents of that file; paths in it are made absolute against it.
void inline_judge(Tree& job, const fs::path& job_file) {
  for (auto& [key, key_place, value] : job.entries) {
    if (key != "judge") continue;
    fs::path file = job_file;
    if (value.kind == Tree::Kind::scalar) {
      file = resolve(value.scalar, job_file);
      if (fs::is_directory(file)) {
        Tree path = value;
        path.scalar = file.string();
        value = Tree{Tree::Kind::map, "", {}, {{"path", path.place, path}}, path.place};
        return;
      }
      if (!fs::exists(file)) {
        throw base::Error(fmt::format("{}: judge '{}' does not exist (looked beside the job and in {})",
                                      value.place.text(), value.scalar, share_folder().string()));
      }
      value = read_yaml(file);
    }
    for (auto& [name, name_place, entry] : value.entries) {
      if ((name == "path" || name == "fake") && entry.kind == Tree::Kind::scalar) {
        entry.scalar = resolve(entry.scalar, file).string();
      }
    }
  }
}

void read_image_size(MapReader& reader, JudgeSpec& judge, Problems& problems) {
  std::string text = "native";
  judge.image_size_is_set = reader.has("image_size");
  reader.get("image_size", text);
  if (parse_image_size(text, judge.image_width_px, judge.image_height_px)) return;
  problems.add(reader.place("image_size"),
               fmt::format("'judge.image_size' is '{}', it must be 'native' or WIDTHxHEIGHT in pixels, such as 448x448", text));
}

void read_judge(const Tree* tree, const Place& parent, JudgePresence presence, JudgeSpec& judge, Problems& problems) {
  MapReader reader(tree, parent, "judge", problems);
  std::string path, fake;
  reader.get("id", judge.id);
  reader.get("path", path);
  reader.get("fake", fake);
  reader.get("chat", judge.chat,
             {{"auto", ChatFormat::automatic}, {"chatml", ChatFormat::chatml}, {"llama3", ChatFormat::llama3}});
  reader.get("image_processor", judge.image_processor,
             {{"auto", ImageProcessor::as_configured}, {"slow", ImageProcessor::slow}, {"fast", ImageProcessor::fast}});
  read_image_size(reader, judge, problems);
  reader.finish();
  if (path.empty() == fake.empty()) {
    problems.add(tree ? tree->place : parent,
                 "'judge' needs either 'path' (a checkpoint folder) or 'fake' (a table of answers)");
    return;
  }
  judge.path = path;
  judge.fake = fake;
  const fs::path& named = path.empty() ? judge.fake : judge.path;
  if (presence == JudgePresence::required && !fs::exists(named)) {
    problems.add(reader.place(path.empty() ? "fake" : "path"),
                 fmt::format("judge '{}' does not exist; give the folder with --set judge.path=FOLDER{}", named.string(),
                             named.string().find("smollm2") != std::string::npos
                                 ? " or make it with tools/get-model smollm2-135m" : ""));
  }
  if (judge.id.empty()) judge.id = named.stem().string();
}

void read_suites(const Tree* tree, const Place& parent, const fs::path& file, JobSpec& job, Problems& problems) {
  if (!tree) {
    problems.add(parent, "'suites' is missing: name at least one suite folder or suite.yaml");
    return;
  }
  std::vector<const Tree*> names;
  if (tree->kind == Tree::Kind::sequence) {
    for (const Tree& item : tree->items) names.push_back(&item);
  } else {
    names.push_back(tree);
  }
  if (names.empty()) problems.add(tree->place, "'suites' is empty: name at least one suite");
  for (const Tree* name : names) {
    if (name->kind != Tree::Kind::scalar) {
      problems.add(name->place, "a suite must be the path of a folder or a suite.yaml");
      continue;
    }
    fs::path path = resolve(name->scalar, file);
    if (fs::is_directory(path)) path /= "suite.yaml";
    if (!fs::exists(path)) {
      problems.add(name->place, fmt::format("suite '{}' does not exist (looked for {})", name->scalar, path.string()));
      continue;
    }
    job.suites.push_back(path);
  }
}

void read_data(const Tree* tree, const Place& parent, const fs::path& file, DataSpec& data, Problems& problems) {
  if (!tree) {
    problems.add(parent, "'data' is missing: kind label needs data: {file: FILE.jsonl, protocol: …, prompt: …}");
    return;
  }
  MapReader reader(tree, parent, "data", problems);
  const auto path = [&](const char* key, fs::path& out) {
    std::string name;
    reader.get(key, name);
    if (name.empty()) return;
    out = resolve(name, file);
    if (!fs::exists(out)) {
      problems.add(reader.place(key), fmt::format("'data.{}': '{}' does not exist (looked for {})", key, name, out.string()));
    }
  };
  path("file", data.file);
  path("prompt", data.prompt);
  path("media", data.media);
  reader.get("id", data.id);
  reader.get("protocol", data.protocol,
             {{"score", std::string("score")}, {"pair", std::string("pair")}, {"label", std::string("label")}, {"rank", std::string("rank")}});
  for (const char* key : {"file", "prompt", "protocol"}) reader.require(key);
  reader.finish();
  if (data.media.empty()) data.media = data.file.parent_path();
  if (data.id.empty()) data.id = data.file.stem().string();
}

void read_pairs(MapReader reader, const JobSpec& job, PairsSpec& pairs, Problems& problems) {
  reader.get("choose", pairs.all, {{"best_worst", false}, {"all", true}});
  reader.get("margin", pairs.margin, 0, 1e9);
  reader.get("orders_agree", pairs.both_orders_must_agree, {{"required", true}, {"any", false}});
  reader.finish();
  if (pairs.both_orders_must_agree && (job.data.protocol == "score" || job.judging.orders != Orders::both)) {
    problems.add(reader.place("orders_agree"),
                 "'pairs.orders_agree: required' needs candidates that are compared in both orders: data.protocol pair, label "
                 "or rank, and judging.orders both");
  }
}

// The resolved job must find its suites and data from wherever it is stored.
void make_paths_absolute(Tree& job, const fs::path& file) {
  for (auto& [key, key_place, value] : job.entries) {
    for (auto& [name, name_place, entry] : value.entries) {
      const bool is_path = key == "data" && (name == "file" || name == "prompt" || name == "media");
      if (is_path) entry.scalar = resolve(entry.scalar, file).string();
    }
    if (key != "suites") continue;
    if (value.kind == Tree::Kind::scalar) value.scalar = resolve(value.scalar, file).string();
    for (Tree& item : value.items) {
      if (item.kind == Tree::Kind::scalar) item.scalar = resolve(item.scalar, file).string();
    }
  }
}

/// "3/16": false where it is not that.
bool read_shard(const std::string& text, Limits& limits) {
  const char* end = text.data() + text.size();
  const auto [slash, no_index] = std::from_chars(text.data(), end, limits.shard);
  if (no_index != std::errc{} || slash == end || *slash != '/') return false;
  const auto [rest, no_count] = std::from_chars(slash + 1, end, limits.shards);
  return no_count == std::errc{} && rest == end && limits.shard >= 0 && limits.shard < limits.shards;
}

void read_thinking(MapReader& reader, Judging& judging, Problems& problems) {
  reader.get("thinking", judging.thinking,
             {{"as_prompt", Thinking::as_prompt}, {"prefilled", Thinking::prefilled}, {"off", Thinking::off}});
  reader.get("expectation", judging.expectation);
  reader.get("budget_forcing", judging.budget_forcing, 0, 16);
  reader.get("budget_word", judging.budget_word);
  const bool likelihood = judging.reading == Reading::likelihood;
  for (const char* key : {"thinking", "expectation", "budget_forcing", "budget_word"}) {
    if (likelihood && reader.has(key)) {
      problems.add(reader.place(key), fmt::format("'judging.{}' has no meaning with 'reading: likelihood': nothing is written", key));
    }
  }
  if (judging.budget_forcing > 0 && judging.thinking == Thinking::off) {
    problems.add(reader.place("budget_forcing"), "'judging.budget_forcing' prolongs the thinking, which 'thinking: off' leaves out; drop one of them");
  }
  if (judging.expectation && judging.thinking == Thinking::off) {
    problems.add(reader.place("expectation"), "'judging.expectation' looks at what follows <answer> in the judge's text, which 'thinking: off' puts into the prompt; drop one of them");
  }
  if (judging.budget_word.empty() || judging.budget_word.find("</think>") != std::string::npos) {
    problems.add(reader.place("budget_word"), "'judging.budget_word' must be text that does not end the thinking, such as Wait");
  }
}

/// Keys that have no meaning for unlabelled data.
void refuse_for_data(MapReader& job, MapReader& judging, Problems& problems) {
  if (job.has("profile")) {
    problems.add(job.place("profile"), "'profile' chooses a published protocol, which kind label has none of; set data.prompt and judging.parser");
  }
  for (const char* key : {"on_unreadable", "combine", "vote_ties", "adaptive"}) {
    if (!judging.has(key)) continue;
    problems.add(judging.place(key), fmt::format("'judging.{}' has no meaning with kind label: rewards are means over the votes that can be "
                                                 "read, null where there is none", key));
  }
}

void read_limits(MapReader reader, Limits& limits, Problems& problems) {
  std::string samples = "all";
  reader.get("samples", samples);
  if (samples != "all") {
    const char* end = samples.data() + samples.size();
    if (std::from_chars(samples.data(), end, limits.samples).ptr != end || limits.samples < 1) {
      problems.add(reader.place("samples"),
                   fmt::format("'limits.samples' is '{}', it must be 'all' or a whole number from 1", samples));
    }
  }
  std::string shard = "none";
  reader.get("shard", shard);
  if (shard != "none" && !read_shard(shard, limits)) {
    problems.add(reader.place("shard"),
                 fmt::format("'limits.shard' is '{}', it must be 'none' or INDEX/COUNT, from 0/COUNT on", shard));
  }
  reader.get("failure_rate", limits.failure_rate, 0, 1);
  reader.get("stop_above", limits.stop_above, 0, 1);
  reader.get("lease_seconds", limits.lease_seconds, 1, 86400);
  reader.get("drain_seconds", limits.drain_seconds, 0, 86400);
  reader.finish();
}

}  // namespace

bool parse_image_size(const std::string& text, int& width_px, int& height_px) {
  width_px = height_px = 0;
  if (text == "native") return true;
  const auto x = text.find('x');
  int width = 0, height = 0;
  const bool good = x != std::string::npos &&
                    std::from_chars(text.data(), text.data() + x, width).ptr == text.data() + x &&
                    std::from_chars(text.data() + x + 1, text.data() + text.size(), height).ptr == text.data() + text.size() &&
                    width > 0 && height > 0 && width <= 16384 && height <= 16384;
  if (!good) return false;
  width_px = width;
  height_px = height;
  return true;
}

const char* name(Profile profile) {
  static constexpr const char* kNames[] = {"strict", "paper", "repo"};
  return kNames[static_cast<int>(profile)];
}

JobSpec load_job(const fs::path& file, const std::vector<std::string>& settings, JudgePresence presence) {
  Tree tree = read_yaml(file);
  if (tree.kind != Tree::Kind::map) throw base::Error(file.string() + ":1:1: a job is a map of keys; see assize run --help");
  // Twice: a setting may name the judge file, and may change a value inside it.
  for (const auto& setting : settings) {
    if (setting.rfind("judge=", 0) == 0) apply_setting(tree, setting);
  }
  inline_judge(tree, file);
  for (const auto& setting : settings) {
    if (setting.rfind("judge=", 0) != 0) apply_setting(tree, setting);
  }

  Problems problems;
  JobSpec job;
  MapReader reader(&tree, tree.place, "", problems);
  reader.get("profile", job.profile,
             {{"strict", Profile::strict}, {"paper", Profile::paper}, {"repo", Profile::repo}});
  reader.get("kind", job.kind, {{"evaluate", Kind::evaluate}, {"label", Kind::label}, {"throughput", Kind::throughput}});
  reader.require("kind");
  read_judge(reader.take("judge"), tree.place, presence, job.judge, problems);
  const bool label = job.kind == Kind::label;
  const Tree* suites = label ? nullptr : reader.take("suites");
  read_throughput(reader, tree.place, suites != nullptr, job, problems);
  if (label) {
    read_data(reader.take("data"), tree.place, file, job.data, problems);
  } else if (!job.workload || suites) {
    read_suites(suites, tree.place, file, job, problems);
  }

  MapReader judging(reader.take("judging"), tree.place, "judging", problems);
  judging.get("votes", job.judging.votes, 1, 1000);
  judging.get("orders", job.judging.orders, {{"both", Orders::both}, {"as_given", Orders::as_given}, {"random", Orders::random}});
  judging.get("adaptive", job.judging.adaptive);
  judging.get("seed", job.judging.seed);
  judging.get("reading", job.judging.reading, {{"generate", Reading::generate}, {"likelihood", Reading::likelihood}});
  judging.get("on_unreadable", job.judging.on_unreadable,
              {{"exclude", OnUnreadable::exclude}, {"wrong", OnUnreadable::wrong}, {"tie", OnUnreadable::tie}});
  job.judging.parser = job.profile == Profile::repo ? Parser::repo : job.profile == Profile::paper ? Parser::paper : Parser::strict;
  judging.get("parser", job.judging.parser, {{"strict", Parser::strict}, {"paper", Parser::paper}, {"repo", Parser::repo}});
  judging.get("combine", job.judging.combine, {{"majority", Combine::majority}, {"sign", Combine::sign}, {"mean", Combine::mean}});
  judging.get("vote_ties", job.judging.vote_ties, {{"tie", VoteTies::tie}, {"first_seen", VoteTies::first_seen}});
  if (job.judging.adaptive && job.judging.combine == Combine::mean) {
    problems.add(judging.place("adaptive"), "'judging.adaptive' needs votes on a choice: 'combine: mean' takes every vote");
  }
  read_thinking(judging, job.judging, problems);
  if (label) refuse_for_data(reader, judging, problems);
  if (job.kind == Kind::throughput) refuse_for_throughput(judging, job, problems);
  judging.finish();
  if (job.judging.reading == Reading::likelihood && job.judging.votes > 1) {
    problems.add(judging.place("votes"), "'judging.votes' must be 1 with 'reading: likelihood': every vote would be the same");
  }

  MapReader sampling(reader.take("sampling"), tree.place, "sampling", problems);
  sampling.get("temperature", job.sampling.temperature, 0, 10);
  sampling.get("top_p", job.sampling.top_p, 1e-6, 1);
  sampling.get("top_k", job.sampling.top_k, 0, 1 << 20);
  sampling.get("repetition_penalty", job.sampling.repetition_penalty, 0.01, 100);
  sampling.get("max_new_tokens", job.sampling.max_new_tokens, 1, 1 << 20);
  sampling.get("stop_strings", job.sampling.stop_strings);
  sampling.finish();
  if (job.judging.reading == Reading::generate && job.judging.votes > 1 && job.sampling.temperature == 0) {
    problems.add(sampling.place("temperature"),
                 "'sampling.temperature' is 0 with several votes: every vote would be the same; set judging.votes to 1");
  }

  if (job.workload && job.workload->output_tokens > job.sampling.max_new_tokens) {
    problems.add(sampling.place("max_new_tokens"), fmt::format("'workload.output_tokens' is {}, more than the {} that 'sampling.max_new_tokens' allows",
                                                               job.workload->output_tokens, job.sampling.max_new_tokens));
  }

  if (label) read_pairs(MapReader(reader.take("pairs"), tree.place, "pairs", problems), job, job.pairs, problems);

  reader.get("numerics", job.numerics,
             {{"auto", Numerics::automatic}, {"f32", Numerics::f32}, {"bf16", Numerics::bf16}});

  MapReader parallel(reader.take("parallel"), tree.place, "parallel", problems);
  parallel.get("device", job.parallel.device,
               {{"auto", Device::automatic}, {"cpu", Device::cpu}, {"cuda", Device::cuda},
                {"cuda-emulated", Device::cuda_emulated}});
  parallel.get("tensor_parallel", job.parallel.tensor_parallel, {{"1", 1}, {"2", 2}, {"4", 4}});
  parallel.get("threads", job.parallel.threads, 0, 4096);
  parallel.get("instruction_set", job.parallel.instruction_set,
               {{"auto", std::string()}, {"avx2", std::string("avx2")}, {"avx512", std::string("avx512")}});
  parallel.finish();
  const bool gpu = job.parallel.device == Device::cuda || job.parallel.device == Device::cuda_emulated;
  if (gpu && job.numerics == Numerics::f32) {
    problems.add(reader.place("numerics"), "'numerics' is f32, which GPUs do not have here: leave it out (bf16) or set "
                                           "parallel.device to cpu");
  }
  if (job.parallel.device == Device::cpu && job.numerics == Numerics::bf16) {
    problems.add(reader.place("numerics"), "'numerics' is bf16, which CPUs do not have here: leave it out (f32) or set "
                                           "parallel.device to cuda");
  }

  MapReader engine(reader.take("engine"), tree.place, "engine", problems);
  engine.get("step_rows", job.engine.step_rows, 1, 1 << 16);
  engine.get("slots", job.engine.slots, 1, 1 << 14);
  engine.get("kv_memory_gib", job.engine.kv_memory_gib, 0, 1e5);
  engine.get("prefix_sharing", job.engine.prefix_sharing);
  engine.get("fork", job.engine.fork);
  engine.get("grouped_attention", job.engine.grouped_attention);
  engine.get("encoder_cache", job.engine.encoder_cache);
  engine.finish();

  MapReader cluster(reader.take("cluster"), tree.place, "cluster", problems);
  cluster.get("order", job.lease_order,
              {{"longest_first", LeaseOrder::longest_first}, {"fifo", LeaseOrder::fifo}, {"static", LeaseOrder::fixed}});
  cluster.finish();

  read_limits(MapReader(reader.take("limits"), tree.place, "limits", problems), job.limits, problems);

  MapReader log(reader.take("log"), tree.place, "log", problems);
  log.get("level", job.log_level, {{"debug", base::LogLevel::debug}, {"info", base::LogLevel::info},
                                   {"warning", base::LogLevel::warning}, {"error", base::LogLevel::error}});
  log.finish();

  std::string output;
  reader.get("output", output);
  reader.require("output");
  job.output = output;
  reader.finish();
  problems.raise();
  make_paths_absolute(tree, file);
  job.resolved_yaml = to_yaml(tree);
  return job;
}

}  // namespace assize::job
