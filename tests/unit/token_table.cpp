#include "catch.hpp"

#include <kronecker/vocabularies/token_table.hpp>

#include <cstddef>
#include <optional>
#include <string>
#include <utility>
#include <vector>

using kronecker::FileError;
using kronecker::TokenKind;
using kronecker::TokenText;
using kronecker::detail::bytes_of_token;
using kronecker::detail::LeadingSpace;
using kronecker::detail::reference_string;
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
      {TokenKind::byte_level, "\xFF", "\xFF", replacement_character},
      {TokenKind::piece, space + space + "the", "  the", " the"},
      {TokenKind::piece, "the" + space, "the ", "the "},
      {TokenKind::piece, "<0x0A>", "<0x0A>", "\n"},
      {TokenKind::special, "<0xe2>", "<0xe2>", "\xE2"},
      {TokenKind::piece, "\xFF", std::nullopt, std::nullopt},
      {TokenKind::byte_piece, "<0x20>", " ", " "},
      {TokenKind::byte_piece, "<0xE2>", "\xE2", "\xE2"},
      {TokenKind::byte_piece, "<0x0a>", std::nullopt, "\n"},
      {TokenKind::text, space, space, space},
      {TokenKind::text, "\xC3\xA9", "\xC3\xA9", replacement_character},
      {TokenKind::special, " <s>", " <s>", " <s>"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.string);
    CHECK(bytes_of_token({c.string, c.kind}) == c.raw);
    CHECK(reference_string({c.string, c.kind}, LeadingSpace::dropped) == c.reference);
  }
  CHECK(reference_string({space + "the", TokenKind::piece}, LeadingSpace::kept) == " the");
}

TEST_CASE(
    "the reference's strings of pieces are a note where they are assumed, and refused where nothing is") {
  const auto load = [](LeadingSpace leading_space, TokenText text) {
    TokenTable table("file", 10);
    table.token(0) = {"\xE2\x96\x81the", TokenKind::piece};
    table.assume(leading_space);
    return std::move(table).vocabulary(text);
  };
  const auto kept = load(LeadingSpace::kept, TokenText::reference);
  CHECK(kept.bytes(0) == " the");
  REQUIRE(kept.notes().size() == 1);
  CHECK(kept.notes()[0] ==
        "the reference's strings are those of a tokenizer which keeps a space at the front of a token, as "
        "Gemma's does: the file does not say it, its tokenizer.json would");
  const auto dropped = load(LeadingSpace::dropped, TokenText::reference);
  CHECK(dropped.bytes(0) == "the");
  CHECK(dropped.notes()[0].find("drops a space at the front of a token, as Llama's does") !=
        std::string::npos);
  const auto raw = load(LeadingSpace::unknown, TokenText::raw);
  CHECK(raw.notes().empty());
  CHECK(message_of<FileError>([&] { load(LeadingSpace::unknown, TokenText::reference); }) ==
        "file: the file does not say what its tokenizer makes of a space at the front of a token, so the "
        "reference's strings are not known: give its tokenizer.json");
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

TEST_CASE("a vocabulary tells which kind each of its tokens was taken for") {
  const auto kinds = [](TokenText text) {
    TokenTable table("file", 10);
    const std::vector<kronecker::detail::TokenString> tokens{{"\xC4\xA0the", TokenKind::byte_level},
                                                             {"plain text", TokenKind::byte_level},
                                                             {"<0x0A>", TokenKind::byte_piece},
                                                             {"<0x0A>", TokenKind::piece},
                                                             {"the", TokenKind::piece},
                                                             {"a", TokenKind::bytes},
                                                             {"<s>", TokenKind::special},
                                                             {"", TokenKind::unused}};
    for (std::size_t id = 0; id < tokens.size(); ++id) table.token(id) = tokens[id];
    table.token(9) = {"b", TokenKind::text};
    table.assume(LeadingSpace::kept);
    const auto vocabulary = std::move(table).vocabulary(text);
    std::vector<TokenKind> found;
    for (kronecker::TokenId id = 0; id < vocabulary.size(); ++id) found.push_back(vocabulary.kind(id));
    return found;
  };
  CHECK(kinds(TokenText::raw) == std::vector{TokenKind::byte_level, TokenKind::text, TokenKind::byte_piece,
                                             TokenKind::text, TokenKind::piece, TokenKind::bytes,
                                             TokenKind::special, TokenKind::unused, TokenKind::hole,
                                             TokenKind::text});
  CHECK(kinds(TokenText::reference) ==
        std::vector{TokenKind::reference, TokenKind::reference, TokenKind::reference, TokenKind::reference,
                    TokenKind::reference, TokenKind::reference, TokenKind::special, TokenKind::unused,
                    TokenKind::hole, TokenKind::reference});
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
        "file: token 2: expected UTF-8, found '\\xFF'");
  CHECK(message_of<FileError>([] { TokenTable("file", 10).vocabulary(TokenText::raw); }) ==
        "file: the file has no tokens");
  CHECK(message_of<FileError>([] {
          TokenTable bytes("file", 10);
          bytes.token(0) = {"<0x0>", TokenKind::byte_piece};
          std::move(bytes).vocabulary(TokenText::raw);
        }) == "file: token 0: expected a byte such as <0x0A>, found '<0x0>'");
}

TEST_CASE("tokens that contradict their kind are refused") {
  const auto refusal = [](TokenKind kind, const std::vector<std::string>& strings) {
    TokenTable table("file", 100);
    for (std::size_t id = 0; id < strings.size(); ++id) table.token(id) = {strings[id], kind};
    try {
      const auto read = std::move(table).vocabulary(TokenText::raw);
      return std::string();
    } catch (const FileError& error) {
      return std::string(error.what());
    }
  };
  const std::string space_of_byte_level = "\xC4\xA0", space_of_pieces = "\xE2\x96\x81";  // their spaces
  CHECK(refusal(TokenKind::byte_level,
                {"a", space_of_pieces + "b", space_of_byte_level + "c", space_of_pieces + "d"}) ==
        "file: the tokens are said to be in GPT-2's byte map, but at the front of 2 of them is U+2581, "
        "SentencePiece's space, and at that of 1 a space of that kind; such as token 1, '" +
            space_of_pieces + "b'");
  CHECK(refusal(TokenKind::byte_level, {"a", " b"})
            .find("front of 1 of them is a plain space, and at that of 0 a space of that kind") !=
        std::string::npos);
  CHECK(refusal(TokenKind::byte_level,
                {space_of_pieces + "b", space_of_byte_level + "c", "1", "2", "3", "4", "5", "6"})
            .empty());
  const std::string character = "\xE6\x97\xA5", others = character + character;
  CHECK(refusal(TokenKind::byte_level, {character, others, "b", others + "a", others + "b"}) ==
        "file: the tokens are said to be in GPT-2's byte map, but 4 of 5 are not, such as token 0, '" +
            character + "'");
  CHECK(refusal(TokenKind::byte_level, {character, others, "b", others + "a", "c"}).empty());

  CHECK(refusal(TokenKind::piece, {"a", space_of_byte_level + "b"}) ==
        "file: the tokens are said to be SentencePiece's, but at the front of 1 of them is U+0120, the "
        "space of GPT-2's byte map, and at that of 0 a space of that kind; such as token 1, '" +
            space_of_byte_level + "b'");
  CHECK(refusal(TokenKind::piece, {space_of_byte_level, " a", space_of_byte_level + "b"})
            .empty());  // a Maltese letter
  CHECK(refusal(TokenKind::piece, {space_of_pieces + "a", space_of_byte_level + "b"}).empty());

  CHECK(refusal(TokenKind::bytes, {" a", space_of_pieces + "b"}).empty());
  CHECK(refusal(TokenKind::bytes, {space_of_pieces + "b"})
            .find("said to be plain bytes, but at the front of 1 of them is U+2581") != std::string::npos);
  CHECK(refusal(TokenKind::text, {space_of_pieces + "b", space_of_byte_level + "b"}).empty());
  CHECK(refusal(TokenKind::special, {space_of_pieces + "b", space_of_byte_level + "b"}).empty());
}
