#include "base/tar_member.h"

#include <string>

#include "base/error.h"
#include "base/file.h"
#include "support/catch.h"
#include "support/temporary_folder.h"

using namespace assize::base;
using assize::support::TemporaryFolder;
using Catch::Matchers::Contains;

TEST_CASE("files in archives are read by their index") {
  TemporaryFolder folder;
  const auto archive = folder.write("media/000.tar", "....first..second.");
  folder.write("media/000.tar.index", "4 5 a b.png\n11 6 sub/c.png\n17 0 empty\n");
  CHECK(read_file(archive / "a b.png") == "first");
  CHECK(read_file(archive / "sub/c.png") == "second");
  CHECK(read_file(archive / "empty").empty());
  CHECK_THROWS_WITH(read_file(archive / "a b.png", 4), Contains("has 5 bytes, more than the limit of 4"));
  CHECK_THROWS_WITH(read_file(archive / "d.png"), Contains("000.tar has no member 'd.png'"));
  CHECK(file_exists(archive / "sub/c.png"));
  CHECK_FALSE(file_exists(archive / "sub"));
  CHECK(file_exists(archive));
  CHECK_FALSE(file_exists(folder.path() / "media"));
  CHECK(read_file(archive).size() == 18);
}

TEST_CASE("a folder may be named like an archive") {
  TemporaryFolder folder;
  const auto file = folder.write("old.tar/x.txt", "plain");
  CHECK(read_file(file) == "plain");
  CHECK(file_exists(file));
  CHECK_FALSE(tar_member(file).has_value());
}

TEST_CASE("a broken or missing index is named with its line") {
  TemporaryFolder folder;
  const auto broken = [&](const std::string& name, const std::string& index) {
    const auto archive = folder.write(name, "12345678");
    folder.write(name + ".index", index);
    return archive / "x";
  };
  CHECK_THROWS_WITH(file_exists(broken("a.tar", "0 8 x\n0 9 y\n")), Contains("a.tar.index:2: is not 'OFFSET SIZE MEMBER' within the archive of 8 bytes"));
  CHECK_THROWS_WITH(file_exists(broken("b.tar", "9 0 x\n")), Contains("b.tar.index:1"));
  CHECK_THROWS_WITH(file_exists(broken("c.tar", "0 x\n")), Contains("c.tar.index:1"));
  CHECK_THROWS_WITH(file_exists(broken("d.tar", "0 8 \n")), Contains("d.tar.index:1"));
  CHECK_THROWS_WITH(file_exists(broken("e.tar", "0 18446744073709551615 x\n")), Contains("e.tar.index:1"));
  const auto archive = folder.write("f.tar", "");
  CHECK_THROWS_WITH(read_file(archive / "x"), Contains("f.tar.index: cannot be read; an archive of media needs its index"));
}
