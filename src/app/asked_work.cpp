#include "app/asked_work.h"

#include <algorithm>
#include <map>
#include <optional>
#include <tuple>

#include "app/judge_setup.h"
#include "media/patches.h"
#include "model/config.h"
#include "text/tokenizer.h"

namespace assize::app {

namespace {

/// Prompts as tokens; the tokens of a picture are a number of its own below 0.
class PromptReader {
 public:
  explicit PromptReader(const Plan& plan)
      : judge_(plan.job.judge),
        tokenizer_(text::Tokenizer::load(judge_.path / "tokenizer.json")),
        config_(model::read_config(judge_.path.string())) {}

  std::vector<std::int32_t> tokens(const cluster::WorkPrompt& prompt) {
    std::vector<std::int32_t> out;
    std::size_t image = 0;
    for (const std::int32_t id : tokenizer_.encode(prompt.text)) {
      if (id == config_.image_token_id && image < prompt.images.size()) {
        const auto& [number, grid] = picture(prompt.images[image++], {prompt.image_width_px, prompt.image_height_px});
        out.insert(out.end(), static_cast<std::size_t>(grid.tokens), -1 - number);
      } else {
        out.push_back(id);
      }
    }
    return out;
  }
  /// Adds the pictures seen so far.
  void count_pictures(throughput::AskedWork& work) const {
    work.images = pictures_.size();
    for (const auto& [key, known] : pictures_) {
      const auto patches = static_cast<std::uint64_t>(known.second.t) * static_cast<std::uint64_t>(known.second.h) *
                           static_cast<std::uint64_t>(known.second.w);
      work.patches += patches;
      work.patch_pairs += patches * patches;
    }
  }

 private:
  const std::pair<std::int32_t, media::PatchGrid>& picture(const std::string& path, media::ImageSizing sizing) {
    const auto key = std::tuple{path, sizing.width_px, sizing.height_px};
    const auto found = pictures_.find(key);
    if (found != pictures_.end()) return found->second;
    if (!preprocessing_) preprocessing_ = preprocessing_of(judge_);
    const auto number = static_cast<std::int32_t>(pictures_.size());
    return pictures_.emplace(key, std::pair{number, media::plan_image_file(path, *preprocessing_, sizing)}).first->second;
  }

  const job::JudgeSpec& judge_;
  text::Tokenizer tokenizer_;
  model::ModelConfig config_;
  std::optional<media::ImagePreprocessing> preprocessing_;
  std::map<std::tuple<std::string, int, int>, std::pair<std::int32_t, media::PatchGrid>> pictures_;  ///< by path and size
};

}  // namespace

throughput::AskedWork asked_work(const Plan& plan, std::span<const OutstandingItem> items) {
  throughput::AskedWork work;
  for (const OutstandingItem& item : items) work.calls += item.calls.size();
  if (!plan.job.judge.fake.empty()) return work;
  PromptReader reader(plan);
  ItemMaker maker(plan);
  std::vector<std::vector<std::int32_t>> prompts;
  for (const OutstandingItem& item : items) {
    for (const cluster::WorkPrompt& prompt : maker.make(item, 0).prompts) prompts.push_back(reader.tokens(prompt));
  }
  reader.count_pictures(work);
  std::sort(prompts.begin(), prompts.end());
  prompts.erase(std::unique(prompts.begin(), prompts.end()), prompts.end());
  work.prompts = prompts.size();
  // In sorted order, what a prompt has in common with any earlier one it has in common with the one before.
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    work.prompt_tokens += prompts[i].size();
    work.distinct_prompt_tokens += prompts[i].size();
    if (i == 0) continue;
    const auto& before = prompts[i - 1];
    const auto end = std::mismatch(before.begin(), before.end(), prompts[i].begin(), prompts[i].end()).first;
    work.distinct_prompt_tokens -= static_cast<std::uint64_t>(end - before.begin());
  }
  return work;
}

}  // namespace assize::app
