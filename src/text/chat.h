#pragma once

#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "text/prompt_text.h"

namespace assize::text {

class Tokenizer;

/// How the turns of a conversation are written.
enum class ChatFormat {
  chatml,  ///< <|im_start|>role\ncontent<|im_end|>\n (Qwen2, Qwen2.5, Qwen2.5-VL, SmolLM2)
  llama3,  ///< <|begin_of_text|> then <|start_header_id|>role<|end_header_id|>\n\ncontent<|eot_id|> (Llama 3)
};

/// A chat format and what it puts first when a conversation does not begin with a system message.
struct ChatStyle {
  ChatFormat format = ChatFormat::chatml;
  std::optional<std::string> default_system;
};

/// One turn. Roles are "system", "user", "assistant".
struct ChatMessage {
  std::string role;
  PromptText content;
};

/// Whether the prompt ends with the opening of the assistant's turn.
enum class GenerationPrompt { no, yes };

/// The conversation as prompt text. ChatML writes contents as they are; Llama 3 strips white space around
/// them, as its template does (no date lines as in Llama 3.1: put them into a system message where wanted).
/// Throws Error for a role that is not one word of [a-z_].
PromptText render_chat(const ChatStyle& style, std::span<const ChatMessage> messages, GenerationPrompt end);

/// The format with this name ("chatml", "llama3"); throws Error naming both.
ChatFormat chat_format_of(std::string_view name);
/// The name of a format.
std::string_view name_of(ChatFormat format);

/// The style of the judge in `folder`: the format is `named`, or follows from the tokens that `tokenizer`
/// has; the default system prompt is the literal in the folder's chat template (chat_template.jinja,
/// chat_template.json, tokenizer_config.json; none of them there: no default). Throws Error when `tokenizer`
/// has the tokens of no format or of several, or not those of the format named.
ChatStyle detect_chat_style(const std::filesystem::path& folder, const Tokenizer& tokenizer,
                            std::optional<ChatFormat> named = std::nullopt);

/// The string that ends a turn ("<|im_end|>", "<|eot_id|>").
std::string_view end_of_turn(ChatFormat format);

}  // namespace assize::text
