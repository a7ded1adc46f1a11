#include <cstring>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "support/catch.h"
#include "tiny_judge.h"

using namespace assize;
using nlohmann::json;
using support::TinyKind;

namespace {

constexpr model::ModelLimits limits = {
    .step_rows = 64, .sample_rows = 2, .kv_blocks = 4, .image_patches = 64, .embedding_rows = 16};

struct StoredTensor {
  std::vector<std::int64_t> shape;
  std::string data;
  std::string dtype = "BF16";
};
using Stored = std::map<std::string, StoredTensor>;

/// The tensors of a tiny judge, changed by `edit` and written back.
void edit_weights(const std::filesystem::path& folder, const std::function<void(Stored&)>& edit) {
  const auto path = folder / "model.safetensors";
  const std::string file = base::read_file(path);
  std::uint64_t header_bytes = 0;
  std::memcpy(&header_bytes, file.data(), 8);
  Stored tensors;
  const json stored = json::parse(file.substr(8, header_bytes));
  for (const auto& [name, entry] : stored.items()) {
    const auto offsets = entry.at("data_offsets").get<std::array<std::size_t, 2>>();
    tensors[name] = {entry.at("shape"), file.substr(8 + header_bytes + offsets[0], offsets[1] - offsets[0]),
                     entry.at("dtype")};
  }
  edit(tensors);
  json header;
  std::string data;
  for (const auto& [name, tensor] : tensors) {
    const std::size_t end = data.size() + tensor.data.size();
    header[name] = {{"dtype", tensor.dtype}, {"shape", tensor.shape}, {"data_offsets", {data.size(), end}}};
    data += tensor.data;
  }
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');
  header_bytes = text.size();
  std::ofstream out(path, std::ios::binary);
  out.write(reinterpret_cast<const char*>(&header_bytes), 8);
  out << text << data;
}

void rename(Stored& tensors, const std::string& from, const std::string& to) {
  auto node = tensors.extract(from);
  node.key() = to;
  tensors.insert(std::move(node));
}

void rename_all(Stored& tensors, const std::function<std::string(const std::string&)>& spelling) {
  Stored renamed;
  for (auto& [name, tensor] : tensors) renamed[spelling(name)] = std::move(tensor);
  tensors = std::move(renamed);
}

void edit_config(const std::filesystem::path& folder, const char* key, json value) {
  json config = json::parse(base::read_file(folder / "config.json"));
  config[key] = std::move(value);
  std::ofstream(folder / "config.json") << config.dump();
}

std::unique_ptr<model::Model> load(const std::filesystem::path& folder, backend::Backend& backend) {
  return model::load_model(folder.string(), model::read_config(folder.string()), limits, backend);
}

struct Fixture {
  support::TemporaryFolder folder;
  std::unique_ptr<comm::Comm> alone = comm::make_alone();
  std::unique_ptr<backend::Backend> backend = backend::make_cpu_backend(*alone, {.threads = 1});

  explicit Fixture(TinyKind kind) { support::write_tiny_model(kind, folder.path()); }

  /// Log-probabilities of the best ids after a prompt with a picture (text where the judge has no eyes).
  std::vector<backend::TokenLogprob> answer() {
    const auto judge = load(folder.path(), *backend);
    std::vector<std::int32_t> ids = {support::tiny_vision_start, 1, 2, 3, 4, 5, 6,
                                     support::tiny_vision_end,   65};
    std::vector<std::array<std::int32_t, 3>> grids;
    if (judge->config().vision.depth > 0) {
      std::fill_n(ids.begin() + 1, 6, support::tiny_image_pad);
      grids = {{1, 4, 6}};
      judge->encode_image(test::golden_picture("load", 0, grids[0]), 3);
    }
    auto sequence = test::make_sequence(judge->config(), ids, grids, 3);
    std::int32_t next_block = 0;
    test::StepBuilder step(next_block);
    step.add(sequence, static_cast<std::int32_t>(ids.size()), true);
    step.plan().samples.front().top_logprobs = 8;
    std::vector<backend::SampleResult> results(1);
    judge->forward(step.plan(), results);
    return results[0].top_logprobs;
  }

  /// The one-line message of the Error that loading gives, without the folder in front.
  std::string complaint() {
    try {
      load(folder.path(), *backend);
    } catch (const base::Error& error) {
      const std::string message = error.what();
      CHECK(message.find('\n') == std::string::npos);
      return message.starts_with(folder.string()) ? message.substr(folder.string().size()) : message;
    }
    return "no error";
  }
};

void check_equal(const std::vector<backend::TokenLogprob>& a, const std::vector<backend::TokenLogprob>& b) {
  REQUIRE(a.size() == 8);
  REQUIRE(b.size() == 8);
  for (std::size_t i = 0; i < a.size(); ++i) {
    CHECK(a[i].id == b[i].id);
    CHECK(a[i].logprob == b[i].logprob);
  }
}

}  // namespace

/// Elements of `From` stored as `To`.
template <class From, class To, class Convert>
void store_as(Stored& tensors, const char* dtype, Convert convert) {
  for (auto& [name, tensor] : tensors) {
    std::vector<From> from(tensor.data.size() / sizeof(From));
    std::memcpy(from.data(), tensor.data.data(), tensor.data.size());
    std::vector<To> to(from.size());
    std::transform(from.begin(), from.end(), to.begin(), convert);
    tensor.data.assign(reinterpret_cast<const char*>(to.data()), to.size() * sizeof(To));
    tensor.dtype = dtype;
  }
}

TEST_CASE("the same values stored as BF16, F16 or F32 give the same judge") {
  Fixture f(TinyKind::qwen2_5_vl);
  const auto bf16 = f.answer();
  edit_weights(f.folder.path(),
               [](Stored& tensors) { store_as<std::uint16_t, float>(tensors, "F32", tensor::bf16_to_f32); });
  check_equal(f.answer(), bf16);
  edit_weights(f.folder.path(), [](Stored& tensors) {
    store_as<float, std::uint16_t>(tensors, "F16", tensor::f32_to_f16);  // rounds the smallest values
  });
  const auto f16 = f.answer();
  edit_weights(f.folder.path(),
               [](Stored& tensors) { store_as<std::uint16_t, float>(tensors, "F32", tensor::f16_to_f32); });
  check_equal(f.answer(), f16);
}

TEST_CASE("every spelling of a checkpoint loads as the same judge") {
  Fixture f(TinyKind::qwen2_5_vl);
  const auto expected = f.answer();

  edit_weights(f.folder.path(), [](Stored& tensors) {
    rename_all(tensors, [](const std::string& name) -> std::string {
      if (name.starts_with("model.")) return "model.language_model." + name.substr(6);
      return name.starts_with("visual.") ? "model." + name : name;
    });
  });
  check_equal(f.answer(), expected);

  edit_weights(f.folder.path(), [](Stored& tensors) {
    rename_all(tensors, [](const std::string& name) { return "base_model.model." + name; });
    tensors["base_model.model.model.language_model.layers.0.self_attn.rotary_emb.inv_freq"] = {{1}, "12"};
  });
  check_equal(f.answer(), expected);
}

TEST_CASE("a head that is absent or declared tied is the embedding table") {
  Fixture f(TinyKind::llama);
  const auto expected = f.answer();
  edit_config(f.folder.path(), "tie_word_embeddings", false);
  check_equal(f.answer(), expected);

  edit_config(f.folder.path(), "tie_word_embeddings", true);
  edit_weights(f.folder.path(), [](Stored& tensors) {
    tensors["lm_head.weight"] = tensors.at("model.layers.0.mlp.up_proj.weight");  // is not looked at
  });
  check_equal(f.answer(), expected);
}

TEST_CASE("the output bias of a Llama with attention_bias is used") {
  Fixture f(TinyKind::llama);
  const auto without = f.answer();
  edit_config(f.folder.path(), "attention_bias", true);
  edit_weights(f.folder.path(), [](Stored& tensors) {
    for (const std::string layer : {"0", "1", "2"}) {
      const auto name = [&](const char* linear) {
        return "model.layers." + layer + ".self_attn." + linear + ".bias";
      };
      tensors[name("q_proj")] = {{256}, std::string(512, '\0')};
      tensors[name("k_proj")] = {{128}, std::string(256, '\0')};
      tensors[name("v_proj")] = {{128}, std::string(256, '\0')};
      tensors[name("o_proj")] = {{256}, std::string(512, '\0')};
    }
  });
  check_equal(f.answer(), without);  // zeros change nothing
  edit_weights(f.folder.path(), [](Stored& tensors) {
    auto& bias = tensors.at("model.layers.1.self_attn.o_proj.bias").data;
    bias[0] = '\x80';  // 1.0 at the first output
    bias[1] = '\x3f';
  });
  CHECK(f.answer()[0].logprob != without[0].logprob);
}

TEST_CASE("a checkpoint that does not fit its configuration is refused in one line") {
  SECTION("missing tensor") {
    Fixture f(TinyKind::qwen2);
    edit_weights(f.folder.path(),
                 [](Stored& tensors) { tensors.erase("model.layers.1.mlp.up_proj.weight"); });
    CHECK(f.complaint().find("model.layers.1.mlp.up_proj.weight") != std::string::npos);
  }
  SECTION("missing bias") {
    Fixture f(TinyKind::qwen2);
    edit_weights(f.folder.path(),
                 [](Stored& tensors) { tensors.erase("model.layers.2.self_attn.k_proj.bias"); });
    CHECK(f.complaint().find("model.layers.2.self_attn.k_proj.bias") != std::string::npos);
  }
  SECTION("another shape") {
    Fixture f(TinyKind::qwen2_5_vl);
    edit_weights(f.folder.path(), [](Stored& tensors) {
      tensors.at("visual.blocks.2.attn.proj.weight").shape = {80, 320};
    });
    const auto message = f.complaint();
    CHECK(message.find("visual.blocks.2.attn.proj.weight") != std::string::npos);
    CHECK(message.find("[160, 160]") != std::string::npos);
    CHECK(message.find("[80, 320]") != std::string::npos);
  }
  SECTION("a tensor that nobody uses") {
    Fixture f(TinyKind::llama3);
    edit_weights(f.folder.path(), [](Stored& tensors) {
      tensors["model.layers.0.self_attn.q_proj.lora_A.weight"] = {{1}, "12"};
      tensors["model.layers.0.self_attn.q_proj.lora_B.weight"] = {{1}, "12"};
    });
    CHECK(
        f.complaint() ==
        ": the checkpoint holds model.layers.0.self_attn.q_proj.lora_A.weight and 1 more tensors, which the "
        "architecture named in config.json does not use; merge adapters or correct config.json");
  }
  SECTION("no decoder in it") {
    Fixture f(TinyKind::llama);
    edit_weights(f.folder.path(),
                 [](Stored& tensors) { rename(tensors, "model.embed_tokens.weight", "wte"); });
    CHECK(f.complaint().starts_with(": the checkpoint has no embedding table"));
  }
}

TEST_CASE("a tensor-parallel degree that does not divide the heads is refused") {
  model::ModelConfig config;
  config.heads = 9;
  config.kv_heads = 3;
  CHECK_NOTHROW(model::shard_heads(config, 0, 1));
  CHECK_THROWS_WITH(
      model::shard_heads(config, 0, 2),
      "tensor_parallel is 2 but the judge has 9 attention heads and 3 key-value heads; possible: 1");
  config.heads = 28;
  config.kv_heads = 4;
  CHECK(model::shard_heads(config, 3, 4).first_head == 21);
  CHECK(model::shard_heads(config, 3, 4).first_kv_head == 3);
  config.kv_heads = 2;  // fewer than ranks: two ranks share each
  for (int rank = 0; rank < 4; ++rank) {
    const auto shard = model::shard_heads(config, rank, 4);
    CHECK(shard.heads == 7);
    CHECK(shard.kv_heads == 1);
    CHECK(shard.first_kv_head == rank / 2);
  }
}

TEST_CASE("pictures that the tower cannot take are refused") {
  Fixture f(TinyKind::qwen2_5_vl);
  const auto judge = load(f.folder.path(), *f.backend);
  CHECK_THROWS_WITH(judge->encode_image(test::golden_picture("load", 0, {1, 10, 14}), 0),
                    "picture of 140 patches is larger than the 64 the model was loaded for");
  auto image = test::golden_picture("load", 0, {1, 4, 6});
  CHECK_THROWS_AS(judge->encode_image(image, 11), base::Error);
  image.values.pop_back();
  CHECK_THROWS_AS(judge->encode_image(image, 0), base::Error);
  image = test::golden_picture("load", 0, {1, 3, 6});
  CHECK_THROWS_AS(judge->encode_image(image, 0), base::Error);

  model::ModelLimits text_only = limits;
  text_only.image_patches = text_only.embedding_rows = 0;
  const auto blind = model::load_model(f.folder.string(), judge->config(), text_only, *f.backend);
  CHECK(blind->weight_bytes() < judge->weight_bytes());
  CHECK_THROWS_AS(blind->encode_image(test::golden_picture("load", 0, {1, 4, 6}), 0), base::Error);
}
