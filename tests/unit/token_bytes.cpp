#include "catch.hpp"

#include <kronecker/token_bytes.hpp>

using kronecker::KroneckerEncoder;
using kronecker::TokenBytes;
using kronecker::Vocabulary;

TEST_CASE("token bytes are the truncated tokens, padded with zeros") {
  const Vocabulary vocabulary({"ab", "", "abcde", "ab\u00e9", "\xff\xff\xff\xff\xff"});
  const TokenBytes token_bytes(vocabulary, KroneckerEncoder<256, 4>());
  CHECK(token_bytes.size() == 5);
  CHECK(token_bytes.pos_dim() == 4);
  const std::string bytes(token_bytes.bytes().begin(), token_bytes.bytes().end());
  CHECK(bytes == std::string("ab\0\0\0\0\0\0abcdab\u00e9\xff\xff\xff\xff", 20));
  const std::vector<int> lengths(token_bytes.lengths().begin(), token_bytes.lengths().end());
  CHECK(lengths == std::vector<int>{2, 0, 4, 4, 4});
  CHECK(token_bytes.truncated() == 2);
}

TEST_CASE("a vocabulary of 131,072 tokens takes V * 33 bytes at pos_dim 32") {
  std::vector<std::string> tokens(131072);
  for (std::size_t i = 0; i < tokens.size(); ++i) tokens[i] = std::to_string(i * i);
  CHECK(TokenBytes(Vocabulary(tokens), KroneckerEncoder<>()).memory() == 131072u * 33u);
}

TEST_CASE("the longest pos_dim keeps 255 bytes") {
  const TokenBytes token_bytes(Vocabulary({std::string(300, 'x')}), KroneckerEncoder<256, 255>());
  CHECK(token_bytes.lengths()[0] == 255);
  CHECK(token_bytes.truncated() == 1);
}

TEST_CASE("a token outside the alphabet is named by its id") {
  CHECK(message_of<std::invalid_argument>([] {
          TokenBytes(Vocabulary({"ok", "a\xc8"}), KroneckerEncoder(128, 4));
        }) == "token id 1: byte 200 at position 1 is outside the alphabet of char_dim 128");
}

TEST_CASE("token bytes are made of arrays that fit each other, and share them") {
  const TokenBytes original(Vocabulary({"ab", "cde"}), KroneckerEncoder<256, 4>());
  const auto array_of = [](std::vector<std::uint8_t> values) {
    return kronecker::SharedArray<std::uint8_t>::make(values.size(), [&](std::span<std::uint8_t> array) {
      std::copy(values.begin(), values.end(), array.begin());
    });
  };
  const auto bytes = array_of({'a', 'b', 0, 0, 'c', 'd', 'e', 0});
  const TokenBytes copy(bytes, array_of({2, 3}), 256, 4, 1);
  CHECK(copy.bytes().data() == bytes.data());
  CHECK(copy.size() == 2);
  CHECK(copy.truncated() == 1);
  CHECK(message_of<std::invalid_argument>([&] {
          TokenBytes(bytes, array_of({2, 3, 1}), 256, 4, 0);
        }) == "8 token bytes do not fit 3 lengths at pos_dim 4");
  CHECK(message_of<std::invalid_argument>([&] {
          TokenBytes(bytes, array_of({2, 5}), 256, 4, 0);
        }) == "token id 1 has a length of 5 over pos_dim 4");
  CHECK(message_of<std::invalid_argument>([&] {
          TokenBytes(bytes, array_of({2, 3}), 100, 4, 0);
        }) == "token id 1: byte 100 at position 1 is outside the alphabet of char_dim 100");
  CHECK(message_of<std::invalid_argument>([&] {
          TokenBytes(bytes, array_of({2, 3}), 256, 0, 0);
        }) == "pos_dim 0 is outside 1 to 255");
}

TEST_CASE("token bytes are equal if the tokens have the same bytes, whatever the padding holds") {
  const auto array_of = [](std::vector<std::uint8_t> values) {
    return kronecker::SharedArray<std::uint8_t>::make(values.size(), [&](std::span<std::uint8_t> array) {
      std::copy(values.begin(), values.end(), array.begin());
    });
  };
  const KroneckerEncoder<256, 4> encoder;
  const TokenBytes tokens(Vocabulary({"ab", "cde"}), encoder);
  CHECK(tokens == TokenBytes(Vocabulary({"ab", "cde"}), encoder));
  CHECK(tokens == TokenBytes(array_of({'a', 'b', 9, 9, 'c', 'd', 'e', 9}), array_of({2, 3}), 256, 4, 0));
  CHECK_FALSE(tokens == TokenBytes(Vocabulary({"ab", "cdf"}), encoder));
  CHECK_FALSE(tokens == TokenBytes(Vocabulary({"abc", "de"}), encoder));
  CHECK_FALSE(tokens == TokenBytes(Vocabulary({"ab"}), encoder));
  CHECK_FALSE(tokens == TokenBytes(Vocabulary({"ab", "cde"}), KroneckerEncoder<256, 5>()));
}

TEST_CASE("the cells that a vocabulary reaches are those that its bytes light, ascending") {
  const TokenBytes tokens(Vocabulary({"\1\2", "", "\1", "\1\2\3"}), KroneckerEncoder(8, 2));
  CHECK(tokens.reached_cells() == std::vector<std::uint32_t>{1 * 2 + 0, 2 * 2 + 1});
}
