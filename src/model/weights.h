#pragma once

#include <set>
#include <string>
#include <vector>

#include "model/config.h"
#include "tensor/safetensors.h"

namespace assize::model {

/// The tensors of a checkpoint by the names of the published layout ("model.layers.0.mlp.up_proj.weight",
/// "visual.merger.ln_q.weight", "lm_head.weight"), whatever spelling the file uses: native ("model.
/// language_model.*", "model.visual.*") or with a wrapper's prefix ("thinker.", "base_model.model.").
class Weights {
 public:
  /// `checkpoint` must outlive this. Throws Error if no known spelling of the embedding table is in it.
  Weights(const tensor::Checkpoint& checkpoint, const std::string& folder);

  /// The tensor, of exactly `shape`. Throws Error with expected and actual shape.
  const tensor::TensorView& require(const std::string& name, const std::vector<std::int64_t>& shape);

  /// The tensor if it is there, else null. Throws Error if it is there with another shape.
  const tensor::TensorView* find(const std::string& name, const std::vector<std::int64_t>& shape);

  /// Lets the system take back the pages of a tensor that has been packed.
  void release(const tensor::TensorView& tensor) const { checkpoint_.release(tensor); }

  /// Declares that the tensors whose names start with `name` are left out on purpose.
  void ignore(const std::string& name);

  /// Throws Error if the checkpoint holds a tensor that was neither asked for nor ignored: the judge would
  /// not be the one in the file. Old checkpoints carry rotary tables; those are exempt.
  void require_all_used() const;

 private:
  std::string spelled(const std::string& name) const;

  const tensor::Checkpoint& checkpoint_;
  std::string folder_;
  std::string text_prefix_;    ///< stands for "model."
  std::string vision_prefix_;  ///< stands for "visual."
  std::string head_name_;      ///< stands for "lm_head.weight"
  std::set<std::string> used_;
  std::vector<std::string> ignored_;  ///< prefixes, as the file spells them
};

}  // namespace assize::model
