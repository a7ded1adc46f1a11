#include "engine/prefix_tree.h"

#include <algorithm>

#include "backend/backend.h"

namespace assize::engine {

using backend::kBlockTokens;

std::int32_t first_difference(const model::ModelInput& a, const model::ModelInput& b, std::int32_t from,
                              std::int32_t limit) {
  if (&a == &b) return limit;
  const std::size_t size_a = a.ids.size(), size_b = b.ids.size();
  limit = std::min<std::int32_t>(limit, static_cast<std::int32_t>(std::min(size_a, size_b)));
  std::int32_t at = from;
  while (at < limit && a.ids[at] == b.ids[at] && a.positions[at] == b.positions[at] &&
         a.positions[size_a + at] == b.positions[size_b + at] &&
         a.positions[2 * size_a + at] == b.positions[2 * size_b + at]) {
    ++at;
  }
  const std::size_t common_spans = std::min(a.media.size(), b.media.size());
  std::size_t k = 0;
  while (k < common_spans && a.media[k].begin_token == b.media[k].begin_token &&
         a.media[k].tokens == b.media[k].tokens && a.media[k].key == b.media[k].key) {
    ++k;
  }
  if (k < a.media.size()) at = std::min(at, std::max(from, a.media[k].begin_token));
  if (k < b.media.size()) at = std::min(at, std::max(from, b.media[k].begin_token));
  return at;
}

PrefixNode* PrefixTree::insert(std::shared_ptr<const model::ModelInput> input) {
  const auto length = static_cast<std::int32_t>(input->ids.size()) - 1;
  PrefixNode* node = &root_;
  while (node->end < length) {
    PrefixNode* next = nullptr;
    for (const auto& child : node->children) {
      // Without prefix sharing only a prompt that is equal as a whole is met, at a child of the root.
      if (!sharing_.prefixes && child->end != length) continue;
      const std::int32_t limit = std::min(child->end, length);
      const std::int32_t agree = first_difference(*child->input, *input, node->end, limit);
      if (agree == node->end || (!sharing_.prefixes && agree < length)) continue;
      next = agree < child->end ? split(child.get(), agree) : child.get();
      break;
    }
    node = next ? next : add_child(node, input, length);
  }
  // Without forks an equal prompt gets a last node of its own.
  if (!sharing_.forks && node->ending > 0 && node->parent) node = add_child(node->parent, input, length);
  ++node->ending;
  for (PrefixNode* n = node; n; n = n->parent) ++n->members;
  return node;
}

PrefixNode* PrefixTree::add_child(PrefixNode* parent, std::shared_ptr<const model::ModelInput> input,
                                  std::int32_t end) {
  auto child = std::make_unique<PrefixNode>();
  child->parent = parent;
  child->input = std::move(input);
  child->begin = parent->end;
  child->end = end;
  child->blocks.reserve(blocks_for(end) - child->begin / kBlockTokens);
  parent->children.push_back(std::move(child));
  return parent->children.back().get();
}

PrefixNode* PrefixTree::split(PrefixNode* node, std::int32_t at) {
  auto& place = *std::find_if(node->parent->children.begin(), node->parent->children.end(),
                              [&](const auto& child) { return child.get() == node; });
  auto upper = std::make_unique<PrefixNode>();
  upper->parent = node->parent;
  upper->input = node->input;
  upper->begin = node->begin;
  upper->end = at;
  upper->computed = std::min(node->computed, at - node->begin);
  upper->members = node->members;
  upper->admitted = node->admitted;
  upper->waiting = node->waiting;
  upper->planned_step = node->planned_step;
  upper->uses_parent_tail = node->uses_parent_tail;
  const std::int32_t lower_computed = node->computed - upper->computed;
  const std::int32_t first = node->begin / kBlockTokens;
  upper->blocks.reserve(blocks_for(at) - first);
  const auto kept = std::min<std::size_t>(node->blocks.size(), blocks_for(at) - first);
  upper->blocks.assign(node->blocks.begin(), node->blocks.begin() + kept);
  node->uses_parent_tail = false;
  if (lower_computed > 0) {
    // The block in which the border lies belongs to both; the lower part goes on in it.
    const bool inside_block = at % kBlockTokens != 0;
    if (inside_block) blocks_.add_reference(upper->blocks.back());
    upper->tail_in_use = node->uses_parent_tail = inside_block;
    node->blocks.erase(node->blocks.begin(), node->blocks.begin() + (at / kBlockTokens - first));
  } else {
    for (std::size_t i = kept; i < node->blocks.size(); ++i) blocks_.release(node->blocks[i]);
    node->blocks.clear();
  }
  node->computed = lower_computed;
  node->begin = at;
  node->parent = upper.get();
  upper->children.push_back(std::move(place));
  place = std::move(upper);
  return place.get();
}

void PrefixTree::remove(PrefixNode* leaf) {
  --leaf->ending;
  for (PrefixNode* node = leaf; node;) {
    PrefixNode* parent = node->parent;
    if (--node->members == 0 && parent) {
      release_blocks(*node);
      auto& siblings = parent->children;
      siblings.erase(std::find_if(siblings.begin(), siblings.end(),
                                  [&](const auto& child) { return child.get() == node; }));
    }
    node = parent;
  }
}

std::int32_t PrefixTree::missing_blocks(const PrefixNode& node) {
  return blocks_for(node.end) - node.begin / kBlockTokens - static_cast<std::int32_t>(node.blocks.size());
}

std::int32_t PrefixTree::make_blocks(PrefixNode& node, std::int32_t tokens, std::vector<BlockCopy>& copies) {
  const std::int32_t first = node.begin / kBlockTokens;
  const std::int32_t wanted = blocks_for(node.begin + tokens) - first;
  while (static_cast<std::int32_t>(node.blocks.size()) < wanted) {
    const std::int32_t inside = node.blocks.empty() ? node.begin % kBlockTokens : 0;
    if (inside && !node.parent->tail_in_use) {
      node.parent->tail_in_use = node.uses_parent_tail = true;
      node.blocks.push_back(node.parent->blocks.back());
      blocks_.add_reference(node.blocks.back());
      continue;
    }
    const std::int32_t block = blocks_.take();
    if (block < 0) break;
    if (inside) copies.push_back({node.parent->blocks.back(), block, inside});
    node.blocks.push_back(block);
  }
  const auto end = (first + static_cast<std::int32_t>(node.blocks.size())) * kBlockTokens;
  return std::clamp(end - node.begin, 0, tokens);
}

void PrefixTree::write_table(const PrefixNode& node, std::int32_t tokens, std::vector<std::int32_t>& table) {
  std::int32_t limit = blocks_for(tokens);
  for (const PrefixNode* n = &node; n->parent; n = n->parent) {
    const std::int32_t first = n->begin / kBlockTokens;
    for (std::int32_t i = first; i < limit; ++i) table[i] = n->blocks[i - first];
    limit = std::min(limit, first);
  }
}

bool PrefixTree::reclaim_one() {
  PrefixNode* node = last_reclaimable(root_);
  if (!node) return false;
  release_blocks(*node);
  return true;
}

PrefixNode* PrefixTree::last_reclaimable(PrefixNode& node) {
  for (std::size_t i = node.children.size(); i-- > 0;) {
    if (PrefixNode* found = last_reclaimable(*node.children[i])) return found;
  }
  if (node.blocks.empty() || node.admitted > 0) return nullptr;
  const bool needed = std::any_of(node.children.begin(), node.children.end(),
                                  [](const auto& child) { return !child->blocks.empty(); });
  return needed ? nullptr : &node;
}

void PrefixTree::release_blocks(PrefixNode& node) {
  for (const std::int32_t block : node.blocks) blocks_.release(block);
  node.blocks.clear();
  node.computed = 0;
  if (node.uses_parent_tail) node.parent->tail_in_use = false;
  node.uses_parent_tail = false;
}

void PrefixTree::count(PrefixNode* leaf, std::int32_t admitted, std::int32_t waiting) {
  for (PrefixNode* node = leaf; node; node = node->parent) {
    node->admitted += admitted;
    node->waiting += waiting;
  }
}

}  // namespace assize::engine
