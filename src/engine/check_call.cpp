#include "engine/check_call.h"

#include <fmt/format.h>

#include <algorithm>

namespace assize::engine {

namespace {

constexpr std::size_t kMaxWatchIds = 16;  // backend::SampleRow
constexpr std::int32_t kMaxTopLogprobs = 32;

std::string check_media(const model::ModelInput& input, const EngineSettings& settings) {
  const auto tokens = static_cast<std::int32_t>(input.ids.size());
  std::int32_t free_from = 0;
  for (std::size_t i = 0; i < input.media.size(); ++i) {
    const model::MediaSpan& span = input.media[i];
    if (!span.image) return fmt::format("picture {} of the prompt has no pixels", i + 1);
    if (span.tokens < 1 || span.begin_token < free_from || span.begin_token > tokens - span.tokens) {
      return fmt::format("picture {} lies outside the prompt or in another picture", i + 1);
    }
    if (span.image->tokens() != span.tokens) {
      return fmt::format("picture {} has {} tokens, the prompt has room for {}", i + 1, span.image->tokens(),
                         span.tokens);
    }
    if (span.image->rows() > settings.image_patches || span.tokens > settings.embedding_rows) {
      return fmt::format(
          "picture {} has {} patches and {} tokens, the limits are {} and {}: lower max_pixels or "
          "raise the limits",
          i + 1, span.image->rows(), span.tokens, settings.image_patches, settings.embedding_rows);
    }
    free_from = span.begin_token + span.tokens;
  }
  if (free_from == tokens && free_from > 0) return "the prompt ends with a picture: put text behind it";
  return "";
}

}  // namespace

std::string check_call(const Call& call, const model::ModelConfig& config, const EngineSettings& settings) {
  if (!call.input || call.input->ids.empty()) return "the prompt is empty";
  const model::ModelInput& input = *call.input;
  if (input.positions.size() != 3 * input.ids.size()) return "the prompt needs three positions a token";
  const auto unknown = [&](std::int32_t id) { return id < 0 || id >= config.vocab_size; };
  for (const auto* ids : {&input.ids, &call.watch_ids}) {
    const auto bad = std::find_if(ids->begin(), ids->end(), unknown);
    if (bad != ids->end()) {
      return fmt::format("token id {} is outside the model's vocabulary of {}", *bad, config.vocab_size);
    }
  }
  if (call.watch_ids.size() > kMaxWatchIds) {
    return fmt::format("{} ids to watch, at most {} can be", call.watch_ids.size(), kMaxWatchIds);
  }
  if (call.top_logprobs < 0 || call.top_logprobs > kMaxTopLogprobs) {
    return fmt::format("top_logprobs is {}, it must be 0 to {}", call.top_logprobs, kMaxTopLogprobs);
  }
  if (call.sampling.max_new_tokens < 0) return "max_new_tokens is negative";
  for (const std::string& stop : call.sampling.stop_strings) {
    if (stop.empty()) return "a stop string is empty";
  }
  if (call.sampling.forcing.rounds > 0 && call.sampling.forcing.end.empty()) return "budget forcing needs the text that ends the thinking";
  return check_media(input, settings);
}

}  // namespace assize::engine
