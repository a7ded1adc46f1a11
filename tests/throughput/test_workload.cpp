#include <algorithm>
#include <cmath>
#include <set>

#include "media/image.h"
#include "base/noise.h"
#include "support/catch.h"
#include "support/temporary_folder.h"
#include "throughput/workload.h"

using namespace assize;

namespace {

std::size_t words(const std::string& text) { return static_cast<std::size_t>(std::count(text.begin(), text.end(), ' ')); }

suite::Suite made(const job::WorkloadSpec& spec, std::uint64_t seed = 1, const std::filesystem::path& media = {}) {
  return throughput::make_workload(spec, seed, 10, words, media);
}

}  // namespace

TEST_CASE("a made-up workload has the tokens that it was asked for") {
  job::WorkloadSpec spec;
  spec.prompt_groups = 20;
  spec.prompt_tokens = 200;
  spec.common_tokens = 60;
  const suite::Suite suite = made(spec);
  REQUIRE(suite.samples.size() == 20);
  CHECK(words(suite.prompt.system) == 60);
  std::set<std::string> questions;
  for (const auto& sample : suite.samples) {
    REQUIRE(sample.candidates.size() == 2);
    CHECK(words(sample.question) + words(sample.candidates[0].text) + words(sample.candidates[1].text) == 200 - 60 - 10);
    questions.insert(sample.question);
  }
  CHECK(questions.size() == 20);
  CHECK(made(spec).hash == suite.hash);
  CHECK(made(spec, 2).hash != suite.hash);
}

TEST_CASE("a made-up prompt too short for its frame still has a word in every place") {
  job::WorkloadSpec spec;
  spec.prompt_groups = spec.prompt_tokens = spec.common_tokens = 1;
  const suite::Suite suite = made(spec);
  CHECK(words(suite.samples[0].question) == 2);
  CHECK(words(suite.samples[0].candidates[1].text) == 1);
}

TEST_CASE("made-up pictures are decodable, of the wanted size, and another in each group") {
  const support::TemporaryFolder folder;
  job::WorkloadSpec spec;
  spec.prompt_groups = 3;
  spec.images = 2;
  spec.image_width_px = 40;
  spec.image_height_px = 30;
  const suite::Suite suite = made(spec, 1, folder.path() / "media");
  std::set<std::string> pictures;
  for (const auto& sample : suite.samples) {
    REQUIRE(sample.images.size() == 2);
    for (const auto& path : sample.images) {
      const media::Image image = media::decode_image(std::filesystem::path(path));
      CHECK(image.width_px == 40);
      CHECK(image.height_px == 30);
      pictures.insert(std::string(image.rgb.begin(), image.rgb.end()));
    }
  }
  CHECK(pictures.size() == 6);
  CHECK(suite.prompt.user.rfind("{image}", 0) == 0);
}

TEST_CASE("output lengths: fixed, or log-normal with the wanted mean and spread") {
  job::WorkloadSpec spec;
  spec.output_tokens = 90;
  CHECK(throughput::output_tokens(spec, 5, 1000) == 90);
  CHECK(throughput::output_tokens(spec, 5, 50) == 50);
  spec.output_sigma = 0.5;
  double sum = 0, logs = 0, squares = 0;
  constexpr int kCalls = 20000;
  for (int i = 0; i < kCalls; ++i) {
    const double tokens = throughput::output_tokens(spec, base::noise_stream(3, {static_cast<std::uint64_t>(i), 0}), 1 << 20);
    sum += tokens;
    logs += std::log(tokens);
    squares += std::log(tokens) * std::log(tokens);
  }
  CHECK(sum / kCalls == Approx(90).epsilon(0.02));
  CHECK(std::sqrt(squares / kCalls - logs * logs / kCalls / kCalls) == Approx(0.5).epsilon(0.03));
}
