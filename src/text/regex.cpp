#include "text/regex.h"

#include <oniguruma.h>

#include <algorithm>
#include <mutex>
#include <optional>

#include "base/error.h"
#include "text/utf8.h"

namespace assize::text {

using base::Error;

namespace {

constexpr std::size_t kMaxPatternBytes = 8192;
constexpr unsigned kMaxStackEntries = 8u << 20;

const OnigUChar* uchars(std::string_view text) { return reinterpret_cast<const OnigUChar*>(text.data()); }

std::string message_of(int code, OnigErrorInfo* info) {
  OnigUChar buffer[ONIG_MAX_ERROR_MESSAGE_LEN];
  const int length = info ? onig_error_code_to_str(buffer, code, info) : onig_error_code_to_str(buffer, code);
  return std::string(reinterpret_cast<char*>(buffer), static_cast<std::size_t>(length));
}

}  // namespace

struct Regex::Compiled {
  OnigRegex regex = nullptr;
  std::string pattern;
  ~Compiled() {
    if (regex) onig_free(regex);
  }
};

Regex::Regex(std::string_view pattern, const std::string& where) {
  // Compiling touches tables that are global in Oniguruma; searching does not.
  static std::mutex compiling;
  const std::lock_guard lock(compiling);
  static const bool initialised = [] {
    OnigEncoding encodings[] = {ONIG_ENCODING_UTF8};
    onig_initialize(encodings, 1);
    onig_set_parse_depth_limit(256);
    onig_set_warn_func(onig_null_warn);
    onig_set_verb_warn_func(onig_null_warn);
    return true;
  }();
  (void)initialised;

  if (pattern.size() > kMaxPatternBytes) {
    throw Error(where + ": the regular expression has " + std::to_string(pattern.size()) +
                " bytes, more than the limit of " + std::to_string(kMaxPatternBytes));
  }
  auto compiled = std::make_shared<Compiled>();
  compiled->pattern = pattern;
  OnigErrorInfo info;
  const int code = onig_new(&compiled->regex, uchars(pattern), uchars(pattern) + pattern.size(),
                            ONIG_OPTION_NONE, ONIG_ENCODING_UTF8, ONIG_SYNTAX_RUBY, &info);
  if (code != ONIG_NORMAL) {
    compiled->regex = nullptr;
    throw Error(where + ": not a regular expression that Oniguruma reads (" + message_of(code, &info) + ")");
  }
  compiled_ = std::move(compiled);
}

void Regex::find_all(std::string_view text, std::vector<Range>& matches) const {
  struct Free {
    void operator()(OnigRegion* region) const { onig_region_free(region, 1); }
    void operator()(OnigMatchParam* param) const { onig_free_match_param(param); }
  };
  const std::unique_ptr<OnigRegion, Free> region(onig_region_new());
  const std::unique_ptr<OnigMatchParam, Free> limits(onig_new_match_param());
  if (!region || !limits) throw std::bad_alloc();
  onig_initialize_match_param(limits.get());
  // The patterns of the families we read need a few retries per byte (a run of blanks is read at most four
  // times).
  onig_set_match_stack_limit_size_of_match_param(limits.get(), kMaxStackEntries);
  onig_set_retry_limit_in_match_of_match_param(limits.get(), 100000 + 64 * text.size());
  onig_set_retry_limit_in_search_of_match_param(limits.get(), 1000000 + 256 * text.size());

  const OnigUChar* const begin = uchars(text);
  const OnigUChar* const end = begin + text.size();
  std::size_t from = 0;
  std::optional<std::size_t> last_end;  // of the last match that counts
  while (from <= text.size()) {
    const int code = onig_search_with_param(compiled_->regex, begin, end, begin + from, end, region.get(),
                                            ONIG_OPTION_NONE, limits.get());
    if (code == ONIG_MISMATCH) return;
    if (code < 0) {
      throw Error("the pre-tokenizer's regular expression gave up on a text of " +
                      std::to_string(text.size()) + " bytes (" + message_of(code, nullptr) + ")",
                  base::ErrorKind::failed);
    }
    // \K in a lookaround can report a beginning outside of [from, end of match].
    const auto match_end = std::max(static_cast<std::size_t>(region->end[0]), from);
    const auto match_begin = std::clamp(static_cast<std::size_t>(region->beg[0]), from, match_end);
    if (match_begin == match_end && last_end == match_end) {
      from += from < text.size() ? decode_utf8(text.substr(from)).bytes : 1;
      continue;
    }
    matches.push_back({match_begin, match_end});
    from = match_end;
    last_end = match_end;
  }
}

}  // namespace assize::text
