#include "backend/cuda/collective.h"

#include <array>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <thread>

#include "base/broken.h"

namespace assize::backend::cuda {

using base::Error;
using base::ErrorKind;

void in_step(comm::Comm& group, const std::string& step, const std::function<void()>& body) {
  std::array<char, 768> own{};
  try {
    body();
  } catch (const std::exception& error) {
    const std::string text = error.what();
    std::memcpy(own.data(), text.data(), std::min(text.size(), own.size() - 1));
    if (text.empty()) own[0] = '?';
  }
  std::vector<std::array<char, 768>> all(static_cast<std::size_t>(group.size()));
  group.all_gather(std::as_bytes(std::span(own)), std::as_writable_bytes(std::span(all)));
  for (const auto& message : all) {
    if (message[0]) throw Error("start of the GPUs, step '" + step + "': " + message.data(), ErrorKind::failed);
  }
}

Collective::Collective(comm::Comm& group, Arena& arena, const CollectiveLimits& limits)
    : ranks_(group.size()), limits_(limits) {
  if (ranks_ == 1) return;
  try {
    meet(group);
    test(group, arena);
  } catch (...) {
    abort();
    throw;
  }
}

Collective::~Collective() {
  if (!nccl_) return;
  try {
    // Until no other rank reads from this one's memory any more.
    ASSIZE_CUDA(ncclCommFinalize(nccl_));
    poll([] { return true; }, limits_.start, "the end of the other ranks");
    ncclCommDestroy(nccl_);
  } catch (const std::exception&) {
    abort();
  }
}

void Collective::meet(comm::Comm& group) {
  ncclUniqueId id{};
  in_step(group, "NCCL id", [&] {
    if (group.rank() == 0) ASSIZE_CUDA(ncclGetUniqueId(&id));
  });
  const auto* bytes = reinterpret_cast<const std::byte*>(&id);
  std::vector<std::byte> message(bytes, bytes + sizeof id);
  group.broadcast(message);
  std::memcpy(&id, message.data(), sizeof id);
  in_step(group, "NCCL meeting", [&] {
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    config.blocking = 0;  // so that it can be given up
    ASSIZE_CUDA(ncclCommInitRankConfig(&nccl_, ranks_, id, group.rank(), &config));
    poll([] { return true; }, limits_.start, "the other ranks to meet");
  });
}

void Collective::test(comm::Comm& group, Arena& arena) {
  in_step(group, "NCCL first exchange", [&] {
    constexpr std::size_t kCount = 1024;
    const auto values = [](int rank) { return static_cast<float>(1000 * rank + 1); };
    const std::size_t all = kCount * static_cast<std::size_t>(ranks_);
    PinnedBuffer host(all * sizeof(float));
    auto* const floats = reinterpret_cast<float*>(host.data());
    auto* const own = arena.take_array<float>(kCount, "a first exchange");
    auto* const gathered = arena.take_array<float>(all, "a first exchange");
    for (std::size_t i = 0; i < kCount; ++i) floats[i] = values(group.rank()) + static_cast<float>(i);
    const StreamHandle stream;
    ASSIZE_CUDA(cudaMemcpyAsync(own, floats, kCount * sizeof(float), cudaMemcpyHostToDevice, stream));
    all_gather(own, gathered, kCount * sizeof(float), stream);
    ASSIZE_CUDA(cudaMemcpyAsync(floats, gathered, all * sizeof(float), cudaMemcpyDeviceToHost, stream));
    poll([&] { return cudaStreamQuery(stream) != cudaErrorNotReady; }, limits_.start, "a first exchange");
    ASSIZE_CUDA(cudaStreamSynchronize(stream));
    for (std::size_t i = 0; i < all; ++i) {
      const int rank = static_cast<int>(i / kCount);
      if (floats[i] == values(rank) + static_cast<float>(i % kCount)) continue;
      throw Error("NCCL brought wrong values from rank " + std::to_string(rank) + " to " + place() +
                      "; NCCL_DEBUG=INFO shows the path; NCCL_P2P_DISABLE=1 avoids a broken one",
                  ErrorKind::failed);
    }
  });
}

void Collective::all_gather(const void* own, void* gathered, std::size_t bytes, cudaStream_t stream) {
  if (ranks_ == 1) return;
  const ncclResult_t result = ncclAllGather(own, gathered, bytes, ncclInt8, nccl_, stream);
  check(result, "ncclAllGather");
  // Only when it is not in progress any more, the exchange has its place in the stream.
  if (result == ncclInProgress) poll([] { return true; }, limits_.step, "an exchange to begin");
}

void Collective::wait(cudaStream_t stream) {
  if (ranks_ > 1) {
    poll([&] { return cudaStreamQuery(stream) != cudaErrorNotReady; }, limits_.step, "the work of a step");
  }
  ASSIZE_CUDA(cudaStreamSynchronize(stream));
}

void Collective::poll(const std::function<bool()>& done, double seconds, const char* what) {
  using Clock = std::chrono::steady_clock;
  const auto end = Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
  for (int tries = 0;; ++tries) {
    ncclResult_t state = ncclSuccess;
    ASSIZE_CUDA(ncclCommGetAsyncError(nccl_, &state));
    if (state != ncclSuccess && state != ncclInProgress) {
      const std::string words = ncclGetErrorString(state);
      abort();
      throw base::Broken("NCCL failed on " + place() + " while it waited for " + what + ": " + words +
                         "; NCCL_DEBUG=INFO makes it say more");
    }
    if (state == ncclSuccess && done()) return;
    if (Clock::now() > end) {
      abort();
      throw base::Broken("waited " + std::to_string(static_cast<int>(seconds)) + " s for " + what + " on " + place() +
                      ", in vain; another rank is gone or hangs, see its log");
    }
    // The first tries are for the end of a step, which is near; then the core is left to others.
    if (tries > 1000) std::this_thread::sleep_for(std::chrono::microseconds(20));
  }
}

void Collective::abort() {
  if (nccl_) ncclCommAbort(nccl_);
  nccl_ = nullptr;
}

}  // namespace assize::backend::cuda
