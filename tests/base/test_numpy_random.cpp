#include "base/numpy_random.h"

#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "support/catch.h"
#include "support/paths.h"

TEST_CASE("NumPy's uniform numbers come out bit for bit") {
  std::ifstream file(assize::support::source_dir() + "/tests/golden/numpy_uniform.json");
  const auto golden = nlohmann::json::parse(file);
  const auto at = golden["at"].get<std::vector<std::size_t>>();
  for (const auto& draw : golden["draws"]) {
    assize::base::NumpyUniform random(draw["seed"].get<std::uint32_t>());
    std::vector<double> numbers;
    for (std::size_t i = 0; i <= at.back(); ++i) numbers.push_back(random.next());
    for (std::size_t i = 0; i < at.size(); ++i) {
      CHECK(numbers[at[i]] == std::strtod(draw["numbers"][i].get<std::string>().c_str(), nullptr));
    }
    std::string as_given;
    for (int i = 0; i < 64; ++i) as_given += numbers[static_cast<std::size_t>(i)] < 0.5 ? '1' : '0';
    CHECK(as_given == draw["first_as_given"].get<std::string>());
  }
}
