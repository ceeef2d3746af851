#include "golden.hpp"

#include <kronecker/utf8.hpp>

using kronecker::is_valid_utf8;
using kronecker::utf8_safe_prefix;

TEST_CASE("a prefix is the reference's, except where the reference loses the token") {
  int different = 0;
  for (const auto& golden : test_support::golden_json("truncate.json")) {
    const int max = golden["max"];
    if (max < 0) continue;  // cannot be expressed here
    const std::string in = test_support::from_hex(golden["in"]);
    const std::string expected = test_support::from_hex(golden["out"]);
    const std::string_view prefix = utf8_safe_prefix(in, static_cast<std::size_t>(max));
    INFO("bytes " << golden["in"] << ", max " << max);
    if (prefix == expected) continue;
    CHECK(expected.empty());
    CHECK(prefix == in.substr(0, static_cast<std::size_t>(max)));
    ++different;
  }
  CHECK(different == 24);
}

TEST_CASE("a prefix that fits is the string itself, valid or not") {
  CHECK(utf8_safe_prefix("", 0).empty());
  CHECK(utf8_safe_prefix("abc", 3) == "abc");
  CHECK(utf8_safe_prefix("\xff\xfe", 2) == "\xff\xfe");
}

TEST_CASE("a character is not cut in two") {
  CHECK(utf8_safe_prefix("na\u00efve", 3) == "na");
  CHECK(utf8_safe_prefix("\u65e5\u672c", 5) == "\u65e5");
  CHECK(utf8_safe_prefix("\u65e5\u672c", 2).empty());
  CHECK(utf8_safe_prefix("a\U0001F600", 4) == "a");
}

TEST_CASE("bytes that are not text are cut at the limit") {
  CHECK(utf8_safe_prefix("\xff\xff\xff\xff\xff", 4) == "\xff\xff\xff\xff");
  CHECK(utf8_safe_prefix("ab\xff"
                         "cdefgh",
                         8) ==
        "ab\xff"
        "cdefg");
}

TEST_CASE("well-formed UTF-8 is told from the rest") {
  CHECK(is_valid_utf8(""));
  CHECK(is_valid_utf8(std::string_view("\0", 1)));
  CHECK(is_valid_utf8("\x7f\u0080\u07ff\u0800\ud7ff\ue000\uffff\U00010000\U0010ffff"));
  for (const std::string_view malformed :
       {"\x80", "\xbf", "\xc0\x80", "\xc1\xbf", "\xc2", "\xc2\x41",  // stray, overlong, cut, not continued
        "\xe0\x9f\xbf", "\xed\xa0\x80", "\xed\xbf\xbf", "\xe2\x82",  // overlong, surrogates, cut
        "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xf0\x9f\x98", "\xff"}) {
    INFO("first byte " << static_cast<int>(static_cast<unsigned char>(malformed[0])) << ", size "
                       << malformed.size());
    CHECK_FALSE(is_valid_utf8(malformed));
    CHECK_FALSE(is_valid_utf8("ok" + std::string(malformed)));
  }
}

TEST_CASE("every code point survives reading") {
  int survivors = 0;
  for (char32_t c = 0; c <= 0x10FFFF; ++c) {
    if (c >= 0xD800 && c <= 0xDFFF) continue;
    std::string bytes;
    if (c < 0x80) {
      bytes = {static_cast<char>(c)};
    } else if (c < 0x800) {
      bytes = {static_cast<char>(0xC0 | c >> 6), static_cast<char>(0x80 | (c & 0x3F))};
    } else if (c < 0x10000) {
      bytes = {static_cast<char>(0xE0 | c >> 12), static_cast<char>(0x80 | (c >> 6 & 0x3F)),
               static_cast<char>(0x80 | (c & 0x3F))};
    } else {
      bytes = {static_cast<char>(0xF0 | c >> 18), static_cast<char>(0x80 | (c >> 12 & 0x3F)),
               static_cast<char>(0x80 | (c >> 6 & 0x3F)), static_cast<char>(0x80 | (c & 0x3F))};
    }
    const auto read = kronecker::read_code_point(bytes + "tail");
    survivors += read.value == c && read.length == bytes.size() ? 1 : 0;
  }
  CHECK(survivors == 0x110000 - 0x800);  // all but the surrogates
}
