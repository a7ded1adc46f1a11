#pragma once

#include <string>
#include <vector>

namespace assize::comm {

/// Which ranks form which worker group.
struct Layout {
  std::vector<std::vector<int>> groups;  ///< world ranks of each group, in tensor-parallel order
  std::vector<int> unused;               ///< worker ranks left over
};

/// Forms groups of `tensor_parallel` from consecutive ranks of one node; rank 0 coordinates and is in none.
/// `node_of[rank]` is any number that is equal for ranks of one node.
Layout form_groups(const std::vector<int>& node_of, int tensor_parallel);

/// A rank among the workers of its node.
struct NodePlace {
  int workers = 0;  ///< ranks of the node without the coordinator
  int index = 0;    ///< of this rank among them
};

/// Where `rank` stands on its node; the coordinator (rank 0) gets index 0.
NodePlace place_on_node(const std::vector<int>& node_of, int rank);

/// "2 groups of 2 (node1: ranks 1-2, node2: ranks 4-5); left over: 3": one line for the log.
std::string describe(const Layout& layout, const std::vector<std::string>& host_of, int tensor_parallel);

}  // namespace assize::comm
