#include <fstream>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "model/config.h"
#include "support/catch.h"
#include "support/paths.h"
#include "support/tiny_models.h"

using namespace assize;
using nlohmann::json;
using support::TinyKind;

namespace {

json llama() {
  return {{"architectures", json::array({"LlamaForCausalLM"})},
          {"hidden_size", 256},
          {"intermediate_size", 384},
          {"num_hidden_layers", 3},
          {"num_attention_heads", 4},
          {"num_key_value_heads", 2},
          {"vocab_size", 512},
          {"rms_norm_eps", 1e-5},
          {"rope_theta", 100000.0},
          {"max_position_embeddings", 4096}};
}

json vl() {
  json config = llama();
  config["architectures"] = json::array({"Qwen2_5_VLForConditionalGeneration"});
  config["rope_scaling"] = {{"type", "mrope"}, {"mrope_section", {8, 12, 12}}};
  config["image_token_id"] = 261;
  config["video_token_id"] = 262;
  config["vision_start_token_id"] = 259;
  config["vision_config"] = {{"depth", 3},     {"hidden_size", 160},     {"intermediate_size", 224},
                             {"num_heads", 2}, {"out_hidden_size", 256}, {"fullatt_block_indexes", {1}}};
  return config;
}

model::ModelConfig read(const std::string& config, const std::string& generation = "") {
  const support::TemporaryFolder folder;
  std::ofstream(folder.path() / "config.json") << config;
  if (!generation.empty()) std::ofstream(folder.path() / "generation_config.json") << generation;
  return model::read_config(folder.string());
}

/// The message of the Error, without the folder in front.
std::string complaint(const std::string& config, const std::string& generation = "") {
  try {
    read(config, generation);
  } catch (const base::Error& error) {
    const std::string message = error.what();
    CHECK(message.find('\n') == std::string::npos);
    const auto file = message.find("config.json");
    REQUIRE(file != std::string::npos);
    return message.substr(message.rfind('/', file) + 1);
  }
  return "no error";
}

std::string complaint_with(json config, const char* pointer, json value) {
  config[json::json_pointer(pointer)] = std::move(value);
  return complaint(config.dump());
}

}  // namespace

TEST_CASE("the configuration of a tiny judge of each kind is read") {
  const support::TemporaryFolder folder;
  support::write_tiny_model(TinyKind::qwen2_5_vl, folder.path());
  const auto config = model::read_config(folder.string());
  CHECK(config.architecture == model::Architecture::qwen2_5_vl);
  CHECK(config.hidden == 256);
  CHECK(config.intermediate == 384);
  CHECK(config.layers == 3);
  CHECK(config.heads == 4);
  CHECK(config.kv_heads == 2);
  CHECK(config.head_dim == 64);
  CHECK(config.rms_epsilon == 1e-6f);
  CHECK(config.qkv_bias);
  CHECK_FALSE(config.output_bias);
  CHECK_FALSE(config.tied_head);
  CHECK(config.weight_element_bytes == 2);
  CHECK(config.vision.depth == 3);
  CHECK(config.vision.heads == 2);
  CHECK(config.vision.full_attention_blocks == std::vector<std::int32_t>{1});
  CHECK(config.image_token_id == support::tiny_image_pad);
  CHECK(config.stop_ids == std::vector<std::int32_t>{support::tiny_im_end, support::tiny_end_of_text});
  CHECK(config.ignored_generation == std::vector<std::string>{"repetition_penalty 1.05"});
  std::vector<std::uint8_t> component(32, 2);
  std::fill_n(component.begin(), 20, 1);
  std::fill_n(component.begin(), 8, 0);
  CHECK(config.rope.component == component);

  support::write_tiny_model(TinyKind::llama, folder.path());
  const auto text = model::read_config(folder.string());
  CHECK(text.architecture == model::Architecture::llama);
  CHECK_FALSE(text.qkv_bias);
  CHECK(text.tied_head);
  CHECK(text.vision.depth == 0);
  CHECK(text.image_token_id == -1);
}

TEST_CASE("old and new spellings of a configuration mean the same") {
  const auto old_vl = read(vl().dump());

  json nested = vl();
  for (const char* key : {"hidden_size", "num_attention_heads", "vocab_size", "rope_scaling", "rope_theta"}) {
    nested["text_config"][key] = nested[key];
    nested.erase(key);
  }
  nested["hidden_size"] = 99;  // text_config goes before
  const auto new_vl = read(nested.dump());
  CHECK(new_vl.hidden == 256);
  CHECK(new_vl.rope.inv_freq == old_vl.rope.inv_freq);

  json five = vl();
  five.erase("rope_scaling");
  five.erase("rope_theta");
  five["rope_parameters"] = {
      {"rope_type", "default"}, {"rope_theta", 100000.0}, {"mrope_section", {8, 12, 12}}};
  const auto parameters = read(five.dump());
  CHECK(parameters.rope.inv_freq == old_vl.rope.inv_freq);
  CHECK(parameters.rope.component == old_vl.rope.component);

  json f32 = llama();
  f32["torch_dtype"] = "float32";
  CHECK(read(f32.dump()).weight_element_bytes == 4);
  f32.erase("torch_dtype");
  f32["dtype"] = "float32";
  CHECK(read(f32.dump()).weight_element_bytes == 4);
}

TEST_CASE("what a configuration leaves out has the default of its class") {
  json config = llama();
  config.erase("num_key_value_heads");
  config.erase("rope_theta");
  const auto read_back = read(config.dump());
  CHECK(read_back.kv_heads == 4);
  CHECK(read_back.rope.inv_freq[16] == Approx(0.01));
  CHECK(read_back.stop_ids.empty());

  config = llama();
  config["head_dim"] = 32;
  config["attention_bias"] = true;
  config["eos_token_id"] = 7;
  config["sliding_window"] = 100;
  config["use_sliding_window"] = false;
  const auto other =
      read(config.dump(), R"({"temperature": 0.7, "top_p": 0.8, "transformers_version": "4"})");
  CHECK(other.head_dim == 32);
  CHECK(other.qkv_bias);
  CHECK(other.output_bias);
  CHECK(other.stop_ids == std::vector<std::int32_t>{7});
  CHECK(other.ignored_generation == std::vector<std::string>{"temperature 0.7", "top_p 0.8"});

  json saved = vl();  // savers drop values equal to the class defaults
  saved["vision_config"] = {{"hidden_size", 1280}, {"out_hidden_size", 256}};
  const auto defaults = read(saved.dump());
  CHECK(defaults.vision.depth == 32);
  CHECK(defaults.vision.heads == 16);
  CHECK(defaults.vision.full_attention_blocks == std::vector<std::int32_t>{7, 15, 23, 31});
}

TEST_CASE("rotary frequencies equal those of the reference implementation") {
  const auto golden = json::parse(base::read_file(support::source_dir() + "/tests/golden/model_rope.json"));
  for (const auto& one : golden) {
    INFO(one.at("config").dump());
    json config = llama();
    config.update(one.at("config"));
    const auto rope = read(config.dump()).rope;
    const auto expected = one.at("inv_freq").get<std::vector<float>>();
    REQUIRE(rope.inv_freq.size() == expected.size());
    // powf of two libraries: a few units in the last place.
    for (std::size_t j = 0; j < expected.size(); ++j) {
      CHECK(std::abs(rope.inv_freq[j] - expected[j]) <= 4e-7f * expected[j]);
    }
    CHECK(rope.attention_factor == Approx(one.at("attention_factor").get<float>()).epsilon(1e-6));
  }
}

TEST_CASE("configurations that are not supported are refused in one line") {
  CHECK(complaint_with(llama(), "/architectures", json::array({"MambaForCausalLM"})) ==
        "config.json: architectures is [\"MambaForCausalLM\"]; supported are LlamaForCausalLM, "
        "Qwen2ForCausalLM and Qwen2_5_VLForConditionalGeneration");
  CHECK(complaint("{}").starts_with("config.json: architectures is missing; supported are Llama"));
  CHECK(complaint("[1]") == "config.json: must hold one JSON object");
  CHECK(complaint("{\"a\":").starts_with("config.json: is not JSON ("));
  CHECK(complaint_with(llama(), "/hidden_act", "gelu") ==
        "config.json: hidden_act is \"gelu\"; only \"silu\" is supported");
  CHECK(complaint_with(llama(), "/num_key_value_heads", 3) ==
        "config.json: num_key_value_heads is 3; must divide num_attention_heads, 4");
  CHECK(complaint_with(llama(), "/num_attention_heads", 3).find("must divide") != std::string::npos);
  CHECK(complaint_with(llama(), "/head_dim", 33)
            .starts_with("config.json: head_dim is 33; the head dimension"));
  CHECK(complaint_with(llama(), "/vocab_size", 0) ==
        "config.json: vocab_size is 0; must be a whole number from 1 to 4194304");
  CHECK(complaint_with(llama(), "/vocab_size", 18446744073709551615ull)
            .starts_with("config.json: vocab_size is 18"));
  CHECK(complaint_with(llama(), "/vocab_size", -1).starts_with("config.json: vocab_size is -1; must be"));
  CHECK(complaint_with(llama(), "/vocab_size", "512")
            .starts_with("config.json: vocab_size is \"512\"; must be"));
  CHECK(
      complaint_with(llama(), "/vocab_size", 512.5).starts_with("config.json: vocab_size is 512.5; must be"));
  CHECK(complaint_with(llama(), "/rms_norm_eps", nullptr)
            .starts_with("config.json: rms_norm_eps is missing; must"));
  CHECK(complaint_with(llama(), "/mlp_bias", true) ==
        "config.json: mlp_bias is true; only false is supported");
  CHECK(complaint_with(llama(), "/use_sliding_window", true)
            .starts_with("config.json: use_sliding_window is true"));
  CHECK(complaint_with(llama(), "/layer_types", {"full_attention", "sliding_attention"})
            .starts_with("config.json: layer_types is"));
  CHECK(complaint_with(llama(), "/quantization_config", json::object())
            .starts_with("config.json: quantization_config is {}; quantised"));
  CHECK(
      complaint_with(llama(), "/eos_token_id", 512).starts_with("config.json: eos_token_id is 512; must be"));
  CHECK(complaint(llama().dump(), R"({"eos_token_id": [1, 999]})")
            .starts_with("generation_config.json: eos_token_id is [1,999]; must be"));
}

TEST_CASE("rotary settings that are not supported are refused in one line") {
  CHECK(
      complaint_with(llama(), "/rope_scaling", {{"rope_type", "longrope"}}) ==
      "config.json: rope_scaling.rope_type is \"longrope\"; supported are default, linear, llama3, mrope and "
      "yarn");
  CHECK(complaint_with(llama(), "/rope_scaling", {{"type", "llama3"}}) ==
        "config.json: rope_scaling.factor is missing; must be a number from 1.0 to 1000000.0");
  CHECK(complaint_with(llama(), "/rope_scaling", 4) == "config.json: rope_scaling is 4; must be an object");
  CHECK(complaint_with(llama(), "/rope_theta", 0)
            .starts_with("config.json: rope_theta is 0; must be a number"));
  CHECK(complaint_with(llama(), "/rope_scaling/mrope_section", {8, 12, 12})
            .starts_with("config.json: rope_scaling.mrope_section is [8,12,12]; is only supported for"));
  CHECK(complaint_with(vl(), "/rope_scaling/mrope_section", {8, 12, 13})
            .starts_with("config.json: rope_scaling.mrope_section is [8,12,13]; must be three numbers"));
  CHECK(complaint_with(vl(), "/rope_scaling", nullptr)
            .starts_with("config.json: rope_scaling.mrope_section is missing; must be three numbers"));
  json other = vl();
  other["architectures"] = json::array({"Qwen2ForCausalLM"});
  other.erase("rope_scaling");
  other.erase("rope_theta");
  CHECK(complaint(other.dump()).starts_with("config.json: rope_theta is missing"));
}

TEST_CASE("vision settings that are not supported are refused in one line") {
  CHECK(complaint_with(vl(), "/vision_config", nullptr).starts_with("config.json: vision_config is missing"));
  CHECK(complaint_with(vl(), "/vision_config/num_heads", 3)
            .starts_with("config.json: vision_config.num_heads is 3; hidden_size, 160, must be"));
  CHECK(complaint_with(vl(), "/vision_config/out_hidden_size", 255)
            .starts_with("config.json: vision_config.out_hidden_size is 255; must be hidden_size"));
  CHECK(complaint_with(vl(), "/vision_config/fullatt_block_indexes", {3})
            .starts_with("config.json: vision_config.fullatt_block_indexes is [3]; must be"));
  CHECK(complaint_with(vl(), "/vision_config/in_channels", 1)
            .starts_with("config.json: vision_config.in_channels is 1; must be"));
  CHECK(complaint_with(vl(), "/vision_config/window_size", 20)
            .starts_with("config.json: vision_config.window_size is 20; must be at least"));
  CHECK(complaint_with(vl(), "/image_token_id", 512)
            .starts_with("config.json: image_token_id is 512; must be"));
}

TEST_CASE("a configuration with any one value replaced is read or refused, never worse") {
  json full = vl();
  full["text_config"] = {{"hidden_size", 256}, {"head_dim", 64}};
  full["layer_types"] = {"full_attention"};
  full["eos_token_id"] = {1, 2};
  const json odd = {nullptr,
                    true,
                    -1,
                    0,
                    1,
                    3,
                    2147483648,
                    18446744073709551615ull,
                    -9223372036854775807 - 1,
                    0.5,
                    1e308,
                    "",
                    "x",
                    json::array(),
                    {1},
                    {{}, "y"},
                    json::object(),
                    {{"hidden_size", 1}}};
  int refused = 0, read_anyway = 0;
  const json places = full.flatten();
  for (const auto& [pointer, unused] : places.items()) {
    for (const json& value : odd) {
      for (json::json_pointer at(pointer); !at.empty(); at.pop_back()) {
        json changed = full;
        changed[at] = value;
        INFO(at.to_string() << " = " << value.dump());
        complaint(changed.dump()) == "no error" ? ++read_anyway : ++refused;
      }
    }
  }
  CHECK(refused > 300);
  CHECK(read_anyway > 30);
}
