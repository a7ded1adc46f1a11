#pragma once

#include <string>

namespace assize::base {

/// Seconds of a clock that never jumps; only differences mean something.
double monotonic_seconds();

/// The time now in UTC, as "2026-11-26T10:30:00Z".
std::string utc_now();

}  // namespace assize::base
