#pragma once

#include <span>

#include "app/plan.h"
#include "throughput/model_work.h"

namespace assize::app {

/// What items of a plan ask of the judge, from their texts and the headers of their pictures. `items` in any order.
/// Holds the tokens of all prompts in memory.
throughput::AskedWork asked_work(const Plan& plan, std::span<const OutstandingItem> items);

}  // namespace assize::app
