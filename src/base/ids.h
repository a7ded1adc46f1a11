#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/hash.h"

namespace assize::base {

/// The identity of one call of the judge. No rank, clock, batch or file order is ever part of it.
struct CallKey {
  std::string judge_id;
  std::string suite_id;
  std::string sample_id;
  std::string criterion;                    ///< empty where the protocol has one criterion
  std::vector<std::uint16_t> presentation;  ///< candidate indices in the order shown
  std::uint32_t vote = 0;                   ///< 0-based

  auto operator<=>(const CallKey&) const = default;
};

/// The 128-bit digest of a call key: the key in journals, leases and result files.
Hash128 digest(const CallKey& key);

/// "0-1" for candidates shown as 0 then 1.
std::string presentation_text(const std::vector<std::uint16_t>& presentation);

}  // namespace assize::base
