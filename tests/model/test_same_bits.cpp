#include <cstring>

#include "support/catch.h"
#include "tiny_judge.h"

using namespace assize;
using support::TinyKind;
using Grids = std::vector<std::array<std::int32_t, 3>>;

namespace {

constexpr model::ModelLimits limits = {
    .step_rows = 256, .sample_rows = 8, .kv_blocks = 48, .image_patches = 256, .embedding_rows = 64};

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

/// A prompt with a picture of 10 x 14 patches, longer than two blocks.
struct PicturePrompt {
  std::vector<std::int32_t> ids;
  Grids grids = {{1, 10, 14}};

  PicturePrompt() : ids(test::made_up_ids("before the picture", 61)) {
    ids.push_back(support::tiny_vision_start);
    ids.insert(ids.end(), 35, support::tiny_image_pad);
    ids.push_back(support::tiny_vision_end);
    const auto after = test::made_up_ids("after the picture", 70);
    ids.insert(ids.end(), after.begin(), after.end());
  }
};

test::Sequence picture_sequence(test::TinyJudge& judge) {
  const PicturePrompt prompt;
  judge.tower->encode(test::golden_picture("same bits", 0, prompt.grids[0]), judge.embeddings, 5);
  return test::make_sequence(judge.config, prompt.ids, prompt.grids, 5);
}

/// Logits at the end of the prompt and after each of eight greedy tokens.
std::vector<std::vector<float>> logits_on_the_way(test::TinyJudge& judge, test::Sequence sequence,
                                                  std::int32_t chunk) {
  std::vector<std::vector<float>> seen;
  std::int32_t next_block = 0;
  for (int i = 0; i < 9; ++i) {
    const auto result = test::advance(judge, sequence, next_block, chunk);
    seen.push_back(judge.decoder->logits(0));
    sequence.append(result.id);
  }
  return seen;
}

void check_same(const std::vector<std::vector<float>>& a, const std::vector<std::vector<float>>& b) {
  REQUIRE(a.size() == b.size());
  for (std::size_t i = 0; i < a.size(); ++i) CHECK(same_bits(a[i], b[i]));
}

struct Fixture {
  support::TemporaryFolder folder;
  std::unique_ptr<comm::Comm> alone = comm::make_alone();
  Fixture() { support::write_tiny_model(TinyKind::qwen2_5_vl, folder.path()); }
};

}  // namespace

TEST_CASE("a prompt computed in chunks gives the same bits as computed at once") {
  const Fixture f;
  test::TinyJudge judge(f.folder.string(), *f.alone, limits);
  const auto sequence = picture_sequence(judge);
  const auto whole = logits_on_the_way(judge, sequence, 256);
  for (const std::int32_t chunk : {1, 7, 64, 100}) {
    INFO("chunks of " << chunk);
    check_same(logits_on_the_way(judge, sequence, chunk), whole);
  }
}

TEST_CASE("sequences in one batch give the same bits as each alone") {
  const Fixture f;
  test::TinyJudge judge(f.folder.string(), *f.alone, limits);
  std::vector<test::Sequence> sequences = {picture_sequence(judge)};
  for (const std::size_t length : {1, 63, 64, 65, 30}) {
    sequences.push_back(test::make_sequence(judge.config, test::made_up_ids("batch", length)));
  }
  std::vector<std::vector<std::vector<float>>> alone, batched(sequences.size());
  for (const auto& sequence : sequences) alone.push_back(logits_on_the_way(judge, sequence, 256));

  // Sequence i joins at step i and brings 40 tokens a step until its prompt is done, then one.
  std::int32_t next_block = 0;
  for (std::size_t number = 0;; ++number) {
    test::StepBuilder step(next_block);
    std::vector<std::size_t> sampled;
    for (std::size_t i = 0; i < sequences.size() && i <= number; ++i) {
      auto& sequence = sequences[i];
      const auto left = static_cast<std::int32_t>(sequence.ids.size()) - sequence.computed;
      if (batched[i].size() == 9) continue;
      step.add(sequence, std::min(left, 40), left <= 40);
      if (left <= 40) sampled.push_back(i);
    }
    if (step.plan().rows() == 0) break;
    std::vector<backend::SampleResult> results(sampled.size());
    judge.decoder->forward(step.plan(), judge.embeddings, results);
    for (std::size_t k = 0; k < sampled.size(); ++k) {
      batched[sampled[k]].push_back(judge.decoder->logits(static_cast<std::int32_t>(k)));
      sequences[sampled[k]].append(results[k].id);
    }
  }
  for (std::size_t i = 0; i < sequences.size(); ++i) {
    INFO("sequence " << i);
    check_same(batched[i], alone[i]);
  }
}

TEST_CASE("tensor parallel 2 and 4 give the same bits as 1, on every rank") {
  const Fixture f;
  test::TinyJudge judge(f.folder.string(), *f.alone, limits);
  const auto expected = logits_on_the_way(judge, picture_sequence(judge), 100);
  for (const int ranks : {2, 4}) {
    std::vector<std::vector<std::vector<float>>> seen(static_cast<std::size_t>(ranks));
    test::on_ranks(ranks, [&](comm::Comm& group) {
      test::TinyJudge part(f.folder.string(), group, limits);
      seen[static_cast<std::size_t>(group.rank())] = logits_on_the_way(part, picture_sequence(part), 100);
    });
    for (int rank = 0; rank < ranks; ++rank) {
      INFO("rank " << rank << " of " << ranks);
      check_same(seen[static_cast<std::size_t>(rank)], expected);
    }
  }
}

TEST_CASE("branches forked from a prompt give the same bits as each computed from its start") {
  const Fixture f;
  test::TinyJudge judge(f.folder.string(), *f.alone, limits);
  const std::vector<std::int32_t> first_ids = {11, 22};  // the branches part here
  std::vector<std::vector<std::vector<float>>> expected;
  for (const std::int32_t id : first_ids) {
    auto sequence = picture_sequence(judge);
    sequence.append(id);
    expected.push_back(logits_on_the_way(judge, sequence, 256));
  }

  auto trunk = picture_sequence(judge);
  std::int32_t next_block = 0;
  test::advance(judge, trunk, next_block, 256);
  const std::int32_t in_last_block = trunk.computed % backend::kBlockTokens;
  REQUIRE(in_last_block > 0);
  std::vector<test::Sequence> branches(first_ids.size(), trunk);
  for (std::size_t i = 0; i < branches.size(); ++i) {
    branches[i].blocks.back() = next_block++;
    judge.decoder->copy_block(trunk.blocks.back(), branches[i].blocks.back(), in_last_block);
    branches[i].append(first_ids[i]);
  }
  for (std::size_t token = 0; token < 9; ++token) {
    test::StepBuilder step(next_block);
    for (auto& branch : branches) step.add(branch, 1, true);
    const std::int32_t shared = trunk.computed / backend::kBlockTokens * backend::kBlockTokens;
    step.plan().attention.shared.push_back({0, static_cast<std::int32_t>(branches.size()), shared});
    std::vector<backend::SampleResult> results(branches.size());
    judge.decoder->forward(step.plan(), judge.embeddings, results);
    for (std::size_t i = 0; i < branches.size(); ++i) {
      CHECK(same_bits(judge.decoder->logits(static_cast<std::int32_t>(i)), expected[i][token]));
      branches[i].append(results[i].id);
    }
  }
}

TEST_CASE("a picture gives the same bits wherever its rows lie in the encoder cache") {
  const Fixture f;
  test::TinyJudge judge(f.folder.string(), *f.alone, limits);
  const auto image = test::golden_picture("same bits", 0, {1, 4, 6});
  std::vector<float> rows(64 * 256);
  judge.tower->encode(image, judge.embeddings, 0);
  judge.tower->encode(image, judge.embeddings, 58);
  judge.backend->download(judge.embeddings, rows);
  CHECK(std::memcmp(rows.data(), rows.data() + 58 * 256, 6 * 256 * sizeof(float)) == 0);
  CHECK(rows[0] != 0.0f);
}
