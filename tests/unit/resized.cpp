#include "catch.hpp"

#include <kronecker/vocabularies/resized.hpp>

using kronecker::ordinary_tokens_from;
using kronecker::resized;
using kronecker::TokenKind;
using kronecker::Vocabulary;

TEST_CASE("a vocabulary gets as many ids as a table has rows, and says what it leaves out") {
  const Vocabulary vocabulary = Vocabulary::with_special_ids({"a", "b", "<pad>", ""}, {0, 2});
  const Vocabulary longer = resized(vocabulary, 6);
  CHECK(longer.size() == 6);
  CHECK(longer.bytes(1) == "b");
  CHECK(longer.bytes(5).empty());
  CHECK(longer.is_special(2));
  CHECK(!longer.is_special(5));
  CHECK(longer.kind(3) == TokenKind::bytes);
  CHECK(longer.kind(4) == TokenKind::hole);
  CHECK(longer.notes().empty());
  const Vocabulary shorter = resized(vocabulary, 2);
  CHECK(shorter.size() == 2);
  CHECK(shorter.is_special(0));
  CHECK(shorter.notes() == std::vector<std::string>{"tokens from id 2 on are left out: 2 of 4"});
  const Vocabulary without_last = resized(vocabulary, 3);
  CHECK(without_last.notes() == std::vector<std::string>{"tokens from id 3 on are left out: 1 of 4"});
  CHECK_THROWS_AS(resized(vocabulary, 0), std::invalid_argument);
}

TEST_CASE("special tokens and ids without bytes may be left out, those of texts may not") {
  const Vocabulary vocabulary = Vocabulary::with_special_ids({"a", "b", "<pad>", ""}, {0, 2});
  CHECK(ordinary_tokens_from(vocabulary, 0) == 1);
  CHECK(ordinary_tokens_from(vocabulary, 1) == 1);
  CHECK(ordinary_tokens_from(vocabulary, 2) == 0);
  CHECK(ordinary_tokens_from(vocabulary, 9) == 0);
}
