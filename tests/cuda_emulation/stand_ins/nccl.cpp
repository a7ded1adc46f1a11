#include "nccl.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <random>
#include <string>

namespace {

constexpr int kMostRanks = 4;
constexpr std::size_t kChunkBytes = 1 << 18;

/// What the ranks share: how many chunks each has put down, and the last two chunks of each. A rank overwrites
/// chunk c with chunk c + 2 only after all have put down c + 1, hence have read c.
struct Meeting {
  std::atomic<int> joined;
  std::atomic<std::uint64_t> chunks[kMostRanks];
  char data[kMostRanks][2][kChunkBytes];
};

}  // namespace

struct StandInCommunicator {
  int rank = 0;
  int ranks = 1;
  std::string path;
  Meeting* meeting = nullptr;
  std::uint64_t chunks = 0;  ///< that this rank has taken from all
  bool all_joined = false;
  std::function<void()> pending;  ///< puts the last exchange into its stream
};

const char* ncclGetErrorString(ncclResult_t result) {
  switch (result) {
    case ncclSuccess: return "no error";
    case ncclUnhandledCudaError: return "unhandled cuda error";
    case ncclSystemError: return "unhandled system error";
    case ncclInternalError: return "internal error";
    case ncclInvalidArgument: return "invalid argument";
    case ncclInvalidUsage: return "invalid usage";
    case ncclRemoteError: return "remote process exited or there was a network error";
    case ncclInProgress: return "NCCL operation in progress";
  }
  return "unknown result code";
}

const char* ncclGetLastError(ncclComm_t) { return ""; }

ncclResult_t ncclGetUniqueId(ncclUniqueId* id) {
  std::random_device random;
  const std::string path = "/dev/shm/assize-nccl-" + std::to_string(::getpid()) + "-" + std::to_string(random());
  const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (file < 0) return ncclSystemError;
  const bool sized = ::ftruncate(file, sizeof(Meeting)) == 0;
  ::close(file);
  if (!sized) return ncclSystemError;
  *id = {};
  std::strncpy(id->internal, path.c_str(), sizeof id->internal - 1);
  return ncclSuccess;
}

ncclResult_t ncclCommInitRankConfig(ncclComm_t* comm, int ranks, ncclUniqueId id, int rank, ncclConfig_t* config) {
  // Only the way the backend calls it: it must be able to give up.
  if (!config || config->blocking != 0) return ncclInvalidUsage;
  if (ranks < 1 || ranks > kMostRanks || rank < 0 || rank >= ranks) return ncclInvalidArgument;
  const int file = ::open(id.internal, O_RDWR | O_CLOEXEC);
  if (file < 0) return ncclSystemError;
  void* memory = mmap(nullptr, sizeof(Meeting), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  ::close(file);
  if (memory == MAP_FAILED) return ncclSystemError;
  auto made = std::make_unique<StandInCommunicator>();
  made->rank = rank;
  made->ranks = ranks;
  made->path = id.internal;
  made->meeting = static_cast<Meeting*>(memory);
  made->meeting->joined.fetch_add(1);
  *comm = made.release();
  return ncclInProgress;
}

ncclResult_t ncclCommGetAsyncError(ncclComm_t comm, ncclResult_t* error) {
  if (!comm->all_joined && comm->meeting->joined.load() >= comm->ranks) {
    comm->all_joined = true;
    ::unlink(comm->path.c_str());  // nobody comes any more
  }
  if (comm->pending) comm->pending();
  comm->pending = nullptr;
  *error = comm->all_joined ? ncclSuccess : ncclInProgress;
  return ncclSuccess;
}

ncclResult_t ncclCommFinalize(ncclComm_t) { return ncclInProgress; }

ncclResult_t ncclCommDestroy(ncclComm_t comm) {
  ::unlink(comm->path.c_str());
  munmap(comm->meeting, sizeof(Meeting));
  delete comm;
  return ncclSuccess;
}

ncclResult_t ncclCommAbort(ncclComm_t comm) { return ncclCommDestroy(comm); }

ncclResult_t ncclAllGather(const void* own, void* gathered, std::size_t count, ncclDataType_t type,
                           ncclComm_t comm, cudaStream_t stream) {
  const std::size_t bytes = count * (type == ncclFloat32 ? 4 : type == ncclBfloat16 ? 2 : 1);
  if (!comm->all_joined || comm->pending) return ncclInvalidUsage;
  if (!cuda_stand_in::on_device(own, bytes) ||
      !cuda_stand_in::on_device(gathered, bytes * static_cast<std::size_t>(comm->ranks))) {
    return ncclInvalidArgument;
  }
  struct State {
    std::size_t done = 0;
    bool put_down = false;
  };
  auto state = std::make_shared<State>();
  const auto exchange = [=] {
    Meeting& meeting = *comm->meeting;
    while (state->done < bytes) {
      const std::size_t size = std::min(kChunkBytes, bytes - state->done);
      const std::size_t half = comm->chunks % 2;
      if (!state->put_down) {
        std::memcpy(meeting.data[comm->rank][half], static_cast<const char*>(own) + state->done, size);
        meeting.chunks[comm->rank].store(comm->chunks + 1, std::memory_order_release);
        state->put_down = true;
      }
      for (int r = 0; r < comm->ranks; ++r) {
        if (meeting.chunks[r].load(std::memory_order_acquire) <= comm->chunks) return false;
      }
      for (int r = 0; r < comm->ranks; ++r) {
        std::memcpy(static_cast<char*>(gathered) + static_cast<std::size_t>(r) * bytes + state->done,
                    meeting.data[r][half], size);
      }
      ++comm->chunks;
      state->done += size;
      state->put_down = false;
    }
    return true;
  };
  comm->pending = [=] { cuda_stand_in::enqueue(stream, exchange); };
  return ncclInProgress;
}
