#include "media/picture_loader.h"

#include <utility>

namespace assize::media {

PictureLoader::PictureLoader(Load load, int threads, std::size_t ahead_bytes) : load_(std::move(load)), ahead_bytes_(ahead_bytes) {
  for (int thread = 0; thread < threads; ++thread) threads_.emplace_back([this] { work(); });
}

PictureLoader::~PictureLoader() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void PictureLoader::expect(const std::string& path, ImageSizing sizing) {
  const Key key{path, sizing.width_px, sizing.height_px};
  {
    const std::lock_guard lock(mutex_);
    Entry& entry = entries_[key];
    if (++entry.expected > 1) return;
    entry.picture = entry.known.lock();
    if (entry.state == State::loading) return;
    entry.state = entry.picture ? State::loaded : State::waiting;
    if (entry.picture) return;
    queue_.push_back(key);
  }
  changed_.notify_all();
}

bool PictureLoader::ready(const std::string& path, ImageSizing sizing) {
  const std::lock_guard lock(mutex_);
  return entries_.at({path, sizing.width_px, sizing.height_px}).state == State::loaded;
}

PictureLoader::Picture PictureLoader::take(const std::string& path, ImageSizing sizing) {
  const Key key{path, sizing.width_px, sizing.height_px};
  std::unique_lock lock(mutex_);
  Entry& entry = entries_.at(key);
  if (entry.state == State::waiting) load(key, lock);
  changed_.wait(lock, [&] { return entry.state == State::loaded; });
  Picture picture = entry.picture;
  const std::exception_ptr error = entry.error;
  // Whoever has it keeps it now: it is no longer ahead.
  bytes_ -= std::exchange(entry.bytes, 0);
  release(key, entry);
  lock.unlock();
  changed_.notify_all();
  if (error) std::rethrow_exception(error);
  return picture;
}

void PictureLoader::forget(const std::string& path, ImageSizing sizing) {
  const Key key{path, sizing.width_px, sizing.height_px};
  {
    const std::lock_guard lock(mutex_);
    release(key, entries_.at(key));
  }
  changed_.notify_all();
}

/// One `expect` less.
void PictureLoader::release(const Key& key, Entry& entry) {
  if (--entry.expected > 0 || entry.state == State::loading) return;
  bytes_ -= entry.bytes;
  entry.bytes = 0;
  entry.picture.reset();
  entry.error = nullptr;
  if (entry.known.expired()) entries_.erase(key);
  if (entries_.size() < tidy_at_) return;
  std::erase_if(entries_, [](const auto& e) { return e.second.expected == 0 && e.second.state != State::loading && e.second.known.expired(); });
  tidy_at_ = 2 * entries_.size() + 1024;
}

/// Loads a waiting picture; `lock` is open meanwhile.
void PictureLoader::load(const Key& key, std::unique_lock<std::mutex>& lock) {
  Entry& entry = entries_.at(key);
  entry.state = State::loading;
  lock.unlock();
  Picture picture;
  std::exception_ptr error;
  try {
    const auto& [path, width, height] = key;
    picture = std::make_shared<const ImagePatches>(load_(path, {width, height}));
  } catch (...) {
    error = std::current_exception();
  }
  lock.lock();
  entry.state = State::loaded;
  entry.known = picture;
  entry.error = error;
  entry.bytes = picture ? picture->values.size() * sizeof(float) : 0;
  entry.picture = std::move(picture);
  bytes_ += entry.bytes;
  if (entry.expected == 0) {
    ++entry.expected;  // forgotten meanwhile
    release(key, entry);
  }
  changed_.notify_all();
}

void PictureLoader::work() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [&] { return stop_ || (!queue_.empty() && bytes_ < ahead_bytes_); });
    if (stop_) return;
    const Key key = std::move(queue_.front());
    queue_.pop_front();
    const auto found = entries_.find(key);
    // It may have been taken or forgotten before its turn.
    if (found != entries_.end() && found->second.expected > 0 && found->second.state == State::waiting) load(key, lock);
  }
}

}  // namespace assize::media
