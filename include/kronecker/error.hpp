#pragma once

/// How the library says that it could not do what it was asked.
///
/// A caller's mistake is a std::invalid_argument or a std::out_of_range that names the value, its limit and
/// its place; a file's fault is a FileError. Messages are put together only once there is something to say.
/// Texts in it that are not the library's own (paths, names and tokens from files) are shown as
/// shown_text.hpp says. Where exceptions are switched off, the message goes to standard error and the program
/// aborts.

#include <kronecker/bit_cast.hpp>
#include <kronecker/namespace.hpp>
#include <kronecker/shown_text.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>

namespace KRONECKER_NAMESPACE {

/// A file that could not be read or written. The message names the path, the place in the file, what was
/// expected and what was found.
class FileError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

namespace detail {

/// Puts a message together of texts, paths and numbers.
class Message {
 public:
  /// A literal, which has no length: the library's own words, which stay as they are.
  void add(const char* literal) {
    std::string_view words = literal;
    text_ += words;
    if (is_quoted_ && words.starts_with('\'')) words.remove_prefix(1);  // this one ends what is quoted
    is_quoted_ = words.ends_with('\'');
  }
  /// Any other text may come from a file: it is escaped, and quotes in it are where it is quoted itself.
  void add(std::string_view text) { append_shown(text_, text, is_quoted_ ? "\\'" : "\\"); }
  template <class Path>
  requires requires(const Path& path) { path.generic_u8string(); }
  void add(const Path& path) { add(std::string_view(path_text(path))); }
  void add(std::integral auto number) { text_ += std::to_string(number); }
  void add(std::floating_point auto number) {
    char digits[32];
    std::snprintf(digits, sizeof digits, "%g", static_cast<double>(number));
    text_ += digits;
  }

  const std::string& text() const noexcept { return text_; }  ///< All that was added.

 private:
  std::string text_;
  bool is_quoted_ = false;  // whether a literal has opened quotes around what comes next
};

/// "1 token", "2 tokens": how many there are of what has that name.
inline std::string counted(std::integral auto count, std::string_view name) {
  return std::to_string(count) + ' ' + std::string(name) + (count == 1 ? "" : "s");
}

/// The message of these parts.
template <class... Parts>
std::string message_from(const Parts&... parts) {
  Message message;
  (message.add(parts), ...);
  return message.text();
}

/// Throws `Error` with a message made of the given texts, paths and numbers. They are taken by value, so that
/// a check does not keep what it compares in memory for the message's sake.
template <class Error, class... Parts>
[[noreturn]] void fail(Parts... parts) {
  const std::string message = message_from(parts...);
#if defined(__cpp_exceptions) || defined(_CPPUNWIND)
  throw Error(message);
#else
  std::fprintf(stderr, "kronecker: %s\n", message.c_str());
  std::abort();
#endif
}

/// Whether a number is neither NaN nor infinite, read from its bits: -ffast-math folds std::isfinite away.
inline bool is_finite(float value) noexcept {
  constexpr std::uint32_t exponent = 0x7f800000u;
  return (bit_cast<std::uint32_t>(value) & exponent) != exponent;
}

/// The same of numbers that are not positive, in two comparisons.
inline bool is_finite_and_not_positive(float value) noexcept {
  constexpr std::uint32_t sign = 0x80000000u, exponent = 0x7f800000u;
  const auto bits = bit_cast<std::uint32_t>(value);
  return bits == 0 || bits - sign < exponent;
}

inline bool is_finite(double value) noexcept {
  constexpr std::uint64_t exponent = 0x7ff0000000000000u;
  return (bit_cast<std::uint64_t>(value) & exponent) != exponent;
}

/// Throws std::invalid_argument unless the `found` numbers of `what` are (rows, columns). Divides, because a
/// product of what callers give may be too large for a std::size_t.
inline void check_shape(std::string_view what, std::size_t found, std::size_t rows, std::size_t columns) {
  if (columns == 0 ? found != 0 : found % columns != 0 || found / columns != rows)
    fail<std::invalid_argument>(what, " has ", found, " numbers instead of ", rows, " x ", columns);
}

/// The index of the first number that is not finite, or how many there are if all are. Where all are, which
/// is to be expected, it looks at them without stopping, so that compilers take several at once.
inline std::size_t first_not_finite(std::span<const float> values) noexcept {
  constexpr std::uint32_t exponent = 0x7f800000u, least_of_exponent = 0x00800000u;
  std::uint32_t sums = 0;  // of each exponent and 1: only the largest exponent's reaches the last bit
  for (const float value : values) sums |= (bit_cast<std::uint32_t>(value) & exponent) + least_of_exponent;
  if (sums >> 31 == 0) return values.size();
  std::size_t i = 0;
  while (is_finite(values[i])) ++i;
  return i;
}

}  // namespace detail
}  // namespace KRONECKER_NAMESPACE
