#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <set>
#include <vector>

#include "cluster/fake_judge.h"
#include "cluster/wire.h"
#include "comm/link.h"

namespace assize::support {

/// Worker groups without threads: the coordinator's end of a star whose leaders work when they are polled. Time
/// runs only while nothing happens, 1 s at a look, so that leases end without waiting.
class SimulatedGroups final : public comm::Link {
 public:
  SimulatedGroups(int groups, const cluster::FakeTable& table) {
    for (int group = 0; group < groups; ++group) {
      judges_.push_back(std::make_unique<cluster::FakeJudge>(table));
      inbox_.push_back({group, cluster::encode(cluster::Hello{judges_.back()->slots(), "simulated"})});
    }
  }

  /// The group never works nor answers again.
  void freeze(int group) { frozen_.insert(group); }
  /// Freezes the group that next takes item `id`, each time.
  void freeze_whoever_takes(std::uint64_t id) { deadly_item_ = id; }

  double seconds() const { return seconds_; }

  void send(int peer, std::vector<std::byte> bytes) override {
    const cluster::Message message = cluster::decode(bytes);
    if (const auto* lease = std::get_if<cluster::Lease>(&message)) {
      if (lease->item.id == deadly_item_) freeze(peer);
      judges_.at(static_cast<std::size_t>(peer))->submit(lease->item);
    } else if (const auto* drop = std::get_if<cluster::Drop>(&message)) {
      judges_.at(static_cast<std::size_t>(peer))->cancel(drop->call);
    } else if (!frozen_.contains(peer)) {
      inbox_.push_back({peer, cluster::encode(cluster::Bye{})});
    }
  }

  std::optional<comm::Message> poll() override {
    if (inbox_.empty()) {
      // Every second look at an empty inbox reports that nothing is there, so that the coordinator acts.
      rest_ = !rest_;
      if (rest_) return std::nullopt;
      work();
      if (inbox_.empty()) {
        seconds_ += 1;
        return std::nullopt;
      }
    }
    comm::Message message = std::move(inbox_.front());
    inbox_.pop_front();
    return message;
  }

 private:
  void work() {
    for (std::size_t group = 0; group < judges_.size(); ++group) {
      if (frozen_.contains(static_cast<int>(group))) continue;
      std::vector<results::Judgement> finished;
      judges_[group]->step(finished);
      for (auto& judgement : finished) {
        inbox_.push_back({static_cast<int>(group), cluster::encode(cluster::Finished{std::move(judgement)})});
      }
    }
  }

  std::vector<std::unique_ptr<cluster::FakeJudge>> judges_;
  std::deque<comm::Message> inbox_;
  std::set<int> frozen_;
  std::optional<std::uint64_t> deadly_item_;
  double seconds_ = 0;
  bool rest_ = false;
};

}  // namespace assize::support
