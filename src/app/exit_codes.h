#pragma once

namespace assize::app {

/// Exit codes beside 0 (done), 1 (failed) and 2 (bad usage or bad job).
inline constexpr int kAboveLimit = 3;   ///< more bad answers than the job's `limits` allow
inline constexpr int kOutsideBand = 4;  ///< a figure lies outside its band (`compare --expect`)
inline constexpr int kStopped = 75;     ///< stopped before the end: the same command goes on

}  // namespace assize::app
