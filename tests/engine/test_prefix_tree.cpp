#include "engine/prefix_tree.h"
#include "random_calls.h"
#include "support/catch.h"

using namespace assize;
using namespace assize::engine;

namespace {

std::shared_ptr<const model::ModelInput> prompt(const std::vector<std::int32_t>& ids) {
  RandomCalls::Prompt made;
  for (const std::int32_t id : ids) made.text(id);
  return made.input();
}

std::vector<std::int32_t> numbers(std::int32_t count, std::int32_t first = 0) {
  std::vector<std::int32_t> ids(count);
  for (std::int32_t i = 0; i < count; ++i) ids[i] = first + i;
  return ids;
}

/// `common` ids 0, 1, 2 … and then `own` others; one token more, which stays outside the tree.
std::shared_ptr<const model::ModelInput> branch(std::int32_t common, std::int32_t own,
                                                std::int32_t first_own) {
  auto ids = numbers(common);
  for (const std::int32_t id : numbers(own + 1, first_own)) ids.push_back(id);
  return prompt(ids);
}

/// Computes a node as far as blocks go.
void compute(PrefixTree& tree, PrefixNode& node, std::vector<BlockCopy>& copies) {
  node.computed = tree.make_blocks(node, node.end - node.begin, copies);
}

}  // namespace

TEST_CASE("prompts differ where an id, a position or a picture differs") {
  const auto a = prompt({1, 2, 3, 4});
  REQUIRE(first_difference(*a, *prompt({1, 2, 3, 4}), 0, 4) == 4);
  REQUIRE(first_difference(*a, *prompt({1, 2, 9, 4}), 0, 4) == 2);
  REQUIRE(first_difference(*a, *prompt({1, 2}), 0, 4) == 2);
  REQUIRE(first_difference(*a, *prompt({1, 2, 9, 4}), 0, 2) == 2);
  model::ModelInput moved = *prompt({1, 2, 3, 4});
  moved.positions[4 + 1] = 77;
  REQUIRE(first_difference(*a, moved, 0, 4) == 1);

  const auto with_picture = [](int number, int columns, int rows) {
    RandomCalls::Prompt prompt;
    prompt.text(1);
    prompt.image(RandomCalls::picture(number, columns, rows));
    prompt.text(2);
    return prompt.input();
  };
  REQUIRE(first_difference(*with_picture(1, 2, 2), *with_picture(1, 2, 2), 0, 6) == 6);
  REQUIRE(first_difference(*with_picture(1, 2, 2), *with_picture(2, 2, 2), 0, 6) == 1);
  REQUIRE(first_difference(*with_picture(1, 2, 2), *with_picture(1, 4, 1), 0, 6) == 1);
  // The same ids with and without a picture behind them.
  model::ModelInput plain = *with_picture(1, 2, 2);
  plain.media.clear();
  REQUIRE(first_difference(*with_picture(1, 2, 2), plain, 0, 6) == 1);
}

TEST_CASE("nodes split where prompts part and go with their last member") {
  KvBlocks blocks(100);
  PrefixTree tree(blocks, {});
  PrefixNode* a = tree.insert(branch(100, 50, 1000));
  PrefixNode* b = tree.insert(branch(100, 20, 2000));
  REQUIRE(a->parent == b->parent);
  REQUIRE(a->parent->begin == 0);
  REQUIRE(a->parent->end == 100);
  REQUIRE(a->parent->members == 2);
  REQUIRE(a->end == 150);
  REQUIRE(tree.insert(branch(100, 20, 2000)) == b);
  // A prompt that is the beginning of another ends inside the tree.
  PrefixNode* inner = tree.insert(branch(40, 0, 40));
  REQUIRE(inner->end == 40);
  REQUIRE(inner->members == 4);
  REQUIRE(a->parent->parent == inner);

  tree.remove(b);
  REQUIRE(b->members == 1);
  tree.remove(b);
  REQUIRE(a->parent->children.size() == 1);
  tree.remove(a);
  REQUIRE(inner->children.empty());
  tree.remove(inner);
  REQUIRE(tree.root().children.empty());
}

TEST_CASE("forks inside a block continue in place once and copy otherwise") {
  KvBlocks blocks(100);
  PrefixTree tree(blocks, {});
  std::vector<BlockCopy> copies;
  PrefixNode* a = tree.insert(branch(100, 50, 1000));
  PrefixNode* b = tree.insert(branch(100, 50, 2000));
  PrefixNode* common = a->parent;
  compute(tree, *common, copies);
  REQUIRE(common->complete());
  REQUIRE(blocks.in_use() == 2);
  compute(tree, *a, copies);
  REQUIRE(copies.empty());
  REQUIRE(blocks.in_use() == 3);  // the second block of 100 tokens, shared, and one more
  REQUIRE(a->blocks[0] == common->blocks[1]);
  compute(tree, *b, copies);
  REQUIRE(copies.size() == 1);
  REQUIRE(copies[0].from == common->blocks[1]);
  REQUIRE(copies[0].to == b->blocks[0]);
  REQUIRE(copies[0].tokens == 36);
  REQUIRE(blocks.in_use() == 5);

  std::vector<std::int32_t> table(3);
  PrefixTree::write_table(*b, 150, table);
  REQUIRE(table == std::vector<std::int32_t>{common->blocks[0], b->blocks[0], b->blocks[1]});
  PrefixTree::write_table(*a, 150, table);
  REQUIRE(table == std::vector<std::int32_t>{common->blocks[0], a->blocks[0], a->blocks[1]});

  tree.remove(a);
  REQUIRE(blocks.in_use() == 4);
  REQUIRE(!common->tail_in_use);
  tree.remove(b);
  REQUIRE(blocks.in_use() == 0);
}

TEST_CASE("a node that is split keeps what is computed on both sides") {
  for (const std::int32_t computed : {0, 10, 64, 90, 128, 150, 200}) {
    for (const std::int32_t at : {1, 63, 64, 65, 90, 128, 199}) {
      INFO("computed " << computed << ", split at " << at);
      KvBlocks blocks(100);
      PrefixTree tree(blocks, {});
      std::vector<BlockCopy> copies;
      PrefixNode* lower = tree.insert(branch(200, 0, 200));
      if (computed) lower->computed = tree.make_blocks(*lower, computed, copies);
      const std::int32_t in_use = blocks.in_use();
      const auto before = lower->blocks;
      PrefixNode* other = tree.insert(branch(at, 30, 5000));
      PrefixNode* upper = lower->parent;
      REQUIRE(upper == other->parent);
      REQUIRE(upper->computed == std::min(computed, at));
      REQUIRE(lower->computed == computed - upper->computed);
      REQUIRE(blocks.in_use() == in_use);
      compute(tree, *upper, copies);
      compute(tree, *lower, copies);
      compute(tree, *other, copies);
      REQUIRE(other->complete());
      REQUIRE(lower->complete());
      std::vector<std::int32_t> table(4), other_table((at + 30 + 63) / 64);
      PrefixTree::write_table(*lower, 200, table);
      REQUIRE(std::equal(before.begin(), before.end(), table.begin()));
      PrefixTree::write_table(*other, at + 30, other_table);
      REQUIRE(std::equal(table.begin(), table.begin() + at / 64, other_table.begin()));
      if (at % 64) REQUIRE(table[at / 64] != other_table[at / 64]);
      tree.remove(other);
      tree.remove(lower);
      REQUIRE(blocks.in_use() == 0);
    }
  }
}

TEST_CASE("prefixes that nobody computes on are reclaimed from the end") {
  KvBlocks blocks(100);
  PrefixTree tree(blocks, {});
  std::vector<BlockCopy> copies;
  PrefixNode* a = tree.insert(branch(64, 64, 1000));
  PrefixNode* b = tree.insert(branch(64, 64, 2000));
  for (PrefixNode* node : {a->parent, a, b}) compute(tree, *node, copies);
  PrefixTree::count(a, 1, 0);
  REQUIRE(tree.reclaim_one());
  REQUIRE(b->computed == 0);
  REQUIRE(a->complete());
  REQUIRE(!tree.reclaim_one());
  PrefixTree::count(a, -1, 0);
  REQUIRE(tree.reclaim_one());
  REQUIRE(a->computed == 0);
  REQUIRE(a->parent->complete());
  REQUIRE(tree.reclaim_one());
  REQUIRE(blocks.in_use() == 0);
}

TEST_CASE("sharing can be switched off for prefixes and for forks") {
  KvBlocks blocks(10);
  PrefixTree no_prefixes(blocks, {.prefixes = false, .forks = true});
  PrefixNode* a = no_prefixes.insert(branch(20, 5, 100));
  REQUIRE(no_prefixes.insert(branch(20, 5, 100)) == a);
  PrefixNode* b = no_prefixes.insert(branch(20, 5, 200));
  REQUIRE(b->begin == 0);
  PrefixTree no_forks(blocks, {.prefixes = true, .forks = false});
  a = no_forks.insert(branch(20, 5, 100));
  b = no_forks.insert(branch(20, 5, 200));
  PrefixNode* again = no_forks.insert(branch(20, 5, 100));
  REQUIRE(again != a);
  REQUIRE(again->parent == a->parent);
  REQUIRE(again->begin == 20);
}
