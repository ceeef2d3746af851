#pragma once

/// Numbers as text and back, the same in every locale.

#include <kronecker/namespace.hpp>

#include <charconv>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <version>

#ifndef __cpp_lib_to_chars  // libc++ up to 19 converts integers only
#include <limits>
#include <locale>
#include <sstream>
#endif

namespace KRONECKER_NAMESPACE::detail {

/// The number that all of `text` is, or none. Spaces and a plus sign are no part of a number.
template <class T>
std::optional<T> number_in(std::string_view text) {
  T value{};
#ifndef __cpp_lib_to_chars
  if constexpr (std::is_floating_point_v<T>) {
    if (text.empty() || std::string_view("+ \t\n\v\f\r").find(text.front()) != text.npos) return std::nullopt;
    if (text.find_first_of("xX") != text.npos) return std::nullopt;  // streams may read hexadecimal numbers
    std::istringstream input{std::string(text)};
    input.imbue(std::locale::classic());
    return input >> value && input.peek() == std::istringstream::traits_type::eof() ? std::optional(value)
                                                                                    : std::nullopt;
  } else
#endif
  {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return value;
  }
}

/// A number, as the shortest text that reads back as the same.
template <class T>
std::string number_text(T value) {
#ifndef __cpp_lib_to_chars
  if constexpr (std::is_floating_point_v<T>) {
    for (int digits = 1;; ++digits) {
      std::ostringstream text;
      text.imbue(std::locale::classic());
      text.precision(digits);
      text << value;
      if (digits == std::numeric_limits<T>::max_digits10 || number_in<T>(text.str()) == value)
        return text.str();
    }
  } else
#endif
  {
    char text[64];
    return {text, std::to_chars(text, text + sizeof text, value).ptr};
  }
}

}  // namespace KRONECKER_NAMESPACE::detail
