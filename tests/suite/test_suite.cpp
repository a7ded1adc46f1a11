#include "suite/suite.h"

#include "base/error.h"
#include "support/catch.h"
#include "support/temporary_folder.h"

using assize::base::Error;
using assize::support::TemporaryFolder;
using namespace assize::suite;
using assize::verdict::Protocol;
using Catch::Matchers::Contains;

namespace {

constexpr const char* kPrompt = "id: p\nuser: |\n  Q: {question}\n  1: {candidate_1}\n  2: {candidate_2}\n";

std::filesystem::path write_suite(const TemporaryFolder& folder, const std::string& samples, const std::string& extra = "",
                                  const std::string& prompt = kPrompt) {
  folder.write("prompt.yaml", prompt);
  folder.write("samples.jsonl", samples);
  return folder.write("suite.yaml", "id: s\nprotocol: pair\nprompt: prompt.yaml\n" + extra);
}

std::string pair_line(const std::string& id, const std::string& extra = "") {
  return R"({"id": ")" + id + R"(", "question": "q", "candidates": ["one", {"text": "two"}], "human": "A")" + extra + "}\n";
}

}  // namespace

TEST_CASE("suite: samples are read as they stand") {
  TemporaryFolder folder;
  folder.write("media/x.png", "not looked at yet");
  const Suite suite = load_suite(
      write_suite(folder, pair_line("a", R"(, "group": "g")") + "\n" +
                              pair_line("b", R"(, "annotators": {"second": "tie"}, "group": "g", "images": ["media/x.png"])"),
                  "count: 2\n"),
      0, 0);
  REQUIRE(suite.samples.size() == 2);
  CHECK(suite.samples[0].cluster == "a");
  CHECK(suite.samples[1].line == 3);
  CHECK(suite.samples[1].candidates[1].text == "two");
  CHECK(suite.samples[1].annotators == std::vector<std::pair<std::string, std::string>>{{"second", "tie"}});
  CHECK(suite.samples[1].images == std::vector<std::string>{(folder.path() / "media/x.png").string()});
}

TEST_CASE("suite: every problem of the samples is named with line and id") {
  TemporaryFolder folder;
  const auto file = write_suite(folder, pair_line("a") + "{broken\n" + pair_line("a") +
                                            R"({"id": "c", "candidates": ["one"], "human": "A"})" "\n" +
                                            R"({"id": "d", "candidates": ["one", "two"], "human": "C"})" "\n" +
                                            pair_line("e", R"(, "images": ["no.png"])") +
                                            pair_line("f", R"(, "images": ["../secret.png"])") +
                                            pair_line("g", R"(, "humen": 1)"));
  CHECK_THROWS_WITH(load_suite(file, 0, 0),
                    Contains("samples.jsonl:2: broken line") && Contains("samples.jsonl:3: sample 'a': this id stands in the file twice") &&
                        Contains("samples.jsonl:4: sample 'c': has 1 candidates, protocol pair takes 2") &&
                        Contains("samples.jsonl:5: sample 'd': 'human' is 'C', which is not a label of protocol pair") &&
                        Contains("sample 'e': picture '") && Contains("does not exist") &&
                        Contains("sample 'f': picture '../secret.png' lies outside the suite's folder") &&
                        Contains("sample 'g': unknown field 'humen'; did you mean 'human'?"));
}

TEST_CASE("suite: annotators that are missing, scores that are no number") {
  TemporaryFolder folder;
  CHECK_THROWS_WITH(load_suite(write_suite(folder, pair_line("a", R"(, "annotators": {"x": "A"})"), "annotators: 3\n"), 0, 0),
                    Contains("sample 'a': has the labels of 1 annotators, 'annotators' of the suite is 3"));
  folder.write("prompt.yaml", "id: p\nuser: \"{candidate_1}\"\n");
  folder.write("samples.jsonl", R"({"id": "a", "candidates": ["1"], "human": "nan"})");
  CHECK_THROWS_WITH(load_suite(folder.write("suite.yaml", "id: s\nprotocol: score\nprompt: prompt.yaml\n"), 0, 0),
                    Contains("samples.jsonl:1: sample 'a': 'human' is 'nan', it must be a number from 1 to 5"));
}

TEST_CASE("suite: a link that leads out of the suite's folder is refused unless the suite file allows it") {
  TemporaryFolder folder;
  folder.write("secret.png", "");
  folder.write("s/media/inside.png", "");
  std::filesystem::create_symlink("../../secret.png", folder.path() / "s/media/out.png");
  std::filesystem::create_symlink("inside.png", folder.path() / "s/media/in.png");
  std::filesystem::create_directory_symlink("..", folder.path() / "s/up");
  folder.write("s/prompt.yaml", "id: p\nuser: \"{question}|{candidate_1}|{candidate_2}\"\n");
  const auto load = [&](const std::string& picture, const std::string& links) {
    folder.write("s/samples.jsonl", pair_line("a", ", \"images\": [\"" + picture + "\"]"));
    return load_suite(folder.write("s/suite.yaml", "id: s\nprotocol: pair\nprompt: prompt.yaml\n" + links), 0, 0);
  };
  CHECK_THROWS_WITH(load("media/out.png", ""), Contains("sample 'a': picture") && Contains("outside the suite's folder") && Contains("links: anywhere"));
  CHECK_THROWS_WITH(load("up/secret.png", ""), Contains("outside the suite's folder"));
  CHECK_NOTHROW(load("media/in.png", ""));
  CHECK_NOTHROW(load("media/out.png", "links: anywhere\n"));
}

TEST_CASE("suite: two labels by one annotator, a missing group, a score that is no number") {
  TemporaryFolder folder;
  CHECK_THROWS_WITH(load_suite(write_suite(folder, pair_line("a") + pair_line("b", R"(, "annotators": {"eve": "A", "eve": "B"})")), 0, 0),
                    Contains("samples.jsonl:2: sample 'b': 'eve' is there twice"));
  CHECK_THROWS_WITH(load_suite(write_suite(folder, pair_line("a", R"(, "group": "g")") + pair_line("b")), 0, 0),
                    Contains("samples.jsonl:2: sample 'b': has no 'group'"));
  CHECK_NOTHROW(load_suite(write_suite(folder, pair_line("a", R"(, "annotators": {"eve": "A", "ann": "B"})") + pair_line("b")), 0, 0));
  folder.write("prompt.yaml", "id: p\nuser: \"{candidate_1}\"\n");
  const auto scores = folder.write("suite.yaml", "id: s\nprotocol: score\nprompt: prompt.yaml\nrange: [1, 5]\n");
  folder.write("samples.jsonl", R"({"id": "a", "candidates": ["1"], "human": "nan"})");
  CHECK_THROWS_WITH(load_suite(scores, 0, 0), Contains("samples.jsonl:1: sample 'a': 'human' is 'nan', it must be a number from 1 to 5"));
  folder.write("samples.jsonl", R"({"id": "a", "candidates": ["1"], "human": NaN})");
  CHECK_THROWS_WITH(load_suite(scores, 0, 0), Contains("samples.jsonl:1: broken line"));
}

TEST_CASE("suite: a wrong count, a label where ties are not allowed, scores out of range") {
  TemporaryFolder folder;
  CHECK_THROWS_WITH(load_suite(write_suite(folder, pair_line("a"), "count: 2\n"), 0, 0), Contains("'count' is 2") && Contains("has 1 samples"));
  const std::string tie = R"({"id": "a", "candidates": ["1", "2"], "human": "tie"})";
  CHECK_NOTHROW(load_suite(write_suite(folder, tie), 0, 0));
  CHECK_THROWS_WITH(load_suite(write_suite(folder, tie, "ties: none\n"), 0, 0), Contains("without ties"));
  folder.write("prompt.yaml", "id: p\nuser: \"{candidate_1}\"\n");
  folder.write("samples.jsonl", R"({"id": "a", "candidates": ["1"], "human": 7})");
  CHECK_THROWS_WITH(load_suite(folder.write("suite.yaml", "id: s\nprotocol: score\nprompt: prompt.yaml\nrange: [1, 5]\n"), 0, 0),
                    Contains("'human' is '7', it must be a number from 1 to 5"));
}

TEST_CASE("suite: a subset is seeded and nested; samples are ordered by id") {
  TemporaryFolder folder;
  std::string lines;
  for (int i = 0; i < 50; ++i) lines += pair_line("s" + std::to_string(i));
  const auto file = write_suite(folder, lines);
  const auto ids = [&](int limit, std::uint64_t seed) {
    std::vector<std::string> found;
    for (const auto& sample : load_suite(file, limit, seed).samples) found.push_back(sample.id);
    return found;
  };
  const auto ten = ids(10, 1), twenty = ids(20, 1);
  CHECK(ten.size() == 10);
  CHECK(std::is_sorted(ten.begin(), ten.end()));
  CHECK(std::includes(twenty.begin(), twenty.end(), ten.begin(), ten.end()));
  CHECK(ten != ids(10, 2));
}

TEST_CASE("prompt: rendering follows the presentation and keeps data apart") {
  TemporaryFolder folder;
  const auto file = folder.write("p.yaml", "id: p\nsystem: be fair\nuser: \"{image}{{x}} {question} {candidate_1}|{candidate_2}\"\n");
  const PromptTemplate prompt = load_prompt(file, Protocol::pair);
  Sample sample;
  sample.id = "a";
  sample.question = "{candidate_1}";
  sample.images = {"/p.png"};
  sample.candidates = {{"one", {}}, {"two", {}}};
  const std::vector<std::uint16_t> swapped{1, 0};
  const RenderedPrompt rendered = render(prompt, Wording::generate, sample, swapped);
  REQUIRE(rendered.user.size() == 7);
  CHECK(rendered.user[0].kind == PromptPart::Kind::image);
  CHECK(rendered.user[1].text == "{x} ");
  CHECK(rendered.user[2].text == "{candidate_1}");
  CHECK(rendered.user[2].kind == PromptPart::Kind::untrusted);
  CHECK(rendered.user[4].text == "two");
  CHECK(rendered.user[6].text == "one");
  sample.images.clear();
  CHECK_THROWS_WITH(render(prompt, Wording::generate, sample, swapped), Contains("sample 'a' has no picture for {image}"));
}

TEST_CASE("prompt: fields, and {candidates} for as many as a sample has") {
  TemporaryFolder folder;
  const auto file = folder.write("p.yaml", "id: p\nuser: \"{field:source}>{candidates}\"\neach: \"{number}{letter}={candidate}\"\n");
  const PromptTemplate prompt = load_prompt(file, Protocol::rank);
  Sample sample;
  sample.id = "a";
  sample.fields["source"] = "{question}";
  sample.candidates = {{"x", {}}, {"y", {}}, {"z", {}}};
  const std::vector<std::uint16_t> shown{2, 0, 1};
  std::string text;
  for (const auto& part : render(prompt, Wording::generate, sample, shown).user) text += part.text;
  CHECK(text == "{question}>1A=z\n\n2B=x\n\n3C=y");
  sample.fields.clear();
  CHECK_THROWS_WITH(render(prompt, Wording::generate, sample, shown), Contains("sample 'a' has no field 'source'"));
  sample.images = {"/1.png", "/2.png"};
  const PromptTemplate second = load_prompt(folder.write("s.yaml", "id: p\nuser: \"{image_2}\"\n"), Protocol::score);
  CHECK(render(second, Wording::generate, sample, shown).user.at(0).text == "/2.png");
  sample.images.pop_back();
  CHECK_THROWS_WITH(render(second, Wording::generate, sample, shown), Contains("has no picture for {image_2}"));
  CHECK_THROWS_WITH(load_prompt(folder.write("t.yaml", "id: p\nuser: \"{image_0}\"\n"), Protocol::score), Contains("unknown placeholder"));
  CHECK_THROWS_WITH(load_prompt(folder.write("q.yaml", "id: p\nuser: \"{candidates} {number}\"\n"), Protocol::rank),
                    Contains("there is no 'each'") && Contains("unknown placeholder '{number}'"));
}

TEST_CASE("suite: other media and fields; a prompt says which kinds it shows") {
  TemporaryFolder folder;
  folder.write("media/x.wav", "");
  const Suite suite = load_suite(
      write_suite(folder,
                  R"({"id": "a", "fields": {"f": "g"}, "audio": ["media/x.wav"], "candidates": [{"audio": ["media/x.wav"]}, "two"]})" "\n",
                  "", "id: p\nuser: \"{field:f} {audio} {candidate_1_audio} {candidate_2}\"\n"),
      0, 0);
  CHECK(suite.samples[0].fields.at("f") == "g");
  REQUIRE(suite.samples[0].other.size() == 1);
  CHECK(suite.samples[0].other[0].kind == MediaKind::audio);
  REQUIRE(suite.samples[0].candidates[0].other.size() == 1);
  CHECK(suite.samples[0].candidates[0].other[0].path == suite.samples[0].other[0].path);
  CHECK(suite.prompt.media == std::set<MediaKind>{MediaKind::audio});
  CHECK_THROWS_WITH(load_suite(write_suite(folder, pair_line("a", R"(, "videos": ["v.mp4"])")), 0, 0), Contains("video '") && Contains("v.mp4' does not exist"));
  CHECK_THROWS_WITH(load_suite(write_suite(folder, "", "samples: none.jsonl\n"), 0, 0),
                    Contains("its samples file 'none.jsonl' does not exist") && Contains("tools/import-suite s SOURCE"));
}

TEST_CASE("prompt: unknown placeholders and candidates that are never shown are problems") {
  TemporaryFolder folder;
  CHECK_THROWS_WITH(load_prompt(folder.write("p.yaml", "id: p\nuser: \"{candidate_1} {candidate_3} {qestion}\"\n"), Protocol::pair),
                    Contains("unknown placeholder '{qestion}'") && Contains("shows candidate 3, but protocol pair has 2") &&
                        Contains("never shows candidate 2"));
  CHECK_THROWS_WITH(load_prompt(folder.write("q.yaml", "id: p\nuser: \"{candidate_1} } \"\n"), Protocol::score), Contains("a lone '}'"));
}

TEST_CASE("labels have one spelling") {
  CHECK(canonical_label("a", Protocol::pair, 2, true) == "A");
  CHECK(canonical_label("Tie", Protocol::pair, 2, true) == "tie");
  CHECK(canonical_label("Tie", Protocol::pair, 2, false).empty());
  CHECK(canonical_label("B<A", Protocol::label, 2, true) == "A>B");
  CHECK(canonical_label("cdab", Protocol::rank, 4, true) == "CDAB");
  CHECK(canonical_label("CDA", Protocol::rank, 4, true).empty());
  CHECK(canonical_label("CDAA", Protocol::rank, 4, true).empty());
}
