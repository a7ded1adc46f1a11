#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "comm/comm.h"
#include "comm/link.h"

namespace assize::comm {

/// What this process is in the MPI world.
enum class Role {
  alone,        ///< world of one process: coordinator and one group in it
  coordinator,  ///< rank 0
  worker,       ///< a rank of a worker group
  unused,       ///< left over: not enough ranks for a further group on its node
};

/// One MPI world: rank 0 coordinates, the others form groups of `tensor_parallel` inside a node.
struct World {
  Role role = Role::alone;
  int rank = 0;
  int size = 1;
  int groups = 1;                ///< number of worker groups
  int group = 0;                 ///< index of this rank's group (workers)
  int workers_on_node = 1;       ///< ranks of this node without the coordinator, idle ones included
  int worker_on_node = 0;        ///< index of this rank among them: also that of its GPU
  std::string layout;            ///< one line for the log: groups, ranks left over, by node
  std::unique_ptr<Comm> comm;    ///< this rank's group (workers)
  std::unique_ptr<Link> link;    ///< coordinator's end, or a leader's end (rank 0 of its group)
};

/// True if this process was started as one of several by mpirun or srun (from the launcher's environment;
/// MPI is not initialised). Throws Error when a Slurm step has several tasks but no PMI reached this process,
/// naming `srun --mpi=pmix` and `mpirun`.
bool started_as_one_of_several();

/// Initialises MPI (only call where started_as_one_of_several) and forms the groups. Throws Error on every
/// rank alike if no group fits.
World open_world(int tensor_parallel);

/// What every rank of the world says, by rank. Collective over the world.
std::vector<std::uint8_t> exchange(std::uint8_t own);

/// Ends MPI. With `clean` false ends the whole world at once (MPI_Abort) with `exit_code`.
void close_world(bool clean, int exit_code);

/// "Open MPI v4.1.4 ..." without initialising MPI.
std::string mpi_library_version();

}  // namespace assize::comm
