#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "text/regex.h"

namespace assize::text {

/// An entry of added_tokens in tokenizer.json.
struct AddedToken {
  std::int32_t id = 0;
  std::string content;
  bool special = false;      ///< skipped on decoding when asked
  bool single_word = false;  ///< only where no word character touches it
  bool lstrip = false;       ///< takes the white space before it
  bool rstrip = false;       ///< takes the white space after it
  bool normalized = false;   ///< is looked for in the normalised text
};

/// An added token found in a text, with the white space that it takes.
struct AddedMatch {
  Range range;
  std::int32_t id = 0;
};

/// Finds added tokens, the longest at each place from left to right.
class AddedTokenMatcher {
 public:
  explicit AddedTokenMatcher(std::vector<AddedToken> tokens);

  bool empty() const { return tokens_.empty(); }
  /// Matches in `text` (valid UTF-8) that lie completely inside one of the `trusted` ranges, which are sorted
  /// and apart from each other. The white space that a token takes may lie outside of them.
  std::vector<AddedMatch> find(std::string_view text, std::span<const Range> trusted) const;

 private:
  std::vector<AddedToken> tokens_;            ///< sorted by first byte, longest first
  std::vector<std::uint32_t> first_of_byte_;  ///< 257: tokens that begin with byte b are [b], [b + 1])
};

}  // namespace assize::text
