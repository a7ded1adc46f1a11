#include <random>
#include <string>
#include <vector>

#include "base/error.h"
#include "support/catch.h"
#include "verdict/pattern.h"

namespace assize::verdict {
namespace {

std::vector<std::string> answers(const std::string& pattern, const std::string& text) {
  std::vector<std::string> out;
  for (const auto& match : Pattern(pattern).find_all(text)) out.emplace_back(match.answer(text));
  return out;
}

using Words = std::vector<std::string>;

}  // namespace

TEST_CASE("patterns find what re.findall of Python finds", "[pattern]") {
  // Expected values written down from Python 3.11; empty matches as in ECMAScript.
  CHECK(answers(R"(<answer>(\d+)</answer>)", "<answer>7</answer> <answer>x</answer><answer>10</answer>") ==
        Words{"7", "10"});
  CHECK(answers("a|ab", "abab") == Words{"a", "a"});
  CHECK(answers("ab|a", "abaab") == Words{"ab", "a", "ab"});
  CHECK(answers("a*", "baac") == Words{"", "aa", "", ""});
  CHECK(answers("a*?", "aa") == Words{"", "", ""});
  CHECK(answers("(a+?)b", "aaab") == Words{"aaa"});
  CHECK(answers(R"(\[\[.*?\]\])", "[[A>B]] or [[B>A]]") == Words{"[[A>B]]", "[[B>A]]"});
  CHECK(answers(R"(\[\[.*\]\])", "[[A>B]] or [[B>A]]") == Words{"[[A>B]] or [[B>A]]"});
  CHECK(answers(".+", "one\ntwo") == Words{"one", "two"});
  CHECK(answers("[^,]+", "a,b,,c") == Words{"a", "b", "c"});
  CHECK(answers(R"(\b([1-5](?:\.\d+)?)\b)", "16 of 4.25, 5") == Words{"4.25", "5"});
  CHECK(answers(R"((?i)score\s*[:=]\s*(\d+))", "SCORE : 8, score=9") == Words{"8", "9"});
  CHECK(answers("x{2,3}", "x xx xxx xxxxx") == Words{"xx", "xxx", "xxx", "xx"});
  CHECK(answers("(?:ab){2}", "ababab") == Words{"abab"});
  CHECK(answers("^a|a$", "aba") == Words{"a", "a"});
  CHECK(answers(R"([\]x-]+)", "a]x-b") == Words{"]x-"});
  CHECK(answers("(a)|b", "ab") == Words{"a", "b"});  // findall gives "" for the second: we give the match
  CHECK(answers("好(.)", "好A") == Words{"A"});
}

TEST_CASE("a pattern takes linear time on the texts that blow up backtracking", "[pattern]") {
  const std::string many(20000, 'a');
  CHECK(answers("(?:a*)*b", many.substr(0, 2000)).empty());
  CHECK(answers("(?:a|a)*$", many).size() == 2);
  CHECK_FALSE(Pattern("(?:x+x+)+y").find(std::string(5000, 'x')).has_value());
}

TEST_CASE("a pattern that is not understood is refused with its position", "[pattern]") {
  for (const char* bad : {"(", ")", "a)", "[a", "[b-a]", "*a", "a{2", "a{3,2}", "a{9999}", "\\", "(?=a)",
                          "\\1", "\\q", "^*", "[\\d-z]", "(?:a{1000}){1000}", "[é]"}) {
    INFO(bad);
    CHECK_THROWS_AS(Pattern(bad), base::Error);
  }
  CHECK_THROWS_AS(Pattern(std::string(500, '(') + std::string(500, ')')), base::Error);
  CHECK_THROWS_AS(Pattern(std::string(1001, 'a')), base::Error);
  try {
    Pattern("ab[z");
    FAIL("accepted");
  } catch (const base::Error& error) {
    CHECK(std::string(error.what()).find("position 5") != std::string::npos);
  }
}

TEST_CASE("random expressions over random bytes never crash and stay inside the text", "[pattern]") {
  std::mt19937 random(5);
  const std::string alphabet = "ab\\d()[]|*+?.^${}1,-\n";
  int compiled = 0;
  for (int round = 0; round < 3000; ++round) {
    std::string expression, text;
    for (int i = static_cast<int>(random() % 10); i >= 0; --i)
      expression += alphabet[random() % alphabet.size()];
    for (int i = static_cast<int>(random() % 40); i > 0; --i)
      text += static_cast<char>(random() % 2 ? alphabet[random() % alphabet.size()] : random());
    try {
      const Pattern pattern(expression);
      ++compiled;
      std::size_t end = 0;
      for (const auto& match : pattern.find_all(text)) {
        REQUIRE(match.begin >= end);
        REQUIRE(match.end >= match.begin);
        REQUIRE(match.end <= text.size());
        REQUIRE(match.answer(text).size() <= text.size());
        end = match.end;
      }
    } catch (const base::Error&) {
    }
  }
  CHECK(compiled > 300);
}

}  // namespace assize::verdict
