// What a coordinator costs: real coordinator, wire format, journal and link; the worker groups are emulated by one
// thread that answers at a given rate.
//
//   coordinator_load [GROUPS [JUDGEMENTS_PER_SECOND [SECONDS]]]     default: 256 groups, 20 a second each, 10 s
//
// Prints the processor time of the coordinator's thread as a share of one core. The link is the in-process one: over
// MPI its polling comes on top.
#include <time.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <filesystem>
#include <queue>
#include <string>
#include <thread>

#include "base/clock.h"
#include "base/log.h"
#include "base/noise.h"
#include "cluster/coordinator.h"
#include "cluster/judge.h"

namespace {

using namespace assize;

constexpr std::uint32_t kSlots = 32, kVotes = 5, kCalls = 2 * kVotes;

double thread_seconds() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

/// A sample of two orders and five votes with two kilobytes of text a prompt.
cluster::WorkItem make_item(std::uint64_t id) {
  cluster::WorkItem item;
  item.id = id;
  for (std::uint16_t first : {0, 1}) {
    cluster::WorkPrompt prompt;
    prompt.text.append(std::string(2000, static_cast<char>('a' + id % 26)), text::Trust::untrusted);
    item.prompts.push_back(prompt);
    for (std::uint32_t vote = 0; vote < kVotes; ++vote) {
      cluster::WorkCall call;
      call.key = {"judge", "suite", std::to_string(id), "", {first, static_cast<std::uint16_t>(1 - first)}, vote};
      call.prompt = first;
      call.noise_stream = base::noise_stream(1, base::digest(call.key));
      item.calls.push_back(call);
    }
  }
  return item;
}

/// All groups on one thread: each keeps its slots busy, a call takes slots / rate seconds, give or take a quarter.
void emulate(std::vector<std::unique_ptr<comm::Link>>& leaders, double rate) {
  struct Ending {
    double seconds;
    std::size_t group;
    results::Judgement judgement;
    bool operator>(const Ending& other) const { return seconds > other.seconds; }
  };
  std::priority_queue<Ending, std::vector<Ending>, std::greater<>> running;
  std::vector<std::deque<results::Judgement>> waiting(leaders.size());
  std::vector<std::uint32_t> busy(leaders.size());
  std::vector<double> told(leaders.size());
  const std::string text(1500, 't');
  std::size_t open = leaders.size();
  for (auto& leader : leaders) leader->send(0, cluster::encode(cluster::Hello{kSlots, "emulated", {}}));
  comm::Backoff backoff;
  while (open > 0) {
    const double now = base::monotonic_seconds();
    bool any = false;
    while (!running.empty() && running.top().seconds <= now) {
      Ending ending = running.top();
      running.pop();
      --busy[ending.group];
      ending.judgement.text = text;
      ending.judgement.token_ids.assign(300, 7);
      ending.judgement.status = results::Status::ok;
      leaders[ending.group]->send(0, cluster::encode(cluster::Alive{}));
      leaders[ending.group]->send(0, cluster::encode(cluster::Finished{std::move(ending.judgement)}));
      any = true;
    }
    for (std::size_t group = 0; group < leaders.size(); ++group) {
      if (!leaders[group]) continue;
      while (auto message = leaders[group]->poll()) {
        any = true;
        const cluster::Message decoded = cluster::decode(message->bytes);
        if (const auto* lease = std::get_if<cluster::Lease>(&decoded)) {
          for (const auto& call : lease->item.calls) waiting[group].push_back(cluster::failed_judgement(lease->item, call, ""));
        } else if (std::holds_alternative<cluster::Shutdown>(decoded)) {
          leaders[group]->send(0, cluster::encode(cluster::Bye{}));
          leaders[group].reset();
          --open;
          break;
        }
      }
      while (busy[group] < kSlots && !waiting[group].empty()) {
        const double spread = 0.75 + 0.5 * base::noise_uniform(group, static_cast<std::uint32_t>(running.size()), busy[group]);
        running.push({now + spread * kSlots / rate, group, std::move(waiting[group].front())});
        waiting[group].pop_front();
        ++busy[group];
      }
    }
    if (any) {
      backoff.busy();
    } else {
      backoff.idle();
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  const int groups = argc > 1 ? std::atoi(argv[1]) : 256;
  const double rate = argc > 2 ? std::atof(argv[2]) : 20, seconds = argc > 3 ? std::atof(argv[3]) : 10;
  if (groups < 1 || rate <= 0 || seconds <= 0 || argc > 4) {
    std::fprintf(stderr, "usage: coordinator_load [GROUPS [JUDGEMENTS_PER_SECOND [SECONDS]]]\n");
    return 2;
  }
  base::open_log("coordinator", "", base::LogLevel::warning);
  const auto items = static_cast<std::size_t>(groups * rate * seconds / kCalls) + 1;
  std::vector<cluster::PlannedItem> plan(items, {300.0f * kCalls, kCalls, 300, 0});
  const auto folder = std::filesystem::temp_directory_path() / ("assize-load-" + std::to_string(::time(nullptr)));
  std::filesystem::create_directories(folder);
  auto [link, leaders] = comm::make_in_process_star(groups);
  std::thread emulation([&leaders = leaders, rate] { emulate(leaders, rate); });
  double cpu_seconds = 0, wall_seconds = 0;
  {
    results::Journal journal(folder, "load: made up\n");
    cluster::CoordinatorSettings settings;
    settings.wait_for_all = true;
    const double cpu_begin = thread_seconds(), begin = base::monotonic_seconds();
    cluster::coordinate(*link, groups, plan, make_item, journal, settings);
    cpu_seconds = thread_seconds() - cpu_begin;
    wall_seconds = base::monotonic_seconds() - begin;
  }
  emulation.join();
  std::filesystem::remove_all(folder);
  const double judgements = static_cast<double>(items * kCalls);
  std::printf("%d groups, %.0f judgements in %.2f s (%.0f/s): the coordinator used %.2f s, %.1f us a judgement, %.1f %% of one core at %.0f "
              "judgements/s\n", groups, judgements, wall_seconds, judgements / wall_seconds, cpu_seconds, 1e6 * cpu_seconds / judgements,
              100 * cpu_seconds / judgements * groups * rate, groups * rate);
}
