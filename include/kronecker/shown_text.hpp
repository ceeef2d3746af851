#pragma once

/// Text from a file, a tokenizer or a path as people are shown it: whatever could move the cursor, hide or
/// reorder what is printed, or look like something else, is written as an escape.

#include <kronecker/namespace.hpp>
#include <kronecker/utf8.hpp>

#include <cstddef>
#include <string>
#include <string_view>

namespace KRONECKER_NAMESPACE {
namespace detail {

/// Whether a character is shown by an escape: a control character, a line or paragraph separator, one that
/// changes the direction of what follows, or one that cannot be seen (Unicode's
/// Default_Ignorable_Code_Point). Joiners between letters are not.
constexpr bool is_escaped(char32_t c) noexcept {
  struct Range {
    char32_t first, last;
  };
  constexpr Range ranges[] = {
      {0x00, 0x1F},     {0x7F, 0x9F},     {0xAD, 0xAD},       {0x34F, 0x34F},     {0x61C, 0x61C},
      {0x115F, 0x1160}, {0x17B4, 0x17B5}, {0x180B, 0x180F},   {0x200B, 0x200B},   {0x200E, 0x200F},
      {0x2028, 0x202E}, {0x2060, 0x206F}, {0x3164, 0x3164},   {0xFE00, 0xFE0F},   {0xFEFF, 0xFEFF},
      {0xFFA0, 0xFFA0}, {0xFFF0, 0xFFFB}, {0x1BCA0, 0x1BCA3}, {0x1D173, 0x1D17A}, {0xE0000, 0xE0FFF},
  };
  for (const Range& range : ranges)
    if (c >= range.first && c <= range.last) return true;
  return false;
}

/// Appends \xNN, \uNNNN or \U00NNNNNN, with as many digits as `digits` says.
inline void append_escape(std::string& to, char32_t value, int digits) {
  to += '\\';
  to += digits == 2 ? 'x' : digits == 4 ? 'u' : 'U';
  while (digits-- > 0) to += "0123456789ABCDEF"[value >> (4 * digits) & 0xF];
}

/// Appends `text` as it is shown; the ASCII characters of `also` get a backslash before them.
inline void append_shown(std::string& to, std::string_view text, std::string_view also = "\\") {
  while (!text.empty()) {
    const auto [character, length] = read_code_point(text);
    if (length == 0)
      append_escape(to, static_cast<unsigned char>(text.front()), 2);
    else if (character == '\n' || character == '\t' || character == '\r')
      to += character == '\n' ? "\\n" : character == '\t' ? "\\t" : "\\r";
    else if (is_escaped(character))
      append_escape(to, character, character < 0x80 ? 2 : character <= 0xFFFF ? 4 : 8);
    else
      (also.find(text.front()) != also.npos ? to += '\\' : to) += text.substr(0, length);
    text.remove_prefix(length > 0 ? length : 1);
  }
}

/// As much of a text from a file as a message should quote, as it is: `fail` escapes it.
constexpr std::string_view excerpt(std::string_view text) noexcept {
  constexpr std::size_t longest = 80;
  return utf8_safe_prefix(text, longest);
}

/// A path as it is named to people: in UTF-8 and with slashes where the system's own are backslashes, which
/// would be shown as escapes; elsewhere as it is.
template <class Path>
std::string path_text(const Path& path) {
  if constexpr (Path::preferred_separator == '/') {
    return path.string();
  } else {
    const auto utf8 = path.generic_u8string();
    return {utf8.begin(), utf8.end()};
  }
}

}  // namespace detail

/// `text` as people can be shown it, character by character, with the escapes of C: of a letter for newline,
/// tab and carriage return; of two hexadecimal digits for other ASCII control characters and for bytes that
/// are not UTF-8; of four or eight for control characters beyond ASCII and for what changes the direction of
/// a text or cannot be seen; a backslash is doubled. All else stays. O(size).
inline std::string shown_text(std::string_view text) {
  std::string shown;
  detail::append_shown(shown, text);
  return shown;
}

/// The same in single quotes; a quote within has a backslash before it.
inline std::string quoted_text(std::string_view text) {
  std::string shown = "'";
  detail::append_shown(shown, text, "\\'");
  return shown += '\'';
}

}  // namespace KRONECKER_NAMESPACE
