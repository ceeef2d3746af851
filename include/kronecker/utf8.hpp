#pragma once

/// The little of UTF-8 that a byte-level code needs: where a code point ends, so that cutting a token to
/// pos_dim bytes does not cut a character in two.

#include <kronecker/namespace.hpp>

#include <cstddef>
#include <string_view>

namespace KRONECKER_NAMESPACE {

/// A code point read from the front of a byte string.
struct Utf8CodePoint {
  char32_t value = 0;      ///< U+0000 to U+10FFFF.
  std::size_t length = 0;  ///< In bytes; 0 if no well-formed code point starts there.
};

/// Reads the code point at the front of `bytes`. Well-formed as in Unicode table 3-7: no overlong forms, no
/// surrogates, nothing beyond U+10FFFF. O(1).
constexpr Utf8CodePoint read_code_point(std::string_view bytes) noexcept {
  if (bytes.empty()) return {};
  const auto lead = static_cast<unsigned char>(bytes.front());
  if (lead < 0x80) return {lead, 1};

  const std::size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || bytes.size() < length) return {};

  char32_t value = lead & (0x7Fu >> length);
  for (std::size_t i = 1; i < length; ++i) {
    const auto continuation = static_cast<unsigned char>(bytes[i]);
    if ((continuation & 0xC0) != 0x80) return {};
    value = (value << 6) | (continuation & 0x3Fu);
  }
  const bool is_surrogate = value >= 0xD800 && value <= 0xDFFF;
  const bool is_overlong = (length == 3 && value < 0x800) || (length == 4 && value < 0x10000);
  if (is_surrogate || is_overlong || value > 0x10FFFF) return {};
  return {value, length};
}

/// Whether `bytes` is well-formed UTF-8 from its first byte to its last. The empty string is. O(size).
constexpr bool is_valid_utf8(std::string_view bytes) noexcept {
  while (!bytes.empty()) {
    const std::size_t length = read_code_point(bytes).length;
    if (length == 0) return false;
    bytes.remove_prefix(length);
  }
  return true;
}

/// The part of a token that fits into `max_bytes` bytes.
///
/// `bytes` itself if it fits; else the longest of its prefixes of max_bytes to max_bytes - 3 bytes that is
/// valid UTF-8 as a whole, so that no character is cut in two; else, for bytes that are not text, exactly
/// max_bytes bytes. O(max_bytes).
constexpr std::string_view utf8_safe_prefix(std::string_view bytes, std::size_t max_bytes) noexcept {
  if (bytes.size() <= max_bytes) return bytes;
  constexpr std::size_t longest_partial_code_point = 3;
  for (std::size_t cut = 0; cut <= longest_partial_code_point && cut <= max_bytes; ++cut) {
    const std::string_view prefix = bytes.substr(0, max_bytes - cut);
    if (is_valid_utf8(prefix)) return prefix;
  }
  return bytes.substr(0, max_bytes);
}

}  // namespace KRONECKER_NAMESPACE
