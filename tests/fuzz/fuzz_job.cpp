// YAML documents and settings as they come from users.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/error.h"
#include "job/tree.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto line = text.find('\n');
  try {
    assize::job::Tree tree = assize::job::parse_yaml(line == std::string_view::npos ? text : text.substr(line + 1), "fuzz.yaml");
    const std::string written = assize::job::to_yaml(tree);
    if (assize::job::to_yaml(assize::job::parse_yaml(written, "again.yaml")) != written) __builtin_trap();
    assize::job::apply_setting(tree, text.substr(0, line));
  } catch (const assize::base::Error&) {
  }
  return 0;
}
