// The last byte chooses protocol, dialect and form, the rest is a judge's text; and, split at the first zero
// byte, a pattern of a prompt file and a text. A verdict that is read has a choice or finite scores, one that
// is not a reason.
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "base/error.h"
#include "verdict/pattern.h"
#include "verdict/verdict.h"

using namespace assize::verdict;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const unsigned pick = size ? data[size - 1] : 0;
  const auto protocol = static_cast<Protocol>(pick % 4);
  const int count = protocol == Protocol::score ? 1 : protocol == Protocol::rank ? 3 : 2;
  const char* const dialects[] = {"strict", "paper", "repo"};
  const char* const forms[] = {"scores", "label", "choice"};
  auto profile = make_profile(dialects[pick / 4 % 3], forms[pick / 12 % 3], 1, 10);
  profile.repo = static_cast<RepoRule>(pick / 36 % 5);
  const std::uint16_t reversed[] = {2, 1, 0};
  const auto shown = std::span(reversed).last(static_cast<std::size_t>(count));
  const auto verdict = read_verdict(text, protocol, count, shown, profile);
  if (verdict.ok() == !verdict.reason.empty() || !std::isfinite(verdict.value)) std::abort();
  if (verdict.ok() && protocol != Protocol::score && verdict.choice.empty()) std::abort();

  const std::size_t zero = text.find('\0');
  if (zero == std::string_view::npos) return 0;
  try {
    const Pattern pattern(text.substr(0, zero));
    for (const auto& match : pattern.find_all(text.substr(zero + 1))) {
      if (match.begin > match.end || match.end > size) std::abort();
    }
  } catch (const assize::base::Error&) {
  }
  return 0;
}
