#pragma once

#include <string>
#include <vector>

#include "base/noise.h"
#include "cluster/work_item.h"
#include "cluster/work_queue.h"

namespace assize::support {

/// Item `id` of a made-up run: a pair sample in both orders with `votes` votes each.
inline cluster::WorkItem item_number(std::uint64_t id, std::uint32_t votes = 2) {
  cluster::WorkItem item;
  item.id = id;
  item.cost = 10 + static_cast<double>(id * 7 % 13);
  for (std::uint16_t first : {0, 1}) {
    cluster::WorkPrompt prompt;
    prompt.text.append("<|im_start|>user\n", text::Trust::trusted);
    prompt.text.append("question " + std::to_string(id) + " order " + std::to_string(first), text::Trust::untrusted);
    if (id % 3 == 0) prompt.images = {"/pictures/" + std::to_string(id) + ".png"};
    if (id % 2 == 1) prompt.image_width_px = 448, prompt.image_height_px = 336;
    prompt.asked = base::hash128(prompt.text.plain());
    item.prompts.push_back(prompt);
    for (std::uint32_t vote = 0; vote < votes; ++vote) {
      cluster::WorkCall call;
      call.key = {"fake", "made-up", "s" + std::to_string(id), "", {first, static_cast<std::uint16_t>(1 - first)}, vote};
      call.prompt = first;
      call.noise_stream = base::noise_stream(7, base::digest(call.key));
      call.output_tokens = vote ? static_cast<std::int32_t>(10 * id + vote) : 0;
      item.calls.push_back(call);
    }
  }
  return item;
}

inline std::vector<cluster::PlannedItem> plan_of(std::uint64_t items, std::uint32_t votes = 2) {
  std::vector<cluster::PlannedItem> plan;
  for (std::uint64_t id = 0; id < items; ++id) {
    const cluster::WorkItem item = item_number(id, votes);
    plan.push_back({static_cast<float>(item.cost), static_cast<std::uint32_t>(item.calls.size())});
  }
  return plan;
}

}  // namespace assize::support
