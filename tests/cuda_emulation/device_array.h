#pragma once

#include <cstring>
#include <functional>
#include <vector>

#include "kernels/cuda/types.h"
#include "support/catch.h"

#ifdef ASSIZE_CUDA_EMULATION
#include "tests/cuda_emulation/machine.h"
#else
#include <cuda_runtime_api.h>
#endif

/// Device memory for kernel tests: the same tests run on the emulated machine and, linked with what nvcc
/// compiled, on a GPU.
namespace assize::test {

/// An array of device memory of exactly its size.
template <class T>
class DeviceArray {
 public:
  explicit DeviceArray(const std::vector<T>& values) : size_(values.size()) {
#ifdef ASSIZE_CUDA_EMULATION
    data_ = static_cast<T*>(cuda_emulation::allocate(size_ * sizeof(T)));
    std::memcpy(data_, values.data(), size_ * sizeof(T));
#else
    REQUIRE(cudaMalloc(reinterpret_cast<void**>(&data_), size_ * sizeof(T) + 1) == cudaSuccess);
    REQUIRE(cudaMemcpy(data_, values.data(), size_ * sizeof(T), cudaMemcpyHostToDevice) == cudaSuccess);
#endif
  }
  /// Every byte 0xFF: NaN in every float format.
  explicit DeviceArray(std::size_t size) : DeviceArray(poison(size)) {}
  ~DeviceArray() {
#ifdef ASSIZE_CUDA_EMULATION
    cuda_emulation::release(data_);
#else
    cudaFree(data_);
#endif
  }
  DeviceArray(const DeviceArray&) = delete;
  DeviceArray& operator=(const DeviceArray&) = delete;

  T* data() { return data_; }
  std::size_t size() const { return size_; }

  std::vector<T> values() const {
    std::vector<T> copy(size_);
#ifdef ASSIZE_CUDA_EMULATION
    std::memcpy(copy.data(), data_, size_ * sizeof(T));
#else
    REQUIRE(cudaDeviceSynchronize() == cudaSuccess);
    REQUIRE(cudaMemcpy(copy.data(), data_, size_ * sizeof(T), cudaMemcpyDeviceToHost) == cudaSuccess);
#endif
    return copy;
  }

 private:
  static std::vector<T> poison(std::size_t size) {
    std::vector<T> values(size);
    std::memset(static_cast<void*>(values.data()), 0xff, size * sizeof(T));
    return values;
  }

  T* data_ = nullptr;
  std::size_t size_ = 0;
};

/// Runs `body` under schedules of the emulated machine: every order of threads with late and with early
/// copies, or (`few`) one of each. On a GPU and with PTX once.
inline void for_schedules(bool few, const std::function<void()>& body) {
#ifdef ASSIZE_CUDA_EMULATION
  using namespace cuda_emulation;
  if (is_intercepted()) return body();
  const Settings before = settings();
  for (const Order order : {Order::forward, Order::reverse, Order::random})
    for (const CopyTime copy_time : {CopyTime::late, CopyTime::early}) {
      if (few && (order == Order::reverse) != (copy_time == CopyTime::early)) continue;
      settings() = {order, 7, copy_time};
      INFO("order " << static_cast<int>(order) << ", copies "
                    << (copy_time == CopyTime::late ? "late" : "early"));
      body();
    }
  settings() = before;
#else
  (void)few;
  body();
#endif
}

inline kernels::cuda::Bf16 bf16(float value) {
  std::uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return static_cast<kernels::cuda::Bf16>((bits + 0x7fffu + (bits >> 16 & 1)) >> 16);
}

inline float number(kernels::cuda::Bf16 value) {
  const std::uint32_t bits = static_cast<std::uint32_t>(value) << 16;
  float result;
  std::memcpy(&result, &bits, sizeof result);
  return result;
}

inline std::vector<kernels::cuda::Bf16> bf16s(const std::vector<float>& values) {
  std::vector<kernels::cuda::Bf16> result;
  for (const float value : values) result.push_back(bf16(value));
  return result;
}

/// Half a unit in the last place of a bf16 that holds a value of this size, relative.
inline constexpr double kBf16Rounding = 1.0 / 256;

}  // namespace assize::test
