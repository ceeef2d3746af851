#include "catch.hpp"

#include <kronecker/vocabularies/words.hpp>

#include <string>
#include <utility>

using kronecker::TokenKind;
using kronecker::TokenText;
using kronecker::Vocabulary;
using kronecker::detail::TokenTable;

namespace {

TokenTable table_of_words(std::initializer_list<const char*> strings) {
  TokenTable table("file", 10);
  std::uint64_t id = 0;
  for (const char* string : strings) table.token(id++) = {string, TokenKind::text};
  return table;
}

}  // namespace

TEST_CASE("a mark at the end of a word is read as a space, and what that loses is noted") {
  TokenTable table = table_of_words({"the</w>", "th", "</w>"});
  end_words(table, "</w>", " ");
  const Vocabulary vocabulary = std::move(table).vocabulary(TokenText::raw);
  CHECK(vocabulary.bytes(0) == "the ");
  CHECK(vocabulary.bytes(1) == "th");
  CHECK(vocabulary.bytes(2) == " ");
  CHECK(vocabulary.notes().size() == 1);
}

TEST_CASE("a token that does not go on with a word has a space before it, and what that loses is noted") {
  TokenTable table = table_of_words({"the", "##s", "##", "."});
  table.token(5) = {"x", TokenKind::text};
  start_words(table, "##");
  const Vocabulary vocabulary = std::move(table).vocabulary(TokenText::raw);
  CHECK(vocabulary.bytes(0) == " the");
  CHECK(vocabulary.bytes(1) == "s");
  CHECK(vocabulary.bytes(2) == " ##");
  CHECK(vocabulary.bytes(3) == " .");
  CHECK(vocabulary.bytes(4).empty());
  CHECK(vocabulary.notes().size() == 1);
}
