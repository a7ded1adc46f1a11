#include <cstdlib>
#include <thread>

#include "backend/cuda/backend.h"
#include "backend/cuda/collective.h"
#include "base/broken.h"
#include "model/tiny_judge.h"
#include "support/catch.h"

using namespace assize;
using Catch::Matchers::Contains;
using namespace assize::backend::cuda;

namespace {

/// A variable of the environment for the time of a test.
class Variable {
 public:
  Variable(const char* name, const char* value) : name_(name) { ::setenv(name, value, 1); }
  ~Variable() { ::unsetenv(name_); }

 private:
  const char* name_;
};

/// Rank 0 of two whose other rank answers on the host, but never comes to its GPU.
class HalfGroup final : public comm::Comm {
 public:
  int rank() const override { return 0; }
  int size() const override { return 2; }
  void all_reduce_sum(std::span<float>) override {}
  void all_gather(std::span<const std::byte> own, std::span<std::byte> gathered) override {
    std::fill(gathered.begin(), gathered.end(), std::byte{});
    std::copy(own.begin(), own.end(), gathered.begin());
  }
  void broadcast(std::vector<std::byte>&) override {}
};

/// The message that every rank of a group of `ranks` gets from `work`; they must be the same.
std::string message_of_all(int ranks, const std::function<void(comm::Comm&)>& work) {
  std::vector<std::string> messages(static_cast<std::size_t>(ranks));
  test::on_ranks(ranks, [&](comm::Comm& group) {
    try {
      work(group);
    } catch (const base::Error& error) {
      messages[static_cast<std::size_t>(group.rank())] = error.what();
    }
  });
  for (const auto& message : messages) CHECK(message == messages[0]);
  return messages[0];
}

}  // namespace

TEST_CASE("a rank that sees too few GPUs stops the start on all ranks, with the flag that gives them") {
  const Variable one("ASSIZE_EMULATED_GPUS", "1");
  const std::string message =
      message_of_all(2, [](comm::Comm& group) { make_cuda_backend(group, group.rank()); });
  CHECK_THAT(message, Contains("step 'GPU'") && Contains("sees 1 GPU") && Contains("--gpus-per-node"));
}

TEST_CASE("no GPU is the driver's error, with call, place and hint") {
  const Variable none("ASSIZE_EMULATED_GPUS", "0");
  CHECK_THROWS_WITH(count_gpus(), Contains("cudaGetDeviceCount failed") && Contains("cudaErrorNoDevice") &&
                                      Contains("--gpus-per-node"));
  const auto alone = comm::make_alone();
  CHECK_THROWS_WITH(make_cuda_backend(*alone, 0), Contains("rank 0 of 1, host ") && Contains("cudaErrorNoDevice"));
}

TEST_CASE("a full GPU is refused with the figures") {
  const Variable small("ASSIZE_EMULATED_GPU_MIB", "64");
  const auto alone = comm::make_alone();
  const auto backend = make_cuda_backend(*alone, 0);
  CHECK(backend->memory_bytes() > 0);
  CHECK_THROWS_WITH(backend->make_kv_cache(4096, 4, 8, 128), Contains("4096 MiB for the KV cache") && Contains("are left on rank 0"));
  CHECK_THROWS_WITH(backend->make_kv_cache(1, 1, 1, 96), Contains("head_dim 96") && Contains("64, 80 and 128"));
}

TEST_CASE("a rank that never comes to the meeting ends the start after its time limit") {
  Arena arena;
  HalfGroup group;
  CHECK_THROWS_WITH(Collective(group, arena, {.start = 0.05, .step = 0.05}),
                    Contains("step 'NCCL meeting'") && Contains("in vain") && Contains("another rank is gone"));
}

TEST_CASE("a rank that stays away from a step's exchange ends the step after its time limit") {
  test::on_ranks(2, [](comm::Comm& group) {
    ASSIZE_CUDA(cudaSetDevice(group.rank()));
    Arena arena;
    Collective collective(group, arena, {.start = 60, .step = 0.05});
    if (group.rank() == 1) return;
    const StreamHandle stream;
    auto* const own = arena.take(64, "a test");
    auto* const all = arena.take(128, "a test");
    collective.all_gather(own, all, 64, stream);
    CHECK_THROWS_AS(collective.wait(stream), base::Broken);  // on one thread only
  });
}

TEST_CASE("what fails in a step of the start on one rank is thrown on all") {
  const std::string message = message_of_all(4, [](comm::Comm& group) {
    in_step(group, "example", [&] {
      if (group.rank() == 2) throw base::Error("out of luck");
    });
  });
  CHECK(message == "start of the GPUs, step 'example': out of luck");
}
