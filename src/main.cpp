#include <cstdio>
#include <exception>

#include "base/error.h"
#include "cli.h"

int main(int argc, char** argv) {
  try {
    return assize::cli::run(assize::cli::parse(argc, argv));
  } catch (const assize::base::Error& error) {
    std::fprintf(stderr, "assize: %s\n", error.what());
    return error.kind() == assize::base::ErrorKind::usage ? 2 : 1;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "assize: %s\n", error.what());
    return 1;
  }
}
