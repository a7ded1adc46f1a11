#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include "media/patches.h"

namespace assize::media {

/// Pictures read, decoded, resized and cut into patches on threads of its own, ahead of who needs them. A picture
/// (file and sizing) is loaded once as long as somebody waits for it or still has it. What is loaded does not depend on
/// the number of threads.
class PictureLoader {
 public:
  using Picture = std::shared_ptr<const ImagePatches>;
  /// Loads one picture, from several threads at once; what it throws is what `take` throws.
  using Load = std::function<ImagePatches(const std::string& path, ImageSizing sizing)>;

  /// With 0 threads a picture is loaded by `take`. No further load begins while patches that nobody has taken yet
  /// have `ahead_bytes` or more: at most one picture a thread comes on top.
  PictureLoader(Load load, int threads, std::size_t ahead_bytes);
  /// Ends after the loads that have begun.
  ~PictureLoader();
  PictureLoader(const PictureLoader&) = delete;
  PictureLoader& operator=(const PictureLoader&) = delete;

  /// The picture will be taken, or forgotten, once for each call of this.
  void expect(const std::string& path, ImageSizing sizing);
  /// Whether `take` of an expected picture would not wait.
  bool ready(const std::string& path, ImageSizing sizing);
  /// An expected picture; waits for it, or loads it now where that has not begun.
  Picture take(const std::string& path, ImageSizing sizing);
  /// Takes one `expect` back.
  void forget(const std::string& path, ImageSizing sizing);

 private:
  using Key = std::tuple<std::string, int, int>;  ///< path, width and height of the sizing
  enum class State : std::uint8_t { waiting, loading, loaded };
  struct Entry {
    State state = State::waiting;
    int expected = 0;                        ///< times
    Picture picture;                         ///< loaded, while it is expected
    std::size_t bytes = 0;                   ///< of it, where it counts as ahead
    std::exception_ptr error;                ///< why it could not be loaded
    std::weak_ptr<const ImagePatches> known;  ///< loaded, while somebody has it
  };

  void work();
  void load(const Key& key, std::unique_lock<std::mutex>& lock);
  void release(const Key& key, Entry& entry);

  Load load_;
  std::size_t ahead_bytes_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<Key, Entry> entries_;
  std::deque<Key> queue_;  ///< to be loaded, in the order in which they were first expected
  std::size_t bytes_ = 0;  ///< loaded and not taken
  std::size_t tidy_at_ = 1024;  ///< entries
  bool stop_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace assize::media
