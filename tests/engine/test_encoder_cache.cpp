#include <stdexcept>

#include "engine/encoder_cache.h"
#include "random_calls.h"
#include "support/catch.h"

using namespace assize;
using namespace assize::engine;

namespace {

struct Item {
  model::MediaSpan span;
  EncoderCache::Key key;
};

Item item(int number, int tokens) {
  const auto image = RandomCalls::picture(number, tokens, 1);
  return {{0, tokens, image->key, image}, {image->key}};
}

}  // namespace

TEST_CASE("a picture keeps its rows while it has users") {
  EncoderCache cache(10);
  std::vector<PictureToEncode> todo;
  const Item a = item(1, 4), b = item(2, 6);
  cache.add_user(a.key);
  cache.add_user(a.key);
  cache.add_user(b.key);
  REQUIRE(cache.request(a.key, a.span, 1, todo) == 0);
  REQUIRE(cache.request(b.key, b.span, 1, todo) == 4);
  REQUIRE(cache.request(a.key, a.span, 2, todo) == 0);
  REQUIRE(todo.size() == 2);
  REQUIRE(todo[1].image == b.span.image.get());
  REQUIRE(todo[1].embedding_row == 4);
  cache.remove_user(a.key);
  REQUIRE(cache.first_row(a.key) == 0);
  cache.remove_user(a.key);
  REQUIRE_THROWS_AS(cache.first_row(a.key), std::logic_error);
  const Item c = item(3, 4);
  cache.add_user(c.key);
  REQUIRE(cache.request(c.key, c.span, 3, todo) == 0);
}

TEST_CASE("pictures of this step stay, others make way") {
  EncoderCache cache(10);
  std::vector<PictureToEncode> todo;
  const Item a = item(1, 4), b = item(2, 4), c = item(3, 7);
  for (const Item& i : {a, b, c}) cache.add_user(i.key);
  cache.request(a.key, a.span, 1, todo);
  cache.request(b.key, b.span, 1, todo);
  REQUIRE(cache.request(c.key, c.span, 1, todo) == -1);
  REQUIRE(todo.size() == 2);
  REQUIRE(cache.request(c.key, c.span, 2, todo) >= 0);
  REQUIRE(todo.size() == 3);
  // What made way is encoded again.
  REQUIRE(cache.request(a.key, a.span, 3, todo) >= 0);
  REQUIRE(todo.size() == 4);
}
