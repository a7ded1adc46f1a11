#include "app/fake_table.h"

#include <charconv>

#include <fmt/format.h>

#include "job/reader.h"

namespace assize::app {

namespace {

using cluster::FakeAction;
using cluster::FakeRow;

FakeRow read_row(const job::Tree* tree, const job::Place& parent, const std::string& name, job::Problems& problems) {
  job::MapReader reader(tree, parent, name, problems);
  FakeRow row;
  const auto optional_text = [&reader](const char* key, std::optional<std::string>& value) {
    if (std::string text; reader.has(key)) {
      reader.get(key, text);
      value = text;
    } else {
      reader.get(key, text);
    }
  };
  optional_text("suite", row.suite);
  optional_text("sample", row.sample);
  optional_text("presentation", row.presentation);
  int vote = -1;
  reader.get("vote", vote, 0, 1 << 20);
  if (vote >= 0) row.vote = static_cast<std::uint32_t>(vote);
  reader.get("action", row.action,
             {{"answer", FakeAction::answer}, {"truncate", FakeAction::truncate}, {"fail", FakeAction::fail},
              {"throw", FakeAction::throw_error}, {"hang", FakeAction::hang}, {"exit", FakeAction::exit}});
  reader.get("text", row.text);
  reader.get("delay_seconds", row.delay_seconds, 0, 1e6);
  std::vector<std::string> logprobs;
  reader.get("logprobs", logprobs);
  for (const auto& text : logprobs) {
    float value = 0;
    if (std::from_chars(text.data(), text.data() + text.size(), value).ptr != text.data() + text.size()) {
      problems.add(reader.place("logprobs"), fmt::format("'{}' holds '{}', which is not a number", reader.path("logprobs"), text));
    }
    row.watch_logprobs.push_back(value);
  }
  reader.finish();
  return row;
}

}  // namespace

cluster::FakeTable load_fake_table(const std::filesystem::path& file) {
  const job::Tree tree = job::read_yaml(file);
  job::Problems problems;
  job::MapReader reader(&tree, job::Place{file.string(), 1, 1}, "", problems);
  cluster::FakeTable table;
  int slots = static_cast<int>(table.slots);
  reader.get("slots", slots, 1, 1 << 16);
  table.slots = static_cast<std::uint32_t>(slots);
  reader.get("diary", table.diary);
  table.otherwise = read_row(reader.take("default"), tree.place, "default", problems);
  if (const job::Tree* rows = reader.take("rows")) {
    if (rows->kind != job::Tree::Kind::sequence) problems.add(rows->place, "'rows' must be a list");
    for (const job::Tree& row : rows->items) table.rows.push_back(read_row(&row, row.place, "rows", problems));
  }
  reader.finish();
  problems.raise();
  return table;
}

}  // namespace assize::app
