#pragma once

/// The terminal that a program prints to, if it does: how wide it is, and lines that fit.

#include "character_width.hpp"

#include <kronecker/utf8.hpp>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <string>
#include <string_view>

#if __has_include(<sys/ioctl.h>) && __has_include(<unistd.h>)
#include <sys/ioctl.h>
#include <unistd.h>
#define EXAMPLES_HAS_TERMINALS 1
#endif

namespace examples {

inline bool is_terminal([[maybe_unused]] std::FILE* stream) {
#ifdef EXAMPLES_HAS_TERMINALS
  return ::isatty(::fileno(stream)) == 1;
#else
  return false;
#endif
}

/// The columns of what standard output goes to: those that COLUMNS says, or the terminal's; without end for
/// a file or a pipe.
inline std::size_t output_width() {
  std::size_t width = 0;
  if (const char* columns = std::getenv("COLUMNS")) {
    const std::string_view digits = columns;
    std::from_chars(digits.data(), digits.data() + digits.size(), width);
  }
#ifdef EXAMPLES_HAS_TERMINALS
  struct winsize size {};
  if (width == 0 && is_terminal(stdout) && ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0)
    width = size.ws_col;
#endif
  return width > 0 ? std::max<std::size_t>(width, 20) : (std::numeric_limits<std::size_t>::max)();
}

/// The columns that a text takes.
constexpr std::size_t columns_of(std::string_view text) {
  std::size_t columns = 0;
  while (!text.empty()) {
    const auto [character, length] = kronecker::read_code_point(text);
    columns += length > 0 ? columns_of(character) : 1;
    text.remove_prefix(std::max<std::size_t>(length, 1));
  }
  return columns;
}

/// As much of a line as fits into `width` columns, with "..." for the rest.
inline std::string fitted(std::string_view line, std::size_t width) {
  if (columns_of(line) <= width) return std::string(line);
  constexpr std::string_view rest = "...";
  std::size_t columns = rest.size(), end = 0;
  while (end < line.size()) {
    const auto [character, length] = kronecker::read_code_point(line.substr(end));
    columns += length > 0 ? columns_of(character) : 1;
    if (columns > width) break;
    end += std::max<std::size_t>(length, 1);
  }
  return std::string(line.substr(0, end)).append(rest);
}

/// `text` in lines of at most `width` columns, broken at spaces; all but the first begin with `indent`
/// spaces, and the first has `indent` columns before it already.
inline std::string wrapped(std::string_view text, std::size_t width, std::size_t indent) {
  std::string lines;
  for (std::size_t column = indent; !text.empty();) {
    const std::size_t end = std::min(text.find(' '), text.size());
    const std::string_view word = text.substr(0, end);
    if (column > indent && column + 1 + columns_of(word) > width) {
      lines.append("\n").append(indent, ' ');
      column = indent;
    }
    if (column > indent) lines += ' ';
    column += columns_of(word) + (column > indent ? 1 : 0);
    lines += word;
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

}  // namespace examples
