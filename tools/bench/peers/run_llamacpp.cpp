// llama.cpp through its C API: as many prompts in flight as --sequences allows, the votes of a prompt on its keys, all
// generations in one batch, sampling on all threads.
//
//   g++ -O2 -std=c++17 run_llamacpp.cpp -I LLAMA/include -I LLAMA/ggml/include -L BUILD/bin -lllama -lggml -lggml-base -pthread
//   run_llamacpp MODEL.gguf workload.jsonl [--only votes,single,prefill] [--repeats 3] [--threads 2] [--sequences 40] [--share]
//
// --share computes the common beginning of all prompts once. An F32 file compares with fp32 engines; keys and values are F32.
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>
#include <vector>

#include "llama.h"

namespace {

using Tokens = std::vector<llama_token>;

struct Options {
  std::string model, prompts, only = "votes,single,prefill";
  int repeats = 3, threads = 2, sequences = 40;
  bool share = false;
};

struct Workload {
  const char* name;
  int generations, tokens;
  bool sampled;
};
constexpr Workload kWorkloads[] = {{"votes", 5, 96, true}, {"single", 1, 96, false}, {"prefill", 1, 1, false}};
constexpr int kBatch = 2048;

double now_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

[[noreturn]] void fail(const std::string& what) {
  std::fprintf(stderr, "run_llamacpp: %s\n", what.c_str());
  std::exit(1);
}

std::vector<Tokens> read_prompts(const std::string& path) {
  std::ifstream in(path);
  if (!in) fail(path + " cannot be read");
  std::vector<Tokens> prompts;
  for (std::string line; std::getline(in, line);) {
    const auto key = line.find("\"prompt_ids\"");
    if (key == std::string::npos) continue;
    Tokens ids;
    const char* at = line.c_str() + line.find('[', key) + 1;
    for (char* end = nullptr; *at != ']'; at = *end == ',' ? end + 1 : end) ids.push_back(static_cast<llama_token>(std::strtol(at, &end, 10)));
    prompts.push_back(std::move(ids));
  }
  return prompts;
}

std::size_t common_tokens(const std::vector<Tokens>& prompts) {
  std::size_t common = prompts[0].size() - 1;
  for (const Tokens& prompt : prompts) {
    const auto most = std::min(common, prompt.size() - 1);
    common = static_cast<std::size_t>(std::mismatch(prompt.begin(), prompt.begin() + static_cast<long>(most), prompts[0].begin()).first - prompt.begin());
  }
  return common;
}

/// One generation in flight.
struct Sequence {
  llama_seq_id id;
  int prompt;
  llama_token last;
  int position, left, row;
};

class Runner {
 public:
  Runner(llama_context* context, int vocab, const Options& options) : context_(context), vocab_(vocab), options_(options) {
    batch_ = llama_batch_init(kBatch, 0, 8);
  }
  ~Runner() { llama_batch_free(batch_); }

  /// Tokens made.
  long run(const std::vector<Tokens>& prompts, const Workload& work) {
    memory_ = llama_get_memory(context_);
    llama_memory_clear(memory_, false);
    make_samplers(work);
    const llama_seq_id common_id = options_.sequences;  // the last sequence holds what all prompts have in common
    const std::size_t common = options_.share && prompts.size() > 1 ? common_tokens(prompts) : 0;
    if (common > 0) {
      batch_.n_tokens = 0;
      for (std::size_t i = 0; i < common; ++i) add(prompts[0][i], static_cast<int>(i), {common_id}, i + 1 == common);
      decode();
    }
    std::vector<llama_seq_id> free;
    for (int id = options_.sequences - 1; id >= 0; --id) free.push_back(id);
    std::vector<Sequence> running;
    std::size_t next = 0;
    long made = 0;
    while (next < prompts.size() || !running.empty()) {
      batch_.n_tokens = 0;
      for (Sequence& s : running) s.row = add(s.last, s.position, {s.id}, true);
      while (next < prompts.size() && free.size() >= static_cast<std::size_t>(work.generations) &&
             batch_.n_tokens + static_cast<int>(prompts[next].size()) <= kBatch) {
        std::vector<llama_seq_id> ids(free.end() - work.generations, free.end());
        free.resize(free.size() - ids.size());
        const Tokens& prompt = prompts[next];
        if (common > 0) {
          for (const llama_seq_id id : ids) llama_memory_seq_cp(memory_, common_id, id, -1, -1);
        }
        int row = -1;
        for (std::size_t i = common; i < prompt.size(); ++i) row = add(prompt[i], static_cast<int>(i), ids, i + 1 == prompt.size());
        for (const llama_seq_id id : ids) {
          running.push_back({id, static_cast<int>(next), 0, static_cast<int>(prompt.size()) - 1, work.tokens, row});
        }
        ++next;
      }
      decode();
      sample(running);
      made += static_cast<long>(running.size());
      for (Sequence& s : running) {
        ++s.position;
        if (--s.left > 0) continue;
        llama_memory_seq_rm(memory_, s.id, -1, -1);
        free.push_back(s.id);
      }
      running.erase(std::remove_if(running.begin(), running.end(), [](const Sequence& s) { return s.left == 0; }), running.end());
    }
    for (llama_sampler* sampler : samplers_) llama_sampler_free(sampler);
    samplers_.clear();
    return made;
  }

 private:
  void make_samplers(const Workload& work) {
    for (int i = 0; i < options_.sequences; ++i) {
      llama_sampler* chain = llama_sampler_chain_init(llama_sampler_chain_default_params());
      if (work.sampled) {
        llama_sampler_chain_add(chain, llama_sampler_init_temp(0.7f));
        llama_sampler_chain_add(chain, llama_sampler_init_top_p(0.95f, 1));
        llama_sampler_chain_add(chain, llama_sampler_init_dist(static_cast<std::uint32_t>(i + 1)));
      } else {
        llama_sampler_chain_add(chain, llama_sampler_init_greedy());
      }
      samplers_.push_back(chain);
    }
  }

  int add(llama_token token, int position, const std::vector<llama_seq_id>& ids, bool logits) {
    const int row = batch_.n_tokens++;
    batch_.token[row] = token;
    batch_.pos[row] = position;
    batch_.n_seq_id[row] = static_cast<int>(ids.size());
    std::copy(ids.begin(), ids.end(), batch_.seq_id[row]);
    batch_.logits[row] = logits;
    return row;
  }

  void decode() {
    if (const int code = llama_decode(context_, batch_)) fail("llama_decode gave " + std::to_string(code));
  }

  void sample(std::vector<Sequence>& running) {
    std::vector<const float*> logits;
    for (const Sequence& s : running) logits.push_back(llama_get_logits_ith(context_, s.row));
    const auto work = [&](int thread) {
      std::vector<llama_token_data> candidates(static_cast<std::size_t>(vocab_));
      for (std::size_t i = static_cast<std::size_t>(thread); i < running.size(); i += static_cast<std::size_t>(options_.threads)) {
        for (int v = 0; v < vocab_; ++v) candidates[static_cast<std::size_t>(v)] = {v, logits[i][v], 0.0f};
        llama_token_data_array all{candidates.data(), candidates.size(), -1, false};
        llama_sampler* sampler = samplers_[static_cast<std::size_t>(running[i].id)];
        llama_sampler_apply(sampler, &all);
        running[i].last = all.data[all.selected].id;
        llama_sampler_accept(sampler, running[i].last);
      }
    };
    std::vector<std::thread> threads;
    for (int thread = 1; thread < options_.threads; ++thread) threads.emplace_back(work, thread);
    work(0);
    for (std::thread& thread : threads) thread.join();
  }

  llama_context* context_;
  int vocab_;
  Options options_;
  llama_memory_t memory_ = nullptr;
  llama_batch batch_;
  std::vector<llama_sampler*> samplers_;
};

Options parse(int argc, char** argv) {
  Options options;
  std::vector<std::string> positional;
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    const auto value = [&] { return i + 1 < argc ? std::string(argv[++i]) : (fail(name + " needs a value"), std::string()); };
    if (name == "--only") options.only = value();
    else if (name == "--repeats") options.repeats = std::stoi(value());
    else if (name == "--threads") options.threads = std::stoi(value());
    else if (name == "--sequences") options.sequences = std::stoi(value());
    else if (name == "--share") options.share = true;
    else positional.push_back(name);
  }
  if (positional.size() != 2) fail("give MODEL.gguf and workload.jsonl");
  options.model = positional[0];
  options.prompts = positional[1];
  return options;
}

}  // namespace

int main(int argc, char** argv) {
  const Options options = parse(argc, argv);
  std::vector<Tokens> prompts = read_prompts(options.prompts);
  if (prompts.empty()) fail(options.prompts + " holds no prompts");
  std::size_t longest = 0, tokens = 0;
  for (const Tokens& prompt : prompts) {
    longest = std::max(longest, prompt.size());
    tokens += prompt.size();
  }
  llama_backend_init();
  llama_model* model = llama_model_load_from_file(options.model.c_str(), llama_model_default_params());
  if (!model) fail(options.model + " cannot be loaded");
  llama_context_params params = llama_context_default_params();
  params.n_seq_max = static_cast<std::uint32_t>(options.sequences + 1);
  params.n_threads = params.n_threads_batch = options.threads;
  params.n_batch = kBatch;
  params.kv_unified = true;
  params.n_ctx = static_cast<std::uint32_t>(static_cast<std::size_t>(options.sequences) * (longest + 96) + longest);
  params.type_k = params.type_v = GGML_TYPE_F32;
  llama_context* context = llama_init_from_model(model, params);
  if (!context) fail("no context with --sequences " + std::to_string(options.sequences));
  {
    Runner runner(context, llama_vocab_n_tokens(llama_model_get_vocab(model)), options);
    runner.run({prompts.begin(), prompts.begin() + 1}, {"warm-up", 2, 4, true});
    for (const Workload& work : kWorkloads) {
      if (("," + options.only + ",").find("," + std::string(work.name) + ",") == std::string::npos) continue;
      std::vector<double> seconds;
      for (int repeat = 0; repeat < options.repeats; ++repeat) {
        const double begin = now_seconds();
        const long made = runner.run(prompts, work);
        seconds.push_back(now_seconds() - begin);
        if (made != static_cast<long>(prompts.size()) * work.generations * work.tokens) fail("made a wrong number of tokens");
      }
      std::sort(seconds.begin(), seconds.end());
      rusage usage{};
      getrusage(RUSAGE_SELF, &usage);
      std::printf("{\"engine\": \"llama.cpp\", \"workload\": \"%s\", \"prompts\": %zu, \"prompt_tokens\": %zu, \"generations\": %zu, "
                  "\"output_tokens\": %zu, \"seconds\": %.3f, \"peak_mib\": %ld, \"threads\": %d, \"shared\": %s}\n",
                  work.name, prompts.size(), tokens, prompts.size() * static_cast<std::size_t>(work.generations),
                  prompts.size() * static_cast<std::size_t>(work.generations * work.tokens), seconds[seconds.size() / 2],
                  usage.ru_maxrss / 1024, options.threads, options.share ? "true" : "false");
      std::fflush(stdout);
    }
  }
  llama_free(context);
  llama_model_free(model);
  llama_backend_free();
}
