#include <filesystem>
#include <string>
#include <vector>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/file.h"
#include "base/lines.h"
#include "support/catch.h"
#include "support/temporary_folder.h"

namespace assize::base {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> lines_of(const fs::path& path) {
  std::vector<std::string> lines;
  for_each_line(path, [&](std::uint64_t number, const std::string& line) {
    lines.push_back(line);
    CHECK(number == lines.size());
  });
  return lines;
}

}  // namespace

TEST_CASE("lines of a file, with and without a line break at its end") {
  const support::TemporaryFolder temporary;
  const fs::path folder = temporary.path();
  const std::vector<std::pair<std::string, std::vector<std::string>>> cases = {
      {"", {}}, {"\n", {""}}, {"one", {"one"}}, {"one\n", {"one"}}, {"one\n\nthree\r\nfour", {"one", "", "three\r", "four"}}};
  for (const auto& [contents, lines] : cases) {
    write_file_atomically(folder / "lines", contents);
    CHECK(lines_of(folder / "lines") == lines);
  }
  write_file_atomically(folder / "a.tar", "headeronetwo\nthreefour");
  write_file_atomically(folder / "a.tar.index", "6 3 first\n9 9 second\n");
  CHECK(lines_of(folder / "a.tar" / "first") == std::vector<std::string>{"one"});
  CHECK(lines_of(folder / "a.tar" / "second") == std::vector<std::string>{"two", "three"});
  CHECK_THROWS_AS(lines_of(folder / "missing"), Error);
  CHECK_THROWS_AS(lines_of(folder), Error);
}

TEST_CASE("a file written in pieces appears whole or not at all") {
  const support::TemporaryFolder temporary;
  const fs::path folder = temporary.path(), path = folder / "file";
  const std::string long_piece(3 << 20, 'x');
  {
    AtomicFile file(path);
    file.write("given up");
  }
  CHECK(fs::is_empty(folder));
  AtomicFile file(path);
  for (const std::string& piece : {std::string("short "), long_piece, std::string(" end")}) file.write(piece);
  CHECK_FALSE(fs::exists(path));
  file.finish();
  CHECK(read_file(path) == "short " + long_piece + " end");
  CHECK_FALSE(fs::exists(folder / "file.tmp"));
  CHECK_THROWS_AS(AtomicFile(folder / "no" / "file"), Error);
}

}  // namespace assize::base
