#include "text/chat.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "text/tokenizer.h"
#include "text/utf8.h"

namespace assize::text {

using base::Error;

namespace {

constexpr std::uintmax_t kMaxTemplateBytes = 4 << 20;

// Content without white space at its ends, across segments (Jinja's trim, Python's str.strip).
PromptText trimmed(const PromptText& content) {
  const std::string all = content.plain();
  std::size_t begin = 0, end = all.size();
  while (begin < end) {
    const Utf8Step step = decode_utf8(std::string_view(all).substr(begin));
    const bool separator =
        step.code_point >= 0x1C && step.code_point <= 0x1F;  // Python counts these as blank
    if (!is_white_space(step.code_point) && !separator) break;
    begin += step.bytes;
  }
  while (end > begin) {
    std::size_t at = end - 1;
    while (at > begin && (static_cast<unsigned char>(all[at]) & 0xC0) == 0x80) --at;
    const char32_t c = decode_utf8(std::string_view(all).substr(at, end - at)).code_point;
    if (!is_white_space(c) && !(c >= 0x1C && c <= 0x1F)) break;
    end = at;
  }
  PromptText out;
  std::size_t offset = 0;
  for (const Segment& segment : content.segments) {
    const std::size_t from = std::clamp(begin, offset, offset + segment.text.size());
    const std::size_t to = std::clamp(end, offset, offset + segment.text.size());
    if (from < to) out.append(std::string_view(segment.text).substr(from - offset, to - from), segment.trust);
    offset += segment.text.size();
  }
  return out;
}

void check_role(const std::string& role) {
  const bool fine = !role.empty() && std::all_of(role.begin(), role.end(),
                                                 [](char c) { return (c >= 'a' && c <= 'z') || c == '_'; });
  if (!fine) throw Error("'" + role + "' is not a role of a chat message; roles are system, user, assistant");
}

void open_turn(ChatFormat format, std::string_view role, PromptText& out) {
  const std::string name(role);
  out.append(format == ChatFormat::chatml ? "<|im_start|>" + name + "\n"
                                          : "<|start_header_id|>" + name + "<|end_header_id|>\n\n",
             Trust::trusted);
}

void close_turn(ChatFormat format, PromptText& out) {
  out.append(end_of_turn(format), Trust::trusted);
  if (format == ChatFormat::chatml) out.append("\n", Trust::trusted);
}

// The text of the chat template in a judge's folder; empty when it has none.
std::string read_chat_template(const std::filesystem::path& folder) {
  if (const auto plain = folder / "chat_template.jinja"; std::filesystem::exists(plain)) {
    return base::read_file(plain, kMaxTemplateBytes);
  }
  for (const char* name : {"chat_template.json", "tokenizer_config.json"}) {
    const auto path = folder / name;
    if (!std::filesystem::exists(path)) continue;
    const auto root = nlohmann::json::parse(base::read_file(path, kMaxTemplateBytes), nullptr, false);
    if (root.is_discarded() || !root.is_object()) throw Error(path.string() + ": is not a valid JSON object");
    const auto found = root.find("chat_template");
    if (found == root.end()) continue;
    if (found->is_string()) return found->get<std::string>();
    // Several templates: [{"name": ..., "template": ...}]; the one for chats is called "default".
    for (const auto& entry : *found) {
      if (!entry.is_object() || entry.value<nlohmann::json>("name", nullptr) != "default") continue;
      const auto text = entry.find("template");
      if (text != entry.end() && text->is_string()) return text->get<std::string>();
    }
  }
  return {};
}

// The literal that a ChatML template writes as system message of its own: what stands between the opening and
// the end of a system turn inside of one string literal.
std::optional<std::string> default_system_of(std::string text) {
  // Jinja sources write the line feed either as it is or as an escape.
  for (std::size_t at; (at = text.find("\\n")) != std::string::npos;) text.replace(at, 2, "\n");
  constexpr std::string_view open = "<|im_start|>system\n", close = "<|im_end|>";
  for (std::size_t at = text.find(open); at != std::string::npos; at = text.find(open, at + 1)) {
    const std::size_t begin = at + open.size();
    const std::size_t end = text.find(close, begin);
    if (end == std::string::npos) break;
    const std::string literal = text.substr(begin, end - begin);
    if (!literal.empty() && literal.find_first_of("'\"{}\n") == std::string::npos) return literal;
  }
  return std::nullopt;
}

}  // namespace

std::string_view end_of_turn(ChatFormat format) {
  return format == ChatFormat::chatml ? "<|im_end|>" : "<|eot_id|>";
}

std::string_view name_of(ChatFormat format) { return format == ChatFormat::chatml ? "chatml" : "llama3"; }

ChatFormat chat_format_of(std::string_view name) {
  for (const ChatFormat format : {ChatFormat::chatml, ChatFormat::llama3}) {
    if (name == name_of(format)) return format;
  }
  throw Error("chat format '" + std::string(name) + "' is not known; known are chatml, llama3");
}

PromptText render_chat(const ChatStyle& style, std::span<const ChatMessage> messages, GenerationPrompt end) {
  PromptText out;
  if (style.format == ChatFormat::llama3) out.append("<|begin_of_text|>", Trust::trusted);
  const auto turn = [&](const std::string& role, const PromptText& content) {
    check_role(role);
    open_turn(style.format, role, out);
    out.append(style.format == ChatFormat::llama3 ? trimmed(content) : content);
    close_turn(style.format, out);
  };
  if (style.default_system && (messages.empty() || messages.front().role != "system")) {
    turn("system", PromptText(*style.default_system, Trust::trusted));
  }
  for (const ChatMessage& message : messages) turn(message.role, message.content);
  if (end == GenerationPrompt::yes) open_turn(style.format, "assistant", out);
  return out;
}

ChatStyle detect_chat_style(const std::filesystem::path& folder, const Tokenizer& tokenizer,
                            std::optional<ChatFormat> named) {
  const bool chatml = tokenizer.id_of("<|im_start|>") && tokenizer.id_of("<|im_end|>");
  const bool llama3 = tokenizer.id_of("<|start_header_id|>") && tokenizer.id_of("<|eot_id|>");
  if (named && !(*named == ChatFormat::chatml ? chatml : llama3)) {
    throw Error(folder.string() + ": the tokenizer has no tokens of the chat format " +
                std::string(name_of(*named)) + "; name another format or another judge");
  }
  if (!named && chatml == llama3) {
    throw Error(folder.string() + ": the tokenizer has the tokens of " +
                (chatml ? "both chat formats" : "no chat format") +
                " (chatml, llama3); name the judge's chat format");
  }
  ChatStyle style;
  style.format = named ? *named : chatml ? ChatFormat::chatml : ChatFormat::llama3;
  if (style.format == ChatFormat::chatml)
    style.default_system = default_system_of(read_chat_template(folder));
  return style;
}

}  // namespace assize::text
