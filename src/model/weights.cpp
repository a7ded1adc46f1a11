#include "model/weights.h"

#include <algorithm>

#include "base/error.h"

namespace assize::model {

Weights::Weights(const tensor::Checkpoint& checkpoint, const std::string& folder)
    : checkpoint_(checkpoint), folder_(folder) {
  for (const std::string wrapper : {"", "thinker.", "base_model.model."}) {
    for (const std::string text : {"model.", "model.language_model."}) {
      if (!checkpoint.find(wrapper + text + "embed_tokens.weight")) continue;
      text_prefix_ = wrapper + text;
      const bool native = checkpoint.find(wrapper + "model.visual.patch_embed.proj.weight") != nullptr;
      vision_prefix_ = wrapper + (native ? "model.visual." : "visual.");
      head_name_ = wrapper + "lm_head.weight";
      return;
    }
  }
  throw base::Error(folder +
                    ": the checkpoint has no embedding table: looked for model.embed_tokens.weight and "
                    "model.language_model.embed_tokens.weight, also behind thinker. and base_model.model.");
}

std::string Weights::spelled(const std::string& name) const {
  if (name.starts_with("model.")) return text_prefix_ + name.substr(6);
  if (name.starts_with("visual.")) return vision_prefix_ + name.substr(7);
  return head_name_;
}

const tensor::TensorView& Weights::require(const std::string& name, const std::vector<std::int64_t>& shape) {
  const std::string stored = spelled(name);
  used_.insert(stored);
  return checkpoint_.require(stored, shape);
}

const tensor::TensorView* Weights::find(const std::string& name, const std::vector<std::int64_t>& shape) {
  return checkpoint_.find(spelled(name)) ? &require(name, shape) : nullptr;
}

void Weights::ignore(const std::string& name) { ignored_.push_back(spelled(name)); }

void Weights::require_all_used() const {
  std::string first;
  std::size_t count = 0;
  for (const std::string& name : checkpoint_.names()) {
    const bool ignored = std::any_of(ignored_.begin(), ignored_.end(),
                                     [&](const std::string& prefix) { return name.starts_with(prefix); });
    if (used_.contains(name) || ignored || name.ends_with("rotary_emb.inv_freq")) continue;
    if (count++ == 0) first = name;
  }
  if (count == 0) return;
  const std::string others = count > 1 ? " and " + std::to_string(count - 1) + " more tensors" : "";
  throw base::Error(
      folder_ + ": the checkpoint holds " + first + others +
      ", which the architecture named in config.json does not use; merge adapters or correct config.json");
}

}  // namespace assize::model
