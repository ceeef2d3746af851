#pragma once

/// Bytes and numbers as people read them.

#include <kronecker/shown_text.hpp>

#include <fmt/core.h>

#include <string>
#include <string_view>
#include <utility>

namespace examples {

/// A byte: itself if it is printable ASCII, else two hexadecimal digits.
inline std::string shown_byte(unsigned char byte) {
  return byte > 0x20 && byte < 0x7F ? std::string(1, static_cast<char>(byte)) : fmt::format("{:02X}", byte);
}

/// Bytes as text in quotes, with escapes for what could not be seen or told from something else.
inline std::string shown(std::string_view bytes) { return kronecker::quoted_text(bytes); }

/// A path, or another name, as a message can show it.
inline std::string shown_name(std::string_view name) { return kronecker::shown_text(name); }

/// 1234567 -> "1.2M", 38597376 -> "38.6M", 537e6 -> "537M".
inline std::string short_number(double value) {
  for (const auto& [unit, name] : {std::pair{1e9, "G"}, {1e6, "M"}, {1e3, "k"}})
    if (value >= unit)
      return value >= 100 * unit ? fmt::format("{:.0f}{}", value / unit, name)
                                 : fmt::format("{:.1f}{}", value / unit, name);
  return fmt::format("{:.0f}", value);
}

}  // namespace examples
