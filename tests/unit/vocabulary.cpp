#include "catch.hpp"

#include <kronecker/vocabulary.hpp>

#include <string>
#include <utility>
#include <vector>

using kronecker::TokenKind;
using kronecker::Vocabulary;

TEST_CASE("a token id leads to its bytes") {
  const Vocabulary vocabulary({"a", "", std::string("\0\xff", 2), " the"});
  CHECK(vocabulary.size() == 4);
  CHECK(vocabulary.bytes(0) == "a");
  CHECK(vocabulary.bytes(1).empty());
  CHECK(vocabulary.bytes(2) == std::string_view("\0\xff", 2));
  CHECK(vocabulary.bytes(3) == " the");
}

TEST_CASE("tokens that are all empty can be written in place") {
  const Vocabulary vocabulary({{}, {}});
  CHECK(vocabulary.size() == 2);
  CHECK(vocabulary.find("") == 0);
  CHECK_FALSE(vocabulary.is_special(0));
}

TEST_CASE("bytes lead to the lowest id that has them") {
  const Vocabulary vocabulary({"b", "a", "b", "", "ab", "", "\xff"});
  CHECK(vocabulary.find("b") == 0);
  CHECK(vocabulary.find("a") == 1);
  CHECK(vocabulary.find("") == 3);
  CHECK(vocabulary.find("ab") == 4);
  CHECK(vocabulary.find("\xff") == 6);
  CHECK_FALSE(vocabulary.find("abc"));
  CHECK_FALSE(vocabulary.find("\xff\xff"));
}

TEST_CASE("of many tokens with the same bytes the lowest id is found") {
  CHECK(Vocabulary(std::vector<std::string>(1000, "same")).find("same") == 0);
}

TEST_CASE("a copy of a vocabulary outlives the original") {
  auto original = std::make_unique<Vocabulary>(std::vector<std::string>{"one", "two"});
  const Vocabulary copy = *original;
  original.reset();
  CHECK(copy.bytes(1) == "two");
  CHECK(copy.find("one") == 0);
}

TEST_CASE("an id that does not exist is named with the size") {
  const Vocabulary vocabulary({"a", "b"});
  CHECK(message_of<std::out_of_range>([&] { vocabulary.bytes(-1); }) ==
        "token id -1 is outside the vocabulary of 2 tokens");
  CHECK(message_of<std::out_of_range>([&] { vocabulary.bytes(2); }) ==
        "token id 2 is outside the vocabulary of 2 tokens");
}

TEST_CASE("special tokens are told from the rest") {
  const Vocabulary vocabulary = Vocabulary::with_special_ids({"<s>", "a", "</s>"}, {2, 0});
  CHECK(vocabulary.is_special(0));
  CHECK_FALSE(vocabulary.is_special(1));
  CHECK(vocabulary.is_special(2));
  CHECK_FALSE(Vocabulary({"<s>"}).is_special(0));
  CHECK_THROWS_AS(vocabulary.is_special(3), std::out_of_range);
  CHECK(message_of<std::out_of_range>([] { Vocabulary::with_special_ids({"a"}, {1}); }) ==
        "token id 1 is outside the vocabulary of 1 tokens");
}

TEST_CASE("a vocabulary tells why a token stands for its bytes") {
  const Vocabulary vocabulary =
      Vocabulary::with_kinds({"a", "", "<s>"}, {TokenKind::piece, TokenKind::hole, TokenKind::special});
  CHECK(vocabulary.kind(0) == TokenKind::piece);
  CHECK(vocabulary.kind(1) == TokenKind::hole);
  CHECK(vocabulary.is_special(2));
  CHECK_FALSE(vocabulary.is_special(0));
  CHECK(Vocabulary({"a"}).kind(0) == TokenKind::bytes);
  CHECK_THROWS_AS(vocabulary.kind(3), std::out_of_range);
  CHECK(message_of<std::invalid_argument>([] {
          Vocabulary::with_kinds({"a", "b"}, {TokenKind::text});
        }) == "1 kinds for 2 tokens");
}

TEST_CASE("a vocabulary without tokens is refused") {
  CHECK(message_of<std::invalid_argument>([] { Vocabulary(std::vector<std::string>{}); }) ==
        "a vocabulary of 0 tokens: it needs at least 1");
}

TEST_CASE("a vocabulary carries what its reader wants known") {
  CHECK(Vocabulary(std::vector<std::string>{"a"}).with_notes({}).size() == 1);
  const Vocabulary vocabulary =
      Vocabulary(std::vector<std::string>{"a", "b"}).with_notes({"something is assumed"});
  const Vocabulary copy = vocabulary;
  CHECK(copy.notes() == std::vector<std::string>{"something is assumed"});
  CHECK(copy.bytes(1) == "b");
}
