#include "app/identity.h"

#include <fmt/format.h>

#include "app/device.h"
#include "base/file.h"
#include "base/hash.h"
#include "tensor/safetensors.h"

namespace assize::app {

namespace {

// Raised whenever the arithmetic of the engine changes, so that a run is never continued with other bits.
constexpr int kArithmeticVersion = 1;

/// Line breaks and backslashes written out, so that a value stays on its line.
std::string one_line(const std::string& text) {
  std::string out;
  for (const char c : text) out += c == '\n' ? "\\n" : c == '\\' ? "\\\\" : std::string(1, c);
  return out;
}

/// On GPUs the bits depend on the degree too.
std::string arithmetic(const job::JobSpec& job) {
  const backend::Device device = device_of(job);
  const std::string text = fmt::format("{}, arithmetic {}", backend::numerics(device), kArithmeticVersion);
  if (device == backend::Device::cpu) return text;
  return fmt::format("{}, {}, tensor parallel {}", text, backend::name(device), job.parallel.tensor_parallel);
}

std::string model_hash(const job::JudgeSpec& judge) {
  if (!judge.fake.empty()) return base::to_hex(base::hash128(base::read_file(judge.fake)));
  base::Hasher hasher;
  const base::Hash128 weights = tensor::Checkpoint::open(judge.path).content_hash();
  hasher.add(weights.low).add(weights.high);
  for (const char* name : {"config.json", "generation_config.json", "tokenizer.json", "preprocessor_config.json", "processor_config.json"}) {
    std::error_code code;
    hasher.add(std::filesystem::exists(judge.path / name, code) ? base::read_file(judge.path / name) : std::string());
  }
  return base::to_hex(hasher.digest());
}

}  // namespace

std::string identity_text(const job::JobSpec& job) {
  const bool likelihood = job.judging.reading == job::Reading::likelihood;
  static constexpr const char* kProcessors[] = {"as the checkpoint says", "slow", "fast"};
  std::string text = fmt::format("judge: {}\nmodel: {}\nnumerics: {}\n", job.judge.id, model_hash(job.judge),
                                 job.judge.fake.empty() ? arithmetic(job) : "none (fake)");
  text += job.judge.image_width_px ? fmt::format("image size: {}x{}\n", job.judge.image_width_px, job.judge.image_height_px)
                                   : job.profile != job::Profile::strict && !job.judge.image_size_is_set
                                         ? std::string("image size: as the profile says\n")
                                         : std::string("image size: native\n");
  text += fmt::format("image processor: {}\nreading: {}\n", kProcessors[static_cast<int>(job.judge.image_processor)],
                      likelihood ? "likelihood" : "generate");
  // Settings of later versions have a line only where they are used, so that earlier runs can go on.
  if (job.profile != job::Profile::strict) text += fmt::format("profile: {}\n", job::name(job.profile));
  static constexpr const char* kThinking[] = {"", "as the prompt says", "prefilled", "off"};
  if (job.judging.thinking != job::Thinking::by_profile) {
    text += fmt::format("thinking: {}\n", kThinking[static_cast<int>(job.judging.thinking)]);
  }
  if (job.judging.expectation) text += "expectation: whole numbers after <answer>\n";
  if (job.judging.orders == job::Orders::random) {
    text += job.profile == job::Profile::repo
                ? fmt::format("orders: random, NumPy's MT19937 seeded with {} + vote\n", job.judging.seed)
                : fmt::format("orders: random, counter-based, seed {}\n", job.judging.seed);
  }
  if (job.judging.budget_forcing > 0) {
    text += fmt::format("budget forcing: {} x {}\n", job.judging.budget_forcing, one_line(job.judging.budget_word));
  }
  if (!likelihood) {
    for (const auto& stop : job.sampling.stop_strings) text += fmt::format("stop string: {}\n", one_line(stop));
    text += fmt::format("seed: {}\ntemperature: {}\ntop_p: {}\ntop_k: {}\nrepetition_penalty: {}\nmax_new_tokens: {}\n",
                        job.judging.seed, job.sampling.temperature, job.sampling.top_p, job.sampling.top_k,
                        job.sampling.repetition_penalty, job.sampling.max_new_tokens);
  }
  return text;
}

std::string identity_value(std::string_view identity, std::string_view key) {
  while (!identity.empty()) {
    const auto end = identity.find('\n');
    const std::string_view line = identity.substr(0, end);
    if (line.size() > key.size() + 1 && line.substr(0, key.size()) == key && line[key.size()] == ':') {
      return std::string(line.substr(key.size() + 2));
    }
    identity.remove_prefix(end == std::string_view::npos ? identity.size() : end + 1);
  }
  return {};
}

std::string code_version() { return ASSIZE_VERSION; }

}  // namespace assize::app
