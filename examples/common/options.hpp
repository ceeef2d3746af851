#pragma once

/// What command lines have in common.

#include <fmt/core.h>
#include <CLI/CLI.hpp>

#include <charconv>
#include <cstdint>
#include <limits>
#include <string>
#include <system_error>

namespace examples {

/// Refuses what is not a whole number of 64 bits: a negative one would be taken modulo 2^64.
inline CLI::Validator whole_number() {
  const auto check = [](const std::string& text) {
    std::uint64_t number = 0;
    const char* const end = text.data() + text.size();
    const auto [rest, error] = std::from_chars(text.data(), end, number);
    if (error == std::errc() && rest == end) return std::string();
    return fmt::format("'{}' is not a whole number from 0 to {}", text,
                       std::numeric_limits<std::uint64_t>::max());
  };
  return CLI::Validator(check, "NUMBER");
}

}  // namespace examples
