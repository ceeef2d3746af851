#pragma once

/// NumPy's .npy files: one array each, in C order (numpy.lib.format, versions 1.0 to 3.0).

#include <kronecker/error.hpp>
#include <kronecker/files/replace_file.hpp>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <charconv>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <vector>

namespace kronecker {

/// An array as a .npy file holds it: values in C order, the last index running fastest.
template <class T>
struct NpyArray {
  std::vector<std::size_t> shape;  ///< One size for each dimension; none for a single value.
  std::vector<T> values;           ///< As many as the product of the sizes.
};

namespace detail {

/// NumPy's name for T on this machine, in quotes: '<f4', '|u1', ...
template <class T>
std::string npy_type() {
  static_assert((std::integral<T> || std::floating_point<T>)&&!std::same_as<T, bool> && sizeof(T) <= 8);
  const char order = sizeof(T) == 1 ? '|' : std::endian::native == std::endian::little ? '<' : '>';
  const char kind = std::floating_point<T> ? 'f' : std::is_signed_v<T> ? 'i' : 'u';
  return {'\'', order, kind, static_cast<char>('0' + sizeof(T)), '\''};
}

/// The text after "'key':" in a header, which is a Python dictionary literal; fails if the key, given with
/// its quotes, is missing.
inline std::string_view npy_value(const std::string& path, std::string_view header, std::string_view key) {
  const std::size_t at = header.find(key);
  const std::size_t colon = at == std::string_view::npos ? at : header.find(':', at);
  if (colon == std::string_view::npos) fail<FileError>(path, ": the .npy header has no key ", key);
  const std::size_t value = header.find_first_not_of(' ', colon + 1);
  return value == std::string_view::npos ? std::string_view() : header.substr(value);
}

/// "(2, 3)", "(2,)" or "()" -> sizes.
inline std::vector<std::size_t> npy_shape(const std::string& path, std::string_view text) {
  const std::size_t close = text.find(')');
  if (text.empty() || text.front() != '(' || close == std::string_view::npos)
    fail<FileError>(path, ": the .npy header's 'shape' is not a tuple");
  text = text.substr(1, close - 1);
  std::vector<std::size_t> shape;
  while (!text.empty()) {
    std::size_t size = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), size);
    if (error != std::errc())
      fail<FileError>(path, ": the .npy header's 'shape' has '", text, "' where a size is expected");
    shape.push_back(size);
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    text.remove_prefix(std::min(text.find_first_not_of(", "), text.size()));
  }
  return shape;
}

/// Product of the sizes, or nothing if it is over `limit`.
inline std::optional<std::size_t> npy_count(std::span<const std::size_t> shape, std::size_t limit) {
  if (std::find(shape.begin(), shape.end(), std::size_t{0}) != shape.end()) return 0;
  std::size_t count = 1;
  for (const std::size_t size : shape) {
    if (count > limit / size) return std::nullopt;
    count *= size;
  }
  return count;
}

/// Sizes -> "(2, 3)", "(2, )" or "()".
inline std::string npy_tuple(std::span<const std::size_t> shape) {
  std::string tuple = "(";
  for (const std::size_t size : shape) tuple += std::to_string(size) + ", ";
  if (shape.size() > 1) tuple.resize(tuple.size() - 2);
  return tuple + ")";
}

/// Everything in a file of T before the values.
template <class T>
std::string npy_preamble(std::span<const std::size_t> shape) {
  std::string header =
      "{'descr': " + npy_type<T>() + ", 'fortran_order': False, 'shape': " + npy_tuple(shape) + ", }";
  constexpr std::size_t magic_size = 10;
  constexpr std::size_t alignment = 64;
  header.append(alignment - (magic_size + header.size() + 1) % alignment, ' ');
  header += '\n';
  return std::string("\x93NUMPY\1\0", 8) + static_cast<char>(header.size() & 0xFF) +
         static_cast<char>(header.size() >> 8) + header;
}

}  // namespace detail

/// Writes an array of the given shape part by part, in C order: `next_part()` returns the next values, as a
/// std::span<const T>, until all are there. For arrays that are larger than one wants to hold. Throws
/// std::invalid_argument if the parts are not the shape's number of values, FileError if the file cannot be
/// written; an old file then stays as it was.
template <class T, class NextPart>
void write_npy_in_parts(const std::filesystem::path& path, std::span<const std::size_t> shape,
                        NextPart&& next_part) {
  constexpr std::size_t most = std::numeric_limits<std::size_t>::max() / sizeof(T);
  const std::optional<std::size_t> count = detail::npy_count(shape, most);
  if (!count)
    detail::fail<std::invalid_argument>("an array of shape ", detail::npy_tuple(shape), " is too large");
  replace_file(path, [&](std::ostream& file) {
    file << detail::npy_preamble<T>(shape);
    for (std::size_t written = 0; written < *count && file;) {
      const std::span<const T> part = next_part();
      if (part.empty() || part.size() > *count - written)
        detail::fail<std::invalid_argument>("an array of shape ", detail::npy_tuple(shape), " has ", *count,
                                            " values, not ", written + part.size());
      file.write(reinterpret_cast<const char*>(part.data()), static_cast<std::streamsize>(part.size_bytes()));
      written += part.size();
    }
  });
}

/// Writes `values` as an array of the given shape. Errors are those of `write_npy_in_parts`.
template <class T>
void write_npy(const std::filesystem::path& path, std::span<const T> values,
               std::span<const std::size_t> shape) {
  const std::optional<std::size_t> count = detail::npy_count(shape, values.size());
  if (count != values.size())
    detail::fail<std::invalid_argument>("an array of shape ", detail::npy_tuple(shape), " does not have ",
                                        values.size(), " values");
  write_npy_in_parts<T>(path, shape, [&] { return values; });
}

/// Reads an array of T. Throws FileError if the file is not a complete .npy file or holds another type, or
/// the array is in Fortran order. Nothing larger than the file is allocated.
template <class T>
NpyArray<T> read_npy(const std::filesystem::path& path) {
  const std::string name = path.string();
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  if (!file)
    detail::fail<FileError>(name, ": cannot open the file: ", std::generic_category().message(errno));
  const auto file_size = static_cast<std::uint64_t>(file.tellg());
  file.seekg(0);

  unsigned char preamble[12] = {};
  file.read(reinterpret_cast<char*>(preamble), 10);
  if (!file || std::string_view(reinterpret_cast<char*>(preamble), 6) != "\x93NUMPY")
    detail::fail<FileError>(name, ": not a .npy file: the first 6 bytes are not its magic string");
  const int format_version = preamble[6];
  if (format_version < 1 || format_version > 3)
    detail::fail<FileError>(name, ": .npy format version ", format_version,
                            " is unknown; versions 1 to 3 are supported");
  if (format_version > 1) file.read(reinterpret_cast<char*>(preamble) + 10, 2);
  const std::uint64_t header_begin = format_version == 1 ? 10 : 12;
  const std::uint64_t header_size = preamble[8] | std::uint64_t{preamble[9]} << 8 |
                                    std::uint64_t{preamble[10]} << 16 | std::uint64_t{preamble[11]} << 24;
  if (!file || header_size > file_size - header_begin)
    detail::fail<FileError>(name, ": the header is said to take ", header_size, " bytes of a file of ",
                            file_size);
  std::string header(static_cast<std::size_t>(header_size), '\0');
  file.read(header.data(), static_cast<std::streamsize>(header_size));

  const std::string type = detail::npy_type<T>();
  const std::string_view found_type = detail::npy_value(name, header, "'descr'");
  if (!found_type.starts_with(type))
    detail::fail<FileError>(name, ": expected values of type ", type, ", found ",
                            found_type.substr(0, type.size()));
  if (!detail::npy_value(name, header, "'fortran_order'").starts_with("False"))
    detail::fail<FileError>(name, ": the array is in Fortran order; C order is supported");

  NpyArray<T> array{detail::npy_shape(name, detail::npy_value(name, header, "'shape'")), {}};
  const std::uint64_t data_size = file_size - header_begin - header_size;
  const std::optional<std::size_t> count =
      detail::npy_count(array.shape, static_cast<std::size_t>(data_size / sizeof(T)));
  if (!count)
    detail::fail<FileError>(name, ": the file ends before the array does: ", data_size, " bytes of data");
  array.values.resize(*count);
  file.read(reinterpret_cast<char*>(array.values.data()), static_cast<std::streamsize>(*count * sizeof(T)));
  if (!file)
    detail::fail<FileError>(name, ": cannot read ", *count * sizeof(T), " bytes at offset ",
                            header_begin + header_size);
  return array;
}

}  // namespace kronecker
