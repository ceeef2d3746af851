#pragma once

/// Bytes and numbers as people read them.

#include <kronecker/utf8.hpp>

#include <fmt/core.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

namespace examples {

/// A byte: itself if it is printable ASCII, else two hexadecimal digits.
inline std::string shown_byte(unsigned char byte) {
  return byte > 0x20 && byte < 0x7F ? std::string(1, static_cast<char>(byte)) : fmt::format("{:02X}", byte);
}

/// Bytes as text in quotes, with what cannot be printed as \n, \t or \xNN.
inline std::string shown(std::string_view bytes) {
  const auto is_control = [](char c) { return (c >= 0 && c < ' ') || c == 0x7F; };
  if (kronecker::is_valid_utf8(bytes) && std::none_of(bytes.begin(), bytes.end(), is_control))
    return fmt::format("'{}'", bytes);
  std::string text = "'";
  for (const char byte : bytes) {
    if (byte == '\n')
      text += "\\n";
    else if (byte == '\t')
      text += "\\t";
    else if (byte >= ' ' && byte < 0x7F)
      text += byte;
    else
      text += fmt::format("\\x{:02X}", static_cast<unsigned char>(byte));
  }
  return text + "'";
}

/// 1234567 -> "1.2M", 38597376 -> "38.6M", 537e6 -> "537M".
inline std::string short_number(double value) {
  for (const auto& [unit, name] : {std::pair{1e9, "G"}, {1e6, "M"}, {1e3, "k"}})
    if (value >= unit)
      return value >= 100 * unit ? fmt::format("{:.0f}{}", value / unit, name)
                                 : fmt::format("{:.1f}{}", value / unit, name);
  return fmt::format("{:.0f}", value);
}

}  // namespace examples
