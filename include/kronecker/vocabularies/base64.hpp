#pragma once

/// Base64, in which tiktoken's ranks and Mistral's tekken.json have the bytes of their tokens.

#include <kronecker/namespace.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace KRONECKER_NAMESPACE {
namespace detail {

/// Decodes base64 as RFC 4648 has it: padded, nothing between, unused bits zero; else nothing.
inline std::optional<std::string> from_base64(std::string_view text) {
  constexpr std::string_view digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  if (text.empty() || text.size() % 4 != 0) return std::nullopt;
  const std::size_t padding = text.ends_with("==") ? 2 : text.ends_with('=') ? 1 : 0;
  text.remove_suffix(padding);

  std::string bytes;
  std::uint32_t bits = 0;
  int bit_count = 0;
  for (const char character : text) {
    const std::size_t digit = digits.find(character);
    if (digit == std::string_view::npos) return std::nullopt;
    bits = (bits << 6 | static_cast<std::uint32_t>(digit)) & 0xFFFFu;
    bit_count += 6;
    if (bit_count < 8) continue;
    bit_count -= 8;
    bytes += static_cast<char>(bits >> bit_count & 0xFFu);
  }
  const std::uint32_t unused_bits = bits & ((1u << bit_count) - 1);
  return unused_bits == 0 ? std::optional(std::move(bytes)) : std::nullopt;
}

}  // namespace detail

}  // namespace KRONECKER_NAMESPACE
