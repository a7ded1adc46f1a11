#define OMPI_SKIP_MPICXX 1  // the C interface only: the C++ one would ask for a library of its own
#define MPICH_SKIP_MPICXX 1
#include <mpi.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>

#include <algorithm>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>

#include "base/error.h"
#include "comm/layout.h"
#include "comm/world.h"

namespace assize::comm {

namespace {

using base::Error;
using base::ErrorKind;

constexpr int kLinkTag = 1;

int int_size(std::size_t bytes) {
  if (bytes > INT_MAX) throw Error("a message of more than 2 GiB cannot be sent", ErrorKind::failed);
  return static_cast<int>(bytes);
}

/// Waits for a request without keeping a core busy: yields for a while, then sleeps longer and longer.
void wait_politely(MPI_Request& request) {
  Backoff backoff;
  for (int tries = 0;; ++tries) {
    int done = 0;
    MPI_Test(&request, &done, MPI_STATUS_IGNORE);
    if (done) return;
    if (tries < 2000) {
      ::sched_yield();
    } else {
      backoff.idle();
    }
  }
}

class MpiComm final : public Comm {
 public:
  explicit MpiComm(MPI_Comm comm) : comm_(comm) {
    MPI_Comm_rank(comm_, &rank_);
    MPI_Comm_size(comm_, &size_);
  }

  int rank() const override { return rank_; }
  int size() const override { return size_; }

  // Recursive doubling: after the first exchange every rank holds 0+1 or 2+3, after the second their sum.
  // Addition commutes, so both partners get the same bits. MPI_Allreduce would change its order with the size.
  void all_reduce_sum(std::span<float> values) override {
    if (values.empty()) return;
    received_.resize(values.size());
    const int count = int_size(values.size());
    for (int distance = 1; distance < size_; distance *= 2) {
      const int partner = rank_ ^ distance;
      MPI_Sendrecv(values.data(), count, MPI_FLOAT, partner, 0, received_.data(), count, MPI_FLOAT, partner, 0, comm_,
                   MPI_STATUS_IGNORE);
      for (std::size_t i = 0; i < values.size(); ++i) values[i] += received_[i];
    }
  }

  void all_gather(std::span<const std::byte> own, std::span<std::byte> gathered) override {
    if (gathered.size() != own.size() * static_cast<std::size_t>(size_)) {
      throw Error("all_gather: sizes do not match", ErrorKind::failed);
    }
    const int count = int_size(own.size());
    MPI_Allgather(own.data(), count, MPI_BYTE, gathered.data(), count, MPI_BYTE, comm_);
  }

  void broadcast(std::vector<std::byte>& bytes) override {
    std::uint64_t size = bytes.size();
    MPI_Request request;
    MPI_Ibcast(&size, 1, MPI_UINT64_T, 0, comm_, &request);
    wait_politely(request);
    if (size == 0) {
      bytes.clear();
      return;
    }
    bytes.resize(size);
    MPI_Ibcast(bytes.data(), int_size(size), MPI_BYTE, 0, comm_, &request);
    wait_politely(request);
  }

 private:
  MPI_Comm comm_;
  int rank_ = 0;
  int size_ = 1;
  std::vector<float> received_;
};

/// One end of the star over a communicator of its own. A buffer under way stays where it is until MPI is done
/// with it.
class MpiLink final : public Link {
 public:
  /// `peers`: rank of each peer in `comm`.
  MpiLink(MPI_Comm comm, std::vector<int> peers) : comm_(comm), peers_(std::move(peers)) {}

  ~MpiLink() override {
    // Let the last messages leave, but never wait for a peer that has died. After MPI_Finalize they have left.
    int finalised = 0;
    MPI_Finalized(&finalised);
    if (finalised) return;
    Backoff backoff;
    for (int tries = 0; tries < 2000; ++tries) {
      forget_sent();
      if (sends_.empty()) return;
      backoff.idle();
    }
    for (Send& send : sends_) new std::vector<std::byte>(std::move(send.bytes));  // MPI may still read it
  }

  void send(int peer, std::vector<std::byte> bytes) override {
    forget_sent();
    const int rank = peers_.at(static_cast<std::size_t>(peer));
    sends_.push_back({std::move(bytes), MPI_REQUEST_NULL});
    Send& send = sends_.back();
    MPI_Isend(send.bytes.data(), int_size(send.bytes.size()), MPI_BYTE, rank, kLinkTag, comm_, &send.request);
  }

  std::optional<Message> poll() override {
    forget_sent();
    int there = 0;
    MPI_Message handle;
    MPI_Status status;
    MPI_Improbe(MPI_ANY_SOURCE, kLinkTag, comm_, &there, &handle, &status);
    if (!there) return std::nullopt;
    int count = 0;
    MPI_Get_count(&status, MPI_BYTE, &count);
    Message message;
    message.bytes.resize(static_cast<std::size_t>(count));
    MPI_Mrecv(message.bytes.data(), count, MPI_BYTE, &handle, MPI_STATUS_IGNORE);
    for (std::size_t peer = 0; peer < peers_.size(); ++peer) {
      if (peers_[peer] == status.MPI_SOURCE) message.peer = static_cast<int>(peer);
    }
    return message;
  }

 private:
  struct Send {
    std::vector<std::byte> bytes;
    MPI_Request request;
  };

  void forget_sent() {
    while (!sends_.empty()) {
      int done = 0;
      MPI_Test(&sends_.front().request, &done, MPI_STATUS_IGNORE);
      if (!done) return;
      sends_.pop_front();
    }
  }

  MPI_Comm comm_;
  std::vector<int> peers_;
  std::deque<Send> sends_;  // a deque never moves its elements
};

/// A positive number in the environment, 0 if there is none.
long environment_number(const char* name) {
  const char* text = std::getenv(name);
  return text ? std::strtol(text, nullptr, 10) : 0;
}

/// Settings that Open MPI reads in MPI_Init; a user's own value stands. Yielding keeps oversubscribed ranks
/// from starving each other; without the single-copy path all-reduces of up to 1 MiB are about twice as fast,
/// and containers without ptrace rights work.
void set_defaults() {
  ::setenv("OMPI_MCA_mpi_yield_when_idle", "1", 0);
  ::setenv("OMPI_MCA_btl_vader_single_copy_mechanism", "none", 0);
}

std::vector<std::string> gather_hosts(int size) {
  char own[64] = {};
  char name[MPI_MAX_PROCESSOR_NAME] = {};
  int length = 0;
  MPI_Get_processor_name(name, &length);
  std::memcpy(own, name, std::min(sizeof own - 1, static_cast<std::size_t>(length)));
  std::vector<char> all(sizeof own * static_cast<std::size_t>(size));
  MPI_Allgather(own, sizeof own, MPI_CHAR, all.data(), sizeof own, MPI_CHAR, MPI_COMM_WORLD);
  std::vector<std::string> hosts;
  for (int rank = 0; rank < size; ++rank) hosts.emplace_back(all.data() + sizeof own * static_cast<std::size_t>(rank));
  return hosts;
}

std::vector<int> gather_nodes(int rank, int size) {
  MPI_Comm node;
  MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, rank, MPI_INFO_NULL, &node);
  int first = rank;
  MPI_Bcast(&first, 1, MPI_INT, 0, node);
  MPI_Comm_free(&node);
  std::vector<int> nodes(static_cast<std::size_t>(size));
  MPI_Allgather(&first, 1, MPI_INT, nodes.data(), 1, MPI_INT, MPI_COMM_WORLD);
  return nodes;
}

}  // namespace

bool started_as_one_of_several() {
  if (std::getenv("OMPI_COMM_WORLD_SIZE")) return environment_number("OMPI_COMM_WORLD_SIZE") > 1;
  if (std::getenv("PMI_SIZE")) return environment_number("PMI_SIZE") > 1;
  const long tasks = environment_number("SLURM_STEP_NUM_TASKS");
  if (tasks <= 1) return false;
  if (std::getenv("PMIX_RANK")) return true;
  throw Error("this is one of " + std::to_string(tasks) +
              " Slurm tasks that do not know of each other; start them with `srun --mpi=pmix` or with `mpirun`");
}

World open_world(int tensor_parallel) {
  if (tensor_parallel != 1 && tensor_parallel != 2 && tensor_parallel != 4) {
    throw Error("parallel.tensor_parallel is " + std::to_string(tensor_parallel) + "; it must be 1, 2 or 4");
  }
  set_defaults();
  // Without its launcher a rank would wait for ever.
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  int provided = 0;
  MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &provided);

  World world;
  MPI_Comm_rank(MPI_COMM_WORLD, &world.rank);
  MPI_Comm_size(MPI_COMM_WORLD, &world.size);
  if (world.size == 1) {
    throw Error("the launcher started several processes, but MPI sees one: start with the mpirun of " +
                mpi_library_version() + ", or with `srun --mpi=pmix`");
  }
  const std::vector<int> nodes = gather_nodes(world.rank, world.size);
  const NodePlace place = place_on_node(nodes, world.rank);
  world.workers_on_node = place.workers;
  world.worker_on_node = place.index;
  const Layout layout = form_groups(nodes, tensor_parallel);
  world.groups = static_cast<int>(layout.groups.size());
  world.layout = describe(layout, gather_hosts(world.size), tensor_parallel);
  if (layout.groups.empty()) {
    throw Error("no worker group fits: parallel.tensor_parallel is " + std::to_string(tensor_parallel) + ", but of " +
                std::to_string(world.size) + " ranks one coordinates and no node has " +
                std::to_string(tensor_parallel) + " others; start at least " + std::to_string(tensor_parallel + 1) +
                " ranks on one node");
  }

  world.role = world.rank == 0 ? Role::coordinator : Role::unused;
  std::vector<int> leaders;
  for (std::size_t g = 0; g < layout.groups.size(); ++g) {
    leaders.push_back(layout.groups[g].front());
    for (int rank : layout.groups[g]) {
      if (rank != world.rank) continue;
      world.role = Role::worker;
      world.group = static_cast<int>(g);
    }
  }
  MPI_Comm group = MPI_COMM_NULL;
  MPI_Comm link = MPI_COMM_NULL;
  MPI_Comm_split(MPI_COMM_WORLD, world.role == Role::worker ? world.group : MPI_UNDEFINED, world.rank, &group);
  MPI_Comm_dup(MPI_COMM_WORLD, &link);
  if (world.role == Role::worker) world.comm = std::make_unique<MpiComm>(group);
  if (world.role == Role::coordinator) {
    world.link = std::make_unique<MpiLink>(link, leaders);
  } else if (world.role == Role::worker && world.comm->rank() == 0) {
    world.link = std::make_unique<MpiLink>(link, std::vector{0});
  }
  return world;
}

std::vector<std::uint8_t> exchange(std::uint8_t own) {
  int size = 0;
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  std::vector<std::uint8_t> all(static_cast<std::size_t>(size));
  MPI_Allgather(&own, 1, MPI_UINT8_T, all.data(), 1, MPI_UINT8_T, MPI_COMM_WORLD);
  return all;
}

void close_world(bool clean, int exit_code) {
  int initialised = 0;
  int finalised = 0;
  MPI_Initialized(&initialised);
  MPI_Finalized(&finalised);
  if (!initialised || finalised) return;
  if (clean) {
    // MPI_Finalize spins until the last rank is there; ranks that have nothing to do may wait here for days.
    MPI_Request request;
    MPI_Ibarrier(MPI_COMM_WORLD, &request);
    wait_politely(request);
    MPI_Finalize();
  } else {
    std::fflush(nullptr);
    MPI_Abort(MPI_COMM_WORLD, exit_code);
  }
}

std::string mpi_library_version() {
  char text[MPI_MAX_LIBRARY_VERSION_STRING] = {};
  int length = 0;
  MPI_Get_library_version(text, &length);
  std::string version(text, static_cast<std::size_t>(length));
  return version.substr(0, version.find(','));
}

}  // namespace assize::comm
