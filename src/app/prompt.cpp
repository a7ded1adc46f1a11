#include <optional>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "app/commands.h"
#include "app/judge_setup.h"
#include "app/plan.h"
#include "app/scratch_output.h"
#include "base/error.h"
#include "job/reader.h"
#include "media/patches.h"
#include "text/tokenizer.h"

namespace assize::app {

namespace {

/// The sample that is asked for, with its suite.
struct Found {
  const suite::Suite* suite = nullptr;
  const suite::Sample* sample = nullptr;
};

Found find_sample(const Plan& plan, const PromptOptions& options) {
  std::vector<Found> found;
  std::vector<std::string> suites, samples;
  for (const auto& suite : plan.suites) {
    suites.push_back(suite.id);
    if (!options.suite.empty() && suite.id != options.suite) continue;
    for (const auto& sample : suite.samples) {
      samples.push_back(sample.id);
      if (sample.id == options.sample || options.sample.empty()) found.push_back({&suite, &sample});
      if (options.sample.empty()) break;
    }
  }
  const auto hint = [](const std::string& word, const std::vector<std::string>& known) {
    const std::string near = job::nearest(word, known);
    return near.empty() ? std::string() : fmt::format("; did you mean '{}'?", near);
  };
  if (samples.empty()) {
    throw base::Error(fmt::format("the job has no suite '{}'{} (suites: {})", options.suite, hint(options.suite, suites),
                                  fmt::join(suites, ", ")));
  }
  if (found.empty()) {
    throw base::Error(fmt::format("no suite of the job has a sample '{}'{}", options.sample, hint(options.sample, samples)));
  }
  if (found.size() > 1 && !options.sample.empty()) {
    throw base::Error(fmt::format("sample '{}' is in the suites '{}' and '{}'; say which with --suite", options.sample,
                                  found[0].suite->id, found[1].suite->id));
  }
  return found.front();
}

/// Data may hold control characters that a terminal would obey: all but line feed and tab are written as \xNN.
std::string printable(const std::string& text) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool obeyed = (byte < 0x20 && c != '\n' && c != '\t') || byte == 0x7F;
    out += obeyed ? fmt::format("\\x{:02X}", byte) : std::string(1, c);
  }
  return out;
}

}  // namespace

int prompt(const std::string& job_file, const PromptOptions& options) {
  job::JobSpec job = job::load_job(job_file, options.settings);
  const ScratchOutput scratch(job);
  const Plan plan = make_plan(job);
  const auto [suite, sample] = find_sample(plan, options);
  const bool fake = !plan.job.judge.fake.empty();
  std::optional<text::Tokenizer> tokenizer;
  if (!fake) tokenizer = text::Tokenizer::load(plan.job.judge.path / "tokenizer.json");

  fmt::print("sample {} of suite {}, prompt {} ({})\n", sample->id, suite->id, suite->prompt.id, suite->prompt.file.string());
  if (fake) fmt::print("the judge is a table of answers: it has no tokens to count\n");
  ItemMaker maker(plan);
  for (const base::CallKey& shown : prompts_shown(plan, *suite, *sample)) {
    const cluster::WorkPrompt prompt = maker.prompt(*suite, *sample, shown);
    std::string counts;
    std::vector<std::string> pictures;
    std::int64_t picture_tokens = 0;
    for (const auto& path : prompt.images) {
      if (fake) {
        pictures.push_back(path);
        continue;
      }
      const media::PatchGrid grid = media::plan_image_file(path, preprocessing_of(plan.job.judge),
                                                           {prompt.image_width_px, prompt.image_height_px});
      pictures.push_back(fmt::format("{}: {} x {} patches, {} tokens", path, grid.w, grid.h, grid.tokens));
      picture_tokens += grid.tokens;
    }
    if (tokenizer) {
      // Each picture has one placeholder in the text, which its tokens replace.
      const auto text_tokens = static_cast<std::int64_t>(tokenizer->encode(prompt.text).size() - prompt.images.size());
      counts = fmt::format(": {} tokens, {} of text and {} of pictures", text_tokens + picture_tokens, text_tokens, picture_tokens);
    }
    fmt::print("\n--- {}candidates {}{}\n", shown.criterion.empty() ? "" : fmt::format("criterion {}, ", shown.criterion),
               base::presentation_text(shown.presentation), counts);
    for (std::size_t i = 0; i < pictures.size(); ++i) fmt::print("--- picture {} {}\n", i + 1, pictures[i]);
    fmt::print("{}\n", printable(prompt.text.plain()));
  }
  return 0;
}

}  // namespace assize::app
