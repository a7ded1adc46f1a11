// Any bytes as a safetensors file: parsed or refused, and every view handed out is readable.
#include <cstdint>
#include <cstring>
#include <vector>

#include "base/error.h"
#include "tensor/safetensors.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::vector<std::uint64_t> aligned(size / 8 + 1);
  if (size) std::memcpy(aligned.data(), data, size);
  try {
    const std::span<const std::byte> file(reinterpret_cast<const std::byte*>(aligned.data()), size);
    unsigned sum = 0;
    for (const auto& tensor : assize::tensor::parse_safetensors(file, "fuzz"))
      for (std::size_t i = 0; i < tensor.bytes; ++i) sum += static_cast<unsigned>(tensor.data[i]);
    volatile unsigned sink = sum;
    (void)sink;
  } catch (const assize::base::Error&) {
  }
  return 0;
}
