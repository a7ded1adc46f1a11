#include <atomic>
#include <cstdlib>
#include <new>

#include "support/catch.h"
#include "tiny_judge.h"

namespace {
std::atomic<bool> counting{false};
std::atomic<int> allocations{0};

void* allocate(std::size_t bytes, std::size_t alignment) {
  if (counting) ++allocations;
  void* memory = nullptr;
  if (posix_memalign(&memory, alignment < sizeof(void*) ? sizeof(void*) : alignment, bytes ? bytes : 1) !=
      0) {
    throw std::bad_alloc();
  }
  return memory;
}
}  // namespace

void* operator new(std::size_t bytes) { return allocate(bytes, __STDCPP_DEFAULT_NEW_ALIGNMENT__); }
void* operator new(std::size_t bytes, std::align_val_t alignment) {
  return allocate(bytes, static_cast<std::size_t>(alignment));
}
// Replaced with the others: what AddressSanitizer's own version gave could not be freed here.
void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept {
  try {
    return operator new(bytes);
  } catch (...) {
    return nullptr;
  }
}
// Inlined, these make the compiler believe that memory of new is given to free.
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }

using namespace assize;

TEST_CASE("after a first step of its size a step allocates nothing, nor does a picture") {
  const support::TemporaryFolder folder;
  support::write_tiny_model(support::TinyKind::qwen2_5_vl, folder.path());
  const auto alone = comm::make_alone();
  const model::ModelLimits limits = {
      .step_rows = 64, .sample_rows = 4, .kv_blocks = 8, .image_patches = 140, .embedding_rows = 35};
  test::TinyJudge judge(folder.string(), *alone, limits, 2);
  const auto image = test::golden_picture("allocation", 0, {1, 10, 14});
  auto sequence = test::make_sequence(judge.config, test::made_up_ids("allocation", 3 * 64));
  std::vector<backend::SampleResult> results(1);
  std::int32_t next_block = 0;
  int last = -1;
  for (int step = 0; step < 3; ++step) {
    test::StepBuilder builder(next_block);
    builder.add(sequence, 64, true);
    model::StepPlan& plan = builder.plan();
    plan.embedded = {{3, 0}, {4, 34}};
    allocations = 0;
    counting = true;
    judge.tower->encode(image, judge.embeddings, 0);
    judge.decoder->forward(plan, judge.embeddings, results);
    counting = false;
    last = allocations;
    if (step == 0) CHECK(last > 0);  // the backend's own buffers, made when first used: so counting works
  }
  CHECK(last == 0);
}
