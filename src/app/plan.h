#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "cluster/work_item.h"
#include "cluster/work_queue.h"
#include "job/job_spec.h"
#include "media/patches.h"
#include "suite/suite.h"
#include "text/chat.h"

namespace assize::app {

/// Everything a job asks: its suites with their samples, and how prompts are written for its judge.
struct Plan {
  job::JobSpec job;
  std::vector<suite::Suite> suites;
  text::ChatStyle chat;
};

/// Loads the suites of a job, ordered by id: results do not depend on the order in a file. Of a shard only its samples
/// are kept, and of an evaluation only suites that have some: by a hash of the sample's id, so that a suite that grows leaves them where
/// they were. Throws Error with every problem found, also where two suites have the same id, a suite's protocol has no
/// labels for `reading: likelihood`, or nothing is asked at all.
std::vector<suite::Suite> load_suites(const job::JobSpec& job);

/// The chat style of the job's judge: as the job says, else as the checkpoint's tokenizer says.
text::ChatStyle chat_style(const job::JudgeSpec& judge);

/// A job with its suites, or its made-up workload (pictures go to OUTPUT/media), and its chat style. Throws Error as
/// load_suites and chat_style do.
Plan make_plan(const job::JobSpec& job);

/// What a judge is shown of a sample, before orders are drawn at random: score, each candidate alone; pair and label, every two candidates; rank, all
/// of them. Candidates as given, and for `orders: both` also reversed where they are compared.
std::vector<std::vector<std::uint16_t>> presentations(verdict::Protocol protocol, int candidates, job::Orders orders);

/// The calls that a sample asks for: by criterion, in it by presentation, in it by vote.
std::vector<base::CallKey> call_keys(const Plan& plan, const suite::Suite& suite, const suite::Sample& sample);

/// Size to which the pictures of a suite are brought first: what the job says, else what the suite's profile says.
media::ImageSizing image_sizing(const job::JobSpec& job, const suite::Suite& suite);

/// The calls of a sample that differ in what the judge is shown: the first of every criterion and order.
std::vector<base::CallKey> prompts_shown(const Plan& plan, const suite::Suite& suite, const suite::Sample& sample);

/// Number of calls that the plan asks for, in all and of one suite: as many as call_keys gives, without making them
/// (adaptive voting may need fewer).
std::uint64_t count_calls(const Plan& plan);
std::uint64_t count_calls(const Plan& plan, const suite::Suite& suite);

/// One sample with calls that are outstanding.
struct OutstandingItem {
  std::uint32_t suite = 0;
  std::uint32_t sample = 0;
  std::vector<std::uint32_t> calls;  ///< places in call_keys, ascending
};

/// The calls that are not `done` yet, sample by sample in plan order.
std::vector<OutstandingItem> outstanding_items(const Plan& plan, const std::function<bool(base::Hash128)>& done);

/// An item for the work queue with its estimated work in generated-token equivalents; only the order of leases
/// depends on it.
cluster::PlannedItem planned_item(const Plan& plan, const OutstandingItem& item);

/// How the job wants items leased, and how long a group may be silent.
cluster::QueueSettings queue_settings(const job::JobSpec& job);

/// Makes work items from samples; remembers the hashes of picture files.
class ItemMaker {
 public:
  /// `attempt`: which attempt at a call this is (Journal::attempt); without it all are the first.
  explicit ItemMaker(const Plan& plan, std::function<std::uint32_t(base::Hash128)> attempt = {})
      : plan_(plan), attempt_(std::move(attempt)) {}

  /// The work item of an outstanding item; its id is `id`. Throws Error naming the sample when it lacks what the
  /// prompt shows or a picture cannot be read.
  cluster::WorkItem make(const OutstandingItem& outstanding, std::uint64_t id);

  /// The prompt of one call: criterion and presentation of `key` count.
  cluster::WorkPrompt prompt(const suite::Suite& suite, const suite::Sample& sample,
                             const base::CallKey& key);

 private:
  base::Hash128 picture_hash(const std::string& path);

  const Plan& plan_;
  std::function<std::uint32_t(base::Hash128)> attempt_;
  std::unordered_map<std::string, base::Hash128> pictures_;
};

/// The whole numbers of the scales of all suites together, at most 16.
std::vector<std::string> whole_numbers(const std::vector<suite::Suite>& suites);

/// What holds for every call of a job. `stop_ids` are the judge's.
cluster::CallSettings call_settings(const job::JobSpec& job, const std::vector<suite::Suite>& suites,
                                    std::vector<std::int32_t> stop_ids);

}  // namespace assize::app
