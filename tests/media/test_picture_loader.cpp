#include "media/picture_loader.h"

#include <atomic>
#include <future>
#include <thread>

#include "base/error.h"
#include "support/catch.h"

using namespace assize;
using media::ImagePatches;
using media::ImageSizing;
using media::PictureLoader;

namespace {

/// A picture of 100 bytes for each letter of the path; its first value tells the sizing.
ImagePatches made_up(const std::string& path, ImageSizing sizing) {
  if (path.empty()) throw base::Error("no path");
  ImagePatches patches;
  patches.values.assign(25 * path.size(), static_cast<float>(sizing.width_px));
  return patches;
}

void wait_for(PictureLoader& loader, const std::string& path) {
  while (!loader.ready(path, {})) std::this_thread::yield();
}

}  // namespace

TEST_CASE("a picture is loaded once while somebody waits for it or has it") {
  for (const int threads : {0, 1, 4}) {
    std::atomic<int> loads = 0;
    PictureLoader loader([&](const std::string& path, ImageSizing sizing) { return ++loads, made_up(path, sizing); }, threads, 1 << 20);
    for (int i = 0; i < 3; ++i) loader.expect("abc", {});
    loader.expect("abc", {7, 9});
    auto first = loader.take("abc", {});
    CHECK(first->values.size() == 75);
    CHECK(loader.take("abc", {}) == first);
    CHECK(loader.take("abc", {7, 9})->values[0] == 7);
    CHECK(loads == 2);
    loader.forget("abc", {});
    loader.expect("abc", {});
    CHECK(loader.ready("abc", {}));  // still had by somebody
    CHECK(loader.take("abc", {}) == first);
    CHECK(loads == 2);
    first.reset();
    loader.expect("abc", {});
    CHECK(loader.take("abc", {})->values.size() == 75);
    CHECK(loads == 3);
  }
}

TEST_CASE("everybody who takes a picture that cannot be loaded gets its error") {
  for (const int threads : {0, 2}) {
    std::atomic<int> loads = 0;
    PictureLoader loader([&](const std::string& path, ImageSizing sizing) { return ++loads, made_up(path, sizing); }, threads, 1 << 20);
    loader.expect("", {});
    loader.expect("", {});
    CHECK_THROWS_AS(loader.take("", {}), base::Error);
    CHECK_THROWS_AS(loader.take("", {}), base::Error);
    CHECK(loads == 1);
    loader.expect("", {});  // it may be there by now: read again
    CHECK_THROWS_AS(loader.take("", {}), base::Error);
    CHECK(loads == 2);
  }
}

TEST_CASE("no picture is loaded ahead of those that nobody has taken yet beyond the bytes for that") {
  std::atomic<int> loads = 0;
  PictureLoader loader([&](const std::string& path, ImageSizing sizing) { return ++loads, made_up(path, sizing); }, 1, 350);
  // 100, 200 and 300 bytes: the third begins while 300 are ahead, the fourth does not.
  for (const char* path : {"a", "bb", "ccc", "dddd", "eeeee"}) loader.expect(path, {});
  wait_for(loader, "ccc");
  CHECK_FALSE(loader.ready("dddd", {}));
  // The taker loads what has not begun, and what it takes is not ahead.
  CHECK(loader.take("eeeee", {})->values.size() == 125);
  CHECK(loads == 4);
  CHECK_FALSE(loader.ready("dddd", {}));
  loader.forget("ccc", {});
  loader.forget("bb", {});
  wait_for(loader, "dddd");
  CHECK(loads == 5);
  loader.take("a", {});
  loader.take("dddd", {});
}

TEST_CASE("a picture that is forgotten while it is loaded, or never taken, is let go") {
  std::weak_ptr<const ImagePatches> known;
  {
    std::promise<void> gate, begun;
    const auto open = gate.get_future().share();
    PictureLoader loader([&](const std::string& path, ImageSizing sizing) {
      if (path == "slow") begun.set_value(), open.wait();
      return made_up(path, sizing);
    }, 1, 1);
    loader.expect("slow", {});
    begun.get_future().wait();
    loader.forget("slow", {});
    loader.expect("next", {});
    gate.set_value();
    wait_for(loader, "next");  // the forgotten one does not count as ahead
    known = loader.take("next", {});
    CHECK(known.expired());
    loader.expect("next", {});
    loader.expect("after", {});
    wait_for(loader, "next");
  }
  CHECK(known.expired());
}

TEST_CASE("many pictures taken from several threads are the right ones") {
  PictureLoader loader(made_up, 3, 1000);
  const auto path_of = [](int i) { return std::string(static_cast<std::size_t>(1 + i % 17), 'x'); };
  for (int i = 0; i < 3000; ++i) loader.expect(path_of(i), {i % 5, 1});
  std::vector<std::thread> takers;
  std::atomic<int> right = 0;
  for (int taker = 0; taker < 3; ++taker) {
    takers.emplace_back([&, taker] {
      for (int i = taker; i < 3000; i += 3) {
        const auto picture = loader.take(path_of(i), {i % 5, 1});
        right += picture->values.size() == 25 * path_of(i).size() && picture->values[0] == static_cast<float>(i % 5);
      }
    });
  }
  for (auto& taker : takers) taker.join();
  CHECK(right == 3000);
}
