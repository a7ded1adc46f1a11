#include "comm/layout.h"

#include <algorithm>

namespace assize::comm {

Layout form_groups(const std::vector<int>& node_of, int tensor_parallel) {
  Layout layout;
  std::vector<int> nodes;
  for (int node : node_of) {
    if (std::find(nodes.begin(), nodes.end(), node) == nodes.end()) nodes.push_back(node);
  }
  for (int node : nodes) {
    std::vector<int> ranks;
    for (std::size_t rank = 1; rank < node_of.size(); ++rank) {
      if (node_of[rank] == node) ranks.push_back(static_cast<int>(rank));
    }
    const auto size = static_cast<std::size_t>(tensor_parallel);
    std::size_t next = 0;
    for (; next + size <= ranks.size(); next += size) {
      layout.groups.emplace_back(ranks.begin() + static_cast<long>(next), ranks.begin() + static_cast<long>(next + size));
    }
    layout.unused.insert(layout.unused.end(), ranks.begin() + static_cast<long>(next), ranks.end());
  }
  return layout;
}

NodePlace place_on_node(const std::vector<int>& node_of, int rank) {
  NodePlace place;
  for (std::size_t other = 1; other < node_of.size(); ++other) {
    if (node_of[other] != node_of.at(static_cast<std::size_t>(rank))) continue;
    ++place.workers;
    place.index += static_cast<int>(other) < rank;
  }
  return place;
}

std::string describe(const Layout& layout, const std::vector<std::string>& host_of, int tensor_parallel) {
  const auto count = layout.groups.size();
  std::string text = std::to_string(count) + (count == 1 ? " group of " : " groups of ") + std::to_string(tensor_parallel);
  const char* separator = " (";
  for (const std::vector<int>& ranks : layout.groups) {
    text.append(separator).append(host_of[static_cast<std::size_t>(ranks.front())]);
    const char* before = ranks.size() == 1 ? ": rank " : ": ranks ";
    for (int rank : ranks) {
      text.append(before).append(std::to_string(rank));
      before = ",";
    }
    separator = "; ";
  }
  if (count) text += ")";
  if (!layout.unused.empty()) {
    text += "; left over, idle: rank";
    for (int rank : layout.unused) text.append(" ").append(std::to_string(rank));
  }
  return text;
}

}  // namespace assize::comm
