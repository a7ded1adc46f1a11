#include "model/rope.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>

namespace assize::model {

namespace {

constexpr double max_factor = 1e6;
constexpr std::int32_t max_context = 1 << 24;

/// Llama 3.1: long waves are slowed down by `factor`, short ones kept, those between blended.
void scale_llama3(const JsonSection& scaling, std::vector<float>& inv_freq) {
  const auto factor = static_cast<float>(scaling.number("factor", 1, max_factor));
  const auto low = static_cast<float>(scaling.number("low_freq_factor", 1e-3, max_factor));
  const auto high = static_cast<float>(scaling.number("high_freq_factor", 1e-3, max_factor));
  const auto original =
      static_cast<float>(scaling.integer("original_max_position_embeddings", 1, max_context));
  if (!(high > low)) scaling.fail("high_freq_factor", "must be greater than low_freq_factor");
  for (float& f : inv_freq) {
    const float wave = 2.0f * std::numbers::pi_v<float> / f;
    if (wave < original / high) continue;
    if (wave > original / low) {
      f /= factor;
    } else {
      const float s = (original / wave - low) / (high - low);
      f = (1.0f - s) * f / factor + s * f;
    }
  }
}

/// YaRN (arXiv 2309.00071): a ramp over the frequencies between slowed down and kept. Returns the factor of
/// cos and sin.
float scale_yarn(const JsonSection& scaling, std::int32_t max_positions, double theta, std::int32_t head_dim,
                 std::vector<float>& inv_freq) {
  for (const char* key : {"mscale", "mscale_all_dim", "truncate"}) {
    if (scaling.find(key)) scaling.fail(key, "is not supported with yarn");
  }
  const double factor = scaling.number("factor", 1, max_factor);
  const double fast = scaling.number_or("beta_fast", 32, 1e-3, max_factor);
  const double slow = scaling.number_or("beta_slow", 1, 1e-3, max_factor);
  const double original =
      scaling.integer_or("original_max_position_embeddings", max_positions, 1, max_context);
  const auto dimension_of = [&](double rotations) {
    return head_dim * std::log(original / (rotations * 2 * std::numbers::pi)) / (2 * std::log(theta));
  };
  const double low = std::max(std::floor(dimension_of(fast)), 0.0);
  double high = std::min<double>(std::ceil(dimension_of(slow)), head_dim - 1);
  if (high == low) high += 0.001;
  for (std::size_t j = 0; j < inv_freq.size(); ++j) {
    const double slowed = std::clamp((static_cast<double>(j) - low) / (high - low), 0.0, 1.0);
    inv_freq[j] = static_cast<float>(inv_freq[j] / factor * slowed + inv_freq[j] * (1 - slowed));
  }
  return static_cast<float>(scaling.number_or("attention_factor", 0.1 * std::log(factor) + 1, 1e-3, 1e3));
}

std::vector<std::uint8_t> read_components(const JsonSection& scaling, std::int32_t head_dim,
                                          bool multimodal) {
  std::vector<std::uint8_t> component(static_cast<std::size_t>(head_dim / 2), 0);
  if (scaling.find("mrope_section") && !multimodal) {
    scaling.fail("mrope_section", "is only supported for Qwen2_5_VLForConditionalGeneration");
  }
  if (!multimodal) return component;
  if (scaling.flag_or("mrope_interleaved", false)) {
    scaling.fail("mrope_interleaved", "only false is supported");
  }
  const auto section = scaling.integers("mrope_section", 1, head_dim / 2);
  if (section.size() != 3 || std::accumulate(section.begin(), section.end(), 0) != head_dim / 2) {
    scaling.fail("mrope_section", "must be three numbers (t, h, w) whose sum is half the head dimension, " +
                                      std::to_string(head_dim / 2));
  }
  std::fill_n(component.begin() + section[0], section[1], 1);
  std::fill_n(component.begin() + section[0] + section[1], section[2], 2);
  return component;
}

}  // namespace

backend::Rope read_rope(const JsonSection& text, std::int32_t head_dim, bool multimodal,
                        double absent_theta) {
  static const nlohmann::json nothing = nlohmann::json::object();
  const nlohmann::json* parameters = text.find_object("rope_parameters");
  const nlohmann::json* old_scaling = parameters ? nullptr : text.find_object("rope_scaling");
  const std::string prefix = parameters ? "rope_parameters." : "rope_scaling.";
  const JsonSection scaling(text.file(), prefix,
                            {parameters    ? parameters
                             : old_scaling ? old_scaling
                                           : &nothing});
  const JsonSection& theta_section = parameters && parameters->contains("rope_theta") ? scaling : text;

  const double theta = absent_theta > 0 ? theta_section.number_or("rope_theta", absent_theta, 1.001, 1e12)
                                        : theta_section.number("rope_theta", 1.001, 1e12);
  if (text.number_or("partial_rotary_factor", 1, 0, 1) != 1) {
    text.fail("partial_rotary_factor", "only 1 is supported");
  }

  backend::Rope rope;
  rope.component = read_components(scaling, head_dim, multimodal);
  rope.inv_freq.resize(static_cast<std::size_t>(head_dim / 2));
  for (std::int32_t j = 0; j < head_dim / 2; ++j) {
    const float exponent = static_cast<float>(2 * j) / static_cast<float>(head_dim);
    rope.inv_freq[static_cast<std::size_t>(j)] = 1.0f / static_cast<float>(std::pow(theta, double{exponent}));
  }

  const std::string type_key = scaling.find("rope_type") ? "rope_type" : "type";
  const std::string type = scaling.text_or(type_key, "default");
  if (type == "llama3") {
    scale_llama3(scaling, rope.inv_freq);
  } else if (type == "linear") {
    const auto factor = static_cast<float>(scaling.number("factor", 1, max_factor));
    for (float& f : rope.inv_freq) f /= factor;
  } else if (type == "yarn") {
    rope.attention_factor = scale_yarn(scaling, text.integer("max_position_embeddings", 1, max_context),
                                       theta, head_dim, rope.inv_freq);
  } else if (type != "default" && type != "mrope") {
    scaling.fail(type_key, "supported are default, linear, llama3, mrope and yarn");
  }
  return rope;
}

}  // namespace assize::model
