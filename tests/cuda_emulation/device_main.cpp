// The kernel tests on a GPU. Exits 77, which CTest shows as skipped, where there is none.
#include <cuda_runtime_api.h>

#include <cstdio>

#if __has_include(<catch2/catch_session.hpp>)
#include <catch2/catch_session.hpp>
#else
#define CATCH_CONFIG_RUNNER
#include <catch2/catch.hpp>
#endif

int main(int argc, char** argv) {
  int devices = 0;
  const cudaError_t error = cudaGetDeviceCount(&devices);
  if (error != cudaSuccess || devices == 0) {
    std::printf("no GPU: %s\n", error ? cudaGetErrorString(error) : "none is visible");
    return 77;
  }
  return Catch::Session().run(argc, argv);
}
