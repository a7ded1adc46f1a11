#include "app/generate.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <ostream>

#include "backend/device.h"
#include "base/error.h"
#include "base/noise.h"
#include "engine/build_input.h"
#include "engine/engine.h"
#include "media/patches.h"
#include "model/model.h"

namespace assize::app {

using nlohmann::json;

namespace {

constexpr std::int32_t kSlots = 32;
constexpr double kKvBytes = 4.0 * 1024 * 1024 * 1024;  // at most, unless one sequence needs more

/// A line of the prompts file.
struct Line {
  std::vector<std::int32_t> ids;  ///< one placeholder a picture
  std::vector<std::filesystem::path> images;
};

std::vector<Line> read_lines(const std::filesystem::path& file, const text::Tokenizer& tokenizer) {
  std::ifstream in(file);
  if (!in) throw base::Error(fmt::format("{}: cannot be read; give --prompts a JSONL file", file.string()));
  std::vector<Line> lines;
  std::string line;
  for (int number = 1; std::getline(in, line); ++number) {
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    const auto where = fmt::format("{}:{}", file.string(), number);
    const json parsed = json::parse(line, nullptr, false);
    if (!parsed.is_object() || !parsed.contains("prompt") || !parsed["prompt"].is_string()) {
      throw base::Error(where +
                        R"(: not an object with a text "prompt"; write {"prompt": "…", "images": ["…"]})");
    }
    Line made;
    made.ids = tokenizer.encode(parsed["prompt"].get<std::string>(), text::SpecialTokens::parse);
    const auto& before = tokenizer.ids_before_text();
    if (made.ids.size() < before.size() || !std::equal(before.begin(), before.end(), made.ids.begin())) {
      made.ids.insert(made.ids.begin(), before.begin(), before.end());
    }
    const json images = parsed.value("images", json::array());
    const bool paths = images.is_array() &&
                       std::all_of(images.begin(), images.end(), [](const json& i) { return i.is_string(); });
    if (!paths) throw base::Error(where + R"(: "images" is not a list of paths)");
    for (const json& image : images) made.images.push_back(file.parent_path() / image.get<std::string>());
    lines.push_back(std::move(made));
  }
  return lines;
}

/// Limits that hold all of `lines`; what cannot be measured here becomes the error of its line later.
model::ModelLimits limits_for(const std::vector<Line>& lines, const model::ModelConfig& config,
                              const media::ImagePreprocessing& preprocessing, int max_new_tokens,
                              const backend::Backend& backend) {
  model::ModelLimits limits;
  std::int64_t longest = 0, patches = 0, most_picture_tokens = 0;
  for (const Line& line : lines) {
    std::int64_t picture_tokens = 0;
    for (const auto& image : line.images) {
      try {
        const media::PatchGrid grid = media::plan_image_file(image, preprocessing);
        patches = std::max(patches, std::int64_t{grid.t} * grid.h * grid.w);
        picture_tokens += grid.tokens;
      } catch (const base::Error&) {
      }
    }
    most_picture_tokens = std::max(most_picture_tokens, picture_tokens);
    longest = std::max(longest, static_cast<std::int64_t>(line.ids.size()) + picture_tokens + max_new_tokens);
  }
  longest = std::min<std::int64_t>(longest, config.max_positions);
  const std::int64_t sequences = std::clamp<std::int64_t>(static_cast<std::int64_t>(lines.size()), 1, kSlots);
  const std::int64_t one = longest / backend::kBlockTokens + 2;
  // On a GPU a quarter of it: weights and buffers come on top.
  const double room = backend.memory_bytes() ? static_cast<double>(backend.memory_bytes()) / 4 : kKvBytes;
  const auto affordable =
      static_cast<std::int64_t>(room / static_cast<double>(model::kv_block_bytes(config, 1, backend.value_bytes())));
  limits.sample_rows = kSlots;
  limits.kv_blocks = static_cast<std::int32_t>(std::max(one, std::min(one * sequences, affordable)));
  limits.image_patches = static_cast<std::int32_t>(patches);
  limits.embedding_rows =
      static_cast<std::int32_t>(most_picture_tokens * std::min<std::int64_t>(sequences, 4));
  return limits;
}

const char* name_of(engine::FinishReason reason) {
  switch (reason) {
    case engine::FinishReason::stop:
      return "stop";
    case engine::FinishReason::length:
      return "length";
    case engine::FinishReason::too_long:
      return "too_long";
    case engine::FinishReason::bad_numbers:
      return "bad_numbers";
    case engine::FinishReason::error:
      break;
  }
  return "error";
}

json to_json(const engine::Generation& generation, const std::vector<std::int32_t>& prompt_ids,
             const json& grids) {
  json steps = json::array();
  for (const auto& step : generation.top_logprobs) {
    json pairs = json::array();
    for (const auto& top : step) pairs.push_back({top.id, top.logprob});
    steps.push_back(std::move(pairs));
  }
  json line = {{"prompt_ids", prompt_ids},
               {"image_grid", grids},
               {"ids", generation.ids},
               {"text", generation.text},
               {"finish", name_of(generation.finish)},
               {"top_logprobs", std::move(steps)}};
  if (!generation.error.empty()) line["error"] = generation.error;
  return line;
}

/// Feeds lines to an engine, a bounded number at a time, and writes their results in order.
class Generator {
 public:
  Generator(const GenerateOptions& options, const std::vector<Line>& lines, const model::ModelConfig& config,
            const media::ImagePreprocessing& preprocessing, engine::Engine& engine, std::ostream& out)
      : options_(options),
        lines_(lines),
        config_(config),
        preprocessing_(preprocessing),
        engine_(engine),
        out_(out) {}

  int run() {
    std::vector<engine::Generation> finished;
    for (bool busy = true; busy || next_ < lines_.size();) {
      while (next_ < lines_.size() && engine_.unfinished() + done_.size() < 4 * kSlots) submit(next_++);
      busy = engine_.step(finished);
      for (const engine::Generation& generation : finished) finish(generation);
      finished.clear();
      write();
    }
    return failed_ ? 1 : 0;
  }

 private:
  void submit(std::size_t index) {
    engine::Call call;
    call.id = index;
    try {
      engine::Pictures pictures;
      json grids = json::array();
      for (const auto& path : lines_[index].images) {
        auto picture = std::make_shared<media::ImagePatches>(media::load_image_patches(path, preprocessing_));
        grids.push_back({picture->grid_t, picture->grid_h, picture->grid_w});
        pictures.push_back(std::move(picture));
      }
      call.input =
          std::make_shared<model::ModelInput>(engine::build_input(config_, lines_[index].ids, pictures));
      started_[index] = {call.input->ids, std::move(grids)};
    } catch (const base::Error& error) {
      engine::Generation generation;
      generation.id = index;
      generation.finish = engine::FinishReason::error;
      generation.error = error.what();
      started_[index] = {lines_[index].ids, json::array()};
      finish(generation);
      return;
    }
    call.sampling.temperature = options_.temperature;
    call.sampling.top_p = options_.top_p;
    call.sampling.max_new_tokens = options_.max_new_tokens;
    call.sampling.stop_ids = config_.stop_ids;
    call.noise_stream = base::noise_stream(options_.seed, base::Hasher().add(std::uint64_t{index}).digest());
    call.top_logprobs = options_.logprobs;
    std::vector<engine::Call> calls;
    calls.push_back(std::move(call));
    engine_.submit(std::move(calls));
  }

  void finish(const engine::Generation& generation) {
    const auto it = started_.find(generation.id);
    done_[generation.id] = to_json(generation, it->second.prompt_ids, it->second.grids);
    started_.erase(it);
    const bool truncated_or_stopped =
        generation.finish == engine::FinishReason::stop || generation.finish == engine::FinishReason::length;
    failed_ |= !truncated_or_stopped;
  }

  void write() {
    for (auto it = done_.begin(); it != done_.end() && it->first == written_;
         it = done_.erase(it), ++written_) {
      out_ << it->second.dump(-1, ' ', false, json::error_handler_t::replace) << '\n';
    }
    out_.flush();
  }

  struct Started {
    std::vector<std::int32_t> prompt_ids;
    json grids;
  };

  const GenerateOptions& options_;
  const std::vector<Line>& lines_;
  const model::ModelConfig& config_;
  const media::ImagePreprocessing& preprocessing_;
  engine::Engine& engine_;
  std::ostream& out_;
  std::size_t next_ = 0;
  std::size_t written_ = 0;
  bool failed_ = false;
  std::map<std::uint64_t, Started> started_;
  std::map<std::uint64_t, json> done_;  ///< waiting for earlier lines
};

}  // namespace

namespace {

backend::Device find_device(const std::string& name) {
  if (name == "auto") return backend::choose_device();
  for (const auto device : {backend::Device::cpu, backend::Device::cuda, backend::Device::cuda_emulated}) {
    if (name == backend::name(device)) return device;
  }
  throw base::Error(fmt::format("--device is '{}', it must be one of: auto, cpu, cuda, cuda-emulated", name));
}

}  // namespace

int generate(const GenerateOptions& options, std::ostream& out) {
  const std::filesystem::path folder = options.judge_folder;
  const model::ModelConfig config = model::read_config(options.judge_folder);
  const text::Tokenizer tokenizer = text::Tokenizer::load(folder / "tokenizer.json");
  const std::vector<Line> lines = read_lines(options.prompts_file, tokenizer);
  const bool pictures =
      std::any_of(lines.begin(), lines.end(), [](const Line& line) { return !line.images.empty(); });
  media::ImagePreprocessing preprocessing;
  if (pictures && config.vision.depth > 0) preprocessing = media::read_preprocessing(folder);

  const auto group = comm::make_alone();
  const auto backend = backend::make_backend(find_device(options.device), *group,
                                             {{options.threads, options.instruction_set}, 0});
  const model::ModelLimits limits = limits_for(lines, config, preprocessing, std::max(0, options.max_new_tokens), *backend);
  const auto model = model::load_model(options.judge_folder, config, limits, *backend);
  engine::EngineSettings settings;
  settings.step_rows = limits.step_rows;
  settings.slots = limits.sample_rows;
  settings.kv_blocks = limits.kv_blocks;
  settings.image_patches = limits.image_patches;
  settings.embedding_rows = limits.embedding_rows;
  const auto engine = engine::make_engine(*model, tokenizer, settings);
  return Generator(options, lines, config, preprocessing, *engine, out).run();
}

}  // namespace assize::app
