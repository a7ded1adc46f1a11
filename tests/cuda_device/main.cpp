#define CATCH_CONFIG_RUNNER
#include <cstdio>

#include "backend/cuda/backend.h"
#include "base/error.h"
#include "support/catch.h"

/// Runs the tests on the GPUs of this machine; exits with 77 where there is none.
int main(int argc, char** argv) {
  try {
    std::printf("%d GPUs\n", assize::backend::cuda::count_gpus());
  } catch (const assize::base::Error& error) {
    std::printf("skipped: %s\n", error.what());
    return 77;
  }
  return Catch::Session().run(argc, argv);
}
