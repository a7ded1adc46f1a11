#include "results/judgement_bytes.h"

namespace assize::results {

namespace {
constexpr std::uint8_t kVersion = 1;
}

void put_key(base::ByteWriter& out, const base::CallKey& key) {
  out.put(key.judge_id).put(key.suite_id).put(key.sample_id).put(key.criterion).put(key.presentation).put(key.vote);
}

base::CallKey get_key(base::ByteReader& in) {
  base::CallKey key;
  key.judge_id = in.text();
  key.suite_id = in.text();
  key.sample_id = in.text();
  key.criterion = in.text();
  key.presentation = in.values<std::uint16_t>();
  key.vote = in.get<std::uint32_t>();
  return key;
}

std::vector<std::byte> to_bytes(const Judgement& judgement) {
  base::ByteWriter out;
  out.put(kVersion);
  put_key(out, judgement.key);
  out.put(judgement.asked.low).put(judgement.asked.high);
  out.put(judgement.status).put(judgement.error).put(judgement.text).put(judgement.token_ids);
  out.put(judgement.sum_logprob).put(judgement.watch_logprobs).put(judgement.prompt_tokens);
  out.put(judgement.prefilled_tokens).put(judgement.group).put(judgement.seconds);
  return out.take();
}

Judgement judgement_from(std::span<const std::byte> bytes) {
  base::ByteReader in(bytes);
  if (const auto version = in.get<std::uint8_t>(); version != kVersion) {
    throw base::Error("judgement of unknown version " + std::to_string(version), base::ErrorKind::failed);
  }
  Judgement judgement;
  judgement.key = get_key(in);
  judgement.asked.low = in.get<std::uint64_t>();
  judgement.asked.high = in.get<std::uint64_t>();
  const auto status = in.get<std::uint8_t>();
  if (status > static_cast<std::uint8_t>(Status::failed)) {
    throw base::Error("judgement of unknown status " + std::to_string(status), base::ErrorKind::failed);
  }
  judgement.status = static_cast<Status>(status);
  judgement.error = in.text();
  judgement.text = in.text();
  judgement.token_ids = in.values<std::int32_t>();
  judgement.sum_logprob = in.get<double>();
  judgement.watch_logprobs = in.values<float>();
  judgement.prompt_tokens = in.get<std::int32_t>();
  judgement.prefilled_tokens = in.get<std::int32_t>();
  judgement.group = in.get<std::int32_t>();
  judgement.seconds = in.get<double>();
  if (!in.at_end()) throw base::Error("judgement has bytes behind its end", base::ErrorKind::failed);
  return judgement;
}

}  // namespace assize::results
