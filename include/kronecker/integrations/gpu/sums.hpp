#pragma once

/// The sum of the rows that a token lights, of some columns, as every kernel of the forward and the backward
/// pass takes it: in the order of the bytes, that of the length last, and then the scale.

#include <kronecker/integrations/gpu/arrays.hpp>
#include <kronecker/integrations/gpu/machine.hpp>

#include <cstddef>
#include <cstdint>

namespace KRONECKER_NAMESPACE::gpu::detail {

/// Columns that lie side by side and are read at once: those of 16 bytes of a 16-bit type, or one.
inline constexpr int columns_at_once = 8;

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
          some.word[j] = bfloat16_of(numbers[column]) | std::uint32_t{bfloat16_of(numbers[column + 1])} << 16;
        else
          some.word[j] = float16_of(numbers[column]) | std::uint32_t{float16_of(numbers[column + 1])} << 16;
      }
      write_words<at_once>(to + i * 4, some);
    }
  }
}

/// What a token lights.
struct Lit {
  const std::uint8_t* bytes;  ///< Of the token, unless it has a row of its own.
  std::int32_t length;        ///< Rows that are summed, that of the length not counted.
  std::int32_t own_row;       ///< Its number; or -1.
  float scale;                ///< a_L times the gain, or the gain.
};

/// Reads id i; -1 if it is outside the vocabulary.
KRONECKER_DEVICE std::int32_t read_id(const Ids& ids, std::int32_t vocab_size, std::size_t i) {
  if (!ids.are_int64) {
    const std::int32_t id = read(static_cast<const std::int32_t*>(ids.values), i);
    return id >= 0 && id < vocab_size ? id : -1;
  }
  const std::int64_t id = read(static_cast<const std::int64_t*>(ids.values), i);
  return id >= 0 && id < vocab_size ? static_cast<std::int32_t>(id) : -1;
}

/// The number of the own row of a token; -1 if it has none.
KRONECKER_DEVICE std::int32_t own_row_of(const EmbeddingArrays& arrays, std::int32_t id) {
  if (arrays.own_found == nullptr || id < 0) return -1;
  const kernels::OwnRowsOf64* const of_64 = arrays.own_found + id / 64;
  const std::uint64_t bits = read(&of_64->bits, 0), bit = std::uint64_t{1} << id % 64;
  if ((bits & bit) == 0) return -1;
  return static_cast<std::int32_t>(read(&of_64->before, 0)) + count_bits(bits & (bit - 1));
}

/// What the token `id` lights; nothing for -1.
KRONECKER_DEVICE Lit light(const EmbeddingArrays& arrays, std::int32_t id, float gain) {
  if (id < 0) return {nullptr, 0, -1, 0};
  if (const std::int32_t own = own_row_of(arrays, id); own >= 0) return {nullptr, 1, own, gain};
  const auto token = static_cast<std::size_t>(id);
  const std::int32_t length = read(arrays.token_lengths, token);
  return {arrays.token_bytes + token * static_cast<std::size_t>(arrays.pos_dim), length, -1,
          multiply(read(arrays.scales, static_cast<std::size_t>(length)), gain)};
}

/// Where the row of byte p begins, in numbers from the first row.
KRONECKER_DEVICE std::size_t row_of(const EmbeddingArrays& arrays, const Lit& lit, std::int32_t p) {
  const auto d_model = static_cast<std::size_t>(arrays.d_model);
  if (lit.own_row >= 0) return static_cast<std::size_t>(lit.own_row) * d_model;
  const auto byte = static_cast<std::int32_t>(read(lit.bytes, static_cast<std::size_t>(p)));
  return static_cast<std::size_t>(byte * arrays.pos_dim + p) * d_model;
}

/// Rows whose numbers are asked for before the first of them is added.
inline constexpr int rows_at_once = 4;

/// The embedding before the norm of `columns` columns from `column` on. Of a token that lights nothing:
/// zeros.
template <RowType type, int columns>
KRONECKER_DEVICE void sum_rows(const EmbeddingArrays& arrays, const Lit& lit, std::size_t column,
                               float (&out)[columns]) {
  constexpr bool is_int8 = type == RowType::int8;
  const void* const rows = lit.own_row >= 0 ? arrays.own_rows : arrays.rows;
  float sum[columns];
  KRONECKER_UNROLL
  for (int i = 0; i < columns; ++i) sum[i] = 0;
  for (std::int32_t first = 0; first < lit.length; first += rows_at_once) {
    Stored<type, columns> stored[rows_at_once];
    KRONECKER_UNROLL
    for (int p = 0; p < rows_at_once; ++p)
      if (first + p < lit.length)
        stored[p] = read_stored<type, columns>(rows, row_of(arrays, lit, first + p) + column);
    KRONECKER_UNROLL
    for (int p = 0; p < rows_at_once; ++p) {
      if (first + p >= lit.length) break;
      KRONECKER_UNROLL
      for (int i = 0; i < columns; ++i)
        sum[i] = first + p == 0 ? number(stored[p], i) : add(sum[i], number(stored[p], i));
    }
  }
  if (arrays.length_rows != nullptr && lit.own_row < 0 && lit.length > 0) {
    const std::size_t row = static_cast<std::size_t>(lit.length) * static_cast<std::size_t>(arrays.d_model);
    const auto stored = read_stored<RowType::float32, columns>(arrays.length_rows, row + column);
    KRONECKER_UNROLL
    for (int i = 0; i < columns; ++i) sum[i] = add(sum[i], number(stored, i));
  }
  if constexpr (is_int8) {
    const auto scales = read_stored<RowType::float32, columns>(
        lit.own_row >= 0 ? arrays.own_column_scales : arrays.column_scales, column);
    KRONECKER_UNROLL
    for (int i = 0; i < columns; ++i) out[i] = multiply(sum[i], multiply(lit.scale, number(scales, i)));
  } else {
    KRONECKER_UNROLL
    for (int i = 0; i < columns; ++i) out[i] = multiply(lit.scale, sum[i]);
  }
  if (lit.length == 0) {
    KRONECKER_UNROLL
    for (int i = 0; i < columns; ++i) out[i] = 0;
  }
}

}  // namespace KRONECKER_NAMESPACE::gpu::detail
