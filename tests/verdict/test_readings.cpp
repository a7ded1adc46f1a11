#include <fmt/format.h>

#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "base/error.h"
#include "support/catch.h"
#include "verdict/verdict.h"

// What each profile reads in texts written by us in the manner of real judges. A reading is written as its
// choice and scores ("A 8,6"), a score as its number, "-" where nothing can be read.
namespace assize::verdict {
namespace {

struct Reading {
  std::string text, strict, paper, repo;
};

std::string reading_of(const Verdict& verdict) {
  if (!verdict.ok()) {
    REQUIRE_FALSE(verdict.reason.empty());
    REQUIRE(verdict.reason.find('\n') == std::string::npos);
    return "-";
  }
  std::string numbers;
  for (const double score : verdict.scores) numbers += fmt::format("{}{}", numbers.empty() ? "" : ",", score);
  if (verdict.choice.empty()) return numbers;
  return numbers.empty() ? verdict.choice : fmt::format("{} {}", verdict.choice, numbers);
}

struct Setting {
  Protocol protocol;
  std::string form;
  double low, high;
  RepoRule repo;
  std::vector<std::uint16_t> presentation;
};

void check_table(const Setting& setting, const std::vector<Reading>& table) {
  for (const auto& row : table) {
    INFO(row.text);
    for (const auto& [dialect, expected] :
         {std::pair{"strict", row.strict}, {"paper", row.paper}, {"repo", row.repo}}) {
      INFO(dialect);
      ParserProfile profile = make_profile(dialect, setting.form, setting.low, setting.high);
      profile.repo = setting.repo;
      CHECK(reading_of(read_verdict(row.text, setting.protocol, static_cast<int>(setting.presentation.size()),
                                    setting.presentation, profile)) == expected);
    }
  }
}

const std::string kThink = "<think>Assistant 1 is right about the date, assistant 2 is not.</think>";

}  // namespace

TEST_CASE("pair verdicts by two scores", "[readings]") {
  const Setting setting{Protocol::pair, "scores", 1, 10, RepoRule::integers, {0, 1}};
  check_table(
      setting,
      {
          {kThink + "<answer>8</answer><answer>6</answer>", "A 8,6", "A 8,6", "A 8,6"},
          {kThink + "<answer>6</answer><answer>8</answer>", "B 6,8", "B 6,8", "B 6,8"},
          {kThink + "<answer>7</answer><answer>7</answer>", "tie 7,7", "tie 7,7", "tie 7,7"},
          {kThink + "\n\n<answer>8</answer>\n<answer>6</answer>\n", "A 8,6", "A 8,6", "A 8,6"},
          {kThink + "<answer>10</answer><answer>1</answer>", "A 10,1", "A 10,1", "A 10,1"},
          {kThink + "<answer>7.5</answer><answer>5</answer>", "A 7.5,5", "A 7.5,5", "-"},
          {kThink + "<answer>5</answer><answer>7.5</answer>", "B 5,7.5", "B 5,7.5", "-"},
          {kThink + "<answer>7.5</answer><answer>7.0</answer>", "A 7.5,7", "A 7.5,7", "-"},
          {kThink + "<answer> 8 </answer><answer>6</answer>", "A 8,6", "A 8,6", "-"},
          {kThink + "<answer>\n8\n</answer><answer>\n6\n</answer>", "A 8,6", "A 8,6", "-"},
          {kThink + "<answer>\t8</answer><answer>6\r\n</answer>", "A 8,6", "A 8,6", "-"},
          {kThink + "<answer>8/10</answer><answer>6/10</answer>", "A 8,6", "A 8,6", "-"},
          {kThink + "<answer>8 / 10</answer><answer>6/ 10</answer>", "A 8,6", "A 8,6", "-"},
          {kThink + "<answer>4/5</answer><answer>3/5</answer>", "-", "-", "-"},
          {kThink + "<answer>8/</answer><answer>6</answer>", "-", "-", "-"},
          {kThink + "<answer>0</answer><answer>6</answer>", "-", "B 0,6", "B 0,6"},
          {kThink + "<answer>11</answer><answer>6</answer>", "-", "A 11,6", "A 11,6"},
          {kThink + "<answer>99</answer><answer>100</answer>", "-", "B 99,100", "B 99,100"},
          {kThink + "<answer>-3</answer><answer>6</answer>", "-", "B -3,6", "-"},
          {kThink + "<answer>10.5</answer><answer>9</answer>", "-", "A 10.5,9", "-"},
          {kThink + "<answer>0.9</answer><answer>9</answer>", "-", "B 0.9,9", "-"},
          {kThink + "<answer>8</answer>", "-", "-", "-"},
          {kThink, "-", "-", "-"},
          {"", "-", "-", "-"},
          {"   \n", "-", "-", "-"},
          {"8 and 6", "-", "-", "-"},
          {"<answer>8</answer><answer>6</answer>", "A 8,6", "A 8,6", "A 8,6"},
          {"Assistant 1 wins. <answer>8</answer><answer>6</answer> Thanks.", "A 8,6", "A 8,6", "A 8,6"},
          {kThink + "<answer>8</answer><answer>6</answer><answer>7</answer>", "-", "A 8,6", "A 8,6"},
          {kThink + "<answer>8</answer><answer>6</answer><answer>8</answer><answer>6</answer>", "-", "A 8,6",
           "A 8,6"},
          {"<think>I could say <answer>2</answer><answer>9</answer> "
           "here.</think><answer>8</answer><answer>6</answer>",
           "A 8,6", "A 8,6", "B 2,9"},
          {"<think>I could say <answer>2</answer> here.</think><answer>8</answer><answer>6</answer>", "A 8,6",
           "A 8,6", "B 2,8"},
          {"<think>no end <answer>8</answer><answer>6</answer>", "-", "-", "A 8,6"},
          {"Prefilled thinking ends.</think><answer>8</answer><answer>6</answer>", "A 8,6", "A 8,6", "A 8,6"},
          {"<think>one</think>Wait<think>two</think><answer>4</answer><answer>5</answer>", "B 4,5", "B 4,5",
           "B 4,5"},
          {"<think>one</think><answer>9</answer><answer>1</answer>Wait</think><answer>4</answer><answer>5</"
           "answer>",
           "B 4,5", "B 4,5", "A 9,1"},
          {"<think>one</think><think>two <answer>8</answer><answer>6</answer>", "-", "-", "A 8,6"},
          {kThink + "<answer>8<answer>6</answer>", "-", "-", "-"},
          {kThink + "<answer>8</answer><answer>6", "-", "-", "-"},
          {kThink + "<answer>8</answer><answer>6</answer><answer>", "-", "A 8,6", "A 8,6"},
          {kThink + "<answer>8</answer> <answer>6</ answer>", "-", "-", "-"},
          {kThink + "<Answer>8</Answer><Answer>6</Answer>", "-", "-", "-"},
          {kThink + "<answer >8</answer><answer>6</answer>", "-", "-", "-"},
          {kThink + "<answer></answer><answer>6</answer>", "-", "-", "-"},
          {kThink + "<answer>eight</answer><answer>six</answer>", "-", "-", "-"},
          {kThink + "<answer>8,5</answer><answer>6</answer>", "-", "-", "-"},
          {kThink + "<answer>8, 6</answer>", "-", "-", "-"},
          {kThink + "<answer>8 6</answer>", "-", "-", "-"},
          {kThink + "<answer>8e0</answer><answer>6</answer>", "-", "-", "-"},
          {kThink + "<answer>0x8</answer><answer>6</answer>", "-", "-", "-"},
          {kThink + "<answer>nan</answer><answer>6</answer>", "-", "-", "-"},
          {kThink + "<answer>inf</answer><answer>6</answer>", "-", "-", "-"},
          {kThink + "<answer>+8</answer><answer>6</answer>", "A 8,6", "A 8,6", "-"},
          {kThink + "<answer>8.</answer><answer>6</answer>", "A 8,6", "A 8,6", "-"},
          {kThink + "<answer>.8</answer><answer>6</answer>", "-", "-", "-"},
          {kThink + "<answer>08</answer><answer>6</answer>", "A 8,6", "A 8,6", "A 8,6"},
          {kThink + "<answer>8.50</answer><answer>8.5</answer>", "tie 8.5,8.5", "tie 8.5,8.5", "-"},
          {kThink + "<answer>**8**</answer><answer>6</answer>", "-", "-", "-"},
          {kThink + "<answer>[[8]]</answer><answer>[[6]]</answer>", "-", "-", "-"},
          {kThink + "<answer>8 out of 10</answer><answer>6</answer>", "-", "-", "-"},
          {kThink + "<answer>Assistant 1: 8</answer><answer>6</answer>", "-", "-", "-"},
          {kThink + "&lt;answer&gt;8&lt;/answer&gt;", "-", "-", "-"},
          {kThink + "```<answer>8</answer><answer>6</answer>```", "A 8,6", "A 8,6", "A 8,6"},
          {kThink + "<answer>8</answer> text between <answer>6</answer>", "A 8,6", "A 8,6", "A 8,6"},
          {kThink + "<answer>８</answer><answer>6</answer>", "-", "-", "-"},
          {kThink + "<answer>[[A>B]]</answer>", "-", "-", "-"},
          {kThink + "<answer>nothing</answer><answer>8</answer><answer>6</answer>", "-", "-", "A 8,6"},
          {"</think></think><answer>3</answer><answer>2</answer>", "A 3,2", "A 3,2", "A 3,2"},
          {"<answer>3</answer><answer>2</answer></think>", "-", "-", "A 3,2"},
          {kThink + "<answer>" + std::string(400, '9') + "</answer><answer>6</answer>", "-", "-",
           fmt::format("A {},6", 1.7976931348623157e308)},
      });
}

TEST_CASE("pair verdicts by two scores, shown the other way round", "[readings]") {
  const Setting setting{Protocol::pair, "scores", 1, 10, RepoRule::integers, {1, 0}};
  check_table(setting, {
                           {kThink + "<answer>8</answer><answer>6</answer>", "B 6,8", "B 6,8", "B 6,8"},
                           {kThink + "<answer>6</answer><answer>8</answer>", "A 8,6", "A 8,6", "A 8,6"},
                           {kThink + "<answer>7</answer><answer>7</answer>", "tie 7,7", "tie 7,7", "tie 7,7"},
                           {kThink + "<answer>6.5</answer><answer>8</answer>", "A 8,6.5", "A 8,6.5", "-"},
                       });
}

TEST_CASE("pair verdicts of the molecule scripts", "[readings]") {
  const Setting setting{Protocol::pair, "scores", 1, 10, RepoRule::molecules, {0, 1}};
  check_table(setting, {
                           {"<answer>8</answer><answer>6</answer>", "A 8,6", "A 8,6", "A 8,6"},
                           {"<answer>8.0</answer><answer>6.0</answer>", "A 8,6", "A 8,6", "-"},
                           {"<answer>8</answer><answer>6</answer><answer>1</answer>", "-", "A 8,6", "-"},
                           {"<answer>8</answer>", "-", "-", "-"},
                           {"<answer>5</answer><answer>5</answer>", "tie 5,5", "tie 5,5", "tie 5,5"},
                       });
}

TEST_CASE("pair verdicts by a label", "[readings]") {
  const Setting setting{Protocol::pair, "label", 1, 10, RepoRule::four_way, {0, 1}};
  check_table(setting, {
                           {kThink + "<answer>[[A>B]]</answer>", "A", "A", "A"},
                           {kThink + "<answer>[[B>A]]</answer>", "B", "B", "B"},
                           {kThink + "<answer>[[A<B]]</answer>", "B", "B", "B"},
                           {kThink + "<answer>[[B<A]]</answer>", "A", "A", "A"},
                           {kThink + "<answer>[[A=B]]</answer>", "tie", "tie", "tie"},
                           {kThink + "<answer>[[A=B=Good]]</answer>", "tie", "tie", "tie"},
                           {kThink + "<answer>[[A=B=Bad]]</answer>", "tie", "tie", "tie"},
                           {kThink + "<answer>[[nonsense]]</answer>", "-", "-", "tie"},
                           {kThink + "<answer>A>B</answer>", "A", "A", "-"},
                           {kThink + "<answer>[[A]]</answer>", "A", "A", "tie"},
                       });
}

TEST_CASE("pair verdicts by a choice", "[readings]") {
  const Setting setting{Protocol::pair, "choice", 1, 10, RepoRule::integers, {0, 1}};
  check_table(setting, {
                           {kThink + "<answer>A</answer>", "A", "A", "-"},
                           {kThink + "<answer>B</answer>", "B", "B", "-"},
                           {kThink + "<answer>C</answer>", "tie", "tie", "-"},
                           {kThink + "<answer>tie</answer>", "tie", "tie", "-"},
                           {kThink + "<answer>Tie</answer>", "tie", "tie", "-"},
                           {kThink + "<answer>TIE </answer>", "tie", "tie", "-"},
                           {kThink + "<answer> b </answer>", "B", "B", "-"},
                           {kThink + "<answer>1</answer>", "A", "A", "-"},
                           {kThink + "<answer>2</answer>", "B", "B", "-"},
                           {kThink + "<answer>0</answer>", "tie", "tie", "-"},
                           {kThink + "<answer>[[B]]</answer>", "B", "B", "-"},
                           {kThink + "<answer>[[C]]</answer>", "tie", "tie", "-"},
                           {kThink + "<answer>D</answer>", "-", "-", "-"},
                           {kThink + "<answer>A and B</answer>", "-", "-", "-"},
                           {kThink + "<answer>AB</answer>", "-", "-", "-"},
                           {kThink + "<answer>A</answer><answer>B</answer>", "-", "A", "-"},
                           {kThink + "<answer>Assistant A</answer>", "-", "-", "-"},
                           {kThink + "<answer>[A]</answer>", "-", "-", "-"},
                           {kThink + "<answer>[[A</answer>", "-", "-", "-"},
                           {kThink + "A", "-", "-", "-"},
                       });
}

TEST_CASE("four-way labels", "[readings]") {
  const Setting setting{Protocol::label, "label", 1, 10, RepoRule::four_way, {0, 1}};
  check_table(setting,
              {
                  {kThink + "<answer>[[A>B]]</answer>", "A>B", "A>B", "A>B"},
                  {kThink + "<answer>[[B>A]]</answer>", "B>A", "B>A", "B>A"},
                  {kThink + "<answer>[[A<B]]</answer>", "B>A", "B>A", "B>A"},
                  {kThink + "<answer>[[B<A]]</answer>", "A>B", "A>B", "A>B"},
                  {kThink + "<answer>[[A=B=Good]]</answer>", "A=B=Good", "A=B=Good", "A=B=Good"},
                  {kThink + "<answer>[[A=B=Bad]]</answer>", "A=B=Bad", "A=B=Bad", "A=B=Bad"},
                  {kThink + "<answer>[[A=B=good]]</answer>", "A=B=Good", "A=B=Good", "A=B=Bad"},
                  {kThink + "<answer>[[A=B]]</answer>", "-", "-", "A=B=Bad"},
                  {kThink + "<answer>[[]]</answer>", "-", "-", "A=B=Bad"},
                  {kThink + "<answer>[[A]]</answer>", "-", "-", "A=B=Bad"},
                  {kThink + "<answer>[[A > B]]</answer>", "A>B", "A>B", "A=B=Bad"},
                  {kThink + "<answer> [[A>B]] </answer>", "A>B", "A>B", "-"},
                  {kThink + "<answer>\n[[A>B]]\n</answer>", "A>B", "A>B", "-"},
                  {kThink + "<answer>[[A>B]].</answer>", "-", "-", "-"},
                  {kThink + "<answer>A>B</answer>", "A>B", "A>B", "-"},
                  {kThink + "[[A>B]]", "-", "-", "-"},
                  {kThink + "<answer>[[A>B]]</answer><answer>[[B>A]]</answer>", "-", "A>B", "A>B"},
                  {"<think><answer>[[B>A]]</answer>?</think><answer>[[A>B]]</answer>", "A>B", "A>B", "B>A"},
                  {"<think>[[B>A]]</think><answer>[[A>B]]</answer>", "A>B", "A>B", "A>B"},
                  {kThink + "<answer>[[A>>B]]</answer>", "-", "-", "A=B=Bad"},
                  {kThink + "<answer>[[A>B]] because [[B]]</answer>", "-", "-", "A=B=Bad"},
                  {kThink + "<answer>[[A>B]</answer>", "-", "-", "-"},
                  {kThink + "<answer>8</answer><answer>6</answer>", "-", "-", "-"},
                  {kThink + "<answer>" + std::string(300, ' ') + "[[A>B]]</answer>", "-", "-", "-"},
              });
  const Setting swapped{Protocol::label, "label", 1, 10, RepoRule::four_way, {1, 0}};
  check_table(swapped, {
                           {"<answer>[[A>B]]</answer>", "B>A", "B>A", "B>A"},
                           {"<answer>[[B>A]]</answer>", "A>B", "A>B", "A>B"},
                           {"<answer>[[A=B=Good]]</answer>", "A=B=Good", "A=B=Good", "A=B=Good"},
                           {"<answer>[[A=B=Bad]]</answer>", "A=B=Bad", "A=B=Bad", "A=B=Bad"},
                       });
}

TEST_CASE("single scores from 1 to 5, integer script", "[readings]") {
  const Setting setting{Protocol::score, "scores", 1, 5, RepoRule::integers, {0}};
  check_table(setting, {
                           {kThink + "<answer>4</answer>", "4", "4", "4"},
                           {kThink + "<answer>4.5</answer>", "4.5", "4.5", "-"},
                           {kThink + "<answer>4/5</answer>", "4", "4", "-"},
                           {kThink + "<answer>8/10</answer>", "-", "-", "-"},
                           {kThink + "<answer>6</answer>", "-", "6", "6"},
                           {kThink + "<answer>4</answer><answer>2</answer>", "-", "4", "4"},
                           {kThink + "<answer>4</answer", "-", "-", "-"},
                           {"4", "-", "-", "-"},
                           {kThink + "<answer>four</answer>", "-", "-", "-"},
                           {"<think>maybe <answer>1</answer></think><answer>5</answer>", "5", "5", "1"},
                       });
}

TEST_CASE("opinion scores, decimal script", "[readings]") {
  const Setting setting{Protocol::score, "scores", 1, 5, RepoRule::decimal, {0}};
  check_table(setting, {
                           {kThink + "<answer>3.7</answer>", "3.7", "3.7", "3.7"},
                           {kThink + "<answer>3.</answer>", "3", "3", "3"},
                           {kThink + "<answer>3</answer>", "3", "3", "3"},
                           {kThink + "<answer>3.7 </answer>", "3.7", "3.7", "-"},
                           {kThink + "<answer>0.2</answer>", "-", "0.2", "0.2"},
                           {kThink + "<answer>3.7.1</answer>", "-", "-", "-"},
                           {kThink + "The score is 3.7", "-", "-", "-"},
                           {kThink + "<answer>-1</answer>", "-", "-1", "-"},
                           {kThink + "<answer>3.7/5</answer>", "3.7", "3.7", "-"},
                       });
}

TEST_CASE("opinion scores, the BVCC script's fall-backs", "[readings]") {
  const Setting setting{Protocol::score, "scores", 1, 5, RepoRule::bvcc, {0}};
  check_table(setting, {
                           {"<answer>3.7</answer>", "3.7", "3.7", "3.7"},
                           {"My rating: 4.25", "-", "-", "4.25"},
                           {"The Score would be about 2", "-", "-", "2"},
                           {"I hear 3 clicks", "-", "-", "3"},
                           {"It takes 16 kHz and 44 s, worth 4.", "-", "-", "4"},
                           {"Nothing to hear", "-", "-", "-"},
                           {"Only 9 and 16", "-", "-", "-"},
                           {"<answer>3.7 points</answer>", "-", "-", "3.7"},
                       });
}

TEST_CASE("molecule scores", "[readings]") {
  const Setting setting{Protocol::score, "scores", 1, 10, RepoRule::molecules, {0}};
  check_table(setting, {
                           {"<answer>8.5</answer>", "8.5", "8.5", "8.5"},
                           {"<answer>8.</answer>", "8", "8", "-"},
                           {"<answer>8.5</answer><answer>2</answer>", "-", "8.5", "8.5"},
                       });
}

TEST_CASE("rankings by scores, batch script", "[readings]") {
  const Setting setting{Protocol::rank, "scores", 1, 10, RepoRule::integers, {0, 1, 2, 3}};
  check_table(
      setting,
      {
          {"<answer>3</answer><answer>9</answer><answer>5</answer><answer>1</answer>", "BCAD 3,9,5,1",
           "BCAD 3,9,5,1", "BCAD 3,9,5,1"},
          {"<answer>5</answer><answer>5</answer><answer>5</answer><answer>5</answer>", "ABCD 5,5,5,5",
           "ABCD 5,5,5,5", "DCBA 5,5,5,5"},
          {"<answer>7</answer><answer>7</answer><answer>9</answer><answer>1</answer>", "CABD 7,7,9,1",
           "CABD 7,7,9,1", "CBAD 7,7,9,1"},
          {"<answer>3</answer><answer>9.5</answer><answer>5</answer><answer>1</answer>", "BCAD 3,9.5,5,1",
           "BCAD 3,9.5,5,1", "BAC"},
          {"<answer>3</answer><answer>9</answer>", "-", "-", "BA"},
          {"<answer>x</answer>", "-", "-", "-"},
          {"<answer>3</answer><answer>9</answer><answer>5</answer><answer>1</answer><answer>4</answer>", "-",
           "BCAD 3,9,5,1", "BCEAD"},
          {"<answer>3</answer><answer>19</answer><answer>5</answer><answer>1</answer>", "-", "BCAD 3,19,5,1",
           "BCAD 3,19,5,1"},
      });
  const Setting shuffled{Protocol::rank, "scores", 1, 10, RepoRule::integers, {2, 0, 3, 1}};
  check_table(shuffled, {
                            {"<answer>3</answer><answer>9</answer><answer>5</answer><answer>1</answer>",
                             "ADCB 9,1,3,5", "ADCB 9,1,3,5", "ADCB 9,1,3,5"},
                        });
}

TEST_CASE("rankings by letters", "[readings]") {
  const auto read = [](const std::string& text, std::vector<std::uint16_t> presentation) {
    const int count = static_cast<int>(presentation.size());
    return reading_of(
        read_verdict(text, Protocol::rank, count, presentation, make_profile("strict", "choice", 1, 10)));
  };
  CHECK(read("<answer>CDAB</answer>", {0, 1, 2, 3}) == "CDAB");
  CHECK(read("<answer>C > D > A > B</answer>", {0, 1, 2, 3}) == "CDAB");
  CHECK(read("<answer>[[C, D, A, B]]</answer>", {0, 1, 2, 3}) == "CDAB");
  CHECK(read("<answer>CDAB</answer>", {3, 2, 1, 0}) == "BADC");
  CHECK(read("<answer>CDA</answer>", {0, 1, 2, 3}) == "-");
  CHECK(read("<answer>CDAA</answer>", {0, 1, 2, 3}) == "-");
  CHECK(read("<answer>CDABE</answer>", {0, 1, 2, 3}) == "-");
  CHECK(read("<answer>cdab</answer>", {0, 1, 2, 3}) == "-");
}

TEST_CASE("what the answer was made to start with belongs to the text", "[readings]") {
  const std::vector<std::uint16_t> forward = {0, 1};
  auto profile = make_profile("strict", "scores", 1, 10);
  const auto read = [&](const std::string& text) {
    return reading_of(read_verdict(text, Protocol::pair, 2, forward, profile));
  };
  profile.prefill = "<think>\n";
  CHECK(read("First is right.</think><answer>8</answer><answer>6</answer>") == "A 8,6");
  CHECK(read("I could say <answer>2</answer><answer>9</answer> and so on") == "-");
  profile.prefill = "<think></think><answer>";
  CHECK(read("8</answer><answer>6</answer>") == "A 8,6");
  profile.dialect = Dialect::repo;
  CHECK(read("8</answer><answer>6</answer>") == "-");
}

TEST_CASE("answers in a form of the prompt file", "[readings]") {
  ParserProfile profile = make_profile("strict", "scores", 1, 10);
  profile.form = Form::custom;
  const std::vector<std::uint16_t> forward = {0, 1}, one = {0};
  profile.custom = {R"(\[\[([ABC])\]\])", Take::last, std::nullopt};
  CHECK(reading_of(read_verdict("First [[A]], no: [[B]].", Protocol::pair, 2, forward, profile)) == "B");
  profile.custom.take = Take::first;
  CHECK(reading_of(read_verdict("First [[A]], no: [[B]].", Protocol::pair, 2, forward, profile)) == "A");
  profile.custom.take = Take::all;
  CHECK(reading_of(read_verdict("First [[A]], no: [[B]].", Protocol::pair, 2, forward, profile)) == "-");
  CHECK(reading_of(read_verdict("<think>[[A]]</think> [[C]]", Protocol::pair, 2, forward, profile)) == "tie");

  profile.custom = {R"(Rating: (\d+)%)", Take::all, 10.0};
  CHECK(reading_of(read_verdict("Rating: 85%", Protocol::score, 1, one, profile)) == "8.5");
  CHECK(reading_of(read_verdict("Rating: 850%", Protocol::score, 1, one, profile)) == "-");
  CHECK(reading_of(read_verdict("Rating: 85%, Rating: 20%", Protocol::pair, 2, forward, profile)) ==
        "A 8.5,2");
  profile.custom = {"(", Take::all, 1.0};
  CHECK_THROWS_AS(read_verdict("x", Protocol::score, 1, one, profile), base::Error);
}

TEST_CASE("verdicts by the likelihood of the labels", "[readings]") {
  const std::vector<std::uint16_t> forward = {0, 1}, reverse = {1, 0}, one = {0};
  const std::vector<std::string> two = {"1", "2"}, three = {"A", "B", "C"}, stars = {"1", "2", "3"};
  auto verdict = read_likelihood(std::vector<float>{std::log(0.75f) - 3, std::log(0.25f) - 3}, two,
                                 Protocol::pair, 2, forward);
  CHECK(verdict.choice == "A");
  CHECK(verdict.scores[0] == Approx(0.75));
  CHECK(verdict.value == Approx(0.5));
  verdict =
      read_likelihood(std::vector<float>{std::log(0.75f), std::log(0.25f)}, two, Protocol::pair, 2, reverse);
  CHECK(verdict.choice == "B");
  CHECK(verdict.scores[0] == Approx(0.25));
  CHECK(read_likelihood(std::vector<float>{-1, -1}, two, Protocol::pair, 2, forward).choice == "tie");
  CHECK(read_likelihood(std::vector<float>{-2, -3, -1}, three, Protocol::pair, 2, forward).choice == "tie");
  CHECK(read_likelihood(std::vector<float>{std::log(0.5f), std::log(0.25f), std::log(0.25f)}, stars,
                        Protocol::score, 1, one)
            .value == Approx(1.75));
  CHECK(read_likelihood(std::vector<float>{-1, NAN}, two, Protocol::pair, 2, forward).status ==
        VerdictStatus::failed);
  CHECK(read_likelihood(std::vector<float>{-1}, two, Protocol::pair, 2, forward).status ==
        VerdictStatus::failed);
  CHECK(read_likelihood(std::vector<float>{-INFINITY, -2}, two, Protocol::pair, 2, forward).choice == "B");
  CHECK_THROWS_AS(
      read_likelihood(std::vector<float>{-1}, std::vector<std::string>{"A"}, Protocol::pair, 2, forward),
      base::Error);
}

TEST_CASE("a presentation that is no order of the candidates is refused", "[readings]") {
  const auto read = [](Protocol protocol, int candidates, std::vector<std::uint16_t> presentation) {
    return read_verdict("", protocol, candidates, presentation, {});
  };
  CHECK_THROWS_AS(read(Protocol::pair, 2, {0, 0}), base::Error);
  CHECK_THROWS_AS(read(Protocol::pair, 2, {0, 2}), base::Error);
  CHECK_THROWS_AS(read(Protocol::pair, 2, {0}), base::Error);
  CHECK_THROWS_AS(read(Protocol::pair, 3, {0, 1, 2}), base::Error);
  CHECK_THROWS_AS(read(Protocol::score, 2, {0, 1}), base::Error);
  CHECK_THROWS_AS(read(Protocol::rank, 27, {}), base::Error);
  CHECK_THROWS_AS(make_profile("lenient", "scores", 1, 10), base::Error);
  CHECK_THROWS_AS(make_profile("strict", "stars", 1, 10), base::Error);
  CHECK_THROWS_AS(make_profile("strict", "scores", 5, 5), base::Error);
}

TEST_CASE("random pieces of judge text never crash and read equally twice", "[readings]") {
  const std::vector<std::string> pieces = {
      "<answer>", "</answer>", "<think>", "</think>", "[[",   "]]",    "A",    "B",    ">",   "=", "7",
      "/10",      ".",         " ",       "\n",       "Good", "score", "\xff", "\x00", "tie", "-", "é"};
  std::mt19937 random(11);
  int readable = 0;
  for (int round = 0; round < 4000; ++round) {
    std::string text;
    for (int i = static_cast<int>(random() % 14); i > 0; --i) {
      text += random() % 4 ? pieces[random() % pieces.size()] : std::string(1, static_cast<char>(random()));
    }
    for (const auto protocol : {Protocol::score, Protocol::pair, Protocol::label, Protocol::rank}) {
      const int count = protocol == Protocol::score ? 1 : protocol == Protocol::rank ? 3 : 2;
      std::vector<std::uint16_t> presentation;
      for (int i = count; i > 0; --i) presentation.push_back(static_cast<std::uint16_t>(i - 1));
      for (const char* dialect : {"strict", "paper", "repo"}) {
        for (const char* form : {"scores", "label", "choice"}) {
          auto profile = make_profile(dialect, form, 1, 10);
          profile.repo = static_cast<RepoRule>(random() % 5);
          const auto verdict = read_verdict(text, protocol, count, presentation, profile);
          readable += verdict.ok();
          REQUIRE(reading_of(verdict) ==
                  reading_of(read_verdict(text, protocol, count, presentation, profile)));
        }
      }
    }
  }
  CHECK(readable > 100);
}

}  // namespace assize::verdict
