#include "throughput/data_sheet.h"

namespace assize::throughput {

namespace {

struct Device {
  const char* name;
  DataSheet sheet;
};

// NVIDIA's product data sheets, "BFLOAT16 Tensor Core" (halved where the sheet gives it with sparsity) and "GPU memory
// bandwidth". Names as the driver gives them.
constexpr Device kDevices[] = {
    {"NVIDIA A100-PCIE-40GB", {312e12, 1555e9}},  {"NVIDIA A100-SXM4-40GB", {312e12, 1555e9}},
    {"NVIDIA A100 80GB PCIe", {312e12, 1935e9}},  {"NVIDIA A100-SXM4-80GB", {312e12, 2039e9}},
    {"NVIDIA A30", {165e12, 933e9}},              {"NVIDIA A10", {125e12, 600e9}},
    {"NVIDIA A40", {149.7e12, 696e9}},            {"NVIDIA L4", {121e12, 300e9}},
    {"NVIDIA L40S", {362e12, 864e9}},             {"NVIDIA H100 PCIe", {756e12, 2000e9}},
    {"NVIDIA H100 80GB HBM3", {989e12, 3350e9}},  {"NVIDIA H100 NVL", {835e12, 3900e9}},
    {"NVIDIA H200", {989e12, 4800e9}},            {"NVIDIA B200", {2250e12, 8000e9}},
};

}  // namespace

DataSheet data_sheet(const std::string& gpu_name) {
  for (const Device& device : kDevices) {
    if (gpu_name == device.name) return device.sheet;
  }
  return {};
}

}  // namespace assize::throughput
