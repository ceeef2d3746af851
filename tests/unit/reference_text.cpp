#include "catch.hpp"

#include <kronecker/vocabularies/reference_text.hpp>

#include <string>

using kronecker::replace_invalid_utf8;

namespace {

const std::string replacement = "\xEF\xBF\xBD";

std::string repeated(int count) {
  std::string text;
  while (count-- > 0) text += replacement;
  return text;
}

}  // namespace

TEST_CASE("text stays as it is when invalid UTF-8 is replaced") {
  for (const std::string text :
       {"", "a", "\xC3\xA9", "\xE2\x82\xAC", "\xF0\x9F\x98\x80", "a\xF4\x8F\xBF\xBFz"})
    CHECK(replace_invalid_utf8(text) == text);
}

TEST_CASE("each maximal part of an invalid sequence becomes one U+FFFD, as in Python") {
  CHECK(replace_invalid_utf8("\x80") == repeated(1));
  CHECK(replace_invalid_utf8("\xC0\x80") == repeated(2));
  CHECK(replace_invalid_utf8("a\xE2\x82") == std::string("a") + repeated(1));
  CHECK(replace_invalid_utf8("\xE2\x82z") == repeated(1) + "z");
  CHECK(replace_invalid_utf8("\xF0\x9F\x98z") == repeated(1) + "z");
  CHECK(replace_invalid_utf8("\xF0\x9F\xE2\x82\xAC") == repeated(1) + "\xE2\x82\xAC");
  CHECK(replace_invalid_utf8("\xF0\x80\x80") == repeated(3));
  CHECK(replace_invalid_utf8("\xE0\x80") == repeated(2));
  CHECK(replace_invalid_utf8("\xED\xA0\x80") == repeated(3));
  CHECK(replace_invalid_utf8("\xF4\x90\x80\x80") == repeated(4));
  CHECK(replace_invalid_utf8("\xF5\xFF") == repeated(2));
  // The table of Unicode 15, chapter 3, "U+FFFD for maximal subparts".
  CHECK(replace_invalid_utf8("\x61\xF1\x80\x80\xE1\x80\xC2\x62\x80\x63\x80\xBF\x64") ==
        std::string("a") + repeated(3) + std::string("b") + repeated(1) + std::string("c") + repeated(2) +
            "d");
}

TEST_CASE(
    "what looks like a byte piece is that byte in the reference, whose expression lets a newline follow") {
  using kronecker::detail::reference_byte;
  CHECK(reference_byte("<0x0A>") == 0x0A);
  CHECK(reference_byte("<0xe2>") == 0xE2);
  CHECK(reference_byte("<0xaB>\n") == 0xAB);
  for (const std::string other : {"", "\n", "<0x0A", "<0x0A>\n\n", " <0x0A>", "<0x0G>", "<0X0A>", "<0x+A>"})
    CHECK_FALSE(reference_byte(other));
}
