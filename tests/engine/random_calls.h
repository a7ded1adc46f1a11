#pragma once

#include <algorithm>
#include <random>

#include "engine/engine.h"
#include "support/tiny_models.h"

namespace assize::engine {

/// Prompts and calls made from a seed.
class RandomCalls {
 public:
  explicit RandomCalls(std::uint64_t seed) : random_(seed) {}

  std::int32_t between(std::int32_t low, std::int32_t high) {
    return std::uniform_int_distribution<std::int32_t>(low, high)(random_);
  }

  /// One picture of `columns` x `rows` tokens, different for each `number`.
  static std::shared_ptr<const media::ImagePatches> picture(int number, int columns, int rows) {
    auto image = std::make_shared<media::ImagePatches>();
    image->grid_t = 1;
    image->grid_h = 2 * rows;
    image->grid_w = 2 * columns;
    image->key = {static_cast<std::uint64_t>(number) * 77 + 5,
                  static_cast<std::uint64_t>(columns * 1000 + rows)};
    image->values.assign(image->rows() * 1176, 0.0f);
    return image;
  }

  /// Builds a prompt piece by piece, with three-row positions as of a vision-language judge.
  struct Prompt {
    std::vector<std::int32_t> ids, t, h, w;
    std::vector<model::MediaSpan> media;
    std::int32_t next = 0;

    void text(std::int32_t id) {
      ids.push_back(id);
      for (auto* axis : {&t, &h, &w}) axis->push_back(next);
      ++next;
    }
    void image(const std::shared_ptr<const media::ImagePatches>& image) {
      const auto tokens = static_cast<std::int32_t>(image->tokens());
      media.push_back({static_cast<std::int32_t>(ids.size()), tokens, image->key, image});
      const std::int32_t columns = image->grid_w / 2;
      for (std::int32_t i = 0; i < tokens; ++i) {
        ids.push_back(support::tiny_image_pad);
        t.push_back(next);
        h.push_back(next + i / columns);
        w.push_back(next + i % columns);
      }
      next += std::max(columns, image->grid_h / 2);
    }
    std::shared_ptr<const model::ModelInput> input() const {
      auto out = std::make_shared<model::ModelInput>();
      out->ids = ids;
      for (const auto* axis : {&t, &h, &w})
        out->positions.insert(out->positions.end(), axis->begin(), axis->end());
      out->next_position = next;
      out->media = media;
      return out;
    }
  };

  void add_text(Prompt& prompt, std::int32_t tokens) {
    for (std::int32_t i = 0; i < tokens; ++i) prompt.text(between(32, 126));
  }

  /// Groups with a common system prompt, questions with pictures, orders and votes: the shape of a judge's
  /// work.
  std::vector<Call> judge_calls(int groups, std::int32_t longest_text, std::int32_t max_new_tokens) {
    std::vector<Call> calls;
    Prompt system;
    add_text(system, between(0, longest_text));
    for (int g = 0; g < groups; ++g) {
      Prompt question = system;
      if (between(0, 9) == 0) question = {};
      add_text(question, between(0, longest_text));
      for (int k = between(-1, 2); k > 0; --k) {
        question.image(picture(between(0, 3), between(1, 4), between(1, 5)));
        add_text(question, between(0, 3));
      }
      const int orders = between(1, 3);
      for (int o = 0; o < orders; ++o) {
        Prompt asked = question;
        add_text(asked, between(1, longest_text));
        const auto shared = asked.input();
        const int votes = between(1, 4);
        for (int v = 0; v < votes; ++v) {
          // Equal prompts come as one object or as equal copies.
          Call call;
          call.input = between(0, 1) ? shared : std::make_shared<model::ModelInput>(*shared);
          call.noise_stream = static_cast<std::uint64_t>(random_());
          call.sampling.temperature = between(0, 3) ? 0.7f : 0.0f;
          call.sampling.repetition_penalty = between(0, 5) ? 1.0f : 1.1f;
          call.sampling.max_new_tokens = between(1, max_new_tokens);
          call.sampling.stop_ids = {support::tiny_im_end};
          if (between(0, 3) == 0) call.sampling.stop_strings = {"</", "ab<", "\xC3\xA9\xC3\xA9"};
          // The fake judge writes letters and "</>" at random: ends that it often comes to, and rarely.
          if (between(0, 2) == 0) call.sampling.forcing = {between(1, 4), between(0, 1) ? "<" : "b>", between(0, 1) ? "Wait" : "a"};
          if (between(0, 2) == 0) call.watch_ids = {65, 66};
          if (between(0, 1) == 0) call.watch_after = between(0, 1) ? "a" : "<";
          call.top_logprobs = between(0, 4) ? 0 : 2;
          calls.push_back(std::move(call));
        }
      }
    }
    std::shuffle(calls.begin(), calls.end(), random_);
    for (std::size_t i = 0; i < calls.size(); ++i) calls[i].id = 100 + i;
    return calls;
  }

  std::mt19937_64& random() { return random_; }

 private:
  std::mt19937_64 random_;
};

}  // namespace assize::engine
