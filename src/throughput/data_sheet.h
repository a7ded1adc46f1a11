#pragma once

#include <string>

namespace assize::throughput {

/// What the maker of a device promises.
struct DataSheet {
  double flop_per_second = 0;   ///< bf16 matrix products with fp32 sums, without sparsity; 0: unknown device
  double bytes_per_second = 0;  ///< device memory
};

/// The data sheet of a GPU by the name that its driver gives it ("NVIDIA H200"); zeros for one that is not known here.
DataSheet data_sheet(const std::string& gpu_name);

}  // namespace assize::throughput
