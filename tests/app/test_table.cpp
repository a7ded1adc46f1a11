#include "app/table.h"

#include "app/judged_table.h"
#include "base/error.h"
#include "support/catch.h"
#include "support/temporary_folder.h"

using namespace assize;
using app::parse_csv;
using app::parse_jsonl;
using Catch::Matchers::Contains;

namespace {

std::string message(const std::function<void()>& action) {
  try {
    action();
  } catch (const base::Error& error) {
    return error.what();
  }
  return "no error";
}

app::TableColumns pair_columns() {
  app::TableColumns columns;
  columns.protocol = "pair";
  columns.human = "human";
  columns.verdicts = {"judge"};
  return columns;
}

std::string judge_message(const std::string& csv, const app::TableColumns& columns) {
  return message([&] { app::judge_table(parse_csv(csv, "t.csv", ','), columns); });
}

}  // namespace

TEST_CASE("CSV: quotes, line ends, empty lines and lines of rows", "[table]") {
  const auto table = parse_csv("id,text\r\n1,\"a, \"\"b\"\"\r\nsecond line\"\r\n\r\n2,say \"so\"\n3,\n\"\",x", "t.csv", ',');
  CHECK(table.columns == std::vector<std::string>{"id", "text"});
  REQUIRE(table.rows.size() == 4);
  CHECK(table.rows[0].cells == std::vector<std::string>{"1", "a, \"b\"\r\nsecond line"});
  CHECK(table.rows[1].line == 5);
  CHECK(table.rows[1].cells[1] == "say \"so\"");
  CHECK(table.rows[2].cells == std::vector<std::string>{"3", ""});
  CHECK(table.rows[3].cells == std::vector<std::string>{"", "x"});
  CHECK(parse_csv("a\n\"\"\nx\n", "t.csv", ',').rows.size() == 2);
  CHECK(parse_csv("", "t.csv", ',').columns.empty());
  CHECK(parse_csv("a\tb\n1,2\t3", "t.tsv", '\t').rows[0].cells[0] == "1,2");
}

TEST_CASE("CSV: what is broken is named with its line", "[table]") {
  CHECK(message([] { parse_csv("a,b\n1,2\n\n1,2,3\n", "t.csv", ','); }) == "t.csv:4: 3 fields, the header has 2");
  CHECK_THAT(message([] { parse_csv("a,b\n1,\"2\n3,4\n", "t.csv", ','); }), Contains("t.csv:2: the quote that opens here"));
  CHECK_THAT(message([] { parse_csv("a,b\n\"1\"x,2\n", "t.csv", ','); }), Contains("t.csv:2: text behind a closing quote"));
  const auto table = parse_csv("human,judge,judge\n", "t.csv", ',');
  CHECK_THAT(message([&] { table.column("humam"); }), Contains("did you mean 'human'?"));
  CHECK_THAT(message([&] { table.column("judge"); }), Contains("two columns are named 'judge'"));
}

TEST_CASE("JSON Lines: members become columns", "[table]") {
  const auto table = parse_jsonl("{\"id\": \"x\", \"votes\": [\"A\", null], \"n\": 7}\n\n{\"meta\": {\"topic\": \"t\"}, \"ok\": true}\n", "t.jsonl");
  CHECK(table.columns == std::vector<std::string>{"id", "n", "votes.0", "votes.1", "meta.topic", "ok"});
  REQUIRE(table.rows.size() == 2);
  CHECK(table.rows[0].cells == std::vector<std::string>{"x", "7", "A", "", "", ""});
  CHECK(table.rows[1].cells == std::vector<std::string>{"", "", "", "", "t", "true"});
  CHECK(table.rows[1].line == 3);
  CHECK(parse_jsonl("{\"ids\": [" + std::string(80, '1') + ",2]}", "t").columns.size() == 2);
  std::string many = "{\"ids\": [0";
  for (int i = 0; i < 40; ++i) many += ",1";
  CHECK(parse_jsonl(many + "]}", "t").columns == std::vector<std::string>{"ids"});
}

TEST_CASE("JSON Lines: what is broken is named with its line", "[table]") {
  CHECK(message([] { parse_jsonl("{}\n{\"a\": 1, \"a\": 2}\n", "t.jsonl"); }) == "t.jsonl:2: 'a' is there twice in one object");
  CHECK(message([] { parse_jsonl("{\"a\": {\"b\": 1}, \"b\": 2}\n[1]\n", "t.jsonl"); }) == "t.jsonl:2: broken line: it is not a JSON object");
  CHECK(message([] { parse_jsonl("{\"score\": NaN}\n", "t.jsonl"); }) == "t.jsonl:1: broken line: it is not a JSON object");
  CHECK(message([] { parse_jsonl("{\"a\": \"\xFF\"}\n", "t.jsonl"); }) == "t.jsonl:1: broken line: it is not a JSON object");
  CHECK_THAT(message([] { parse_jsonl("{\"a\": " + std::string(100000, '['), "t.jsonl"); }), Contains("t.jsonl:1: broken line"));
}

TEST_CASE("table files: byte order mark, endings, other encodings", "[table]") {
  const support::TemporaryFolder folder;
  CHECK(app::read_table(folder.write("a.csv", "\xEF\xBB\xBFid,x\n1,2\n")).columns[0] == "id");
  CHECK(app::read_table(folder.write("a.jsonl", "\xEF\xBB\xBF{\"id\": 1}\n")).columns[0] == "id");
  CHECK_THAT(message([&] { app::read_table(folder.write("a.xlsx", "x")); }), Contains(".csv, .tsv or .jsonl"));
  CHECK_THAT(message([&] { app::read_table(folder.write("b.csv", std::string("\xFF\xFEi\0d\0", 6))); }), Contains("is not UTF-8"));
  CHECK_THAT(message([&] { app::read_table(folder.write("c.csv", "id,x\n")); }), Contains("has no rows"));
  CHECK_THAT(message([&] { app::read_table(folder.path() / "none.csv"); }), Contains("none.csv"));
}

TEST_CASE("a table becomes samples: words, scores, votes, orders, raters", "[table]") {
  auto columns = pair_columns();
  columns.words = {"left=A", "right=B", "none="};
  columns.group = "g";
  auto judged = app::judge_table(parse_csv("id,human,judge,g\n1,left,a,x\n2,B,right,y\n3,Tie,none,y\n", "t.csv", ','), columns);
  REQUIRE(judged.samples.size() == 3);
  CHECK(judged.samples[0].human == "A");
  CHECK(judged.samples[0].combined.choice == "A");
  CHECK(judged.samples[1].combined.choice == "B");
  CHECK(judged.samples[2].human == "tie");
  CHECK_FALSE(judged.samples[2].combined.ok());

  columns = pair_columns();
  columns.verdicts.clear();
  columns.scores = "a, b";
  judged = app::judge_table(parse_csv("human,a,b\nA,7.5,7\nB,3,3\n", "t.csv", ','), columns);
  CHECK(judged.samples[0].combined.value == 0.5);
  CHECK(judged.samples[1].combined.choice == "tie");
  CHECK(judged.samples[1].id == "line 3");

  columns = pair_columns();
  columns.vote = "v";
  columns.order = "shown";
  const std::string both = "id,human,judge,v,shown\n1,A,A,0,AB\n1,A,B,0,BA\n1,A,A,1,AB\n1,A,B,1,BA\n";
  judged = app::judge_table(parse_csv(both, "t.csv", ','), columns);
  REQUIRE(judged.samples.size() == 1);
  CHECK(judged.samples[0].votes.size() == 4);
  CHECK(judged.samples[0].combined.orders == verdict::OrderAgreement::prefers_first);

  columns = pair_columns();
  columns.rater = "who";
  judged = app::judge_table(parse_csv("id,human,judge,who\n1,A,A,x\n1,B,A,y\n1,A,A,z\n2,A,B,x\n2,B,B,y\n", "t.csv", ','), columns);
  CHECK(judged.samples[0].human == "A");
  CHECK(judged.samples[0].annotators.size() == 3);
  CHECK(judged.samples[1].human.empty());

  columns = pair_columns();
  columns.protocol = "score";
  columns.verdicts = {"j1", "j2"};
  judged = app::judge_table(parse_csv("human,j1,j2\n2.5,3,4\n4,5,5\n", "t.csv", ','), columns);
  CHECK(judged.samples[0].combined.value == 3.5);
  CHECK(judged.rule.score_low == 2);
  CHECK(judged.rule.score_high == 5);
}

TEST_CASE("bad cells are named with file, line, column and item", "[table]") {
  auto columns = pair_columns();
  CHECK_THAT(judge_message("id,human,judge\nx,A,A\ny,A,C\n", columns), Contains("t.csv:3: column 'judge': item 'y': 'C' is not A, B or tie"));
  CHECK_THAT(judge_message("id,human,judge\nx,A,A\nx,A,B\n", columns), Contains("t.csv:3: column 'id': item 'x': is there twice, first on line 2"));
  columns.group = "g";
  CHECK_THAT(judge_message("id,human,judge,g\nx,A,A,one\ny,A,A,\n", columns), Contains("t.csv:3: column 'g': item 'y': has no group"));
  columns.group.clear();
  columns.rater = "who";
  CHECK_THAT(judge_message("id,human,judge,who\nx,A,A,p\nx,B,A,p\n", columns),
             Contains("t.csv:3: column 'who': item 'x': two labels by annotator 'p', the first on line 2"));
  CHECK_THAT(judge_message("id,human,judge,who\nx,A,A,p\nx,B,B,q\n", columns), Contains("the verdict differs"));
  columns.rater.clear();
  columns.vote = "v";
  CHECK_THAT(judge_message("id,human,judge,v\nx,A,A,0\nx,A,A,1\ny,A,A,0\nz,A,A,0\nz,A,A,1\n", columns),
             Contains("t.csv:4: item 'y': has 1 votes, most items have 2"));
  CHECK_THAT(judge_message("id,human,judge,v\nx,A,A,0\nx,B,A,1\n", columns), Contains("the human label differs from that on line 2"));
  CHECK_THAT(judge_message("id,human,judge,v\nx,A,A,0\nx,A,A,0\n", columns), Contains("column 'v': item 'x': this vote is there twice"));
  columns = pair_columns();
  columns.protocol = "score";
  CHECK_THAT(judge_message("id,human,judge\nx,3,nan\n", columns), Contains("t.csv:2: column 'judge': item 'x': 'nan' is not a finite number"));
  CHECK_THAT(judge_message("id,human,judge\nx,3,1e999\n", columns), Contains("'1e999' is not a finite number"));
  columns.protocol = "rank";
  CHECK_THAT(judge_message("id,human,judge\nx,CAB,BA\n", columns), Contains("the verdict ranks 2 candidates, the human label 3"));
  CHECK_THAT(judge_message("id,human,judge\nx,CAA,BAC\n", columns), Contains("'CAA' is not a ranking"));
  std::string many = "human,judge\n";
  for (int i = 0; i < 30; ++i) many += "A,X\n";
  CHECK_THAT(judge_message(many, pair_columns()), Contains("and 10 more problems"));
}
