#include "cluster/wire.h"

#include "base/bytes.h"
#include "results/judgement_bytes.h"

namespace assize::cluster {

namespace {

using base::ByteReader;
using base::ByteWriter;
using base::Error;
using base::ErrorKind;

enum class Tag : std::uint8_t { hello = 1, finished, alive, fatal, bye, lease, shutdown, welcome, restart, drop };

[[noreturn]] void refuse(const std::string& what) { throw Error("message not understood: " + what, ErrorKind::failed); }

void put(ByteWriter& out, const base::Hash128& hash) { out.put(hash.low).put(hash.high); }

base::Hash128 get_hash(ByteReader& in) {
  base::Hash128 hash;
  hash.low = in.get<std::uint64_t>();
  hash.high = in.get<std::uint64_t>();
  return hash;
}

void put(ByteWriter& out, const text::PromptText& prompt) {
  out.put(static_cast<std::uint32_t>(prompt.segments.size()));
  for (const text::Segment& segment : prompt.segments) out.put(segment.trust).put(segment.text);
}

text::PromptText get_prompt(ByteReader& in) {
  text::PromptText prompt;
  for (auto count = in.get<std::uint32_t>(); count > 0; --count) {
    const auto trust = in.get<std::uint8_t>();
    if (trust > static_cast<std::uint8_t>(text::Trust::untrusted)) refuse("trust " + std::to_string(trust));
    prompt.segments.push_back({in.text(), static_cast<text::Trust>(trust)});
  }
  return prompt;
}

void put(ByteWriter& out, const WorkItem& item) {
  out.put(item.id).put(item.cost).put(static_cast<std::uint32_t>(item.prompts.size()));
  for (const WorkPrompt& prompt : item.prompts) {
    put(out, prompt.text);
    out.put(static_cast<std::uint32_t>(prompt.images.size()));
    for (const std::string& image : prompt.images) out.put(image);
    out.put(prompt.image_width_px).put(prompt.image_height_px);
    put(out, prompt.asked);
  }
  out.put(static_cast<std::uint32_t>(item.calls.size()));
  for (const WorkCall& call : item.calls) {
    results::put_key(out, call.key);
    out.put(call.prompt).put(call.noise_stream).put(call.output_tokens);
  }
}

// Counts are never trusted for a reservation: a lying one runs into the end of the message.
WorkItem get_item(ByteReader& in) {
  WorkItem item;
  item.id = in.get<std::uint64_t>();
  item.cost = in.get<double>();
  for (auto count = in.get<std::uint32_t>(); count > 0; --count) {
    WorkPrompt prompt;
    prompt.text = get_prompt(in);
    for (auto images = in.get<std::uint32_t>(); images > 0; --images) prompt.images.push_back(in.text());
    prompt.image_width_px = in.get<int>();
    prompt.image_height_px = in.get<int>();
    prompt.asked = get_hash(in);
    item.prompts.push_back(std::move(prompt));
  }
  for (auto count = in.get<std::uint32_t>(); count > 0; --count) {
    WorkCall call;
    call.key = results::get_key(in);
    call.prompt = in.get<std::uint32_t>();
    call.noise_stream = in.get<std::uint64_t>();
    call.output_tokens = in.get<std::int32_t>();
    if (call.prompt >= item.prompts.size()) refuse("a call without its prompt");
    item.calls.push_back(std::move(call));
  }
  return item;
}

struct Encoder {
  ByteWriter out;

  void operator()(const Hello& m) {
    out.put(Tag::hello).put(m.slots).put(m.about);
    out.put(m.ceiling.flop_per_second).put(m.ceiling.bytes_per_second).put(m.ceiling.threads);
    out.put(m.ceiling.flop_spread).put(m.ceiling.bytes_spread);
    out.put(m.ceiling.sheet_flop_per_second).put(m.ceiling.sheet_bytes_per_second);
  }
  void operator()(const Finished& m) {
    const auto bytes = results::to_bytes(m.judgement);
    out.put(Tag::finished).put(std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
  }
  void operator()(const Alive& m) {
    out.put(Tag::alive);
    put(out, m.counters);
  }
  void operator()(const Fatal& m) {
    out.put(Tag::fatal).put(m.message).put(static_cast<std::uint8_t>(m.kind == base::ErrorKind::usage));
  }
  void operator()(const Bye&) { out.put(Tag::bye); }
  void operator()(const Lease& m) {
    out.put(Tag::lease);
    put(out, m.item);
  }
  void operator()(const Restart&) { out.put(Tag::restart); }
  void operator()(const Drop& m) { put(out.put(Tag::drop), m.call); }
  void operator()(const Shutdown&) { out.put(Tag::shutdown); }
  void operator()(const Welcome& m) { out.put(Tag::welcome).put(m.run_folder).put(m.identity).put(m.epoch).put(m.group); }
};

Message read_message(ByteReader& in) {
  const auto tag = in.get<std::uint8_t>();
  switch (static_cast<Tag>(tag)) {
    case Tag::hello: {
      Hello m;
      m.slots = in.get<std::uint32_t>();
      m.about = in.text();
      m.ceiling.flop_per_second = in.get<double>();
      m.ceiling.bytes_per_second = in.get<double>();
      m.ceiling.threads = in.get<int>();
      m.ceiling.flop_spread = in.get<double>();
      m.ceiling.bytes_spread = in.get<double>();
      m.ceiling.sheet_flop_per_second = in.get<double>();
      m.ceiling.sheet_bytes_per_second = in.get<double>();
      return m;
    }
    case Tag::finished: {
      const std::string bytes = in.text();
      return Finished{results::judgement_from(std::as_bytes(std::span(bytes.data(), bytes.size())))};
    }
    case Tag::alive: return Alive{get_counters(in)};
    case Tag::fatal: {
      Fatal m;
      m.message = in.text();
      m.kind = in.get<std::uint8_t>() ? base::ErrorKind::usage : base::ErrorKind::failed;
      return m;
    }
    case Tag::bye: return Bye{};
    case Tag::lease: return Lease{get_item(in)};
    case Tag::restart: return Restart{};
    case Tag::drop: return Drop{get_hash(in)};
    case Tag::shutdown: return Shutdown{};
    case Tag::welcome: {
      Welcome m;
      m.run_folder = in.text();
      m.identity = in.text();
      m.epoch = in.get<std::uint32_t>();
      m.group = in.get<std::int32_t>();
      return m;
    }
  }
  refuse("type " + std::to_string(tag));
}

}  // namespace

std::vector<std::byte> encode(const Message& message) {
  Encoder encoder;
  std::visit(encoder, message);
  return encoder.out.take();
}

Message decode(std::span<const std::byte> bytes) {
  ByteReader in(bytes);
  Message message = read_message(in);
  if (!in.at_end()) refuse("bytes behind its end");
  return message;
}

std::vector<std::byte> encode(const StepOrder& order) {
  if (order.next == StepOrder::Next::step && order.items.empty() && order.drops.empty()) return {};
  ByteWriter out;
  out.put(order.next).put(static_cast<std::uint32_t>(order.items.size()));
  for (const WorkItem& item : order.items) put(out, item);
  out.put(static_cast<std::uint32_t>(order.drops.size()));
  for (const base::Hash128& call : order.drops) put(out, call);
  return out.take();
}

StepOrder decode_step_order(std::span<const std::byte> bytes) {
  StepOrder order;
  if (bytes.empty()) return order;
  ByteReader in(bytes);
  order.next = in.get<std::uint8_t>() ? StepOrder::Next::leave : StepOrder::Next::step;
  for (auto count = in.get<std::uint32_t>(); count > 0; --count) order.items.push_back(get_item(in));
  for (auto count = in.get<std::uint32_t>(); count > 0; --count) order.drops.push_back(get_hash(in));
  if (!in.at_end()) refuse("bytes behind its end");
  return order;
}

}  // namespace assize::cluster
