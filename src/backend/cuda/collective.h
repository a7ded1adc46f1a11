#pragma once

#include <cstddef>
#include <functional>
#include <string>

#include "backend/cuda/memory.h"
#include "comm/comm.h"

namespace assize::backend::cuda {

/// Runs one step of the start on every rank of the group and lets all of them know how it ended: if it failed
/// on any, all throw the first rank's Error. A step must end by itself.
void in_step(comm::Comm& group, const std::string& step, const std::function<void()>& body);

/// How long the GPUs of a group may keep each other waiting, in seconds.
struct CollectiveLimits {
  double start = 180;  ///< to meet, and for the first exchange
  /// For the work of one step: half of what a rank may be silent (limits.lease_seconds), so that a group whose exchange is
  /// broken is taken out before a watchdog ends the launch.
  double step = 300;
};

/// What the GPUs of a tensor-parallel group exchange, by NCCL. A group of one needs no NCCL.
class Collective {
 public:
  /// Named steps, each with its time limit: the id over the group's host link, the meeting, a first exchange
  /// whose result is checked. Collective.
  Collective(comm::Comm& group, Arena& arena, const CollectiveLimits& limits = {});
  ~Collective();
  Collective(const Collective&) = delete;
  Collective& operator=(const Collective&) = delete;

  /// Gathers `bytes` of every rank in rank order, in stream order. `own` may be its place in `gathered`.
  void all_gather(const void* own, void* gathered, std::size_t bytes, cudaStream_t stream);

  /// Waits until the work in `stream` is done. Throws Error when it failed, another rank is gone or the limit
  /// is passed; NCCL is aborted then, so that nothing hangs.
  void wait(cudaStream_t stream);

 private:
  void meet(comm::Comm& group);
  void test(comm::Comm& group, Arena& arena);
  void poll(const std::function<bool()>& done, double seconds, const char* what);
  void abort();

  const int ranks_;
  const CollectiveLimits limits_;
  ncclComm_t nccl_ = nullptr;
};

}  // namespace assize::backend::cuda
