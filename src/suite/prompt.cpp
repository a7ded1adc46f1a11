#include "suite/prompt.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <functional>
#include <optional>

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

constexpr std::array kMediaKinds{MediaKind::image, MediaKind::video, MediaKind::audio, MediaKind::molecule};

/// The kind of that name, or none.
std::optional<MediaKind> media_kind(std::string_view name) {
  for (const MediaKind kind : kMediaKinds) {
    if (name == media_name(kind)) return kind;
  }
  return {};
}

/// A placeholder: what it shows.
struct Placeholder {
  enum class Kind { question, field, media, candidate_text, candidates, number, letter, criterion, criterion_text, unknown } kind = Kind::unknown;
  int candidate = 0;  ///< 1-based; 0: of the question; -1: the one that `each` is at
  std::optional<MediaKind> media;
  std::string_view field;
  int index = 0;  ///< of the question's media, 1-based; 0: all of them

  bool of_each() const { return candidate < 0 || kind == Kind::number || kind == Kind::letter; }
};

Placeholder parse_placeholder(std::string_view name) {
  using Kind = Placeholder::Kind;
  if (name == "question") return {Kind::question, 0, {}, {}};
  if (name == "candidates") return {Kind::candidates, 0, {}, {}};
  if (name == "criterion") return {Kind::criterion, 0, {}, {}};
  if (name == "criterion_text") return {Kind::criterion_text, 0, {}, {}};
  if (name == "number") return {Kind::number, 0, {}, {}};
  if (name == "letter") return {Kind::letter, 0, {}, {}};
  if (const auto kind = media_kind(name)) return {Kind::media, 0, kind, {}};
  if (const auto bar = name.rfind('_'); bar != std::string_view::npos) {
    if (const auto kind = media_kind(name.substr(0, bar))) {
      const std::string_view digits = name.substr(bar + 1);
      int index = 0;
      const auto [end, code] = std::from_chars(digits.data(), digits.data() + digits.size(), index);
      return code == std::errc{} && end == digits.data() + digits.size() && index > 0 ? Placeholder{Kind::media, 0, kind, {}, index}
                                                                                       : Placeholder{};
    }
  }
  const auto take = [&name](std::string_view prefix) {
    if (name.substr(0, prefix.size()) != prefix) return false;
    name.remove_prefix(prefix.size());
    return true;
  };
  if (take("field:")) return name.empty() ? Placeholder{} : Placeholder{Kind::field, 0, {}, name};
  if (!take("candidate")) return {};
  int candidate = -1;
  const std::string_view rest = name;
  if (take("_")) {
    const auto [at, code] = std::from_chars(name.data(), name.data() + name.size(), candidate);
    if (code != std::errc{}) {
      name = rest;
    } else if (candidate < 1) {
      return {};
    } else {
      name.remove_prefix(static_cast<std::size_t>(at - name.data()));
    }
  }
  if (name.empty()) return {Kind::candidate_text, candidate, {}, {}};
  if (!take("_")) return {};
  const auto kind = media_kind(name);
  return kind ? Placeholder{Kind::media, candidate, kind, {}} : Placeholder{};
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

/// Checks one text of a prompt and notes the media that it shows.
void check_placeholders(PromptTemplate& prompt, const std::string& wording, const char* key, const job::Place& place,
                        verdict::Protocol protocol, job::Problems& problems) {
  const int shown = shown_candidates(protocol);
  const bool in_each = std::string_view(key) == "each";
  std::vector<int> seen;
  bool all = false;
  const std::string trouble = walk(wording, [](std::string_view) {}, [&](std::string_view name) {
    const Placeholder found = parse_placeholder(name);
    if (found.kind == Placeholder::Kind::unknown || found.of_each() != in_each) {
      problems.add(place, fmt::format("'{}' has the unknown placeholder '{{{}}}'; known: {}", key, name,
                                      in_each ? "{number}, {letter}, {candidate}, {candidate_image}, …"
                                              : "{question}, {field:NAME}, {image}, {video}, {audio}, {molecule}, {candidate_1}, "
                                                "{candidate_1_image}, …, {candidates}"));
    }
    if (found.media) prompt.media.insert(*found.media);
    if (found.kind == Placeholder::Kind::candidates) {
      all = true;
      if (prompt.each.empty()) problems.add(place, fmt::format("'{}' has {{candidates}}, but there is no 'each'", key));
    }
    if (shown && found.candidate > shown) {
      problems.add(place, fmt::format("'{}' shows candidate {}, but protocol {} has {}", key, found.candidate,
                                      verdict::name(protocol), shown));
    }
    if (found.candidate > 0) seen.push_back(found.candidate);
  });
  if (!trouble.empty()) problems.add(place, fmt::format("'{}' has {}", key, trouble));
  // A score may be of the question's media, such as two recordings.
  if (in_each || all || (protocol == verdict::Protocol::score && !prompt.media.empty())) return;
  const int expected = shown ? shown : (seen.empty() ? 1 : *std::max_element(seen.begin(), seen.end()));
  for (int candidate = 1; candidate <= expected; ++candidate) {
    if (std::find(seen.begin(), seen.end(), candidate) == seen.end()) {
      problems.add(place, fmt::format("'{}' never shows candidate {}: put {{candidate_{}}} or {{candidate_{}_image}} in it",
                                      key, candidate, candidate, candidate));
    }
  }
}

/// The rubric; each criterion is a call of its own, so the prompt must show which one is meant.
void read_criteria(job::MapReader& reader, PromptTemplate& prompt, job::Problems& problems) {
  const job::Tree* tree = reader.take("criteria");
  if (!tree) return;
  if (tree->kind != job::Tree::Kind::map || tree->entries.empty()) {
    problems.add(tree->place, "'criteria' must be a map of name to text");
    return;
  }
  for (const auto& [name, place, text] : tree->entries) {
    if (text.kind != job::Tree::Kind::scalar || name.empty()) problems.add(place, fmt::format("criterion '{}' must have a text", name));
    prompt.criteria.emplace_back(name, text.scalar);
  }
  bool shown = false;
  walk(prompt.user, [](std::string_view) {}, [&](std::string_view name) { shown = shown || name == "criterion" || name == "criterion_text"; });
  if (!shown) problems.add(tree->place, "the prompt has criteria, but 'user' never shows {criterion} or {criterion_text}");
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

/// Puts a rendered prompt together from the texts of a template.
class Renderer {
 public:
  Renderer(const PromptTemplate& prompt, const Sample& sample, std::span<const std::uint16_t> presentation,
           std::string_view criterion, RenderedPrompt& out)
      : prompt_(prompt), sample_(sample), presentation_(presentation), criterion_(criterion), out_(out) {}

  /// `at`: the candidate (1-based, as shown) that `each` is at.
  void add_wording(std::string_view wording, int at) {
    walk(wording, [this](std::string_view text) { add(PromptPart::Kind::trusted, text); },
         [&](std::string_view name) { add_placeholder(name, at); });
  }

 private:
  void add(PromptPart::Kind kind, std::string_view text) {
    if (text.empty()) return;
    if (kind != PromptPart::Kind::image && !out_.user.empty() && out_.user.back().kind == kind) {
      out_.user.back().text += text;
    } else {
      out_.user.push_back({kind, std::string(text)});
    }
  }

  void add_placeholder(std::string_view name, int at) {
    using Kind = Placeholder::Kind;
    const Placeholder found = parse_placeholder(name);
    const int number = found.candidate < 0 ? at : found.candidate;
    if (number > static_cast<int>(presentation_.size())) {
      throw base::Error(fmt::format("sample '{}' has {} candidates, but {} shows candidate {}", sample_.id, presentation_.size(),
                                    prompt_.file.string(), number));
    }
    const Candidate* candidate =
        number > 0 ? &sample_.candidates.at(presentation_[static_cast<std::size_t>(number) - 1]) : nullptr;
    switch (found.kind) {
      case Kind::question: add(PromptPart::Kind::untrusted, sample_.question); break;
      case Kind::field: add_field(found.field); break;
      case Kind::candidate_text: add(PromptPart::Kind::untrusted, candidate->text); break;
      case Kind::media: add_media(found, candidate ? candidate->images : sample_.images, name); break;
      case Kind::number: add(PromptPart::Kind::trusted, std::to_string(at)); break;
      case Kind::letter: add(PromptPart::Kind::trusted, std::string(1, static_cast<char>('A' + at - 1))); break;
      case Kind::candidates:
        for (int each = 1; each <= static_cast<int>(presentation_.size()); ++each) {
          if (each > 1) add(PromptPart::Kind::trusted, "\n\n");
          add_wording(prompt_.each, each);
        }
        break;
      case Kind::criterion: add(PromptPart::Kind::trusted, criterion_); break;
      case Kind::criterion_text:
        for (const auto& [criterion, text] : prompt_.criteria) {
          if (criterion == criterion_) add(PromptPart::Kind::trusted, text);
        }
        break;
      case Kind::unknown: break;
    }
  }

  void add_field(std::string_view field) {
    const auto at = sample_.fields.find(std::string(field));
    if (at == sample_.fields.end()) {
      throw base::Error(fmt::format("sample '{}' has no field '{}', which {} shows", sample_.id, field, prompt_.file.string()));
    }
    add(PromptPart::Kind::untrusted, at->second);
  }

  void add_media(const Placeholder& found, const std::vector<std::string>& images, std::string_view name) {
    if (*found.media != MediaKind::image) {
      throw base::Error(fmt::format("sample '{}': {} shows {{{}}}, and this build judges pictures and text only", sample_.id,
                                    prompt_.file.string(), name));
    }
    const auto wanted = static_cast<std::size_t>(std::max(1, found.index));
    if (images.size() < wanted) {
      throw base::Error(fmt::format("sample '{}' has no picture for {{{}}} of {}", sample_.id, name, prompt_.file.string()));
    }
    if (found.index > 0) return add(PromptPart::Kind::image, images[wanted - 1]);
    for (const auto& image : images) add(PromptPart::Kind::image, image);
  }

  const PromptTemplate& prompt_;
  const Sample& sample_;
  std::span<const std::uint16_t> presentation_;
  std::string_view criterion_;
  RenderedPrompt& out_;
};

}  // namespace

std::string_view media_name(MediaKind kind) {
  switch (kind) {
    case MediaKind::image: return "image";
    case MediaKind::video: return "video";
    case MediaKind::audio: return "audio";
    case MediaKind::molecule: return "molecule";
  }
  return {};
}

std::vector<std::string> criterion_names(const PromptTemplate& prompt) {
  std::vector<std::string> names;
  for (const auto& [name, text] : prompt.criteria) names.push_back(name);
  if (names.empty()) names.emplace_back();
  return names;
}

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
  read_criteria(reader, prompt, problems);
  reader.get("each", prompt.each);
  if (!prompt.each.empty() && prompt.each.back() == '\n') prompt.each.pop_back();
  reader.get("assistant", prompt.prefill);
  prompt.profile.prefill = prompt.prefill;
  read_verdict_form(job::MapReader(reader.take("verdict"), tree.place, "verdict", problems), prompt, problems);
  check_placeholders(prompt, prompt.user, "user", reader.place("user"), protocol, problems);
  check_placeholders(prompt, prompt.each, "each", reader.place("each"), protocol, problems);

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
    check_placeholders(prompt, prompt.likelihood_user, "likelihood.user", inner.place("user"), protocol, problems);
    inner.finish();
  }
  reader.finish();
  problems.raise();
  return prompt;
}

RenderedPrompt render(const PromptTemplate& prompt, Wording wording, const Sample& sample,
                      std::span<const std::uint16_t> presentation, std::string_view criterion) {
  const bool generate = wording == Wording::generate;
  RenderedPrompt out;
  out.system = generate ? prompt.system : prompt.likelihood_system;
  out.assistant_prefill = generate ? prompt.prefill : prompt.likelihood_prefill;
  Renderer(prompt, sample, presentation, criterion, out).add_wording(generate ? prompt.user : prompt.likelihood_user, 0);
  return out;
}

}  // namespace assize::suite
