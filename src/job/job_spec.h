#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/log.h"

#include "job/workload_spec.h"

namespace assize::job {

enum class Kind {
  evaluate,  ///< judge labelled suites, compare with people
  label,     ///< judge unlabelled data, write rewards and preferences
  throughput,  ///< measure how fast that goes
};

/// How a prompt's chat text is written.
enum class ChatFormat { automatic, chatml, llama3 };

/// Which image processor is reproduced: what the checkpoint asks for, or one by force.
enum class ImageProcessor { as_configured, slow, fast };

/// A judge: a checkpoint folder in Hugging Face layout, or a table of answers (tests, dry runs).
struct JudgeSpec {
  std::string id;               ///< part of every call key; default: name of the folder or table
  std::filesystem::path path;   ///< checkpoint folder; empty for a fake
  std::filesystem::path fake;   ///< YAML table of answers
  ChatFormat chat = ChatFormat::automatic;
  ImageProcessor image_processor = ImageProcessor::as_configured;
  int image_width_px = 0;       ///< fixed size before the processor (0: native)
  int image_height_px = 0;
  bool image_size_is_set = false;  ///< by the job: the suites' profiles have no say
};

/// `kind: label`: unlabelled data and how they are judged.
struct DataSpec {
  std::filesystem::path file;   ///< JSONL
  std::filesystem::path media;  ///< folder that picture paths are relative to
  std::filesystem::path prompt;
  std::string id;               ///< part of every call key; default: the file's name without ending
  std::string protocol;         ///< "score", "pair", "label" or "rank"
};

/// `kind: label`: which preferences are written.
struct PairsSpec {
  bool all = false;                  ///< every two candidates; else the best against the worst
  double margin = 0;                 ///< least difference of rewards
  bool both_orders_must_agree = false;
};

/// Orders in which candidates are shown: as in the data, in both, or one that is drawn for every vote.
enum class Orders { as_given, both, random };

/// How a verdict is had from the judge.
enum class Reading {
  generate,    ///< think, then answer: the text is read
  likelihood,  ///< probabilities of the labels after a prefilled answer
};

/// What happens with an unreadable verdict; by_profile: what the suite's profile says, else exclude.
enum class OnUnreadable { by_profile, exclude, wrong, tie };

/// Which rules read a verdict: strict is ours, paper takes the first answers after the thinking in any range, repo
/// follows the published Flex-Judge scripts.
enum class Parser { strict, paper, repo };

/// Whose protocol is followed as a whole: prompts, picture sizes, parser and failure values.
enum class Profile {
  strict,  ///< ours
  paper,   ///< what the Flex-Judge paper states
  repo,    ///< what its published scripts do
};

/// How the choices of several votes become one; by_profile: what the suite's profile says, else majority.
enum class Combine { by_profile, majority, sign, mean };

/// What decides between choices with equally many votes; by_profile: what the suite's profile says, else tie.
enum class VoteTies { by_profile, tie, first_seen };

/// How the judge's turn begins.
enum class Thinking {
  by_profile,  ///< paper: prefilled; else as the prompt file says
  as_prompt,   ///< as the prompt file says
  prefilled,   ///< after "<think>"
  off,         ///< after "<answer>": the judge answers at once
};

struct Judging {
  int votes = 1;
  Orders orders = Orders::both;
  bool adaptive = false;           ///< no more votes than decide
  std::uint64_t seed = 0;
  Reading reading = Reading::generate;
  OnUnreadable on_unreadable = OnUnreadable::by_profile;
  Parser parser = Parser::strict;  ///< the profile's, or as the job says
  Combine combine = Combine::by_profile;
  VoteTies vote_ties = VoteTies::by_profile;
  Thinking thinking = Thinking::by_profile;
  bool expectation = false;        ///< also the expectation of scores, from the probabilities of the whole numbers
  int budget_forcing = 0;          ///< times that the judge is made to think on when it would answer
  std::string budget_word = "Wait";  ///< what it is made to write instead of </think>
};

struct SamplingSpec {
  double temperature = 0.6;
  double top_p = 0.95;
  int top_k = 0;                   ///< 0 = off
  double repetition_penalty = 1;   ///< 1 = off
  int max_new_tokens = 4096;
  std::vector<std::string> stop_strings;  ///< a text ends with the first of them, which stays in it
};

/// Where a judge computes; automatic: on GPUs where there are any.
enum class Device { automatic, cpu, cuda, cuda_emulated };

/// Arithmetic of a judge; automatic: that of the device (f32 on CPUs, bf16 on GPUs).
enum class Numerics { automatic, f32, bf16 };

struct Parallel {
  Device device = Device::automatic;
  int tensor_parallel = 1;
  int threads = 0;                 ///< of one rank; 0 = the node's cores shared by its ranks
  std::string instruction_set;     ///< "", "avx2" or "avx512"
};

/// Limits of the engine of one group; none changes a verdict.
struct EngineSpec {
  int step_rows = 512;
  int slots = 64;
  double kv_memory_gib = 0;        ///< 0 = automatic
  bool prefix_sharing = true;
  bool fork = true;
  bool grouped_attention = true;
  bool encoder_cache = true;
};

/// In which order prompt groups are leased; none changes a verdict.
enum class LeaseOrder {
  longest_first,    ///< costliest first, learning from the lengths of outputs seen
  fifo,             ///< as in the suites
  fixed,            ///< dealt out to the groups before the start
};

struct Limits {
  int samples = 0;                 ///< 0 = all
  int shard = 0;                   ///< this run judges only the samples of shard `shard` of `shards`, from 0
  int shards = 1;
  double failure_rate = 0.01;      ///< share of failed calls above which the run exits with 3
  double stop_above = 0.5;         ///< share of unreadable, truncated and failed calls that stops the run, after 200
  int lease_seconds = 600;         ///< a worker group that works and is silent for longer is taken out
  int drain_seconds = 60;          ///< after the first stop signal
};

/// A whole job, resolved and checked.
struct JobSpec {
  Kind kind = Kind::evaluate;
  Profile profile = Profile::strict;
  JudgeSpec judge;
  std::vector<std::filesystem::path> suites;  ///< evaluate: suite.yaml files
  DataSpec data;                              ///< label
  PairsSpec pairs;                            ///< label
  Judging judging;
  SamplingSpec sampling;
  Numerics numerics = Numerics::automatic;
  Parallel parallel;
  EngineSpec engine;
  LeaseOrder lease_order = LeaseOrder::longest_first;
  Limits limits;
  base::LogLevel log_level = base::LogLevel::info;
  std::optional<WorkloadSpec> workload;     ///< throughput jobs: in place of suites or beside them
  std::optional<std::vector<int>> scaling;  ///< throughput jobs: numbers of groups to measure with; empty: 1, 2, 4 …
  std::filesystem::path output;
  std::string resolved_yaml;  ///< the job with judge file and settings worked in
};

/// Whether the judge that a job names has to be there.
enum class JudgePresence { required, optional };

/// Reads "native" (0 x 0) or "WIDTHxHEIGHT" in pixels, up to 16384; false where `text` is neither.
bool parse_image_size(const std::string& text, int& width_px, int& height_px);

/// "strict", "paper", "repo".
const char* name(Profile profile);

/// Reads a job file, works in `settings` ("a.b=value") and the judge file it names, and checks everything that
/// can be checked without opening data. Throws one Error with all problems, each with its place.
JobSpec load_job(const std::filesystem::path& file, const std::vector<std::string>& settings,
                 JudgePresence judge = JudgePresence::required);

}  // namespace assize::job
