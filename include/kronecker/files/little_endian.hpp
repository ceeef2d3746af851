#pragma once

/// Numbers as files hold them: the least byte first, whatever the machine does.

#include <kronecker/namespace.hpp>

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <ostream>
#include <span>
#include <string>
#include <vector>

namespace KRONECKER_NAMESPACE {
namespace detail {

inline constexpr bool is_little_endian = std::endian::native == std::endian::little;

/// The integer whose bytes stand there.
template <class T>
T little_endian_at(const unsigned char* bytes) noexcept {
  T number = 0;
  for (std::size_t i = sizeof(T); i-- > 0;) number = static_cast<T>(std::uint64_t{number} << 8 | bytes[i]);
  return number;
}

/// Appends the bytes of an integer.
template <class T>
void append_little_endian(std::string& bytes, T number) {
  for (std::size_t i = 0; i < sizeof(T); ++i)
    bytes += static_cast<char>(static_cast<std::uint64_t>(number) >> 8 * i & 0xFF);
}

/// Turns the bytes of a number around. What holds several numbers has an overload of its own.
template <class T>
void reverse_bytes(T& number) noexcept {
  auto* const bytes = reinterpret_cast<unsigned char*>(&number);
  std::reverse(bytes, bytes + sizeof(T));
}

/// Numbers of the machine's as a file holds them, or a file's as the machine does.
template <class T>
void swap_unless_little_endian(std::span<T> numbers) noexcept {
  if constexpr (!is_little_endian && sizeof(T) > 1)
    for (T& number : numbers) reverse_bytes(number);
}

}  // namespace detail

/// Writes numbers one after the other, little-endian: what `TensorToWrite` asks for.
template <class T>
void write_little_endian(std::ostream& file, std::span<const T> numbers) {
  const auto write = [&](std::span<const T> part) {
    file.write(reinterpret_cast<const char*>(part.data()), static_cast<std::streamsize>(part.size_bytes()));
  };
  if constexpr (detail::is_little_endian || sizeof(T) == 1) {
    write(numbers);
  } else {
    constexpr std::size_t block = 4096;
    for (std::size_t i = 0; i < numbers.size() && file; i += block) {
      const auto some = numbers.subspan(i, (std::min)(block, numbers.size() - i));
      std::vector<T> part(some.begin(), some.end());
      detail::swap_unless_little_endian(std::span<T>(part));
      write(part);
    }
  }
}

}  // namespace KRONECKER_NAMESPACE
