#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace assize::text {

/// A stretch of a text.
struct Range {
  std::size_t begin_bytes = 0;
  std::size_t end_bytes = 0;
};

/// A regular expression of a pre-tokenizer: Oniguruma with Ruby syntax over UTF-8, as in the reference. Its
/// effort is bounded in proportion to the text. May be used from several threads.
class Regex {
 public:
  /// Throws Error with Oniguruma's reason. `where` names the place in the file.
  Regex(std::string_view pattern, const std::string& where);

  /// Appends all matches in `text` (valid UTF-8) from left to right. An empty match right after a match does
  /// not count. Throws Error (kind failed) when the limits on backtracking are exceeded.
  void find_all(std::string_view text, std::vector<Range>& matches) const;

 private:
  struct Compiled;
  std::shared_ptr<const Compiled> compiled_;
};

}  // namespace assize::text
