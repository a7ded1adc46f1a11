#include "suite/prompt.h"

#include <algorithm>
#include <charconv>
#include <functional>

#include <fmt/format.h>

#include "base/error.h"
#include "job/reader.h"
#include "job/tree.h"

namespace assize::suite {

namespace {

/// Candidates a protocol shows: 1, 2, or 0 = as many as the sample has.
int shown_candidates(verdict::Protocol protocol) {
  switch (protocol) {
    case verdict::Protocol::score: return 1;
    case verdict::Protocol::pair:
    case verdict::Protocol::label: return 2;
    case verdict::Protocol::rank: return 0;
  }
  return 0;
}

/// A placeholder: what it shows and, for candidates, which (1-based).
struct Placeholder {
  enum class Kind { question, image, candidate, candidate_image, unknown } kind = Kind::unknown;
  int candidate = 0;
};

Placeholder parse_placeholder(std::string_view name) {
  if (name == "question") return {Placeholder::Kind::question, 0};
  if (name == "image") return {Placeholder::Kind::image, 0};
  constexpr std::string_view prefix = "candidate_", suffix = "_image";
  if (name.substr(0, prefix.size()) != prefix) return {};
  name.remove_prefix(prefix.size());
  Placeholder found{Placeholder::Kind::candidate, 0};
  if (name.size() > suffix.size() && name.substr(name.size() - suffix.size()) == suffix) {
    found.kind = Placeholder::Kind::candidate_image;
    name.remove_suffix(suffix.size());
  }
  const auto [at, code] = std::from_chars(name.data(), name.data() + name.size(), found.candidate);
  if (code != std::errc{} || at != name.data() + name.size() || found.candidate < 1) return {};
  return found;
}

/// Walks a template: `text` for literal pieces, `placeholder` for names in braces.
/// Returns an empty string, or what is wrong with the braces.
std::string walk(std::string_view source, const std::function<void(std::string_view)>& text,
                 const std::function<void(std::string_view)>& placeholder) {
  while (!source.empty()) {
    const auto brace = source.find_first_of("{}");
    if (brace == std::string_view::npos) {
      text(source);
      return {};
    }
    if (brace) text(source.substr(0, brace));
    source.remove_prefix(brace);
    if (source.size() > 1 && source[1] == source[0]) {
      text(source.substr(0, 1));
      source.remove_prefix(2);
      continue;
    }
    const auto close = source.find('}');
    if (source[0] == '}' || close == std::string_view::npos) {
      return fmt::format("a lone '{}'; write '{}{}' for a brace", source[0], source[0], source[0]);
    }
    placeholder(source.substr(1, close - 1));
    source.remove_prefix(close + 1);
  }
  return {};
}

void check_placeholders(const std::string& wording, const char* key, const job::Place& place, verdict::Protocol protocol,
                        job::Problems& problems) {
  const int shown = shown_candidates(protocol);
  std::vector<int> seen;
  const std::string trouble = walk(wording, [](std::string_view) {}, [&](std::string_view name) {
    const Placeholder found = parse_placeholder(name);
    if (found.kind == Placeholder::Kind::unknown) {
      problems.add(place, fmt::format("'{}' has the unknown placeholder '{{{}}}'; known: {{question}}, {{image}}, "
                                      "{{candidate_1}}, {{candidate_1_image}}, …", key, name));
    }
    if (shown && found.candidate > shown) {
      problems.add(place, fmt::format("'{}' shows candidate {}, but protocol {} has {}", key, found.candidate,
                                      verdict::name(protocol), shown));
    }
    if (found.candidate) seen.push_back(found.candidate);
  });
  if (!trouble.empty()) problems.add(place, fmt::format("'{}' has {}", key, trouble));
  const int expected = shown ? shown : (seen.empty() ? 1 : *std::max_element(seen.begin(), seen.end()));
  for (int candidate = 1; candidate <= expected; ++candidate) {
    if (std::find(seen.begin(), seen.end(), candidate) == seen.end()) {
      problems.add(place, fmt::format("'{}' never shows candidate {}: put {{candidate_{}}} or {{candidate_{}_image}} in it",
                                      key, candidate, candidate, candidate));
    }
  }
}

void read_verdict_form(job::MapReader reader, PromptTemplate& prompt, job::Problems& problems) {
  using verdict::Form;
  reader.get("form", prompt.profile.form,
             {{"scores", Form::scores}, {"label", Form::label}, {"choice", Form::choice}});
  std::vector<std::string> scale;
  reader.get("pattern", prompt.profile.custom.pattern);
  if (!prompt.profile.custom.pattern.empty()) prompt.profile.form = Form::custom;
  reader.get("take", prompt.profile.custom.take,
             {{"first", verdict::Take::first}, {"last", verdict::Take::last}, {"all", verdict::Take::all}});
  if (double divisor = 1; reader.has("divide_by")) {
    reader.get("divide_by", divisor, 1e-9, 1e9);
    prompt.profile.custom.scale = divisor;
  }
  using verdict::RepoRule;
  if (prompt.profile.form == Form::label) prompt.profile.repo = RepoRule::four_way;
  reader.get("repo", prompt.profile.repo,
             {{"integers", RepoRule::integers},
              {"four_way", RepoRule::four_way},
              {"decimal", RepoRule::decimal},
              {"bvcc", RepoRule::bvcc},
              {"molecules", RepoRule::molecules}});
  reader.get("scale", scale);
  if (!scale.empty()) {
    const auto number = [](const std::string& text, double& value) {
      return std::from_chars(text.data(), text.data() + text.size(), value).ptr == text.data() + text.size();
    };
    if (scale.size() != 2 || !number(scale[0], prompt.profile.low) || !number(scale[1], prompt.profile.high) ||
        prompt.profile.low >= prompt.profile.high) {
      problems.add(reader.place("scale"), "'verdict.scale' must be [low, high], for example [1, 10]");
    }
  }
  reader.finish();
}

}  // namespace

PromptTemplate load_prompt(const std::filesystem::path& file, verdict::Protocol protocol) {
  const job::Tree tree = job::read_yaml(file);
  job::Problems problems;
  job::MapReader reader(&tree, job::Place{file.string(), 1, 1}, "", problems);
  PromptTemplate prompt;
  prompt.file = file;
  std::string description;
  reader.get("id", prompt.id);
  reader.require("id");
  reader.get("description", description);
  reader.get("system", prompt.system);
  reader.get("user", prompt.user);
  reader.require("user");
  reader.get("assistant", prompt.prefill);
  prompt.profile.prefill = prompt.prefill;
  read_verdict_form(job::MapReader(reader.take("verdict"), tree.place, "verdict", problems), prompt, problems);
  check_placeholders(prompt.user, "user", reader.place("user"), protocol, problems);

  if (const job::Tree* likelihood = reader.take("likelihood")) {
    job::MapReader inner(likelihood, tree.place, "likelihood", problems);
    prompt.likelihood_system = prompt.system;
    prompt.likelihood_user = prompt.user;
    inner.get("system", prompt.likelihood_system);
    inner.get("user", prompt.likelihood_user);
    inner.get("assistant", prompt.likelihood_prefill);
    inner.get("labels", prompt.labels);
    inner.require("assistant");
    inner.require("labels");
    if (prompt.labels.size() > 16) problems.add(inner.place("labels"), "'likelihood.labels' may hold at most 16 labels");
    check_placeholders(prompt.likelihood_user, "likelihood.user", inner.place("user"), protocol, problems);
    inner.finish();
  }
  reader.finish();
  problems.raise();
  return prompt;
}

RenderedPrompt render(const PromptTemplate& prompt, Wording wording, const Sample& sample,
                      std::span<const std::uint16_t> presentation) {
  const bool generate = wording == Wording::generate;
  RenderedPrompt out;
  out.system = generate ? prompt.system : prompt.likelihood_system;
  out.assistant_prefill = generate ? prompt.prefill : prompt.likelihood_prefill;
  const auto add = [&out](PromptPart::Kind kind, std::string_view text) {
    if (text.empty()) return;
    if (kind != PromptPart::Kind::image && !out.user.empty() && out.user.back().kind == kind) {
      out.user.back().text += text;
    } else {
      out.user.push_back({kind, std::string(text)});
    }
  };
  const auto add_images = [&](const std::vector<std::string>& images, std::string_view name) {
    if (images.empty()) {
      throw base::Error(fmt::format("sample '{}' has no picture for {{{}}} of {}", sample.id, name, prompt.file.string()));
    }
    for (const auto& image : images) add(PromptPart::Kind::image, image);
  };
  walk(generate ? prompt.user : prompt.likelihood_user,
       [&](std::string_view text) { add(PromptPart::Kind::trusted, text); },
       [&](std::string_view name) {
         const Placeholder found = parse_placeholder(name);
         if (found.candidate > static_cast<int>(presentation.size())) {
           throw base::Error(fmt::format("sample '{}' has {} candidates, but {} shows candidate {}", sample.id,
                                         presentation.size(), prompt.file.string(), found.candidate));
         }
         const Candidate* candidate =
             found.candidate ? &sample.candidates.at(presentation[static_cast<std::size_t>(found.candidate) - 1]) : nullptr;
         switch (found.kind) {
           case Placeholder::Kind::question: add(PromptPart::Kind::untrusted, sample.question); break;
           case Placeholder::Kind::image: add_images(sample.images, name); break;
           case Placeholder::Kind::candidate: add(PromptPart::Kind::untrusted, candidate->text); break;
           case Placeholder::Kind::candidate_image: add_images(candidate->images, name); break;
           case Placeholder::Kind::unknown: break;
         }
       });
  return out;
}

}  // namespace assize::suite
