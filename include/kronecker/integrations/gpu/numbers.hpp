#pragma once

/// Numbers of any type as the kernels read and write them: some columns at once, as floats.

#include <kronecker/integrations/gpu/machine.hpp>
#include <kronecker/kernels/row_type.hpp>
#include <kronecker/namespace.hpp>

#include <cstddef>
#include <cstdint>

namespace KRONECKER_NAMESPACE::gpu {
using kernels::RowType;
}

namespace KRONECKER_NAMESPACE::gpu::detail {

/// Columns that lie side by side and are read at once: those of 16 bytes.
template <RowType type>
inline constexpr int columns_at_once = 16 / static_cast<int>(kernels::size_of(type));

/// Size of a number.
template <RowType type>
inline constexpr std::size_t bytes_of = kernels::size_of(type);

/// `columns` numbers as they are stored.
template <RowType type, int columns>
struct Stored {
  static constexpr int bytes = columns * static_cast<int>(bytes_of<type>);
  static constexpr int words = bytes < 4 ? 1 : bytes / 4;
  std::uint32_t word[words];
};

template <RowType type, int columns>
KRONECKER_DEVICE Stored<type, columns> read_stored(const void* array, std::size_t index) {
  Stored<type, columns> stored;
  if constexpr (type == RowType::int8 && columns == 1) {
    stored.word[0] = read(static_cast<const std::uint8_t*>(array), index);
  } else if constexpr (type != RowType::float32 && columns == 1) {
    stored.word[0] = read(static_cast<const std::uint16_t*>(array), index);
  } else {
    constexpr int at_once = stored.words < 4 ? stored.words : 4;
    const char* const from = static_cast<const char*>(array) + index * bytes_of<type>;
    KRONECKER_UNROLL
    for (int i = 0; i < stored.words; i += at_once) {
      const Words<at_once> words = read_words<at_once>(from + i * 4);
      KRONECKER_UNROLL
      for (int j = 0; j < at_once; ++j) stored.word[i + j] = words.word[j];
    }
  }
  return stored;
}

/// Number i of those, as a float.
template <RowType type, int columns>
KRONECKER_DEVICE float number(const Stored<type, columns>& stored, int i) {
  if constexpr (type == RowType::float32) {
    return float_of(stored.word[i]);
  } else if constexpr (type == RowType::bfloat16) {
    const std::uint32_t word = stored.word[i / 2];
    return float_of(i % 2 == 0 ? word << 16 : word & 0xffff0000u);
  } else if constexpr (type == RowType::float16) {
    return float_of_float16(static_cast<std::uint16_t>(stored.word[i / 2] >> (i % 2 * 16)));
  } else {
    return static_cast<float>(static_cast<std::int8_t>(stored.word[i / 4] >> (i % 4 * 8)));
  }
}

/// Writes `columns` floats, each rounded once.
template <RowType type, int columns>
KRONECKER_DEVICE void write_rounded(void* array, std::size_t index, const float (&numbers)[columns]) {
  if constexpr (type == RowType::float32 && columns == 1) {
    at(static_cast<float*>(array), index) = numbers[0];
  } else if constexpr (columns == 1) {
    at(static_cast<std::uint16_t*>(array), index) =
        type == RowType::bfloat16 ? bfloat16_of(numbers[0]) : float16_of(numbers[0]);
  } else {
    constexpr int per_word = type == RowType::float32 ? 1 : 2, words = columns / per_word;
    constexpr int at_once = words < 4 ? words : 4;
    char* const to = static_cast<char*>(array) + index * bytes_of<type>;
    KRONECKER_UNROLL
    for (int i = 0; i < words; i += at_once) {
      Words<at_once> some;
      KRONECKER_UNROLL
      for (int j = 0; j < at_once; ++j) {
        const int column = (i + j) * per_word;
        if constexpr (type == RowType::float32)
          some.word[j] = bits_of(numbers[column]);
        else if constexpr (type == RowType::bfloat16)
          some.word[j] = bfloat16_pair(numbers[column], numbers[column + 1]);
        else
          some.word[j] = float16_pair(numbers[column], numbers[column + 1]);
      }
      write_words<at_once>(to + i * 4, some);
    }
  }
}

}  // namespace KRONECKER_NAMESPACE::gpu::detail
