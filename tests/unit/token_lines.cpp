#include "catch.hpp"

#include <kronecker/number_text.hpp>
#include <kronecker/vocabularies/token_lines.hpp>

#include <optional>
#include <string>
#include <string_view>

using kronecker::FileError;
using kronecker::TokenText;
using kronecker::Vocabulary;
using kronecker::detail::table_of_lines;
using kronecker::detail::TokenLine;

namespace {

/// "a5" -> "a" with the id 5.
std::optional<TokenLine> letter_and_id(std::string_view line) {
  const auto id = kronecker::detail::number_in<std::uint64_t>(line.substr(1));
  return id ? std::optional(TokenLine{*id, std::string(line.substr(0, 1))}) : std::nullopt;
}

Vocabulary vocabulary_of_lines(std::string_view content) {
  return table_of_lines("file", content, "a letter and an id", letter_and_id).vocabulary(TokenText::raw);
}

}  // namespace

TEST_CASE("each line of a file is a token, whatever ends it, and what is none is refused with its number") {
  for (const std::string content : {"a0\nb2\n", "a0\r\n\r\nb2"}) {
    const Vocabulary vocabulary = vocabulary_of_lines(content);
    CHECK(vocabulary.size() == 3);
    CHECK(vocabulary.bytes(0) == "a");
    CHECK(vocabulary.bytes(1).empty());
    CHECK(vocabulary.bytes(2) == "b");
  }
  CHECK(message_of<FileError>([] { vocabulary_of_lines("a0\n\nb'\n"); }) ==
        "file: line 3: expected a letter and an id, found 'b\\''");
  CHECK(message_of<FileError>([] { vocabulary_of_lines("a0\nb0\n"); }) ==
        "file: line 2: the id 0 is already that of 'a'");
}
