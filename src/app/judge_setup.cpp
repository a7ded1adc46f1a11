#include "app/judge_setup.h"

#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <mutex>
#include <optional>
#include <unordered_set>

#include <fmt/format.h>

#include "app/cost.h"
#include "app/device.h"
#include "app/fake_table.h"
#include "backend/backend.h"
#include "backend/device.h"
#include "base/error.h"
#include "base/log.h"
#include "cluster/engine_judge.h"
#include "engine/build_input.h"
#include "media/patches.h"
#include "media/picture_loader.h"
#include "model/model.h"
#include "throughput/ceiling.h"
#include "throughput/data_sheet.h"

namespace assize::app {

namespace {

/// What a rank needs beside weights, KV cache and the model's buffers: code, prompts, pictures in work.
constexpr double kProgramBytes = 256.0 * 1024 * 1024;
/// Patches that are loaded ahead of the engine.
constexpr std::size_t kPictureBytes = std::size_t{128} << 20;
/// What the GPU backend needs beside weights, KV cache and buffers.
constexpr double kGpuBytes = 64.0 * 1024 * 1024;

/// MemAvailable of this node in bytes.
double available_bytes() {
  std::ifstream in("/proc/meminfo");
  std::string key, unit;
  double kibibytes = 0;
  while (in >> key >> kibibytes >> unit) {
    if (key == "MemAvailable:") return kibibytes * 1024;
  }
  return static_cast<double>(sysconf(_SC_PHYS_PAGES)) * static_cast<double>(sysconf(_SC_PAGESIZE)) / 2;
}

/// KV blocks of one rank whose other buffers are sized by `limits`: what the job asks for, else what all slots could
/// ever need, within memory.
std::int32_t kv_blocks(const job::JobSpec& job, const model::ModelConfig& config, const model::ModelLimits& limits,
                       const JudgeSetup& setup, const backend::Backend& backend) {
  const int ranks = job.parallel.tensor_parallel;
  const double block = static_cast<double>(model::kv_block_bytes(config, ranks, backend.value_bytes()));
  const double weights = static_cast<double>(model::estimate_weight_bytes(config, ranks));
  const double buffers = static_cast<double>(model::buffer_bytes(config, limits, ranks, backend.value_bytes()));
  const bool host = backend.memory_bytes() == 0;
  // A GPU is this rank's alone; sums over the ranks, logits and attention take about as much as the model's buffers.
  const double working = host ? kProgramBytes + buffers : kGpuBytes + 2 * buffers;
  const int sharing = host ? setup.ranks_on_node : 1;
  const double free = host ? available_bytes() : static_cast<double>(backend.memory_bytes());
  const double room = (host ? 0.9 * free / sharing : free) - weights - working;
  const double one = longest_call_blocks(job, config, setup);
  const double wanted = job.engine.kv_memory_gib > 0 ? job.engine.kv_memory_gib * kGibibyte / block : one * job.engine.slots;
  const double blocks = std::min(wanted, 1e6);
  if (job.engine.kv_memory_gib > 0 ? blocks * block > room : one * block > room) {
    throw base::Error(fmt::format(
        "the judge does not fit: {:.2f} GiB of weights + {:.2f} GiB of KV cache ({:.0f} blocks of {} tokens) + {:.2f} GiB to work "
        "with, for each of {} ranks on this {}, are more than the {:.2f} GiB that it has free; use fewer ranks on a node, a "
        "larger parallel.tensor_parallel, or a smaller sampling.max_new_tokens or engine.kv_memory_gib",
        weights / kGibibyte, (job.engine.kv_memory_gib > 0 ? blocks : one) * block / kGibibyte,
        job.engine.kv_memory_gib > 0 ? blocks : one, backend::kBlockTokens, working / kGibibyte, sharing,
        host ? "node" : "GPU", free / kGibibyte));
  }
  return static_cast<std::int32_t>(std::max(1.0, std::min(blocks, room / block)));
}

/// Loads the pictures of the job's judge; how it wants them is read when the first one comes.
media::PictureLoader::Load picture_load(const job::JudgeSpec& judge) {
  struct Reading {
    std::once_flag once;
    media::ImagePreprocessing preprocessing;
  };
  return [&judge, reading = std::make_shared<Reading>()](const std::string& path, media::ImageSizing sizing) {
    std::call_once(reading->once, [&] { reading->preprocessing = preprocessing_of(judge); });
    return media::load_image_patches(path, reading->preprocessing, sizing);
  };
}

/// Threads that load pictures for one rank with these compute threads: those of a GPU's rank have little else to do.
int picture_threads(int threads) { return std::clamp(threads / 2, 1, 8); }

/// What all ranks of a group can do together.
cluster::Ceiling ceiling_of_group(const backend::CpuSettings& cpu, comm::Comm& group) {
  const cluster::Ceiling own = throughput::measure_ceiling(cpu.threads, cpu.instruction_set);
  std::vector<cluster::Ceiling> all(static_cast<std::size_t>(group.size()));
  group.all_gather(std::as_bytes(std::span(&own, 1)), std::as_writable_bytes(std::span(all)));
  cluster::Ceiling sum;
  for (const cluster::Ceiling& rank : all) {
    sum.flop_per_second += rank.flop_per_second;
    sum.bytes_per_second += rank.bytes_per_second;
    sum.threads += rank.threads;
    sum.flop_spread = std::max(sum.flop_spread, rank.flop_spread);
    sum.bytes_spread = std::max(sum.bytes_spread, rank.bytes_spread);
  }
  return sum;
}

/// A judge with everything it stands on.
class LoadedJudge final : public cluster::Judge {
 public:
  LoadedJudge(const Plan& plan, const JudgeSetup& setup, comm::Comm& group)
      : tokenizer_(text::Tokenizer::load(plan.job.judge.path / "tokenizer.json")) {
    const job::JobSpec& job = plan.job;
    const model::ModelConfig config = model::read_config(job.judge.path.string());
    if (group.rank() == 0) {
      for (const auto& ignored : config.ignored_generation) {
        base::log(base::LogLevel::info, fmt::format("generation_config.json: '{}' is not used; the job says how to sample", ignored));
      }
    }
    const long cores = sysconf(_SC_NPROCESSORS_ONLN);
    backend::CpuSettings cpu{job.parallel.threads, job.parallel.instruction_set};
    if (cpu.threads == 0) cpu.threads = static_cast<int>(std::max(1L, cores / setup.ranks_on_node));
    model::ModelLimits limits;
    limits.step_rows = job.engine.step_rows;
    limits.sample_rows = job.engine.slots;
    if (setup.largest_picture_patches > 0) {
      limits.image_patches = setup.largest_picture_patches;
      const int merge = config.vision.merge_size * config.vision.merge_size;
      limits.embedding_rows = setup.largest_picture_patches / std::max(1, merge) * std::clamp(job.engine.slots, 4, 64);
    }
    const bool measures = job.kind == job::Kind::throughput, on_gpu = device_of(job) == backend::Device::cuda;
    if (measures && !on_gpu) ceiling_ = ceiling_of_group(cpu, group);
    backend_ = backend::make_backend(device_of(job), group, {cpu, setup.worker_on_node});
    if (measures && on_gpu) {
      const std::string name = backend_->name();
      const throughput::DataSheet sheet = throughput::data_sheet(name.substr(0, name.find(',')));
      ceiling_.sheet_flop_per_second = sheet.flop_per_second * group.size();
      ceiling_.sheet_bytes_per_second = sheet.bytes_per_second * group.size();
    }
    if (group.rank() == 0) base::log(base::LogLevel::info, fmt::format("judge on {}", backend_->name()));
    limits.kv_blocks = kv_blocks(job, config, limits, setup, *backend_);
    model_ = model::load_model(job.judge.path.string(), config, limits, *backend_);
    engine::EngineSettings settings;
    settings.step_rows = job.engine.step_rows;
    settings.slots = job.engine.slots;
    settings.kv_blocks = limits.kv_blocks;
    settings.image_patches = limits.image_patches;
    settings.embedding_rows = limits.embedding_rows;
    settings.prefix_sharing = job.engine.prefix_sharing;
    settings.fork = job.engine.fork;
    settings.grouped_attention = job.engine.grouped_attention;
    settings.encoder_cache = job.engine.encoder_cache;
    engine_ = engine::make_engine(*model_, tokenizer_, settings);
    // Without pictures no thread waits for any.
    pictures_.emplace(picture_load(plan.job.judge), setup.largest_picture_patches > 0 ? picture_threads(cpu.threads) : 0, kPictureBytes);
    const auto build = [this](const cluster::WorkPrompt& prompt, const engine::Pictures& pictures) {
      return engine::build_input(model_->config(), tokenizer_, prompt.text, pictures);
    };
    judge_.emplace(*engine_, tokenizer_, *pictures_, build, call_settings(job, plan.suites, config.stop_ids),
                   static_cast<std::uint32_t>(job.engine.slots),
                   group.size() > 1 ? cluster::Entering::at_once : cluster::Entering::as_loaded);
  }

  void submit(const cluster::WorkItem& item) override { judge_->submit(item); }
  bool step(std::vector<results::Judgement>& finished) override { return judge_->step(finished); }
  void cancel(const base::Hash128& call) override { judge_->cancel(call); }
  void cancel_all() override { judge_->cancel_all(); }
  std::size_t unfinished() const override { return judge_->unfinished(); }
  engine::EngineCounters counters() const override { return judge_->counters(); }
  std::uint32_t slots() const override { return judge_->slots(); }
  cluster::Ceiling ceiling() const override { return ceiling_; }

 private:
  cluster::Ceiling ceiling_;
  text::Tokenizer tokenizer_;
  std::unique_ptr<backend::Backend> backend_;
  std::unique_ptr<model::Model> model_;
  std::unique_ptr<engine::Engine> engine_;
  std::optional<media::PictureLoader> pictures_;
  std::optional<cluster::EngineJudge> judge_;
};

}  // namespace

media::ImagePreprocessing preprocessing_of(const job::JudgeSpec& judge) {
  media::ImageProcessorChoice choice = media::ImageProcessorChoice::as_configured;
  if (judge.image_processor == job::ImageProcessor::slow) choice = media::ImageProcessorChoice::slow;
  if (judge.image_processor == job::ImageProcessor::fast) choice = media::ImageProcessorChoice::fast;
  return media::read_preprocessing(judge.path, choice);
}

double longest_call_blocks(const job::JobSpec& job, const model::ModelConfig& config, const JudgeSetup& setup) {
  const int longest = std::min(config.max_positions, std::max(setup.longest_prompt_tokens, 1) + job.sampling.max_new_tokens);
  return static_cast<double>(longest) / backend::kBlockTokens + 2;
}

JudgeSetup measure(const Plan& plan) {
  JudgeSetup setup;
  if (!plan.job.judge.fake.empty()) return setup;
  media::ImagePreprocessing preprocessing;
  bool preprocessing_read = false;
  std::unordered_set<std::string> seen;
  media::ImageSizing sizing;
  std::int64_t largest_tokens = 0;
  std::size_t longest_bytes = 0, most_pictures = 0;
  const auto look_at = [&](const std::vector<std::string>& images) {
    for (const auto& image : images) {
      if (!seen.insert(fmt::format("{}x{} {}", sizing.width_px, sizing.height_px, image)).second) continue;
      if (!preprocessing_read) preprocessing = preprocessing_of(plan.job.judge);
      preprocessing_read = true;
      try {
        const media::PatchGrid grid = media::plan_image_file(image, preprocessing, sizing);
        setup.largest_picture_patches = std::max(setup.largest_picture_patches, grid.t * grid.h * grid.w);
        largest_tokens = std::max(largest_tokens, grid.tokens);
      } catch (const base::Error&) {
        // A broken picture becomes a failed row of its samples when its turn comes.
      }
    }
  };
  for (const auto& suite : plan.suites) {
    sizing = image_sizing(plan.job, suite);
    const std::size_t fixed = suite.prompt.system.size() + suite.prompt.user.size() + 256;
    for (const auto& sample : suite.samples) {
      std::size_t bytes = fixed + sample.question.size(), pictures = sample.images.size();
      look_at(sample.images);
      for (const auto& candidate : sample.candidates) {
        bytes += candidate.text.size();
        pictures += candidate.images.size();
        look_at(candidate.images);
      }
      longest_bytes = std::max(longest_bytes, bytes);
      most_pictures = std::max(most_pictures, pictures);
    }
  }
  // Two bytes a token: more than most texts have; a budget, not a limit.
  setup.longest_prompt_tokens = static_cast<std::int32_t>(
      std::min<std::int64_t>(1 << 24, static_cast<std::int64_t>(longest_bytes / 2) + largest_tokens * static_cast<std::int64_t>(most_pictures)));
  return setup;
}

std::unique_ptr<cluster::Judge> load_judge(const Plan& plan, const JudgeSetup& setup, comm::Comm& group) {
  if (!plan.job.judge.fake.empty()) {
    return std::make_unique<cluster::FakeJudge>(load_fake_table(plan.job.judge.fake));
  }
  return std::make_unique<LoadedJudge>(plan, setup, group);
}

}  // namespace assize::app
