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
  int image_width_px = 0;           ///< size to which the pictures are brought first; 0: as they are
  int image_height_px = 0;
};

/// One outstanding call of a work item.
struct WorkCall {
  base::CallKey key;
  std::uint32_t prompt = 0;        ///< index into WorkItem::prompts
  std::uint64_t noise_stream = 0;
  /// Above 0: exactly this many tokens are generated, whatever they are (made-up workloads); 0: as the settings
  /// say.
  std::int32_t output_tokens = 0;
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
  std::vector<std::string> watch_labels;  ///< labels whose log-probabilities are wanted
  /// Empty: at the first position (likelihood reading; their first tokens, which must differ). Else at each position
  /// after this text; a label that is not one token of the judge has NaN there.
  std::string watch_after;
};

}  // namespace assize::cluster
