#pragma once

#include <cstdint>
#include <filesystem>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "suite/sample.h"
#include "verdict/verdict.h"

namespace assize::suite {

/// A piece of a rendered prompt.
struct PromptPart {
  enum class Kind {
    trusted,    ///< written by the prompt's author: special tokens are special
    untrusted,  ///< from the data: never parsed as special tokens
    image,      ///< `text` is the absolute path of a picture
  };
  Kind kind = Kind::trusted;
  std::string text;
};

/// A rendered prompt before the chat format is applied.
struct RenderedPrompt {
  std::string system;             ///< trusted; empty: the chat format's default
  std::vector<PromptPart> user;
  std::string assistant_prefill;  ///< trusted: what the answer starts with
};

/// "image", "video", "audio", "molecule": as in placeholders.
std::string_view media_name(MediaKind kind);

/// A prompt file (configs/prompts/*.yaml): versioned data with named placeholders:
/// {question}, {field:NAME} (a further text of the sample), {image}, {video}, {audio}, {molecule} (all such media of the
/// question; {image_1} … are single ones), {candidate_N} (text of the N-th shown candidate), {candidate_N_image} …, and
/// {candidates}: the text `each` once for every candidate shown, a blank line between them, in which {number} counts from
/// 1, {letter} from A and {candidate}, {candidate_image} … are that candidate's. {criterion} and
/// {criterion_text} are name and text of the criterion that is judged. "{{" and "}}" are braces.
struct PromptTemplate {
  std::string id;
  std::string system;
  std::string user;
  std::string each;                  ///< what {candidates} repeats
  std::string prefill;               ///< `assistant:` optional start of the answer, such as "<think>"
  verdict::ParserProfile profile;    ///< from `verdict:`
  // Likelihood reading, from `likelihood:`; empty labels: not possible with this prompt.
  std::string likelihood_system;
  std::string likelihood_user;
  std::string likelihood_prefill;
  std::vector<std::string> labels;
  /// Rubric, from `criteria:` name and text of each; a sample is judged by each on its own. Empty: one without a name.
  std::vector<std::pair<std::string, std::string>> criteria;
  std::set<MediaKind> media;         ///< kinds that the prompt shows
  std::filesystem::path file;
};

/// Reads a prompt file strictly and checks its placeholders against the protocol (a placeholder for a candidate
/// that is never shown, or none for one that is, is a problem). Throws Error with all problems.
PromptTemplate load_prompt(const std::filesystem::path& file, verdict::Protocol protocol);

/// Which wording is rendered.
enum class Wording { generate, likelihood };

/// The names of the criteria by which a prompt has samples judged: those of its rubric, or one empty name.
std::vector<std::string> criterion_names(const PromptTemplate& prompt);

/// Renders `sample` with its candidates in the order of `presentation`. Throws Error naming sample and
/// placeholder when the sample lacks what the prompt shows, or when the prompt shows media other than pictures.
RenderedPrompt render(const PromptTemplate& prompt, Wording wording, const Sample& sample,
                      std::span<const std::uint16_t> presentation, std::string_view criterion = {});

}  // namespace assize::suite
