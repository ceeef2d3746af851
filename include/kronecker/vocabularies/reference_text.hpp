#pragma once

/// Bytes as the text that the PyTorch reference makes of them (TokenText::reference).

#include <kronecker/namespace.hpp>
#include <kronecker/token_strings.hpp>
#include <kronecker/utf8.hpp>

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace KRONECKER_NAMESPACE {
namespace detail {

/// Size of the longest part at the front of `bytes`, which do not start with a well-formed code point, that
/// could have begun one; at least 1 (Unicode chapter 3, "substitution of maximal subparts").
constexpr std::size_t maximal_invalid_part(std::string_view bytes) noexcept {
  const auto lead = static_cast<unsigned char>(bytes.front());
  if (lead < 0xC2 || lead > 0xF4 || bytes.size() < 2) return 1;
  const auto second = static_cast<unsigned char>(bytes[1]);
  const unsigned char lowest = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
  const unsigned char highest = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
  if (second < lowest || second > highest) return 1;
  const bool has_third = bytes.size() > 2 && (static_cast<unsigned char>(bytes[2]) & 0xC0) == 0x80;
  return lead >= 0xF0 && has_third ? 3 : 2;
}

/// The byte of a piece like "<0x0A>", with digits of either case; nothing for any other piece.
inline std::optional<unsigned char> byte_of_any_byte_piece(std::string_view piece) {
  constexpr std::size_t size = 6;
  if (piece.size() != size) return std::nullopt;
  std::string upper_case(piece);
  for (std::size_t i = 3; i < upper_case.size(); ++i)
    if (upper_case[i] >= 'a' && upper_case[i] <= 'f')
      upper_case[i] = static_cast<char>(upper_case[i] - 'a' + 'A');
  return byte_of_byte_piece(upper_case);
}

/// The byte that the reference takes a token for because it looks like one. Its regular expression lets a
/// newline follow.
inline std::optional<unsigned char> reference_byte(std::string_view token) {
  if (token.ends_with('\n')) token.remove_suffix(1);
  return byte_of_any_byte_piece(token);
}

}  // namespace detail

/// `bytes` decoded as UTF-8, with U+FFFD for each maximal invalid part, as Python's
/// `bytes.decode(errors="replace")` does it. O(size).
inline std::string replace_invalid_utf8(std::string_view bytes) {
  std::string text;
  text.reserve(bytes.size());
  while (!bytes.empty()) {
    const std::size_t length = read_code_point(bytes).length;
    text += length > 0 ? bytes.substr(0, length) : "\xEF\xBF\xBD";
    bytes.remove_prefix(length > 0 ? length : detail::maximal_invalid_part(bytes));
  }
  return text;
}

}  // namespace KRONECKER_NAMESPACE
