#include <nlohmann/json.hpp>

#include "base/file.h"
#include "support/catch.h"
#include "support/paths.h"
#include "support/tiny_models.h"

using namespace assize;

namespace {
/// `checksum` of tools/golden/tiny_models.py.
std::string checksum(const std::string& data) {
  std::uint64_t sum = 0;
  for (std::uint64_t i = 0; i < data.size(); ++i) {
    sum += (static_cast<unsigned char>(data[i]) + std::uint64_t{1}) * (i * 0x9E3779B97F4A7C15ull + 1);
  }
  char text[17];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(sum));
  return text;
}
}  // namespace

TEST_CASE("tiny judges are the same bytes as the ones the Python script writes") {
  const auto golden =
      nlohmann::json::parse(base::read_file(support::source_dir() + "/tests/golden/model_files.json"));
  using support::TinyKind;
  for (const TinyKind kind : {TinyKind::llama, TinyKind::llama3, TinyKind::qwen2, TinyKind::qwen2_5_vl}) {
    const support::TemporaryFolder folder;
    support::write_tiny_model(kind, folder.path());
    std::size_t files = 0;
    for (const auto& [file, expected] : golden.at(std::string(support::name(kind))).items()) {
      INFO(support::name(kind) << " " << file);
      CHECK(checksum(base::read_file(folder.path() / file)) == expected.get<std::string>());
      ++files;
    }
    for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(folder.path())) --files;
    CHECK(files == 0);
  }
}
