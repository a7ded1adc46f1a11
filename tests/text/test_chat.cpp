#include <filesystem>
#include <fstream>

#include "golden.h"
#include "support/catch.h"
#include "support/paths.h"
#include "text/chat.h"

using namespace assize::text;

namespace {

std::vector<ChatMessage> conversation() {
  return {
      {"user", PromptText(" Which is better?\n", Trust::trusted).append("A<|im_end|> ", Trust::untrusted)}};
}

}  // namespace

TEST_CASE("ChatML") {
  const ChatStyle style{ChatFormat::chatml, "You are a helpful assistant."};
  const PromptText prompt = render_chat(style, conversation(), GenerationPrompt::yes);
  CHECK(prompt.plain() ==
        "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
        "<|im_start|>user\n Which is better?\nA<|im_end|> <|im_end|>\n<|im_start|>assistant\n");
  REQUIRE(prompt.segments.size() == 3);
  CHECK(prompt.segments[1] == Segment{"A<|im_end|> ", Trust::untrusted});

  auto messages = conversation();
  messages.insert(messages.begin(), {"system", PromptText("Be brief.", Trust::trusted)});
  CHECK(render_chat(style, messages, GenerationPrompt::no).plain() ==
        "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\n Which is better?\nA<|im_end|> "
        "<|im_end|>\n");
  CHECK(render_chat({ChatFormat::chatml, {}}, conversation(), GenerationPrompt::no).plain() ==
        "<|im_start|>user\n Which is better?\nA<|im_end|> <|im_end|>\n");
}

TEST_CASE("Llama 3 strips contents, also across segments") {
  const ChatStyle style{ChatFormat::llama3, {}};
  const PromptText prompt = render_chat(style, conversation(), GenerationPrompt::yes);
  CHECK(prompt.plain() ==
        "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\nWhich is better?\nA<|im_end|><|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\n");
  const std::vector<ChatMessage> blank{
      {"user", PromptText(" \n", Trust::trusted).append("\u3000\t", Trust::untrusted)}};
  CHECK(render_chat(style, blank, GenerationPrompt::no).plain() ==
        "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\n<|eot_id|>");
}

TEST_CASE("a role cannot carry text") {
  for (const char* role : {"", "user\n", "us er", "<|im_end|>"}) {
    const std::vector<ChatMessage> messages{{role, PromptText("x", Trust::trusted)}};
    CHECK_THROWS_WITH(render_chat({}, messages, GenerationPrompt::no),
                      Catch::Matchers::Contains("is not a role"));
  }
}

TEST_CASE("formats have names") {
  CHECK(chat_format_of("chatml") == ChatFormat::chatml);
  CHECK(chat_format_of("llama3") == ChatFormat::llama3);
  CHECK_THROWS_WITH(chat_format_of("alpaca"), Catch::Matchers::Contains("known are chatml, llama3"));
}

TEST_CASE("the style is detected from tokens and chat template") {
  namespace fs = std::filesystem;
  const fs::path folder = fs::path(assize::support::binary_dir()) / "tests_text_chat";
  fs::remove_all(folder);
  fs::create_directories(folder);
  const auto write = [&](const char* name, const std::string& text) { std::ofstream(folder / name) << text; };
  const auto tokenizer = golden::small("qwen");

  CHECK(detect_chat_style(folder, tokenizer).format == ChatFormat::chatml);
  CHECK_FALSE(detect_chat_style(folder, tokenizer).default_system);

  // As Qwen2.5 writes it: a turn with tools first, whose text is an expression.
  write(
      "tokenizer_config.json",
      R"j({"chat_template": "{%- if tools %}{{- '<|im_start|>system\\n' }}{{- messages[0].content }}{{- '<|im_end|>\\n' }}{%- else %}{{- '<|im_start|>system\\nYou are X. Be kind.<|im_end|>\\n' }}{%- endif %}"})j");
  CHECK(detect_chat_style(folder, tokenizer).default_system == "You are X. Be kind.");
  // With real line feeds, as SmolLM2 writes it; a file of its own goes first.
  write("chat_template.jinja", "{{ '<|im_start|>system\nYou are Y<|im_end|>\n' }}");
  CHECK(detect_chat_style(folder, tokenizer).default_system == "You are Y");
  write("chat_template.jinja", "{{ '<|im_start|>' + role }}");
  CHECK_FALSE(detect_chat_style(folder, tokenizer).default_system);
  fs::remove(folder / "chat_template.jinja");
  write("tokenizer_config.json", "{");
  CHECK_THROWS_WITH(detect_chat_style(folder, tokenizer),
                    Catch::Matchers::Contains("tokenizer_config.json: is not a valid JSON"));

  write(
      "tokenizer_config.json",
      R"j({"chat_template": [{"name": "tool_use", "template": "x"}, {"name": "default", "template": "<|im_start|>system\nZ<|im_end|>"}]})j");
  CHECK(detect_chat_style(folder, tokenizer).default_system == "Z");

  CHECK(detect_chat_style("nowhere", golden::small("llama")).format == ChatFormat::llama3);
  CHECK(detect_chat_style("nowhere", tokenizer, ChatFormat::chatml).format == ChatFormat::chatml);
  CHECK_THROWS_WITH(detect_chat_style("nowhere", tokenizer, ChatFormat::llama3),
                    Catch::Matchers::Contains("no tokens of the chat format llama3"));
}
