#include "text/tokenizer.h"

#include <algorithm>
#include <unordered_map>

#include "base/file.h"
#include "text/added_tokens.h"
#include "text/bpe.h"
#include "text/byte_level.h"
#include "text/pre_tokenizer.h"
#include "text/tokenizer_json.h"
#include "text/utf8.h"

namespace assize::text {

namespace {

constexpr std::uintmax_t kMaxFileBytes = std::uintmax_t{256} << 20;

std::vector<AddedToken> select(const TokenizerSpec& spec, bool normalized) {
  std::vector<AddedToken> chosen;
  for (AddedToken token : spec.added) {
    if (token.normalized != normalized) continue;
    if (normalized && spec.normalizer == Normalizer::nfc) token.content = nfc(token.content);
    chosen.push_back(std::move(token));
  }
  return chosen;
}

bool is_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

// The parts of `ranges` inside of `window`, counted from its beginning.
std::vector<Range> clip(const std::vector<Range>& ranges, Range window) {
  std::vector<Range> inside;
  for (const Range& range : ranges) {
    const std::size_t begin = std::max(range.begin_bytes, window.begin_bytes);
    const std::size_t end = std::min(range.end_bytes, window.end_bytes);
    if (begin < end) inside.push_back({begin - window.begin_bytes, end - window.begin_bytes});
  }
  return inside;
}

// Calls `gap(range)` for each stretch between matches and `token(id)` for each match, in order.
template <class Gap, class Token>
void walk(std::size_t size_bytes, const std::vector<AddedMatch>& matches, const Gap& gap,
          const Token& token) {
  std::size_t from = 0;
  for (const AddedMatch& match : matches) {
    if (from < match.range.begin_bytes) gap(Range{from, match.range.begin_bytes});
    token(match.id);
    from = match.range.end_bytes;
  }
  if (from < size_bytes) gap(Range{from, size_bytes});
}

// Where the borders of `ranges` lie in the normalised text. A border inside of a character that
// normalisation composed goes to the beginning of that character.
std::vector<Range> normalize_ranges(const std::vector<Range>& ranges, std::string_view text,
                                    std::string_view normalized) {
  const auto moved = [&](std::size_t border) {
    const std::string before = nfc(text.substr(0, border));
    const std::size_t limit = std::min(before.size(), normalized.size());
    std::size_t same = 0;
    while (same < limit && before[same] == normalized[same]) ++same;
    while (same > 0 && same < normalized.size() &&
           (static_cast<unsigned char>(normalized[same]) & 0xC0) == 0x80)
      --same;
    return same;
  };
  std::vector<Range> result;
  for (const Range& range : ranges) {
    const Range r{moved(range.begin_bytes), moved(range.end_bytes)};
    if (r.begin_bytes < r.end_bytes) result.push_back(r);
  }
  return result;
}

}  // namespace

struct Tokenizer::Tables {
  explicit Tables(TokenizerSpec spec_in)
      : spec(std::move(spec_in)),
        raw_added(select(spec, false)),
        normalized_added(select(spec, true)),
        bpe(spec.byte_ids, spec.merges) {
    bytes.resize(spec.tokens.size());
    special.resize(spec.tokens.size(), 0);
    id_of.reserve(spec.tokens.size());
    for (std::size_t id = 0; id < spec.tokens.size(); ++id) {
      const std::string& token = spec.tokens[id];
      if (token.empty()) continue;
      id_of.emplace(token, static_cast<std::int32_t>(id));
      bytes[id] = unspell_bytes(token).value_or(token);
    }
    for (const AddedToken& token : spec.added) {
      const auto id = static_cast<std::size_t>(token.id);
      bytes[id] = token.content;
      special[id] = token.special;
    }
    if (spec.ignore_merges == IgnoreMerges::yes) {
      for (std::size_t id = 0; id < spec.tokens.size(); ++id) {
        if (!spec.in_vocabulary[id]) continue;
        if (auto piece = unspell_bytes(spec.tokens[id]))
          whole_pieces.emplace(std::move(*piece), static_cast<std::int32_t>(id));
      }
    }
  }

  // Text without added tokens.
  void encode_plain(std::string_view text, std::vector<std::int32_t>& ids) const {
    std::vector<std::string_view> pieces;
    pre_tokenize(spec.splits, text, pieces);
    for (const std::string_view piece : pieces) {
      if (!whole_pieces.empty()) {
        if (const auto found = whole_pieces.find(std::string(piece)); found != whole_pieces.end()) {
          ids.push_back(found->second);
          continue;
        }
      }
      bpe.encode(piece, ids);
    }
  }

  // Text between added tokens of the raw text: normalised here, then searched for the others.
  void encode_gap(std::string_view text, const std::vector<Range>& trusted,
                  std::vector<std::int32_t>& ids) const {
    std::string storage;
    std::string_view normalized = text;
    if (spec.normalizer == Normalizer::nfc && !is_ascii(text)) normalized = storage = nfc(text);
    if (normalized_added.empty() || trusted.empty()) return encode_plain(normalized, ids);
    const auto ranges = normalized == text ? trusted : normalize_ranges(trusted, text, normalized);
    walk(
        normalized.size(), normalized_added.find(normalized, ranges),
        [&](Range gap) {
          encode_plain(normalized.substr(gap.begin_bytes, gap.end_bytes - gap.begin_bytes), ids);
        },
        [&](std::int32_t id) { ids.push_back(id); });
  }

  // The whole: valid UTF-8, and where added tokens are recognised.
  std::vector<std::int32_t> encode(std::string_view text, const std::vector<Range>& trusted) const {
    std::vector<std::int32_t> ids;
    ids.reserve(text.size() / 3 + 1);
    walk(
        text.size(), raw_added.find(text, trusted),
        [&](Range gap) {
          encode_gap(text.substr(gap.begin_bytes, gap.end_bytes - gap.begin_bytes), clip(trusted, gap), ids);
        },
        [&](std::int32_t id) { ids.push_back(id); });
    return ids;
  }

  TokenizerSpec spec;
  AddedTokenMatcher raw_added, normalized_added;
  Bpe bpe;
  std::vector<std::string> bytes;  // by id
  std::vector<std::uint8_t> special;
  std::unordered_map<std::string_view, std::int32_t> id_of;    // views of spec.tokens
  std::unordered_map<std::string, std::int32_t> whole_pieces;  // only with ignore_merges
};

Tokenizer Tokenizer::load(const std::filesystem::path& file) {
  return parse(base::read_file(file, kMaxFileBytes), file.string());
}

Tokenizer Tokenizer::parse(std::string_view json, const std::string& name) {
  return Tokenizer(std::make_shared<const Tables>(parse_tokenizer_json(json, name)));
}

std::vector<std::int32_t> Tokenizer::encode(std::string_view text, SpecialTokens special) const {
  std::string storage;
  if (!is_utf8(text)) text = storage = replace_invalid_utf8(text);
  std::vector<Range> trusted;
  if (special == SpecialTokens::parse) trusted.push_back({0, text.size()});
  return tables_->encode(text, trusted);
}

std::vector<std::int32_t> Tokenizer::encode(const PromptText& prompt) const {
  std::string text;
  std::vector<Range> trusted;
  for (const Segment& segment : prompt.segments) {
    const std::size_t begin = text.size();
    text += is_utf8(segment.text) ? segment.text : replace_invalid_utf8(segment.text);
    if (segment.trust == Trust::untrusted || text.size() == begin) continue;
    if (!trusted.empty() && trusted.back().end_bytes == begin) {
      trusted.back().end_bytes = text.size();
    } else {
      trusted.push_back({begin, text.size()});
    }
  }
  return tables_->encode(text, trusted);
}

std::string Tokenizer::decode(std::span<const std::int32_t> ids, DecodeSpecial special) const {
  std::string bytes;
  for (const std::int32_t id : ids) {
    if (special == DecodeSpecial::skip && is_special(id)) continue;
    bytes += bytes_of(id);
  }
  return is_utf8(bytes) ? bytes : replace_invalid_utf8(bytes);
}

std::string_view Tokenizer::bytes_of(std::int32_t id) const {
  const auto& bytes = tables_->bytes;
  return id >= 0 && static_cast<std::size_t>(id) < bytes.size()
             ? std::string_view(bytes[static_cast<std::size_t>(id)])
             : std::string_view();
}

bool Tokenizer::is_special(std::int32_t id) const {
  const auto& special = tables_->special;
  return id >= 0 && static_cast<std::size_t>(id) < special.size() && special[static_cast<std::size_t>(id)];
}

std::optional<std::int32_t> Tokenizer::id_of(std::string_view token) const {
  const auto found = tables_->id_of.find(token);
  if (found == tables_->id_of.end()) return std::nullopt;
  return found->second;
}

std::size_t Tokenizer::vocab_size() const { return tables_->bytes.size(); }
const std::vector<std::int32_t>& Tokenizer::ids_before_text() const { return tables_->spec.before_text; }
const std::vector<std::int32_t>& Tokenizer::ids_after_text() const { return tables_->spec.after_text; }

}  // namespace assize::text
