#include <atomic>
#include <cstdlib>
#include <new>

#include "backend/backend_fixture.h"

using namespace assize;
using namespace assize::backend;

namespace {
std::atomic<long> allocations{0};
}

// Counts every allocation of this test program. Not inlined: g++ 12 would take new and free for a mismatch.
[[gnu::noinline]] void* operator new(std::size_t bytes) {
  ++allocations;
  if (void* memory = std::malloc(bytes ? bytes : 1)) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept {
  ++allocations;
  return std::malloc(bytes ? bytes : 1);
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

TEST_CASE("backend: a step that has been run once allocates nothing") {
  constexpr std::int32_t heads = 4, kv_heads = 2, dim = 16, hidden = heads * dim,
                         width = (heads + 2 * kv_heads) * dim, rows = 9, vocab = 97, inner = 40;
  test::Values values(51);
  auto alone = comm::make_alone();
  const auto b = make_cpu_backend(*alone, {2, ""});
  const test::Stored table({vocab, hidden}, values.uniform(vocab * hidden), tensor::DType::bf16);
  const test::Stored qkv_weight({width, hidden}, values.uniform(width * hidden), tensor::DType::bf16);
  const test::Stored up_weight({2 * inner, hidden}, values.uniform(2 * inner * hidden), tensor::DType::bf16);
  const test::Stored down_weight({hidden, inner}, values.uniform(inner * hidden), tensor::DType::bf16);
  const test::Stored norm_weight({hidden}, values.uniform(hidden));
  const LinearPart qkv_part{&qkv_weight.view, nullptr, 0, width},
      gate_part{&up_weight.view, nullptr, 0, inner}, up_part{&up_weight.view, nullptr, inner, 2 * inner};
  const auto embedding = b->make_embedding(table.view), head = b->pack_head(table.view);
  const auto qkv_layer = b->pack_columns({&qkv_part, 1}), up = b->pack_gated(gate_part, up_part);
  const auto down = b->pack_rows(down_weight.view, nullptr);
  const auto norm = b->upload_vector(norm_weight.view);
  const auto cache = b->make_kv_cache(4, 1, kv_heads, dim);
  const auto x = b->allocate(rows, hidden), y = b->allocate(rows, hidden), qkv = b->allocate(rows, width),
             gate_up = b->allocate(rows, 2 * inner), act = b->allocate(rows, inner),
             vision = b->allocate(rows, 3 * hidden);
  Rope rope;
  rope.inv_freq.assign(dim / 2, 0.5f);
  rope.component.assign(dim / 2, 0);
  std::vector<std::int32_t> ids(rows, 5), positions(3 * rows, 2), slots(rows);
  for (std::int32_t r = 0; r < rows; ++r)
    slots[static_cast<std::size_t>(r)] = r < 7 ? r : r - 6 + 64 * (r - 6);
  AttentionPlan plan;
  plan.sequences = {{0, 7, 0, 0}, {7, 1, 1, 1}, {8, 1, 2, 2}};
  plan.blocks = {0, 1, 2, 3};
  plan.shared = {{1, 2, 64}};
  plan.sequences[1].context_tokens = plan.sequences[2].context_tokens = 64;
  plan.sequences[2].block_begin = 1;
  const std::vector<std::int32_t> watch{3}, seen{5};
  std::vector<SampleRow> samples(3);
  samples[1].temperature = 0.7f;
  samples[1].top_p = 0.9f;
  samples[1].top_k = 50;
  samples[1].seen_ids = seen;
  samples[1].repetition_penalty = 1.1f;
  samples[2].watch_ids = watch;
  samples[2].top_logprobs = 5;
  std::vector<SampleResult> results(3);
  const std::vector<float> angles(rows * dim / 2, 0.25f);
  const std::vector<std::int32_t> ends{4, rows};

  const auto step = [&](std::int32_t position) {
    positions.assign(positions.size(), position);
    b->embed(*embedding, ids, x);
    b->rms_norm(x, *norm, 1e-6f, rows, y);
    b->linear(*qkv_layer, y, rows, qkv);
    b->rope_and_store(qkv, rows, heads, kv_heads, dim, rope, positions, slots, *cache, 0);
    b->attention(qkv, heads, kv_heads, dim, plan, *cache, 0, y);
    b->add_rms_norm(x, y, *norm, 1e-6f, rows, y);
    b->linear_swiglu(*up, y, rows, gate_up, act);
    b->linear(*down, act, rows, y);
    b->gelu(y, rows);
    b->vision_attention(vision, rows, heads, dim, angles, ends, y);
    b->copy_block(*cache, 0, 3, 5);
    b->sample(*head, x, samples, results);
  };
  step(1);
  const long before = allocations;
  step(2);
  step(3);
  CHECK(allocations == before);
  for (const auto& result : results) CHECK(result.ok);
}
