#include "cluster/worker.h"

#include <sys/resource.h>

#include <algorithm>
#include <deque>
#include <map>
#include <memory>
#include <unordered_map>

#include "base/broken.h"
#include "base/clock.h"
#include "base/log.h"
#include "results/spool.h"

namespace assize::cluster {

namespace {

/// The judge of a group of one, with its failures kept to the items that cause them: after an exception,
/// everything unfinished is judged again item by item, and an item that throws alone is given up.
class IsolatingJudge final : public Judge {
 public:
  explicit IsolatingJudge(Judge& judge) : judge_(judge) {}

  void submit(const WorkItem& item) override {
    for (const WorkCall& call : item.calls) item_of_[base::digest(call.key)] = item.id;
    open_[item.id] = item;
    if (one_by_one_) {
      waiting_.push_back(item.id);
      return;
    }
    try {
      judge_.submit(item);
    } catch (const std::exception& error) {
      isolate(error.what());
    }
  }

  bool step(std::vector<results::Judgement>& finished) override {
    const std::size_t before = finished.size();
    try {
      if (one_by_one_ && judge_.unfinished() == 0) submit_next();
      judge_.step(finished);
    } catch (const base::Broken&) {
      throw;
    } catch (const std::exception& error) {
      recover(error.what(), before, finished);
    }
    for (std::size_t i = before; i < finished.size(); ++i) forget(base::digest(finished[i].key));
    return !open_.empty();
  }

  void cancel(const base::Hash128& call) override {
    judge_.cancel(call);
    forget(call);
  }

  void cancel_all() override {
    judge_.cancel_all();
    open_.clear();
    item_of_.clear();
    waiting_.clear();
    one_by_one_ = false;
  }
  std::size_t unfinished() const override { return item_of_.size(); }
  engine::EngineCounters counters() const override { return judge_.counters(); }
  std::uint32_t slots() const override { return judge_.slots(); }
  Ceiling ceiling() const override { return judge_.ceiling(); }

 private:
  /// After a step that failed and had finished the judgements from `before` on.
  void recover(const std::string& reason, std::size_t before, std::vector<results::Judgement>& finished) {
    if (one_by_one_) return give_up(reason, finished);
    for (std::size_t i = before; i < finished.size(); ++i) forget(base::digest(finished[i].key));
    isolate(reason);
  }

  void isolate(const std::string& reason) {
    base::log(base::LogLevel::warning, "the judge failed (" + reason + "); its items are judged again one by one");
    judge_.cancel_all();
    one_by_one_ = true;
    waiting_.clear();
    for (const auto& [id, item] : open_) waiting_.push_back(id);
  }

  void submit_next() {
    if (waiting_.empty()) {
      one_by_one_ = false;
      return;
    }
    current_ = waiting_.front();
    waiting_.pop_front();
    judge_.submit(open_.at(current_));
  }

  void give_up(const std::string& reason, std::vector<results::Judgement>& finished) {
    judge_.cancel_all();
    const auto item = open_.find(current_);
    if (item == open_.end()) return;
    for (const WorkCall& call : item->second.calls) {
      const auto same = [&](const results::Judgement& judgement) { return judgement.key == call.key; };
      if (std::any_of(finished.begin(), finished.end(), same)) continue;
      finished.push_back(failed_judgement(item->second, call, "the judge failed: " + reason));
    }
  }

  void forget(const base::Hash128& digest) {
    const auto found = item_of_.find(digest);
    if (found == item_of_.end()) return;
    const auto item = open_.find(found->second);
    item_of_.erase(found);
    std::erase_if(item->second.calls, [&](const WorkCall& call) { return base::digest(call.key) == digest; });
    if (!item->second.calls.empty()) return;
    std::erase(waiting_, item->first);
    open_.erase(item);
  }

  Judge& judge_;
  std::map<std::uint64_t, WorkItem> open_;                    ///< with their unfinished calls only
  std::unordered_map<base::Hash128, std::uint64_t> item_of_;  ///< of unfinished calls
  bool one_by_one_ = false;
  std::deque<std::uint64_t> waiting_;  ///< items to be judged alone
  std::uint64_t current_ = 0;
};

/// Tells the watchdog what this rank does.
void begin(const WorkerSettings& settings, const char* phase) {
  if (settings.watchdog) settings.watchdog->begin(phase);
}
void rest(const WorkerSettings& settings) {
  if (settings.watchdog) settings.watchdog->rest();
}

void carry_out(const StepOrder& order, Judge& judge) {
  for (const WorkItem& item : order.items) judge.submit(item);
  for (const base::Hash128& call : order.drops) judge.cancel(call);
}

void follow(comm::Comm& group, Judge& judge, const WorkerSettings& settings) {
  std::vector<std::byte> bytes;
  std::vector<results::Judgement> finished;
  bool lost = false;
  while (true) {
    begin(settings, "waiting for the next step of its leader");
    group.broadcast(bytes);
    begin(settings, "a step of the judge");
    const StepOrder order = decode_step_order(bytes);
    if (order.next == StepOrder::Next::leave) return;
    if (lost) continue;  // the leader's exchange with this rank fails, then it says leave
    try {
      carry_out(order, judge);
      finished.clear();
      judge.step(finished);
    } catch (const base::Broken& error) {
      base::log(base::LogLevel::error, std::string(error.what()) + "; this rank works no more, and its group will be taken out");
      lost = true;
    }
  }
}

/// Peak resident size of this process.
std::uint64_t peak_memory_bytes() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return static_cast<std::uint64_t>(usage.ru_maxrss) * 1024;
}

/// What a leader has finished, on its disk before it is on its way.
class LeaderSpool {
 public:
  void open(const Welcome& welcome) {
    guarded([&] {
      group_ = welcome.group;
      spool_ = std::make_unique<results::Spool>(welcome.run_folder, welcome.identity, welcome.epoch, welcome.group);
    });
  }
  void append(results::Judgement& judgement) {
    if (!spool_) return;
    judgement.group = group_;
    guarded([&] { spool_->append(judgement); });
  }
  void tick() {
    if (spool_) guarded([&] { spool_->tick(); });
  }

 private:
  template <class Action>
  void guarded(const Action& action) {
    try {
      action();
    } catch (const base::Error& error) {
      spool_.reset();
      base::log(base::LogLevel::warning, std::string(error.what()) + "; this group goes on without a spool: a crash would cost what is on its way to the coordinator");
    }
  }

  std::unique_ptr<results::Spool> spool_;
  int group_ = 0;
};

/// Messages of the coordinator that are there now, as the next order; calls `restart` where it asks for that.
template <class OnRestart>
StepOrder receive(comm::Link& link, LeaderSpool& spool, const OnRestart& restart) {
  StepOrder order;
  while (auto message = link.poll()) {
    Message decoded = decode(message->bytes);
    if (auto* lease = std::get_if<Lease>(&decoded)) {
      order.items.push_back(std::move(lease->item));
    } else if (const auto* drop = std::get_if<Drop>(&decoded)) {
      order.drops.push_back(drop->call);
    } else if (std::holds_alternative<Shutdown>(decoded)) {
      order.next = StepOrder::Next::leave;
    } else if (const auto* welcome = std::get_if<Welcome>(&decoded)) {
      spool.open(*welcome);
    } else if (std::holds_alternative<Restart>(decoded)) {
      restart();
    } else {
      throw base::Error("a message that only leaders send came from the coordinator", base::ErrorKind::failed);
    }
  }
  return order;
}

void lead(comm::Comm& group, comm::Link& link, Judge& judge, const WorkerSettings& settings) {
  const auto clock = settings.clock ? settings.clock : base::monotonic_seconds;
  double told_seconds = clock();
  double stepped_seconds = told_seconds;
  StepMeter meter(judge.slots());
  const auto restart = [&] {
    meter = StepMeter(judge.slots(), judge.counters());
    link.send(0, encode(Hello{judge.slots(), settings.about, judge.ceiling()}));
  };
  restart();
  comm::Backoff backoff;
  LeaderSpool spool;
  std::vector<results::Judgement> finished;
  while (true) {
    StepOrder order = receive(link, spool, restart);
    const bool leaving = order.next == StepOrder::Next::leave;
    const double waited = clock() - stepped_seconds;
    const bool may_idle = group.size() == 1 || (waited >= 0 && waited < settings.idle_step_seconds);
    if (!leaving && order.items.empty() && order.drops.empty() && judge.unfinished() == 0 && may_idle) {
      rest(settings);
      spool.tick();
      backoff.idle();
      continue;
    }
    if (!order.items.empty() || judge.unfinished() > 0) backoff.busy();
    begin(settings, "handing the next step to its group");
    std::vector<std::byte> bytes = encode(order);
    group.broadcast(bytes);
    if (leaving) {
      link.send(0, encode(Bye{}));
      return;
    }
    begin(settings, "a step of the judge");
    if (!order.items.empty()) meter.items_came(clock());
    carry_out(order, judge);
    finished.clear();
    const double began = clock();
    judge.step(finished);
    const double ended = clock();
    stepped_seconds = ended;
    meter.step(began, ended, judge.counters(), finished.size());
    for (results::Judgement& judgement : finished) spool.append(judgement);
    spool.tick();
    // Counters first: who has the last judgement of a run has all its counters.
    if (ended - told_seconds >= settings.alive_seconds || !finished.empty()) {
      GroupCounters counters = meter.counters();
      counters.unfinished_calls = judge.unfinished();
      counters.peak_memory_bytes = peak_memory_bytes();
      link.send(0, encode(Alive{counters}));
      told_seconds = ended;
    }
    for (results::Judgement& judgement : finished) link.send(0, encode(Finished{std::move(judgement)}));
  }
}

/// Waits for Shutdown: the other groups go on, and the end of this process would end the world.
void stay_out(comm::Link& link) {
  comm::Backoff backoff;
  while (true) {
    const auto message = link.poll();
    if (message && std::holds_alternative<Shutdown>(decode(message->bytes))) break;
    backoff.idle();
  }
  link.send(0, encode(Bye{}));
}

}  // namespace

void run_worker(comm::Comm& group, comm::Link* link, Judge& judge, const WorkerSettings& settings) {
  try {
    IsolatingJudge isolating(judge);
    if (!link) {
      follow(group, judge, settings);
    } else {
      lead(group, *link, group.size() > 1 ? judge : static_cast<Judge&>(isolating), settings);
    }
    rest(settings);
  } catch (const base::Broken& error) {
    if (!link) throw;
    link->send(0, encode(Fatal{error.what(), error.kind()}));
    rest(settings);
    // Whatever befell the others in this step, they come for their next order.
    std::vector<std::byte> bytes = encode(StepOrder{StepOrder::Next::leave, {}, {}});
    group.broadcast(bytes);
    stay_out(*link);
  } catch (const base::Error& error) {
    if (link) link->send(0, encode(Fatal{error.what(), error.kind()}));
    throw;
  } catch (const std::exception& error) {
    if (link) link->send(0, encode(Fatal{error.what(), base::ErrorKind::failed}));
    throw;
  }
}

}  // namespace assize::cluster
