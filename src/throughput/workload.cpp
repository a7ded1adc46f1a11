#include "throughput/workload.h"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <numbers>

#include <fmt/format.h>

#include "base/error.h"
#include "base/noise.h"
#include "media/write_png.h"

namespace assize::throughput {

namespace fs = std::filesystem;

namespace {

constexpr const char* kWords[] = {
    "river", "stone", "garden", "window", "paper", "silver", "morning", "bridge", "letter", "winter", "island", "market",
    "yellow", "quiet", "simple", "narrow", "heavy", "clear", "early", "distant", "carry", "follow", "answer", "measure",
    "gather", "listen", "travel", "repair", "explain", "compare", "because", "after", "under", "between", "without", "around",
    "water", "table", "music", "forest", "number", "circle", "planet", "harbor", "engine", "summer", "corner", "village",
    "the", "and", "with", "from", "over", "into", "that", "then", "when", "more", "less", "only", "very", "also", "each", "few"};

/// Texts of random words with a wanted number of tokens, counted word by word.
class Writer {
 public:
  Writer(std::uint64_t seed, const CountTokens& count) : stream_(seed) {
    for (const char* word : kWords) tokens_.push_back(std::max<std::size_t>(1, count(std::string(" ") + word)));
  }
  /// At least `tokens` tokens, and at most the rest of one word more.
  std::string text(std::size_t tokens) {
    std::string out;
    for (std::size_t have = 0; have < tokens;) {
      const std::size_t word = base::noise_bits(stream_, position_++, 0) % std::size(kWords);
      out += std::string(" ") + kWords[word];
      have += tokens_[word];
    }
    return out;
  }

 private:
  std::uint64_t stream_;
  std::uint32_t position_ = 0;
  std::vector<std::size_t> tokens_;
};

/// Smooth colours with grain, so that decoding costs what a photograph's does.
media::Image picture(int width_px, int height_px, std::uint64_t stream) {
  media::Image image{width_px, height_px, {}};
  image.rgb.resize(static_cast<std::size_t>(width_px) * static_cast<std::size_t>(height_px) * 3);
  std::size_t at = 0;
  for (int y = 0; y < height_px; ++y) {
    for (int x = 0; x < width_px; ++x) {
      const std::uint64_t bits = base::noise_bits(stream, static_cast<std::uint32_t>(y), static_cast<std::uint32_t>(x));
      for (int channel = 0; channel < 3; ++channel) {
        const double wave = std::sin(0.02 * (channel + 1) * x + 0.013 * (3 - channel) * y + static_cast<double>(stream % 64));
        const int grain = static_cast<int>(bits >> (8 * channel) & 31);
        image.rgb[at++] = static_cast<std::uint8_t>(std::clamp(static_cast<int>(112 + 96 * wave) + grain, 0, 255));
      }
    }
  }
  return image;
}

/// Several ranks may write the same picture: each to a file of its own, then renamed.
void write_picture(const fs::path& path, const job::WorkloadSpec& spec, std::uint64_t stream) {
  if (fs::exists(path)) return;
  char host[256] = "";
  ::gethostname(host, sizeof host - 1);
  const fs::path temporary = fmt::format("{}.{}-{}", path.string(), host, ::getpid());
  const std::string file = media::write_png(picture(spec.image_width_px, spec.image_height_px, stream));
  std::ofstream out(temporary, std::ios::binary);
  out.write(file.data(), static_cast<std::streamsize>(file.size()));
  out.close();
  std::error_code code;
  if (out) fs::rename(temporary, path, code);
  if (!out || code) {
    throw base::Error(fmt::format("{}: cannot be written; choose another folder with --set output=FOLDER", path.string()),
                      base::ErrorKind::failed);
  }
}

}  // namespace

suite::Suite make_workload(const job::WorkloadSpec& spec, std::uint64_t seed, std::size_t frame_tokens,
                           const CountTokens& count_tokens, const fs::path& media_folder) {
  const auto common = static_cast<std::size_t>(spec.common_tokens);
  // Every text has a word at least.
  const std::size_t fixed = frame_tokens + common + 4;
  const std::size_t own = std::max(static_cast<std::size_t>(spec.prompt_tokens), fixed) - fixed + 4;
  suite::Suite made;
  made.id = "made-up";
  made.title = "made-up workload";
  made.protocol = verdict::Protocol::pair;
  made.prompt.id = "made-up";
  made.prompt.system = Writer(base::noise_stream(seed, base::hash128("common")), count_tokens).text(common);
  made.prompt.user = std::string(spec.images > 0 ? "{image}" : "") + "{question}\n\n1:{candidate_1}\n\n2:{candidate_2}";
  if (spec.images > 0) fs::create_directories(media_folder);
  for (int group = 0; group < spec.prompt_groups; ++group) {
    suite::Sample sample;
    sample.id = fmt::format("{:07}", group);
    sample.cluster = sample.id;
    Writer writer(base::noise_stream(seed, base::hash128(sample.id)), count_tokens);
    sample.question = writer.text(own / 2);
    for (const std::size_t tokens : {(own - own / 2) / 2, own - own / 2 - (own - own / 2) / 2}) {
      sample.candidates.push_back({writer.text(tokens), {}});
    }
    for (int image = 0; image < spec.images; ++image) {
      const fs::path path = fs::absolute(media_folder / fmt::format("{}-{}.png", sample.id, image));
      write_picture(path, spec, base::noise_stream(seed, base::hash128(path.filename().string())));
      sample.images.push_back(path.string());
    }
    made.samples.push_back(std::move(sample));
  }
  base::Hasher hasher;
  hasher.add(made.prompt.system);
  for (const auto& sample : made.samples) hasher.add(sample.question);
  made.hash = hasher.digest();
  return made;
}

std::int32_t output_tokens(const job::WorkloadSpec& spec, std::uint64_t noise_stream, std::int32_t limit) {
  double tokens = spec.output_tokens;
  if (spec.output_sigma > 0) {
    // Box-Muller; the mean of exp(N(m, s^2)) is exp(m + s^2 / 2). Positions beyond any token's keep its noise apart.
    constexpr std::uint32_t kPosition = 0xFFFFFFFF;
    const double u = base::noise_uniform(noise_stream, kPosition, 0), v = base::noise_uniform(noise_stream, kPosition, 1);
    const double normal = std::sqrt(-2 * std::log(u)) * std::cos(2 * std::numbers::pi * v);
    const double sigma = spec.output_sigma;
    tokens = std::exp(std::log(tokens) - sigma * sigma / 2 + sigma * normal);
  }
  return static_cast<std::int32_t>(std::clamp(std::round(tokens), 1.0, static_cast<double>(limit)));
}

}  // namespace assize::throughput
