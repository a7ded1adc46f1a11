#pragma once

#include <string>

#include "cluster/group_counters.h"

namespace assize::throughput {

/// Measures what `threads` threads of this process can do together, in about a second: the best and the spread of
/// several repeats of fused multiply-adds in registers, and of reads of 128 MiB a thread. `instruction_set`: "avx2",
/// "avx512" or "" for the best there is. The best, since a ceiling that other work on the machine has lowered would
/// flatter the engine.
cluster::Ceiling measure_ceiling(int threads, const std::string& instruction_set);

}  // namespace assize::throughput
