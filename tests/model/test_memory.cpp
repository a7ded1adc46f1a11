#include "support/catch.h"
#include "tiny_judge.h"

using namespace assize;
using support::TinyKind;

namespace {

constexpr model::ModelLimits limits = {
    .step_rows = 32, .sample_rows = 3, .kv_blocks = 5, .image_patches = 64, .embedding_rows = 16};

/// Does nothing but count the bytes it is asked for.
class CountingBackend final : public backend::Backend {
 public:
  explicit CountingBackend(comm::Comm& group) : group_(group) {}

  std::size_t allocated_bytes = 0;

  std::string name() const override { return "counting"; }
  const comm::Comm& group() const override { return group_; }
  std::size_t value_bytes() const override { return sizeof(float); }
  std::size_t memory_bytes() const override { return allocated_bytes; }
  backend::Activation allocate(std::int64_t rows, std::int32_t cols) override {
    allocated_bytes += static_cast<std::size_t>(rows) * static_cast<std::size_t>(cols) * sizeof(float);
    return {nullptr, cols};
  }
  std::unique_ptr<backend::KvCache> make_kv_cache(std::int32_t, std::int32_t, std::int32_t,
                                                  std::int32_t) override {
    return std::make_unique<backend::KvCache>();
  }
  std::unique_ptr<backend::Linear> pack_gated(const backend::LinearPart&, const backend::LinearPart&) override {
    return linear();
  }
  std::unique_ptr<backend::Linear> pack_columns(std::span<const backend::LinearPart>) override {
    return linear();
  }
  std::unique_ptr<backend::Linear> pack_rows(const tensor::TensorView&, const tensor::TensorView*) override {
    return linear();
  }
  std::unique_ptr<backend::Vector> upload_vector(const tensor::TensorView&) override {
    return std::make_unique<backend::Vector>();
  }
  std::unique_ptr<backend::Linear> make_embedding(const tensor::TensorView&) override { return linear(); }
  std::unique_ptr<backend::Linear> pack_head(const tensor::TensorView&) override { return linear(); }

  void embed(const backend::Linear&, std::span<const std::int32_t>, backend::Activation) override {}
  void gather_rows(backend::Activation, std::span<const std::int32_t>, backend::Activation) override {}
  void scatter_rows(backend::Activation, std::span<const std::int32_t>, backend::Activation) override {}
  void linear(const backend::Linear&, backend::Activation, std::int32_t, backend::Activation) override {}
  void rms_norm(backend::Activation, const backend::Vector&, float, std::int32_t,
                backend::Activation) override {}
  void add_rms_norm(backend::Activation, backend::Activation, const backend::Vector&, float, std::int32_t,
                    backend::Activation) override {}
  void add(backend::Activation, backend::Activation, std::int32_t) override {}
  void linear_swiglu(const backend::Linear&, backend::Activation, std::int32_t, backend::Activation,
                     backend::Activation) override {}
  void gelu(backend::Activation, std::int32_t) override {}
  void rope_and_store(backend::Activation, std::int32_t, std::int32_t, std::int32_t, std::int32_t,
                      const backend::Rope&, std::span<const std::int32_t>, std::span<const std::int32_t>,
                      backend::KvCache&, std::int32_t) override {}
  void attention(backend::Activation, std::int32_t, std::int32_t, std::int32_t, const backend::AttentionPlan&,
                 const backend::KvCache&, std::int32_t, backend::Activation) override {}
  void copy_block(backend::KvCache&, std::int32_t, std::int32_t, std::int32_t) override {}
  void vision_attention(backend::Activation, std::int32_t, std::int32_t, std::int32_t, std::span<const float>,
                        std::span<const std::int32_t>, backend::Activation) override {}
  void sample(const backend::Linear&, backend::Activation, std::span<const backend::SampleRow>,
              std::span<backend::SampleResult>) override {}
  std::vector<float> logits(const backend::Linear&, backend::Activation, std::int32_t) override { return {}; }
  void upload(std::span<const float>, backend::Activation) override {}
  void download(backend::Activation, std::span<float>) override {}

 private:
  static std::unique_ptr<backend::Linear> linear() { return std::make_unique<backend::Linear>(); }
  comm::Comm& group_;
};

}  // namespace

TEST_CASE("estimates of memory agree with the loaded judge") {
  for (const TinyKind kind : {TinyKind::llama, TinyKind::qwen2, TinyKind::qwen2_5_vl}) {
    const support::TemporaryFolder folder;
    support::write_tiny_model(kind, folder.path());
    const auto config = model::read_config(folder.string());
    for (const int ranks : {1, 2, 4}) {
      INFO(support::name(kind) << " on " << ranks);
      test::on_ranks(ranks, [&](comm::Comm& group) {
        const auto backend = backend::make_cpu_backend(group, {.threads = 1});
        const auto judge = model::load_model(folder.string(), config, limits, *backend);
        if (group.rank() > 0) return;
        // On CPUs the embedding table stays in the mapped file and is not packed.
        const auto table = static_cast<std::size_t>(config.vocab_size * config.hidden) * 2;
        const auto estimate = static_cast<double>(model::estimate_weight_bytes(config, ranks) - table);
        CHECK(static_cast<double>(judge->weight_bytes()) == Approx(estimate).epsilon(0.02));
        CHECK(judge->kv_bytes() == limits.kv_blocks * model::kv_block_bytes(config, ranks));

        CountingBackend counting(group);
        model::load_model(folder.string(), config, limits, counting);
        CHECK(counting.allocated_bytes == model::buffer_bytes(config, limits, ranks));
        model::ModelLimits text_only = limits;
        text_only.image_patches = text_only.embedding_rows = 0;
        counting.allocated_bytes = 0;
        model::load_model(folder.string(), config, text_only, counting);
        CHECK(counting.allocated_bytes == model::buffer_bytes(config, text_only, ranks));
      });
    }
  }
}
