#include "app/plan.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>
#include <set>

#include <fmt/format.h>

#include "app/read_calls.h"
#include "base/error.h"
#include "base/file.h"
#include "base/noise.h"
#include "base/numpy_random.h"
#include "text/tokenizer.h"
#include "throughput/workload.h"
#include "verdict/adaptive.h"
#include "verdict/answers.h"

namespace assize::app {

using verdict::Protocol;

namespace {

void keep_shard(const job::JobSpec& job, std::vector<suite::Suite>& suites) {
  const job::Limits& limits = job.limits;
  if (limits.shards == 1) return;
  constexpr std::uint64_t kShardSeed = 0x5A;
  for (auto& suite : suites) {
    std::erase_if(suite.samples, [&limits](const suite::Sample& sample) {
      const std::uint64_t shard = base::hash64(sample.id, kShardSeed) % static_cast<std::uint64_t>(limits.shards);
      return shard != static_cast<std::uint64_t>(limits.shard);
    });
  }
  if (job.kind == job::Kind::evaluate) std::erase_if(suites, [](const suite::Suite& suite) { return suite.samples.empty(); });
}

/// How the judge's turn begins. The figures of the paper end in "<think>"; the scripts that judge benchmarks prefill
/// nothing (the prompt file says so).
void set_prefill(const job::JobSpec& job, suite::PromptTemplate& prompt) {
  using job::Thinking;
  Thinking thinking = job.judging.thinking;
  if (thinking == Thinking::by_profile) thinking = job.profile == job::Profile::paper ? Thinking::prefilled : Thinking::as_prompt;
  if (thinking == Thinking::as_prompt) return;
  prompt.prefill = thinking == Thinking::off ? "<answer>" : "<think>";
  prompt.profile.prefill = prompt.prefill;
}

/// The published script draws one number a row after seeding NumPy with the number of the run, and shows the
/// candidates as given where it is below one half.
void draw_swaps(const job::JobSpec& job, suite::Suite& suite) {
  std::uint32_t rows = 0;
  for (const auto& sample : suite.samples) rows = std::max(rows, sample.row + 1);
  for (int vote = 0; vote < job.judging.votes; ++vote) {
    base::NumpyUniform random(static_cast<std::uint32_t>(job.judging.seed + static_cast<std::uint64_t>(vote)));
    std::vector<bool>& swapped = suite.swaps.emplace_back();
    for (std::uint32_t row = 0; row < rows; ++row) swapped.push_back(!(random.next() < 0.5));
  }
}

}  // namespace

std::vector<suite::Suite> load_suites(const job::JobSpec& job) {
  std::vector<suite::Suite> suites;
  std::set<std::string> ids;
  std::string problems;
  const auto add_problem = [&problems](const std::string& line) { problems += (problems.empty() ? "" : "\n") + line; };
  const bool label = job.kind == job::Kind::label;
  const std::vector<std::filesystem::path> files = label ? std::vector{job.data.file} : job.suites;
  for (const auto& file : files) {
    try {
      suites.push_back(label ? suite::load_data(job.data, job.limits.samples, job.judging.seed)
                             : suite::load_suite(file, job.limits.samples, job.judging.seed, job.profile));
    } catch (const base::Error& error) {
      add_problem(error.what());
      continue;
    }
    set_prefill(job, suites.back().prompt);
    if (job.judging.orders == job::Orders::random && job.profile == job::Profile::repo) draw_swaps(job, suites.back());
    const suite::Suite& suite = suites.back();
    if (!ids.insert(suite.id).second) add_problem(fmt::format("{}: the suite id '{}' is used twice in this job", file.string(), suite.id));
    for (const suite::MediaKind kind : suite.prompt.media) {
      if (kind == suite::MediaKind::image) continue;
      add_problem(fmt::format("{}: suite '{}' cannot be judged by this build: its prompt shows {}, and there is no {} judge yet; "
                              "take it out of 'suites'", file.string(), suite.id, suite::media_name(kind), suite::media_name(kind)));
    }
    try {
      const verdict::CombineRule rule = combine_rule(suite, job.judging);
      verdict::combine({}, suite.protocol, rule);
      if (job.judging.adaptive) verdict::votes_wanted({}, suite.protocol, rule, job.judging.votes, 1);
      if (rule.votes == verdict::VoteRule::mean && job.judging.reading == job::Reading::generate &&
          !verdict::answers_are_numbers(suite.protocol, suite.prompt.profile)) {
        add_problem(fmt::format("{}: votes cannot be combined by their mean: the answers of prompt '{}' are no numbers; use majority",
                                file.string(), suite.prompt.id));
      }
    } catch (const base::Error& error) {
      add_problem(fmt::format("{}: {}", file.string(), error.what()));
    }
    if (!suite.swaps.empty() && suite.protocol == Protocol::rank) {
      add_problem(fmt::format("{}: the published scripts draw no orders of more than two candidates; use judging.orders as_given", file.string()));
    }
    const verdict::ParserProfile& scale = suite.prompt.profile;
    if (job.judging.expectation && (!verdict::answers_are_numbers(suite.protocol, scale) || scale.form == verdict::Form::custom)) {
      add_problem(fmt::format("{}: 'judging.expectation' needs answers that are numbers in <answer>; those of prompt '{}' are not", file.string(),
                              suite.prompt.id));
    } else if (job.judging.expectation && scale.high - scale.low > 15) {
      add_problem(fmt::format("{}: 'judging.expectation' takes scales of at most 16 whole numbers; that of prompt '{}' is {} to {}", file.string(),
                              suite.prompt.id, scale.low, scale.high));
    }
    if (suite.samples.empty()) add_problem(fmt::format("{}: the suite has no samples", file.string()));
    if (job.judging.reading == job::Reading::likelihood) {
      if (suite.prompt.labels.empty()) {
        add_problem(fmt::format("{}: has no 'likelihood' section, so 'judging.reading: likelihood' cannot use it",
                                suite.prompt.file.string()));
      } else if (suite.prompt.labels != suites.front().prompt.labels) {
        add_problem(fmt::format("{}: its likelihood labels differ from those of suite '{}'; run them as two jobs",
                                suite.prompt.file.string(), suites.front().id));
      }
    }
  }
  if (!problems.empty()) throw base::Error(problems);
  keep_shard(job, suites);
  std::sort(suites.begin(), suites.end(), [](const auto& a, const auto& b) { return a.id < b.id; });
  return suites;
}

text::ChatStyle chat_style(const job::JudgeSpec& judge) {
  text::ChatStyle style;
  if (judge.fake.empty() && judge.chat == job::ChatFormat::automatic) {
    return text::detect_chat_style(judge.path, text::Tokenizer::load(judge.path / "tokenizer.json"));
  }
  style.format = judge.chat == job::ChatFormat::llama3 ? text::ChatFormat::llama3 : text::ChatFormat::chatml;
  return style;
}

std::vector<std::vector<std::uint16_t>> presentations(Protocol protocol, int candidates, job::Orders orders) {
  const auto n = static_cast<std::uint16_t>(candidates);
  std::vector<std::vector<std::uint16_t>> shown;
  switch (protocol) {
    case Protocol::score:
      for (std::uint16_t i = 0; i < n; ++i) shown.push_back({i});
      return shown;
    case Protocol::pair:
    case Protocol::label:
      for (std::uint16_t i = 0; i < n; ++i) {
        for (std::uint16_t j = i + 1; j < n; ++j) shown.push_back({i, j});
      }
      break;
    case Protocol::rank:
      shown.emplace_back(n);
      std::iota(shown[0].begin(), shown[0].end(), std::uint16_t{0});
      break;
  }
  if (orders != job::Orders::both) return shown;
  const std::size_t given = shown.size();
  for (std::size_t i = 0; i < given; ++i) shown.emplace_back(shown[i].rbegin(), shown[i].rend());
  return shown;
}

namespace {

/// The order of `orders: random` for one call, whose key has no order yet.
void draw_order(const suite::Suite& suite, const suite::Sample& sample, std::uint64_t seed, base::CallKey& key) {
  auto& shown = key.presentation;
  if (shown.size() < 2) return;
  if (!suite.swaps.empty()) {
    if (suite.swaps.at(key.vote).at(sample.row)) std::reverse(shown.begin(), shown.end());
    return;
  }
  const std::uint64_t stream = base::noise_stream(seed, base::digest(key));
  std::sort(shown.begin(), shown.end(), [stream](std::uint16_t a, std::uint16_t b) {
    return base::noise_bits(stream, a, 0) < base::noise_bits(stream, b, 0);
  });
}

}  // namespace

std::vector<base::CallKey> call_keys(const Plan& plan, const suite::Suite& suite, const suite::Sample& sample) {
  std::vector<base::CallKey> keys;
  const job::Judging& judging = plan.job.judging;
  const auto shown = presentations(suite.protocol, static_cast<int>(sample.candidates.size()), judging.orders);
  for (const std::string& criterion : suite::criterion_names(suite.prompt)) {
    for (const auto& presentation : shown) {
      for (int vote = 0; vote < judging.votes; ++vote) {
        keys.push_back({plan.job.judge.id, suite.id, sample.id, criterion, presentation, static_cast<std::uint32_t>(vote)});
        if (judging.orders == job::Orders::random) draw_order(suite, sample, judging.seed, keys.back());
      }
    }
  }
  return keys;
}

std::uint64_t count_calls(const Plan& plan) {
  std::uint64_t calls = 0;
  for (const auto& suite : plan.suites) calls += count_calls(plan, suite);
  return calls;
}

std::uint64_t count_calls(const Plan& plan, const suite::Suite& suite) {
  std::uint64_t shown = 0;
  for (const auto& sample : suite.samples) {
    shown += presentations(suite.protocol, static_cast<int>(sample.candidates.size()), plan.job.judging.orders).size();
  }
  return shown * suite::criterion_names(suite.prompt).size() * static_cast<std::uint64_t>(plan.job.judging.votes);
}

std::vector<base::CallKey> prompts_shown(const Plan& plan, const suite::Suite& suite, const suite::Sample& sample) {
  std::vector<base::CallKey> shown;
  for (auto& key : call_keys(plan, suite, sample)) {
    const auto same = [&](const base::CallKey& other) { return other.presentation == key.presentation && other.criterion == key.criterion; };
    if (std::none_of(shown.begin(), shown.end(), same)) shown.push_back(std::move(key));
  }
  return shown;
}

media::ImageSizing image_sizing(const job::JobSpec& job, const suite::Suite& suite) {
  if (job.judge.image_size_is_set) return {job.judge.image_width_px, job.judge.image_height_px};
  return {suite.rules.image_width_px, suite.rules.image_height_px};
}

base::Hash128 ItemMaker::picture_hash(const std::string& path) {
  const auto [at, fresh] = pictures_.try_emplace(path);
  if (fresh) at->second = base::hash128(base::read_file(path));
  return at->second;
}

cluster::WorkPrompt ItemMaker::prompt(const suite::Suite& suite, const suite::Sample& sample,
                                      const base::CallKey& key) {
  const bool likelihood = plan_.job.judging.reading == job::Reading::likelihood;
  const suite::RenderedPrompt rendered = suite::render(
      suite.prompt, likelihood ? suite::Wording::likelihood : suite::Wording::generate, sample, key.presentation,
      key.criterion);
  cluster::WorkPrompt out;
  text::PromptText user;
  for (const suite::PromptPart& part : rendered.user) {
    switch (part.kind) {
      case suite::PromptPart::Kind::trusted: user.append(part.text, text::Trust::trusted); break;
      case suite::PromptPart::Kind::untrusted: user.append(part.text, text::Trust::untrusted); break;
      case suite::PromptPart::Kind::image:
        user.append("<|vision_start|><|image_pad|><|vision_end|>", text::Trust::trusted);
        out.images.push_back(part.text);
        break;
    }
  }
  std::vector<text::ChatMessage> messages;
  if (!rendered.system.empty()) messages.push_back({"system", text::PromptText(rendered.system, text::Trust::trusted)});
  messages.push_back({"user", std::move(user)});
  out.text = text::render_chat(plan_.chat, messages, text::GenerationPrompt::yes);
  out.text.append(rendered.assistant_prefill, text::Trust::trusted);

  base::Hasher hasher;
  for (const text::Segment& segment : out.text.segments) {
    hasher.add(segment.text).add(static_cast<std::uint64_t>(segment.trust));
  }
  for (const std::string& image : out.images) {
    const base::Hash128 hash = picture_hash(image);
    hasher.add(hash.low).add(hash.high);
  }
  const media::ImageSizing sizing = image_sizing(plan_.job, suite);
  out.image_width_px = sizing.width_px;
  out.image_height_px = sizing.height_px;
  // A size that the job sets is part of the run's identity already.
  if (!plan_.job.judge.image_size_is_set && sizing.width_px > 0) {
    hasher.add(static_cast<std::uint64_t>(sizing.width_px)).add(static_cast<std::uint64_t>(sizing.height_px));
  }
  out.asked = hasher.digest();
  return out;
}

std::vector<OutstandingItem> outstanding_items(const Plan& plan, const std::function<bool(base::Hash128)>& done) {
  std::vector<OutstandingItem> items;
  for (std::size_t s = 0; s < plan.suites.size(); ++s) {
    const suite::Suite& suite = plan.suites[s];
    for (std::size_t i = 0; i < suite.samples.size(); ++i) {
      OutstandingItem item{static_cast<std::uint32_t>(s), static_cast<std::uint32_t>(i), {}};
      const auto keys = call_keys(plan, suite, suite.samples[i]);
      for (std::uint32_t call = 0; call < keys.size(); ++call) {
        if (!done(base::digest(keys[call]))) item.calls.push_back(call);
      }
      if (!item.calls.empty()) items.push_back(std::move(item));
    }
  }
  return items;
}

cluster::QueueSettings queue_settings(const job::JobSpec& job) {
  cluster::QueueSettings settings;
  switch (job.lease_order) {
    case job::LeaseOrder::longest_first: settings.order = cluster::LeaseOrder::longest_first; break;
    case job::LeaseOrder::fifo: settings.order = cluster::LeaseOrder::fifo; break;
    case job::LeaseOrder::fixed: settings.order = cluster::LeaseOrder::fixed; break;
  }
  settings.lease_seconds = job.limits.lease_seconds;
  return settings;
}

cluster::PlannedItem planned_item(const Plan& plan, const OutstandingItem& item) {
  // A prefilled token costs about an eighth of a decoded one; a token has about four bytes of text.
  constexpr double kBytesPerDecodedToken = 32, kPictureBytes = 1024;
  const suite::Suite& suite = plan.suites[item.suite];
  const suite::Sample& sample = suite.samples[item.sample];
  double bytes = static_cast<double>(suite.prompt.system.size() + suite.prompt.user.size() + sample.question.size()) +
                 kPictureBytes * static_cast<double>(sample.images.size());
  for (const auto& candidate : sample.candidates) {
    bytes += static_cast<double>(candidate.text.size()) + kPictureBytes * static_cast<double>(candidate.images.size());
  }
  const int output = plan.job.judging.reading == job::Reading::likelihood ? 1
                     : plan.job.workload ? plan.job.workload->output_tokens
                                         : std::min(plan.job.sampling.max_new_tokens, 512);
  const double cost = bytes / kBytesPerDecodedToken + output * static_cast<double>(item.calls.size());
  return {static_cast<float>(cost), static_cast<std::uint32_t>(item.calls.size()), static_cast<float>(output), item.suite};
}

namespace {
/// The seed of an attempt at a call: the job's own for the first, so for nearly every call.
std::uint64_t attempt_seed(std::uint64_t seed, std::uint32_t attempt) {
  return attempt == 0 ? seed : base::Hasher().add(seed).add(std::uint64_t{attempt}).digest().low;
}
}  // namespace

cluster::WorkItem ItemMaker::make(const OutstandingItem& outstanding, std::uint64_t id) {
  const suite::Suite& suite = plan_.suites[outstanding.suite];
  const suite::Sample& sample = suite.samples[outstanding.sample];
  cluster::WorkItem item;
  item.id = id;
  item.cost = planned_item(plan_, outstanding).cost;
  const auto keys = call_keys(plan_, suite, sample);
  std::map<std::pair<std::string, std::vector<std::uint16_t>>, std::uint32_t> prompts;
  for (const std::uint32_t index : outstanding.calls) {
    cluster::WorkCall call;
    call.key = keys.at(index);
    const base::Hash128 digest = base::digest(call.key);
    call.noise_stream = base::noise_stream(attempt_seed(plan_.job.judging.seed, attempt_ ? attempt_(digest) : 0), digest);
    const auto [at, fresh] = prompts.try_emplace({call.key.criterion, call.key.presentation},
                                                 static_cast<std::uint32_t>(item.prompts.size()));
    if (fresh) item.prompts.push_back(prompt(suite, sample, call.key));
    call.prompt = at->second;
    if (plan_.job.workload) {
      call.output_tokens =
          throughput::output_tokens(*plan_.job.workload, call.noise_stream, plan_.job.sampling.max_new_tokens);
    }
    item.calls.push_back(std::move(call));
  }
  return item;
}

std::vector<std::string> whole_numbers(const std::vector<suite::Suite>& suites) {
  constexpr int kMost = 16;  // ids that the engine watches
  double low = std::numeric_limits<double>::max(), high = std::numeric_limits<double>::lowest();
  for (const auto& suite : suites) {
    low = std::min(low, std::ceil(suite.prompt.profile.low));
    high = std::max(high, std::floor(suite.prompt.profile.high));
  }
  std::vector<std::string> numbers;
  for (double number = low; number <= high && numbers.size() < kMost; ++number) numbers.push_back(fmt::format("{}", number));
  return numbers;
}

cluster::CallSettings call_settings(const job::JobSpec& job, const std::vector<suite::Suite>& suites,
                                    std::vector<std::int32_t> stop_ids) {
  cluster::CallSettings settings;
  settings.sampling.temperature = static_cast<float>(job.sampling.temperature);
  settings.sampling.top_p = static_cast<float>(job.sampling.top_p);
  settings.sampling.top_k = job.sampling.top_k;
  settings.sampling.repetition_penalty = static_cast<float>(job.sampling.repetition_penalty);
  settings.sampling.max_new_tokens = job.sampling.max_new_tokens;
  settings.sampling.stop_ids = std::move(stop_ids);
  settings.sampling.stop_strings = job.sampling.stop_strings;
  settings.sampling.forcing = {job.judging.budget_forcing, "</think>", job.judging.budget_word};
  if (job.judging.expectation) {
    settings.watch_after = "<answer>";
    settings.watch_labels = whole_numbers(suites);
  }
  if (job.judging.reading == job::Reading::likelihood) {
    settings.sampling.temperature = 0;
    settings.sampling.max_new_tokens = 1;
    settings.watch_labels = suites.front().prompt.labels;
  }
  return settings;
}

}  // namespace assize::app
