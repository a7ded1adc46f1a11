#include "verdict/vote_list.h"

#include <cstring>

namespace assize::verdict {
namespace {

using Bytes = std::vector<std::uint8_t>;

/// Seven bits a byte, the lowest first.
void put(Bytes& out, std::uint64_t number) {
  for (; number >= 0x80; number >>= 7) out.push_back(static_cast<std::uint8_t>(number | 0x80));
  out.push_back(static_cast<std::uint8_t>(number));
}

void put(Bytes& out, double number) {
  std::uint8_t raw[sizeof number];
  std::memcpy(raw, &number, sizeof number);
  out.insert(out.end(), raw, raw + sizeof number);
}

void put(Bytes& out, const std::string& text) {
  put(out, std::uint64_t{text.size()});
  out.insert(out.end(), text.begin(), text.end());
}

void put(Bytes& out, const Vote& vote) {
  put(out, std::uint64_t{vote.vote});
  put(out, std::uint64_t{vote.presentation.size()});
  for (const auto candidate : vote.presentation) put(out, std::uint64_t{candidate});
  put(out, static_cast<std::uint64_t>(vote.verdict.status));
  put(out, vote.verdict.reason);
  put(out, vote.verdict.choice);
  put(out, vote.verdict.value);
  put(out, std::uint64_t{vote.verdict.scores.size()});
  for (const double score : vote.verdict.scores) put(out, score);
}

/// Reads what put() wrote.
class Reader {
 public:
  explicit Reader(const Bytes& bytes) : at_(bytes.data()) {}

  Vote vote() {
    Vote vote;
    vote.vote = static_cast<std::uint32_t>(number());
    vote.presentation.resize(number());
    for (auto& candidate : vote.presentation) candidate = static_cast<std::uint16_t>(number());
    vote.verdict.status = static_cast<VerdictStatus>(number());
    vote.verdict.reason = text();
    vote.verdict.choice = text();
    vote.verdict.value = real();
    vote.verdict.scores.resize(number());
    for (double& score : vote.verdict.scores) score = real();
    return vote;
  }

 private:
  std::uint64_t number() {
    std::uint64_t number = 0;
    for (int shift = 0;; shift += 7) {
      const std::uint8_t byte = *at_++;
      number |= std::uint64_t{byte & 0x7Fu} << shift;
      if (byte < 0x80) return number;
    }
  }

  double real() {
    double number = 0;
    std::memcpy(&number, at_, sizeof number);
    at_ += sizeof number;
    return number;
  }

  std::string text() {
    const std::size_t size = number();
    const std::string text(reinterpret_cast<const char*>(at_), size);
    at_ += size;
    return text;
  }

  const std::uint8_t* at_;
};

}  // namespace

VoteList::VoteList(std::span<const Vote> votes) {
  for (const Vote& vote : votes) add(vote);
  bytes_.shrink_to_fit();
}

void VoteList::add(const Vote& vote) {
  put(bytes_, vote);
  ++size_;
}

std::vector<Vote> VoteList::unpacked() const {
  std::vector<Vote> votes;
  votes.reserve(size_);
  for (Reader reader(bytes_); votes.size() < size_;) votes.push_back(reader.vote());
  return votes;
}

}  // namespace assize::verdict
