#pragma once

/// NumPy's .npy files: one array each (numpy.lib.format, versions 1.0 to 3.0).

#include <kronecker/error.hpp>
#include <kronecker/files/little_endian.hpp>
#include <kronecker/files/mapped_file.hpp>
#include <kronecker/files/replace_file.hpp>
#include <kronecker/files/wrong_file.hpp>
#include <kronecker/namespace.hpp>
#include <kronecker/types.hpp>

#include <algorithm>
#include <charconv>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <limits>
#include <optional>
#include <ostream>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

namespace KRONECKER_NAMESPACE {

/// An array as a .npy file holds it: values in C order, the last index running fastest.
template <class T>
struct NpyArray {
  std::vector<std::size_t> shape;  ///< One size for each dimension; none for a single value.
  std::vector<T> values;           ///< As many as the product of the sizes.
};

namespace detail {

inline constexpr std::string_view npy_magic = "\x93NUMPY";

/// NumPy's name for T in a file of the library's, in quotes: '<f4', '|u1', ...
template <class T>
std::string npy_type() {
  static_assert((std::integral<T> || std::floating_point<T>)&&!std::same_as<T, bool> && sizeof(T) <= 8);
  const char order = sizeof(T) == 1 ? '|' : '<';
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
      fail<FileError>(path, ": the .npy header's 'shape' has '", excerpt(text), "' where a size is expected");
    shape.push_back(size);
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    text.remove_prefix((std::min)(text.find_first_not_of(", "), text.size()));
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
  constexpr std::size_t most = (std::numeric_limits<std::size_t>::max)() / sizeof(T);
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
      write_little_endian(file, part);
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

namespace detail {

/// A .npy file that is open at its first value.
struct NpyInput {
  MappedFile file;
  std::string header;
  std::size_t data_begin = 0, data_size = 0;  // in bytes; the values that are left

  const std::string& path() const noexcept { return file.path(); }
};

/// Reads the header of a .npy file, but does not look into it.
inline NpyInput open_npy(MappedFile file) {
  NpyInput input{std::move(file), {}};
  const std::string& name = input.path();
  const std::string_view content = input.file.text();
  refuse_other_kind(name, content, FileKind::npy);
  if (!content.starts_with(npy_magic) || content.size() < 10)
    fail<FileError>(name, ": not a .npy file: the first 6 bytes are not its magic string");
  const auto byte = [&](std::size_t i) { return std::size_t{static_cast<unsigned char>(content[i])}; };
  const std::size_t format_version = byte(6);
  if (format_version < 1 || format_version > 3)
    fail<FileError>(name, ": .npy format version ", format_version,
                    " is unknown; versions 1 to 3 are supported");
  const std::size_t header_begin = format_version == 1 ? 10 : 12;
  std::uint64_t header_size = byte(8) | byte(9) << 8;
  if (format_version > 1 && content.size() >= header_begin)
    header_size |= std::uint64_t{byte(10)} << 16 | std::uint64_t{byte(11)} << 24;
  if (content.size() < header_begin || header_size > content.size() - header_begin)
    fail<FileError>(name, ": the header is said to take ", header_size, " bytes of a file of ",
                    content.size());
  input.header = content.substr(header_begin, static_cast<std::size_t>(header_size));
  input.data_begin = header_begin + static_cast<std::size_t>(header_size);
  input.data_size = content.size() - input.data_begin;
  return input;
}

/// Number of values of `value_size` bytes that an array of that shape has; fails if the file is shorter.
inline std::size_t npy_count_in(const NpyInput& input, std::span<const std::size_t> shape,
                                std::size_t value_size) {
  const auto count = npy_count(shape, input.data_size / value_size);
  if (!count)
    fail<FileError>(input.path(), ": the file ends before the array does: ", input.data_size,
                    " bytes of data");
  return *count;
}

/// The next values, of which there are enough.
inline void read_npy_bytes(NpyInput& input, void* to, std::size_t size) {
  if (size > 0) std::memcpy(to, input.file.text().data() + input.data_begin, size);
  input.data_begin += size;
  input.data_size -= size;
}

/// The next values as floats, stored as `Stored` in an order of bytes that may not be this machine's.
template <class Stored>
void read_npy_floats(NpyInput& input, bool is_swapped, std::span<float> values) {
  constexpr std::size_t block = 16384;
  std::vector<char> bytes((std::min)(block, values.size()) * sizeof(Stored));
  while (!values.empty()) {
    const std::size_t count = (std::min)(block, values.size());
    read_npy_bytes(input, bytes.data(), count * sizeof(Stored));
    for (std::size_t i = 0; i < count; ++i) {
      char* const first = bytes.data() + i * sizeof(Stored);
      if (is_swapped) std::reverse(first, first + sizeof(Stored));
      Stored stored;
      std::memcpy(&stored, first, sizeof stored);
      values[i] = static_cast<float>(stored);
    }
    values = values.subspan(count);
  }
}

}  // namespace detail

/// Reads an array of T. Throws FileError if the file is not a complete .npy file or holds another type, or
/// the array is in Fortran order. Nothing larger than the file is allocated.
template <class T>
NpyArray<T> read_npy(const std::filesystem::path& path) {
  detail::NpyInput input = detail::open_npy(MappedFile(path));
  const std::string type = detail::npy_type<T>();
  const std::string_view found_type = detail::npy_value(input.path(), input.header, "'descr'");
  if (!found_type.starts_with(type))
    detail::fail<FileError>(input.path(), ": expected values of type ", type, ", found ",
                            found_type.substr(0, type.size()));
  if (!detail::npy_value(input.path(), input.header, "'fortran_order'").starts_with("False"))
    detail::fail<FileError>(input.path(), ": the array is in Fortran order; C order is supported");

  const std::string_view shape = detail::npy_value(input.path(), input.header, "'shape'");
  NpyArray<T> array{detail::npy_shape(input.path(), shape), {}};
  array.values.resize(detail::npy_count_in(input, array.shape, sizeof(T)));
  detail::read_npy_bytes(input, array.values.data(), array.values.size() * sizeof(T));
  detail::swap_unless_little_endian(std::span<T>(array.values));
  return array;
}

/// Reads a matrix as float32: an array of two dimensions, of 16, 32 or 64 bit floats, little- or big-endian,
/// in C or Fortran order. Values beyond the range of float32 become infinite. Throws FileError if the file is
/// not a complete .npy file of such an array.
inline RowMajorMatrix<float> read_npy_matrix(MappedFile file) {
  detail::NpyInput input = detail::open_npy(std::move(file));
  const std::string_view type = detail::npy_value(input.path(), input.header, "'descr'").substr(0, 5);
  const bool is_float = type.size() == 5 && (type[1] == '<' || type[1] == '>') && type[2] == 'f' &&
                        (type[3] == '2' || type[3] == '4' || type[3] == '8') && type[4] == type[0];
  if (!is_float) detail::fail<FileError>(input.path(), ": expected floats, 'f2', 'f4' or 'f8', found ", type);
  const bool is_transposed =
      detail::npy_value(input.path(), input.header, "'fortran_order'").starts_with("True");
  const auto shape =
      detail::npy_shape(input.path(), detail::npy_value(input.path(), input.header, "'shape'"));
  if (shape.size() != 2)
    detail::fail<FileError>(input.path(), ": the array has ", detail::counted(shape.size(), "dimension"),
                            ", not 2");
  constexpr std::size_t most = (std::numeric_limits<std::int32_t>::max)();
  if (shape[0] > most || shape[1] > most)
    detail::fail<FileError>(input.path(), ": the array is ", shape[0], " x ", shape[1],
                            ": over the limit of ", most, " rows or columns");
  detail::npy_count_in(input, shape, static_cast<std::size_t>(type[3] - '0'));

  const auto rows = static_cast<Eigen::Index>(shape[0]), columns = static_cast<Eigen::Index>(shape[1]);
  RowMajorMatrix<float> matrix =
      is_transposed ? RowMajorMatrix<float>(columns, rows) : RowMajorMatrix<float>(rows, columns);
  const std::span<float> values(matrix.data(), static_cast<std::size_t>(matrix.size()));
  const bool is_swapped = (type[1] == '<') != detail::is_little_endian;
  if (type[3] == '2') detail::read_npy_floats<Eigen::half>(input, is_swapped, values);
  if (type[3] == '4') detail::read_npy_floats<float>(input, is_swapped, values);
  if (type[3] == '8') detail::read_npy_floats<double>(input, is_swapped, values);
  if (is_transposed) return matrix.transpose();
  return matrix;
}

/// The same of the file at `path`.
inline RowMajorMatrix<float> read_npy_matrix(const std::filesystem::path& path) {
  return read_npy_matrix(MappedFile(path));
}

}  // namespace KRONECKER_NAMESPACE
