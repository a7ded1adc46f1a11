#include <atomic>
#include <cstring>

#include "base/error.h"
#include "comm/comm.h"
#include "comm/sum_tree.h"

namespace assize::comm {

namespace {

using base::Error;
using base::ErrorKind;

class Alone final : public Comm {
 public:
  int rank() const override { return 0; }
  int size() const override { return 1; }
  void all_reduce_sum(std::span<float>) override {}
  void all_gather(std::span<const std::byte> own, std::span<std::byte> gathered) override {
    if (own.size() != gathered.size()) throw Error("all_gather: sizes do not match", ErrorKind::failed);
    if (!own.empty()) std::memcpy(gathered.data(), own.data(), own.size());
  }
  void broadcast(std::vector<std::byte>&) override {}
};

/// What the threads of a group share: a barrier and one published pointer a rank.
struct Shared {
  explicit Shared(int ranks) : size(ranks), data(ranks), bytes(ranks) {}

  const int size;
  std::vector<const void*> data;
  std::vector<std::size_t> bytes;
  std::atomic<int> arrived{0};
  /// Bit 0: a rank has left. The rest counts finished barriers (and may wrap round).
  std::atomic<std::uint32_t> generation{0};

  /// Waits for all ranks. Throws Error when one of them has left the group before it came here.
  void wait() {
    const std::uint32_t before = generation.load();
    if (before & 1) throw_closed();
    if (arrived.fetch_add(1) + 1 == size) {
      arrived.store(0);
      generation.fetch_add(2);
      generation.notify_all();
      return;
    }
    while (true) {
      const std::uint32_t now = generation.load();
      if (now >> 1 != before >> 1) return;
      if (now & 1) throw_closed();
      generation.wait(now);
    }
  }

  void close() {
    generation.fetch_or(1);
    generation.notify_all();
  }

  [[noreturn]] static void throw_closed() {
    throw Error("a rank of the worker group has left it", ErrorKind::failed);
  }
};

class InProcess final : public Comm {
 public:
  InProcess(std::shared_ptr<Shared> shared, int rank) : shared_(std::move(shared)), rank_(rank) {}
  ~InProcess() override { shared_->close(); }

  int rank() const override { return rank_; }
  int size() const override { return shared_->size; }

  void all_reduce_sum(std::span<float> values) override {
    publish(values.data(), values.size_bytes());
    check_equal_sizes("all_reduce_sum");
    sum_.resize(values.size());
    sum_tree(reinterpret_cast<const float* const*>(shared_->data.data()), size(), values.size(), sum_.data());
    shared_->wait();  // every rank has read the published values
    if (!values.empty()) std::memcpy(values.data(), sum_.data(), values.size_bytes());
  }

  void all_gather(std::span<const std::byte> own, std::span<std::byte> gathered) override {
    publish(own.data(), own.size());
    check_equal_sizes("all_gather");
    if (gathered.size() != own.size() * static_cast<std::size_t>(size())) {
      throw Error("all_gather: sizes do not match", ErrorKind::failed);
    }
    for (int r = 0; r < size() && !own.empty(); ++r) {
      std::memcpy(gathered.data() + static_cast<std::size_t>(r) * own.size(), shared_->data[r], own.size());
    }
    shared_->wait();
  }

  void broadcast(std::vector<std::byte>& bytes) override {
    publish(bytes.data(), bytes.size());
    if (rank_ != 0) {
      const auto* from = static_cast<const std::byte*>(shared_->data[0]);
      bytes.assign(from, from + shared_->bytes[0]);
    }
    shared_->wait();
  }

 private:
  void publish(const void* data, std::size_t bytes) {
    shared_->data[static_cast<std::size_t>(rank_)] = data;
    shared_->bytes[static_cast<std::size_t>(rank_)] = bytes;
    shared_->wait();
  }

  void check_equal_sizes(const char* call) const {
    for (std::size_t other : shared_->bytes) {
      if (other != shared_->bytes[0]) throw Error(std::string(call) + ": ranks disagree on the size", ErrorKind::failed);
    }
  }

  std::shared_ptr<Shared> shared_;
  int rank_;
  std::vector<float> sum_;
};

}  // namespace

std::unique_ptr<Comm> make_alone() { return std::make_unique<Alone>(); }

std::vector<std::unique_ptr<Comm>> make_in_process(int size) {
  if (size != 1 && size != 2 && size != 4) {
    throw Error("tensor_parallel is " + std::to_string(size) + "; it must be 1, 2 or 4");
  }
  auto shared = std::make_shared<Shared>(size);
  std::vector<std::unique_ptr<Comm>> comms;
  for (int rank = 0; rank < size; ++rank) comms.push_back(std::make_unique<InProcess>(shared, rank));
  return comms;
}

}  // namespace assize::comm
