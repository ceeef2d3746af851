#pragma once

/// Python's literals of text and bytes, as RWKV's vocabularies have them: quotes of both kinds, escapes, and
/// b before bytes.

#include <kronecker/namespace.hpp>
#include <kronecker/utf8.hpp>

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>

namespace KRONECKER_NAMESPACE {
namespace detail {

/// Appends a code point in UTF-8; false if there is no such character.
inline bool append_utf8(std::string& text, std::uint32_t code_point) {
  if (code_point > 0x10FFFF || (code_point >= 0xD800 && code_point <= 0xDFFF)) return false;
  const std::size_t length = code_point < 0x80 ? 1 : code_point < 0x800 ? 2 : code_point < 0x10000 ? 3 : 4;
  constexpr unsigned leads[] = {0, 0, 0xC0, 0xE0, 0xF0};
  text += static_cast<char>(leads[length] | code_point >> (6 * (length - 1)));
  for (std::size_t i = length - 1; i-- > 0;)
    text += static_cast<char>(0x80u | (code_point >> (6 * i) & 0x3Fu));
  return true;
}

/// The number at the front of `text` in exactly `digit_count` digits, taken off; nothing if it is not there.
inline std::optional<std::uint32_t> take_number(std::string_view& text, std::size_t digit_count, int base) {
  if (text.size() < digit_count) return std::nullopt;
  std::uint32_t value = 0;
  const char* const end = text.data() + digit_count;
  const auto [stop, error] = std::from_chars(text.data(), end, value, base);
  if (error != std::errc() || stop != end) return std::nullopt;
  text.remove_prefix(digit_count);
  return value;
}

/// What stands between the quotes of a literal -> its bytes: of a text, in UTF-8. Nothing if an escape is
/// none of Python's, or one of a name (\N{DIGIT ONE}). O(size).
inline std::optional<std::string> unescape_python(std::string_view escaped, bool is_bytes) {
  constexpr std::string_view letters = "abfnrtv0\\'\"", meanings("\a\b\f\n\r\t\v\0\\'\"", 11);
  std::string bytes;
  bytes.reserve(escaped.size());
  while (!escaped.empty()) {
    const std::size_t plain = escaped.substr(0, escaped.find('\\')).size();
    bytes += escaped.substr(0, plain);
    escaped.remove_prefix(plain);
    if (escaped.empty()) break;
    if (escaped.size() < 2) return std::nullopt;

    const char letter = escaped[1];
    escaped.remove_prefix(2);
    const bool is_octal =
        letter >= '0' && letter <= '7' && !escaped.empty() && escaped[0] >= '0' && escaped[0] <= '7';
    const std::size_t digits = letter == 'x' ? 2 : is_bytes ? 0 : letter == 'u' ? 4 : letter == 'U' ? 8 : 0;
    if (digits > 0) {
      const auto value = take_number(escaped, digits, 16);
      if (!value) return std::nullopt;
      if (is_bytes)
        bytes += static_cast<char>(*value);
      else if (!append_utf8(bytes, *value))
        return std::nullopt;
    } else if (const std::size_t at = letters.find(letter); at != letters.npos && !is_octal) {
      bytes += meanings[at];
    } else {
      return std::nullopt;
    }
  }
  return bytes;
}

/// The bytes of the literal `literal`: quotes of one kind, with a b before them or not. Nothing if it is
/// none.
inline std::optional<std::string> python_literal(std::string_view literal) {
  const bool is_bytes = literal.starts_with('b');
  if (is_bytes) literal.remove_prefix(1);
  if (literal.size() < 2 || literal.front() != literal.back() ||
      (literal.front() != '\'' && literal.front() != '"'))
    return std::nullopt;
  const std::string_view escaped = literal.substr(1, literal.size() - 2);
  for (std::size_t i = 0; i < escaped.size(); ++i) {
    if (escaped[i] == literal.front()) return std::nullopt;  // the literal ends before its end
    if (escaped[i] == '\\') ++i;
  }
  return unescape_python(escaped, is_bytes);
}

}  // namespace detail

}  // namespace KRONECKER_NAMESPACE
