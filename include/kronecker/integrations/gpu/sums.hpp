#pragma once

/// The sum of the rows that a token lights, of some columns, as every kernel of the forward and the backward
/// pass takes it: in the order of the bytes, that of the length last, and then the scale.

#include <kronecker/integrations/gpu/arrays.hpp>
#include <kronecker/integrations/gpu/machine.hpp>
#include <kronecker/integrations/gpu/numbers.hpp>

#include <cstddef>
#include <cstdint>

namespace KRONECKER_NAMESPACE::gpu::detail {

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

/// Four bytes of a token from `first` on, a multiple of 4, the first in the lowest bits; past its end, any.
/// Where they lie aligned they can be read before the length is there.
KRONECKER_DEVICE std::uint32_t four_bytes(const EmbeddingArrays& arrays, const Lit& lit, std::int32_t first) {
  if (lit.bytes == nullptr || first >= arrays.pos_dim) return 0;
  if (arrays.pos_dim % 4 == 0 && reinterpret_cast<std::uintptr_t>(arrays.token_bytes) % 4 == 0)
    return read_words<1>(lit.bytes + first).word[0];
  std::uint32_t bytes = 0;
  KRONECKER_UNROLL
  for (int p = 0; p < 4; ++p)
    if (first + p < lit.length)
      bytes |= std::uint32_t{read(lit.bytes, static_cast<std::size_t>(first + p))} << 8 * p;
  return bytes;
}

/// The cell of byte p of those, which begin at `first`; 0 for a row of its own.
KRONECKER_DEVICE std::uint32_t cell_of(const EmbeddingArrays& arrays, const Lit& lit, std::uint32_t bytes,
                                       std::int32_t first, int p) {
  if (lit.own_row >= 0) return 0;
  return (bytes >> 8 * p & 0xffu) * static_cast<std::uint32_t>(arrays.pos_dim) +
         static_cast<std::uint32_t>(first + p);
}

/// The rows of all cells, or the one row of its own.
template <RowType type>
KRONECKER_DEVICE const char* rows_of(const EmbeddingArrays& arrays, const Lit& lit) {
  if (lit.own_row < 0) return static_cast<const char*>(arrays.rows);
  return static_cast<const char*>(arrays.own_rows) +
         static_cast<std::size_t>(lit.own_row) * static_cast<std::size_t>(arrays.d_model) * bytes_of<type>;
}

/// The sum of some columns of rows, of floats: it begins with a row.
template <RowType type, int columns>
struct ColumnSums {
  float sum[columns];

  KRONECKER_DEVICE void begin(const Stored<type, columns>& stored) {
    KRONECKER_UNROLL
    for (int i = 0; i < columns; ++i) sum[i] = number(stored, i);
  }
  KRONECKER_DEVICE void add_row(const Stored<type, columns>& stored) {
    KRONECKER_UNROLL
    for (int i = 0; i < columns; ++i) sum[i] = add(sum[i], number(stored, i));
  }
  KRONECKER_DEVICE void finish(std::int32_t, float (&out)[columns]) const {
    KRONECKER_UNROLL
    for (int i = 0; i < columns; ++i) out[i] = sum[i];
  }
};

/// Of int8: two sums of bytes, made positive, in a word; of at most 255 rows, so that none overflows.
template <int columns>
struct ColumnSums<RowType::int8, columns> {
  std::uint32_t even[(columns + 3) / 4], odd[(columns + 3) / 4];

  KRONECKER_DEVICE void begin(const Stored<RowType::int8, columns>& stored) {
    KRONECKER_UNROLL
    for (int i = 0; i < (columns + 3) / 4; ++i) even[i] = odd[i] = 0;
    add_row(stored);
  }
  KRONECKER_DEVICE void add_row(const Stored<RowType::int8, columns>& stored) {
    KRONECKER_UNROLL
    for (int i = 0; i < (columns + 3) / 4; ++i) {
      const std::uint32_t positive = stored.word[i] ^ 0x80808080u;
      even[i] += positive & 0x00ff00ffu;
      odd[i] += positive >> 8 & 0x00ff00ffu;
    }
  }
  KRONECKER_DEVICE void finish(std::int32_t rows, float (&out)[columns]) const {
    KRONECKER_UNROLL
    for (int i = 0; i < columns; ++i) {
      const std::uint32_t pair = i % 2 == 0 ? even[i / 4] : odd[i / 4];
      out[i] = static_cast<float>(static_cast<std::int32_t>(pair >> (i % 4 / 2 * 16) & 0xffffu) - 128 * rows);
    }
  }
};

/// Adds the row of the length to the sum of the rows of the bytes.
template <int columns>
KRONECKER_DEVICE void add_length_row(const EmbeddingArrays& arrays, std::int32_t length, std::size_t column,
                                     float (&out)[columns]) {
  const std::size_t row = static_cast<std::size_t>(length) * static_cast<std::size_t>(arrays.d_model);
  const auto stored = read_stored<RowType::float32, columns>(arrays.length_rows, row + column);
  KRONECKER_UNROLL
  for (int i = 0; i < columns; ++i) out[i] = add(out[i], number(stored, i));
}

/// Multiplies the sum.
template <RowType type, int columns>
KRONECKER_DEVICE void scale_sum(const EmbeddingArrays& arrays, bool is_own, float scale, std::size_t column,
                                float (&out)[columns]) {
  if constexpr (type == RowType::int8) {
    const auto scales = read_stored<RowType::float32, columns>(
        is_own ? arrays.own_column_scales : arrays.column_scales, column);
    KRONECKER_UNROLL
    for (int i = 0; i < columns; ++i) out[i] = multiply(out[i], multiply(scale, number(scales, i)));
  } else {
    KRONECKER_UNROLL
    for (int i = 0; i < columns; ++i) out[i] = multiply(scale, out[i]);
  }
}

/// A number of an embedding before the norm, of a token whose bytes are read as they are needed.
template <RowType type>
KRONECKER_DEVICE float sum_rows(const EmbeddingArrays& arrays, const Lit& lit, std::size_t column) {
  if (lit.length == 0) return 0;
  const char* const rows = rows_of<type>(arrays, lit);
  ColumnSums<type, 1> sums = {};
  for (std::int32_t first = 0; first < lit.length; first += 4) {
    const std::uint32_t bytes = four_bytes(arrays, lit, first);
    Stored<type, 1> stored[4];
    KRONECKER_UNROLL
    for (int p = 0; p < 4; ++p)
      if (first + p < lit.length)
        stored[p] = read_stored<type, 1>(
            rows, cell_of(arrays, lit, bytes, first, p) * static_cast<std::size_t>(arrays.d_model) + column);
    KRONECKER_UNROLL
    for (int p = 0; p < 4; ++p) {
      if (first + p >= lit.length) break;
      if (first + p == 0)
        sums.begin(stored[p]);
      else
        sums.add_row(stored[p]);
    }
  }
  float out[1];
  sums.finish(lit.length, out);
  const bool is_own = lit.own_row >= 0;
  if (arrays.length_rows != nullptr && !is_own) add_length_row<1>(arrays, lit.length, column, out);
  scale_sum<type, 1>(arrays, is_own, lit.scale, column, out);
  return out[0];
}

}  // namespace KRONECKER_NAMESPACE::gpu::detail
