#include "comm/link.h"

#include <time.h>

#include <algorithm>
#include <deque>
#include <mutex>

#include "base/error.h"

namespace assize::comm {

namespace {

/// Messages on their way to one end.
struct Mailbox {
  std::mutex mutex;
  std::deque<Message> messages;

  void put(Message message) {
    const std::lock_guard lock(mutex);
    messages.push_back(std::move(message));
  }
  std::optional<Message> take() {
    const std::lock_guard lock(mutex);
    if (messages.empty()) return std::nullopt;
    Message message = std::move(messages.front());
    messages.pop_front();
    return message;
  }
};

/// One end: what `poll` reads, and where a message to each peer goes with the sender's name on it.
class InProcessLink final : public Link {
 public:
  InProcessLink(std::shared_ptr<Mailbox> own, std::vector<std::shared_ptr<Mailbox>> peers, int name)
      : own_(std::move(own)), peers_(std::move(peers)), name_(name) {}

  void send(int peer, std::vector<std::byte> bytes) override {
    if (peer < 0 || static_cast<std::size_t>(peer) >= peers_.size()) {
      throw base::Error("no worker group " + std::to_string(peer), base::ErrorKind::failed);
    }
    peers_[static_cast<std::size_t>(peer)]->put({name_, std::move(bytes)});
  }
  std::optional<Message> poll() override { return own_->take(); }

 private:
  std::shared_ptr<Mailbox> own_;
  std::vector<std::shared_ptr<Mailbox>> peers_;
  int name_;
};

}  // namespace

std::pair<std::unique_ptr<Link>, std::vector<std::unique_ptr<Link>>> make_in_process_star(int groups) {
  auto hub = std::make_shared<Mailbox>();
  std::vector<std::shared_ptr<Mailbox>> boxes;
  std::vector<std::unique_ptr<Link>> leaders;
  for (int group = 0; group < groups; ++group) {
    boxes.push_back(std::make_shared<Mailbox>());
    leaders.push_back(std::make_unique<InProcessLink>(boxes.back(), std::vector{hub}, group));
  }
  return {std::make_unique<InProcessLink>(hub, std::move(boxes), 0), std::move(leaders)};
}

void Backoff::idle() {
  const timespec pause{0, sleep_ns_};
  ::nanosleep(&pause, nullptr);
  sleep_ns_ = std::min(sleep_ns_ * 2, 1'000'000L);
}

}  // namespace assize::comm
