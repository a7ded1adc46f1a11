#pragma once

#include <cstddef>
#include <vector>

#include "cluster/wire.h"
#include "cluster/work_item.h"
#include "results/judgement.h"

namespace assize::cluster {

/// Judges the calls of work items on one rank. All ranks of a group run equal judges in step: the same submits
/// between the same steps.
class Judge {
 public:
  virtual ~Judge() = default;
  /// Takes an item on. What is wrong with an item (a broken picture, a prompt that is too long) comes back from
  /// `step` as failed judgements; an exception is the judge's own failure.
  virtual void submit(const WorkItem& item) = 0;
  /// Works a little and appends the judgements that ended. Returns false when nothing was left to do.
  virtual bool step(std::vector<results::Judgement>& finished) = 0;
  /// Forgets the call of this digest if it is unfinished; no judgement comes of it.
  virtual void cancel(const base::Hash128& call) = 0;
  /// Forgets everything unfinished; no judgement comes of it.
  virtual void cancel_all() = 0;
  virtual std::size_t unfinished() const = 0;  ///< calls
  virtual engine::EngineCounters counters() const = 0;
  /// Calls that are judged at the same time when there are enough.
  virtual std::uint32_t slots() const = 0;
  /// What the group's processors can do; zeros where nobody measured it.
  virtual Ceiling ceiling() const { return {}; }
};

/// The row of a call that gave no generation.
results::Judgement failed_judgement(const WorkItem& item, const WorkCall& call, const std::string& reason);

}  // namespace assize::cluster
