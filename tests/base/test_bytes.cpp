#include "base/bytes.h"

#include "support/catch.h"

using namespace assize::base;

TEST_CASE("bytes: what is written is read back") {
  ByteWriter writer;
  writer.put(std::uint32_t{7}).put("two words").put(std::vector<std::int32_t>{1, -2, 3}).put(2.5);
  ByteReader reader(writer.bytes());
  CHECK(reader.get<std::uint32_t>() == 7);
  CHECK(reader.text() == "two words");
  CHECK(reader.values<std::int32_t>() == std::vector<std::int32_t>{1, -2, 3});
  CHECK(reader.get<double>() == 2.5);
  CHECK(reader.at_end());
}

TEST_CASE("bytes: every cut of a message is an error, never a wrong value") {
  ByteWriter writer;
  writer.put(std::uint32_t{7}).put("two words").put(std::vector<std::int32_t>{1, -2, 3});
  const auto whole = writer.bytes();
  for (std::size_t size = 0; size < whole.size(); ++size) {
    ByteReader reader{std::span(whole).first(size)};
    CHECK_THROWS_AS((reader.get<std::uint32_t>(), reader.text(), reader.values<std::int32_t>()), Error);
  }
}
