#pragma once

namespace assize::cluster {

/// Seconds of a clock that never jumps; only differences mean something.
double monotonic_seconds();

}  // namespace assize::cluster
