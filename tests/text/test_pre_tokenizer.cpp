#include <map>
#include <random>

#include "support/catch.h"
#include "text/bpe.h"
#include "text/pre_tokenizer.h"

using namespace assize::text;

namespace {

using Pieces = std::vector<std::string_view>;

Pieces split(std::string_view text, const char* pattern, SplitBehavior behavior,
             SplitInvert invert = SplitInvert::no) {
  Pieces pieces;
  pre_tokenize({RegexSplit{Regex(pattern, "test"), behavior, invert}}, text, pieces);
  return pieces;
}

}  // namespace

TEST_CASE("splits keep, drop or join what they find") {
  CHECK(split("a1 22b", "\\d", SplitBehavior::isolated) == Pieces{"a", "1", " ", "2", "2", "b"});
  CHECK(split("a1 22b", "\\d", SplitBehavior::removed) == Pieces{"a", " ", "b"});
  CHECK(split("a1 22b", "\\d", SplitBehavior::contiguous) == Pieces{"a", "1", " ", "22", "b"});
  CHECK(split("a1 22b", "\\d", SplitBehavior::removed, SplitInvert::yes) == Pieces{"1", "2", "2"});
  CHECK(split("", "\\d", SplitBehavior::isolated).empty());
  CHECK(split("ab", "x*", SplitBehavior::isolated) == Pieces{"a", "b"});  // empty matches between characters
  CHECK(split("\u4e2d\u6587", "x*", SplitBehavior::isolated) == Pieces{"\u4e2d", "\u6587"});
}

TEST_CASE("digits are apart, one by one or in runs") {
  Pieces pieces;
  pre_tokenize({DigitSplit{SplitBehavior::isolated}}, "a12\u00bdb\u0664", pieces);
  CHECK(pieces == Pieces{"a", "1", "2", "\u00bd", "b", "\u0664"});
  pre_tokenize({DigitSplit{SplitBehavior::contiguous}}, "a12\u00bdb\u0664", pieces);
  CHECK(pieces == Pieces{"a", "12\u00bd", "b", "\u0664"});
}

TEST_CASE("each step works on the pieces of the one before") {
  Pieces pieces;
  pre_tokenize({DigitSplit{}, RegexSplit{Regex("\\s+(?!\\S)|\\s+", "test")}}, "a  1  b", pieces);
  // Blanks before the digit end their piece, so the look-ahead sees the end of a text there.
  CHECK(pieces == Pieces{"a", "  ", "1", " ", " ", "b"});
}

TEST_CASE("merges equal the plain definition: lowest rank first, leftmost of equals") {
  std::mt19937 random(3);
  for (int round = 0; round < 200; ++round) {
    // Random rules over three letters; ids 256 onwards.
    std::vector<MergeRule> rules;
    std::vector<std::int32_t> symbols{'a', 'b', 'c'};
    std::map<std::pair<std::int32_t, std::int32_t>, std::size_t> rank;
    for (std::int32_t merged = 256; merged < 264; ++merged) {
      const std::int32_t left = symbols[random() % symbols.size()],
                         right = symbols[random() % symbols.size()];
      if (!rank.emplace(std::pair(left, right), rules.size()).second) continue;
      rules.push_back({left, right, merged});
      symbols.push_back(merged);
    }
    std::array<std::int32_t, 256> byte_ids;
    for (std::int32_t b = 0; b < 256; ++b) byte_ids[static_cast<std::size_t>(b)] = b == 'x' ? -1 : b;
    const Bpe bpe(byte_ids, rules);
    std::string text;
    for (unsigned i = 0; i < 1 + random() % 90; ++i) text += "abcx"[random() % 4];

    std::vector<std::int32_t> expected;
    for (const char c : text) {
      if (c != 'x') expected.push_back(c);
    }
    while (true) {
      std::size_t best = rules.size(), at = 0;
      for (std::size_t i = 0; i + 1 < expected.size(); ++i) {
        const auto found = rank.find({expected[i], expected[i + 1]});
        if (found != rank.end() && found->second < best) best = found->second, at = i;
      }
      if (best == rules.size()) break;
      expected[at] = rules[best].merged;
      expected.erase(expected.begin() + static_cast<std::ptrdiff_t>(at) + 1);
    }
    std::vector<std::int32_t> ids;
    bpe.encode(text, ids);
    CHECK(ids == expected);
    ids.clear();
    bpe.encode(text, ids);  // from the cache
    CHECK(ids == expected);
  }
}
