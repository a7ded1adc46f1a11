#include "app/plan.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <set>

#include <fmt/format.h>

#include "base/error.h"
#include "base/file.h"
#include "base/noise.h"
#include "text/tokenizer.h"

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
                             : suite::load_suite(file, job.limits.samples, job.judging.seed));
    } catch (const base::Error& error) {
      add_problem(error.what());
      continue;
    }
    const suite::Suite& suite = suites.back();
    if (!ids.insert(suite.id).second) add_problem(fmt::format("{}: the suite id '{}' is used twice in this job", file.string(), suite.id));
    for (const suite::MediaKind kind : suite.prompt.media) {
      if (kind == suite::MediaKind::image) continue;
      add_problem(fmt::format("{}: suite '{}' cannot be judged by this build: its prompt shows {}, and there is no {} judge yet; "
                              "take it out of 'suites'", file.string(), suite.id, suite::media_name(kind), suite::media_name(kind)));
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

Plan make_plan(const job::JobSpec& job) { return {job, load_suites(job), chat_style(job.judge)}; }

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
  if (orders == job::Orders::as_given) return shown;
  const std::size_t given = shown.size();
  for (std::size_t i = 0; i < given; ++i) shown.emplace_back(shown[i].rbegin(), shown[i].rend());
  return shown;
}

std::vector<base::CallKey> call_keys(const Plan& plan, const suite::Suite& suite, const suite::Sample& sample) {
  std::vector<base::CallKey> keys;
  for (const auto& shown : presentations(suite.protocol, static_cast<int>(sample.candidates.size()), plan.job.judging.orders)) {
    for (int vote = 0; vote < plan.job.judging.votes; ++vote) {
      keys.push_back({plan.job.judge.id, suite.id, sample.id, "", shown, static_cast<std::uint32_t>(vote)});
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
  return shown * static_cast<std::uint64_t>(plan.job.judging.votes);
}

base::Hash128 ItemMaker::picture_hash(const std::string& path) {
  const auto [at, fresh] = pictures_.try_emplace(path);
  if (fresh) at->second = base::hash128(base::read_file(path));
  return at->second;
}

cluster::WorkPrompt ItemMaker::prompt(const suite::Suite& suite, const suite::Sample& sample,
                                      const std::vector<std::uint16_t>& presentation) {
  const bool likelihood = plan_.job.judging.reading == job::Reading::likelihood;
  const suite::RenderedPrompt rendered = suite::render(
      suite.prompt, likelihood ? suite::Wording::likelihood : suite::Wording::generate, sample, presentation);
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

float estimated_cost(const Plan& plan, const OutstandingItem& item) {
  // A prefilled token costs about an eighth of a decoded one; a token has about four bytes of text.
  constexpr double kBytesPerDecodedToken = 32, kPictureBytes = 1024;
  const suite::Suite& suite = plan.suites[item.suite];
  const suite::Sample& sample = suite.samples[item.sample];
  double bytes = static_cast<double>(suite.prompt.system.size() + suite.prompt.user.size() + sample.question.size()) +
                 kPictureBytes * static_cast<double>(sample.images.size());
  for (const auto& candidate : sample.candidates) {
    bytes += static_cast<double>(candidate.text.size()) + kPictureBytes * static_cast<double>(candidate.images.size());
  }
  const double output = plan.job.judging.reading == job::Reading::likelihood
                            ? 1 : std::min(plan.job.sampling.max_new_tokens, 512);
  return static_cast<float>(bytes / kBytesPerDecodedToken + output * static_cast<double>(item.calls.size()));
}

cluster::WorkItem ItemMaker::make(const OutstandingItem& outstanding, std::uint64_t id) {
  const suite::Suite& suite = plan_.suites[outstanding.suite];
  const suite::Sample& sample = suite.samples[outstanding.sample];
  cluster::WorkItem item;
  item.id = id;
  item.cost = estimated_cost(plan_, outstanding);
  const auto keys = call_keys(plan_, suite, sample);
  std::map<std::vector<std::uint16_t>, std::uint32_t> prompts;
  for (const std::uint32_t index : outstanding.calls) {
    cluster::WorkCall call;
    call.key = keys.at(index);
    call.noise_stream = base::noise_stream(plan_.job.judging.seed, base::digest(call.key));
    const auto [at, fresh] = prompts.try_emplace(call.key.presentation, static_cast<std::uint32_t>(item.prompts.size()));
    if (fresh) item.prompts.push_back(prompt(suite, sample, call.key.presentation));
    call.prompt = at->second;
    item.calls.push_back(std::move(call));
  }
  return item;
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
  if (job.judging.reading == job::Reading::likelihood) {
    settings.sampling.temperature = 0;
    settings.sampling.max_new_tokens = 1;
    settings.watch_labels = suites.front().prompt.labels;
  }
  return settings;
}

}  // namespace assize::app
