#include "catch.hpp"

#include <kronecker/analysis/separation.hpp>
#include <kronecker/encoder.hpp>

#include <cstddef>
#include <random>
#include <string>
#include <vector>

using kronecker::no_pos_dim;
using kronecker::separating_pos_dims;
using kronecker::TokenId;
using kronecker::Vocabulary;

TEST_CASE("a token has a code of its own as soon as the byte that tells it apart is kept") {
  // "ab" and "abc" are told apart by the third byte; the last two by none, and from the others by the first.
  CHECK(separating_pos_dims(Vocabulary({"ab", "abc", "xy", "xy"})) == std::vector<int>{3, 3, 1, 1});
  // At 3 bytes the second character of the first is cut off as a whole, and "e" is left of both.
  CHECK(separating_pos_dims(Vocabulary({"e\u65e5", "e"})) == std::vector<int>{4, 4});
  CHECK(separating_pos_dims(Vocabulary({std::string(300, 'a'), std::string(299, 'a')})) ==
        std::vector<int>{no_pos_dim, no_pos_dim});
  CHECK(separating_pos_dims(Vocabulary({"", "\u65e5"})) == std::vector<int>{3, 3});
}

// The definition, token by token and pos_dim by pos_dim.
TEST_CASE("separating pos_dims are those at which no other token's code is equal") {
  const std::vector<std::string> parts{"a",          "b",    "\u00e9",   "\u65e5",
                                       "\U0001F600", "\xE6", "\x97\xA5", "\xFF"};
  std::mt19937 random(1);
  for (int round = 0; round < 20; ++round) {
    std::vector<std::string> tokens(60);
    for (std::string& token : tokens)
      for (auto count = random() % 5; count > 0; --count) token += parts[random() % parts.size()];
    const std::vector<int> found = separating_pos_dims(Vocabulary(tokens));
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      int smallest = 1;
      for (int pos_dim = 1; pos_dim < 40; ++pos_dim) {
        const kronecker::DynamicEncoder encoder(256, pos_dim);
        for (const std::string& other : tokens)
          if (other != tokens[i] && encoder.truncate(other) == encoder.truncate(tokens[i]))
            smallest = pos_dim + 1;
      }
      CHECK(found[i] == smallest);
    }
  }
}
