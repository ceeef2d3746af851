#include "catch.hpp"

#include <kronecker/token_strings.hpp>

#include <set>

using kronecker::bytes_from_byte_level_bpe;
using kronecker::bytes_from_sentencepiece;

TEST_CASE("byte-level tokens lead back to their bytes") {
  CHECK(bytes_from_byte_level_bpe("") == "");
  CHECK(bytes_from_byte_level_bpe("the") == "the");
  CHECK(bytes_from_byte_level_bpe("\u0120the") == " the");
  CHECK(bytes_from_byte_level_bpe("\u010a") == "\n");
  CHECK(bytes_from_byte_level_bpe("\u0100") == std::string(1, '\0'));
  CHECK(bytes_from_byte_level_bpe("\u0143") == "\xad");
  CHECK(bytes_from_byte_level_bpe("\u00e6\u0139\u00a5") == "\u65e5");
}

TEST_CASE("the byte-level map reaches every byte once") {
  std::set<std::string> bytes;
  for (char32_t c = 0; c < 0x144; ++c)
    if (const auto byte = kronecker::detail::byte_of_gpt2_character(c))
      bytes.insert({static_cast<char>(*byte)});
  CHECK(bytes.size() == 256);
}

TEST_CASE("what no byte-level vocabulary prints is refused") {
  CHECK(message_of<std::invalid_argument>([] { bytes_from_byte_level_bpe("a b"); }) ==
        "not a byte-level token: code point 32 at offset 1 stands for no byte");
  CHECK(message_of<std::invalid_argument>([] { bytes_from_byte_level_bpe("\u0144"); }) ==
        "not a byte-level token: code point 324 at offset 0 stands for no byte");
  CHECK(message_of<std::invalid_argument>([] { bytes_from_byte_level_bpe("ab\xff"); }) ==
        "a byte-level token must be UTF-8: byte 255 at offset 2 is not");
}

TEST_CASE("SentencePiece pieces lead back to their bytes") {
  CHECK(bytes_from_sentencepiece("") == "");
  CHECK(bytes_from_sentencepiece("the") == "the");
  CHECK(bytes_from_sentencepiece("\u2581the\u2581") == " the ");
  CHECK(bytes_from_sentencepiece("\u65e5") == "\u65e5");
  CHECK(bytes_from_sentencepiece("<0x0A>") == "\n");
  CHECK(bytes_from_sentencepiece("<0x00>") == std::string(1, '\0'));
  CHECK(bytes_from_sentencepiece("<0xFF>") == "\xff");
}

TEST_CASE("what only looks like a byte piece is text") {
  for (const std::string text : {"<0xzz>", "<0x0a>", "<0x0A", "<0x0A>>", "<0x123>", "<s>", "<unk>"})
    CHECK(bytes_from_sentencepiece(text) == text);
}

TEST_CASE("a piece that is not UTF-8 is refused") {
  CHECK(message_of<std::invalid_argument>([] { bytes_from_sentencepiece("\u2581\x80"); }) ==
        "a SentencePiece piece must be UTF-8: byte 128 at offset 3 is not");
}
