// Run by mpirun with any number of ranks >= 3 and the tensor-parallel degree as argument: exercises the MPI
// communicator and link and exits with the number of failed checks (capped).
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "base/error.h"
#include "base/noise.h"
#include "comm/world.h"

using namespace assize;

namespace {

int failures = 0;

void check(bool good, const char* what, int rank) {
  if (good) return;
  ++failures;
  std::fprintf(stderr, "rank %d: %s\n", rank, what);
}

float value_of(int rank, std::size_t i) {
  const float u = base::noise_uniform(3, static_cast<std::uint32_t>(rank), static_cast<std::uint32_t>(i));
  return std::ldexp(u - 0.5f, static_cast<int>(i % 24));
}

void exercise_group(comm::World& world) {
  comm::Comm& comm = *world.comm;
  for (std::size_t count : {std::size_t{0}, std::size_t{1}, std::size_t{1021}, std::size_t{400'003}}) {
    std::vector<float> values(count);
    for (std::size_t i = 0; i < count; ++i) values[i] = value_of(comm.rank(), i);
    comm.all_reduce_sum(values);
    bool equal = true;
    for (std::size_t i = 0; i < count; ++i) {
      float expected = value_of(0, i);
      if (comm.size() >= 2) expected = expected + value_of(1, i);
      if (comm.size() == 4) expected = expected + (value_of(2, i) + value_of(3, i));
      equal = equal && std::memcmp(&expected, &values[i], sizeof expected) == 0;
    }
    check(equal, "all_reduce_sum", world.rank);
  }
  const std::vector<std::byte> own(11, static_cast<std::byte>(comm.rank() + 1));
  std::vector<std::byte> gathered(own.size() * static_cast<std::size_t>(comm.size()));
  comm.all_gather(own, gathered);
  for (std::size_t i = 0; i < gathered.size(); ++i) {
    check(gathered[i] == static_cast<std::byte>(i / own.size() + 1), "all_gather", world.rank);
  }
  for (std::size_t size : {std::size_t{0}, std::size_t{5}, std::size_t{3'000'000}}) {
    std::vector<std::byte> told(comm.rank() == 0 ? size : 2, std::byte{7});
    comm.broadcast(told);
    check(told == std::vector<std::byte>(size, std::byte{7}), "broadcast", world.rank);
  }
}

/// The coordinator sends numbered messages of growing size, leaders send them back.
void exercise_link(comm::World& world) {
  constexpr int kMessages = 40;
  comm::Backoff backoff;
  if (world.role == comm::Role::coordinator) {
    for (int i = 0; i < kMessages; ++i) {
      for (int g = 0; g < world.groups; ++g) {
        world.link->send(g, std::vector<std::byte>(static_cast<std::size_t>(1 + i * i * 100), static_cast<std::byte>(i + g)));
      }
    }
    std::vector<int> next(static_cast<std::size_t>(world.groups));
    for (int left = kMessages * world.groups; left > 0;) {
      const auto message = world.link->poll();
      if (!message) {
        backoff.idle();
        continue;
      }
      backoff.busy();
      --left;
      const int i = next[static_cast<std::size_t>(message->peer)]++;
      check(message->bytes ==
                std::vector<std::byte>(static_cast<std::size_t>(1 + i * i * 100), static_cast<std::byte>(i + message->peer)),
            "echoed message", world.rank);
    }
  } else if (world.link) {
    for (int left = kMessages; left > 0;) {
      auto message = world.link->poll();
      if (!message) {
        backoff.idle();
        continue;
      }
      backoff.busy();
      --left;
      check(message->peer == 0, "sender at a leader", world.rank);
      world.link->send(0, std::move(message->bytes));
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  const int degree = argc > 1 ? std::atoi(argv[1]) : 1;
  const int expected_groups = argc > 2 ? std::atoi(argv[2]) : 1;
  try {
    if (!comm::started_as_one_of_several()) return 99;
    comm::World world = comm::open_world(degree);
    if (world.rank == 0) std::printf("%s: %s\n", comm::mpi_library_version().c_str(), world.layout.c_str());
    check(world.groups == expected_groups, "number of groups", world.rank);
    check((world.role == comm::Role::worker) == (world.comm != nullptr), "a worker has a communicator", world.rank);
    if (world.comm) exercise_group(world);
    exercise_link(world);
    world.link.reset();
    world.comm.reset();
    comm::close_world(true, 0);
  } catch (const base::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    comm::close_world(true, 0);
    return expected_groups == 0 ? 0 : 98;
  }
  return failures > 90 ? 90 : failures;
}
