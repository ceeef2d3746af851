#include "catch.hpp"

#include <kronecker/vocabularies/token_table.hpp>

#include <optional>
#include <string>
#include <utility>
#include <vector>

using kronecker::FileError;
using kronecker::TokenText;
using kronecker::detail::bytes_of_token;
using kronecker::detail::TokenKind;
using kronecker::detail::TokenTable;

namespace {

const std::string replacement_character = "\xEF\xBF\xBD";

}  // namespace

TEST_CASE("a token's string gives its bytes, or the text that the reference encodes") {
  struct Case {
    TokenKind kind;
    std::string string;
    std::optional<std::string> raw, reference;
  };
  const std::string space = "\xE2\x96\x81";
  const Case cases[] = {
      {TokenKind::hole, "", "", ""},
      {TokenKind::bytes, "a\xE2\x82", "a\xE2\x82", "a" + replacement_character},
      {TokenKind::byte_level, "\xC4\xA0the", " the", " the"},
      {TokenKind::byte_level, "\xC3\xA9", "\xE9", replacement_character},
      {TokenKind::byte_level, "plain text", "plain text", "plain text"},
      {TokenKind::byte_level, "\xE2\x82\xAC", "\xE2\x82\xAC", "\xE2\x82\xAC"},
      {TokenKind::byte_level, "\xFF", "\xFF", "\xFF"},
      {TokenKind::piece, space + space + "the", "  the", " the"},
      {TokenKind::piece, "the" + space, "the ", "the "},
      {TokenKind::piece, "<0x0A>", "<0x0A>", "<0x0A>"},
      {TokenKind::piece, "\xFF", std::nullopt, std::nullopt},
      {TokenKind::byte_piece, "<0x20>", " ", " "},
      {TokenKind::byte_piece, "<0xE2>", "\xE2", "\xE2"},
      {TokenKind::byte_piece, "<0x0a>", std::nullopt, std::nullopt},
      {TokenKind::text, space, space, space},
      {TokenKind::special, " <s>", " <s>", " <s>"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.string);
    CHECK(bytes_of_token({c.string, c.kind}, TokenText::raw) == c.raw);
    CHECK(bytes_of_token({c.string, c.kind}, TokenText::reference) == c.reference);
  }
}

TEST_CASE("a table of tokens has holes where no token was put") {
  TokenTable table("file", 10);
  table.new_token(3, "here") = {"c", TokenKind::special};
  table.new_token(1, "here") = {"", TokenKind::text};
  const auto vocabulary = std::move(table).vocabulary(TokenText::raw);
  CHECK(vocabulary.size() == 4);
  CHECK(vocabulary.bytes(0).empty());
  CHECK(vocabulary.bytes(3) == "c");
  CHECK(vocabulary.is_special(3));
  CHECK_FALSE(vocabulary.is_special(1));
}

TEST_CASE("what is noted about a table of tokens is said once, by its vocabulary") {
  TokenTable table("file", 10);
  table.token(0, "here") = {"a", TokenKind::text};
  table.note("two of ", 3, " are missing");
  table.note("a rule is assumed");
  table.note("two of ", 3, " are missing");
  const auto vocabulary = std::move(table).vocabulary(TokenText::raw);
  CHECK(vocabulary.notes() == std::vector<std::string>{"two of 3 are missing", "a rule is assumed"});
}

TEST_CASE("a table of tokens refuses what a file cannot mean") {
  TokenTable table("file", 10);
  table.new_token(9, "line ", 1) = {"c", TokenKind::text};
  CHECK(message_of<FileError>([&] { table.new_token(9, "line ", 2); }) ==
        "file: line 2: the id 9 is already that of 'c'");
  CHECK(message_of<FileError>([&] { table.token(1 << 18, "line ", 3); }) ==
        "file: line 3: the id 262144 is not below 262144, the limit for a file of this size");
  TokenTable large("file", (1 << 18) + 1);
  CHECK(large.token(1 << 18, "line ", 1).kind == TokenKind::hole);
  CHECK_THROWS_AS(large.token((1 << 18) + 1, "line ", 1), FileError);
  table.token(2, "line ", 4) = {"\xFF", TokenKind::piece};
  CHECK(message_of<FileError>([&] { std::move(table).vocabulary(TokenText::raw); }) ==
        "file: token 2: expected UTF-8, found '\xFF'");
  CHECK(message_of<FileError>([] { TokenTable("file", 10).vocabulary(TokenText::raw); }) ==
        "file: the file has no tokens");
  CHECK(message_of<FileError>([] {
          TokenTable bytes("file", 10);
          bytes.token(0) = {"<0x0>", TokenKind::byte_piece};
          std::move(bytes).vocabulary(TokenText::raw);
        }) == "file: token 0: expected a byte such as <0x0A>, found '<0x0>'");
}
