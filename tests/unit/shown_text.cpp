#include "catch.hpp"

#include <kronecker/error.hpp>
#include <kronecker/shown_text.hpp>

#include <filesystem>
#include <string>
#include <string_view>
#include <utility>

using kronecker::quoted_text;
using kronecker::shown_text;

TEST_CASE("text that can be seen is shown as it is") {
  for (const std::string_view text :
       {"", " the", "caf\u00e9", "\u2581\u65e5\u672c", "\U0001F469\u200D\U0001F680", "it's \"x\""})
    CHECK(shown_text(text) == text);
}

// The characters are those of Unicode's categories Cc and Zl and Zp, its property Bidi_Control, and what has
// no width of its own (UAX 44, DerivedCoreProperties: Default_Ignorable_Code_Point) except joiners.
TEST_CASE("what would move the cursor, turn a line round or stay unseen is shown as an escape") {
  CHECK(shown_text("a\nb\tc\rd") == "a\\nb\\tc\\rd");
  CHECK(shown_text(std::string_view("\0\x1b[31m\x7f", 7)) == "\\x00\\x1B[31m\\x7F");
  CHECK(shown_text("\u0080\u009b31m\u009f\u00a0") == "\\u0080\\u009B31m\\u009F\u00a0");
  CHECK(shown_text("\u061c\u200e\u200f\u202a\u202e\u2066\u2069") ==
        "\\u061C\\u200E\\u200F\\u202A\\u202E\\u2066\\u2069");
  CHECK(shown_text("\u2028\u2029\ufeff\u200b\u00ad\U000e0041") ==
        "\\u2028\\u2029\\uFEFF\\u200B\\u00AD\\U000E0041");
}

// Unicode 15, DerivedCoreProperties.txt.
TEST_CASE(
    "every character that Unicode says is ignored where it cannot be shown is escaped, but for joiners") {
  constexpr std::pair<char32_t, char32_t> ignored[] = {
      {0xAD, 0xAD},       {0x34F, 0x34F},     {0x61C, 0x61C},    {0x115F, 0x1160}, {0x17B4, 0x17B5},
      {0x180B, 0x180F},   {0x200B, 0x200B},   {0x200E, 0x200F},  {0x202A, 0x202E}, {0x2060, 0x206F},
      {0x3164, 0x3164},   {0xFE00, 0xFE0F},   {0xFEFF, 0xFEFF},  {0xFFA0, 0xFFA0}, {0xFFF0, 0xFFF8},
      {0x1BCA0, 0x1BCA3}, {0x1D173, 0x1D17A}, {0xE0000, 0xE0FFF}};
  for (const auto& [first, last] : ignored) {
    for (char32_t c = first; c <= last; ++c) REQUIRE(kronecker::detail::is_escaped(c));
  }
  CHECK(shown_text("\u3164a\ufe0f") == "\\u3164a\\uFE0F");
  for (const char32_t shown :
       {0x200Cu, 0x200Du, 0x20u, 0x7Eu, 0xA0u, 0x3163u, 0x3165u, 0xFE10u, 0xFFFDu, 0x1F680u})
    CHECK_FALSE(kronecker::detail::is_escaped(shown));
}

TEST_CASE("an escape and the characters that it is written with are told apart") {
  CHECK(shown_text("\n") == "\\n");
  CHECK(shown_text("\\n") == "\\\\n");
  CHECK(quoted_text("'") == "'\\''");
  CHECK(quoted_text("\\'") == "'\\\\\\''");
}

TEST_CASE("bytes that are not UTF-8 are escaped one by one, beside characters that stay") {
  CHECK(shown_text("caf\u00e9\xe9") == "caf\u00e9\\xE9");
  CHECK(shown_text("\xed\xa0\x80 \xe2\x96") == "\\xED\\xA0\\x80 \\xE2\\x96");
}

namespace {

/// A path as the two kinds of systems have them.
template <char separator>
struct PathOfSystem {
  static constexpr wchar_t preferred_separator = separator;
  std::string own, generic;
  std::string string() const { return own; }
  std::u8string generic_u8string() const { return {generic.begin(), generic.end()}; }
};

}  // namespace

TEST_CASE("a path keeps its separators readable, and what is not a separator is escaped") {
  using kronecker::detail::message_from;
  using kronecker::detail::path_text;
  const PathOfSystem<'\\'> windows{"C:\\a b\\caf\xE9", "C:/a b/caf\xC3\xA9"};
  CHECK(path_text(windows) == "C:/a b/caf\xC3\xA9");
  CHECK(message_from("in ", windows, ": no") == "in C:/a b/caf\xC3\xA9: no");
  const PathOfSystem<'/'> posix{"/a//b\\n\n", ""};
  CHECK(path_text(posix) == "/a//b\\n\n");
  CHECK(message_from(posix) == "/a//b\\\\n\\n");
  CHECK(message_from(std::filesystem::path("a/b")) == "a/b");
}

TEST_CASE("what an error quotes of a long text ends between characters") {
  CHECK(kronecker::detail::excerpt("short") == "short");
  CHECK(kronecker::detail::excerpt(std::string(79, 'a') + "\u00e9b") == std::string(79, 'a'));
}

TEST_CASE("an error shows texts that are not its own in escapes") {
  using kronecker::FileError;
  const std::string path = "a\nb.json", name = "it's\x1b[31m\\";
  CHECK(message_of<FileError>([&] { kronecker::detail::fail<FileError>(path, ": no '", name, "'\n"); }) ==
        "a\\nb.json: no 'it\\'s\\x1B[31m\\\\'\n");
}
