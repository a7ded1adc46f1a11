#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/ids.h"
#include "engine/engine.h"
#include "text/chat.h"

namespace assize::cluster {

/// One rendered prompt of a work item: what one presentation of the sample looks like to the judge.
struct WorkPrompt {
  text::PromptText text;            ///< with one image placeholder a picture
  std::vector<std::string> images;  ///< absolute paths, in order of the placeholders
  base::Hash128 asked;              ///< content hash of what is asked
};

/// One outstanding call of a work item.
struct WorkCall {
  base::CallKey key;
  std::uint32_t prompt = 0;        ///< index into WorkItem::prompts
  std::uint64_t noise_stream = 0;
};

/// A prompt group: one sample and its outstanding calls (orders x votes). Leased to a worker group as a whole.
struct WorkItem {
  std::uint64_t id = 0;
  double cost = 1;  ///< estimated work, in generated-token equivalents
  std::vector<WorkPrompt> prompts;
  std::vector<WorkCall> calls;
};

/// Settings that hold for all items of a run; known to every worker from the job.
struct CallSettings {
  engine::Sampling sampling;
  std::vector<std::string> watch_labels;  ///< likelihood reading: labels whose first token is watched
};

}  // namespace assize::cluster
