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

/// The rows that are read before the first of them is added, and the cells of as many bytes: 16 bits each.
inline constexpr int rows_at_once = 4;
using FourCells = Words<2>;

/// Cell p of them.
KRONECKER_DEVICE std::uint32_t cell_at(const FourCells& cells, int p) {
  return cells.word[p / 2] >> (p % 2 * 16) & 0xffffu;
}

/// The cells of a token's bytes from `first` on, a multiple of 4; past its end, any.
KRONECKER_DEVICE FourCells four_cells(const EmbeddingArrays& arrays, const Lit& lit, std::int32_t first) {
  FourCells cells = {};
  if (lit.own_row >= 0) return cells;
  std::uint32_t bytes = 0;
  if (arrays.pos_dim % 4 == 0 && reinterpret_cast<std::uintptr_t>(arrays.token_bytes) % 4 == 0) {
    bytes = read_words<1>(lit.bytes + first).word[0];
  } else {
    KRONECKER_UNROLL
    for (int p = 0; p < rows_at_once; ++p)
      if (first + p < lit.length)
        bytes |= std::uint32_t{read(lit.bytes, static_cast<std::size_t>(first + p))} << 8 * p;
  }
  const auto pos_dim = static_cast<std::uint32_t>(arrays.pos_dim);
  KRONECKER_UNROLL
  for (int p = 0; p < rows_at_once; ++p) {
    const std::uint32_t cell = (bytes >> 8 * p & 0xffu) * pos_dim + static_cast<std::uint32_t>(first + p);
    cells.word[p / 2] |= (cell & 0xffffu) << p % 2 * 16;
  }
  return cells;
}

/// The sum of some columns of rows, of floats: it begins with -0, to which a number is added without a
/// change.
template <RowType type, int columns>
struct ColumnSums {
  float sum[columns];

  KRONECKER_DEVICE void clear() {
    KRONECKER_UNROLL
    for (int i = 0; i < columns; ++i) sum[i] = -0.0f;
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

  KRONECKER_DEVICE void clear() {
    KRONECKER_UNROLL
    for (int i = 0; i < (columns + 3) / 4; ++i) even[i] = odd[i] = 0;
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

/// The rows that a token lights, as a sum of them takes them.
struct alignas(16) LitRows {
  const char* rows;      ///< Of all cells, or the one row of its own.
  float scale;           ///< a_L times the gain, or the gain.
  std::uint16_t length;  ///< How many are summed.
  std::uint16_t is_own;  ///< Whether it is a row of its own.
};

KRONECKER_DEVICE LitRows rows_of(const EmbeddingArrays& arrays, const Lit& lit, std::size_t bytes_of_number) {
  const auto number =
      static_cast<std::size_t>(lit.own_row >= 0 ? lit.own_row : 0) * static_cast<std::size_t>(arrays.d_model);
  return {
      static_cast<const char*>(lit.own_row >= 0 ? arrays.own_rows : arrays.rows) + number * bytes_of_number,
      lit.scale, static_cast<std::uint16_t>(lit.length),
      static_cast<std::uint16_t>(lit.own_row >= 0 ? 1 : 0)};
}

/// What is left to do once the rows of the bytes are summed.
template <RowType type, int columns>
KRONECKER_DEVICE void finish_sum(const EmbeddingArrays& arrays, std::int32_t length, bool is_own, float scale,
                                 std::size_t column, float (&out)[columns]) {
  if (length == 0) {
    KRONECKER_UNROLL
    for (int i = 0; i < columns; ++i) out[i] = 0;
    return;
  }
  if (arrays.length_rows != nullptr && !is_own) {
    const std::size_t row = static_cast<std::size_t>(length) * static_cast<std::size_t>(arrays.d_model);
    const auto stored = read_stored<RowType::float32, columns>(arrays.length_rows, row + column);
    KRONECKER_UNROLL
    for (int i = 0; i < columns; ++i) out[i] = add(out[i], number(stored, i));
  }
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

/// Embeddings before the norm, of a token whose cells `cells_from(first)` gives four at a time: of `pieces`
/// times `columns` columns, those of a piece side by side from `first_columns[piece]` on. Zeros for a token
/// that lights nothing.
template <RowType type, int columns, int pieces, class CellsFrom>
KRONECKER_DEVICE void sum_rows(const EmbeddingArrays& arrays, const LitRows& lit, const CellsFrom& cells_from,
                               const std::size_t (&first_columns)[pieces], float (&out)[pieces][columns]) {
  const bool is_own = lit.is_own != 0;
  const char* const rows = lit.rows + first_columns[0] * bytes_of<type>;
  const auto row_bytes =
      static_cast<std::uint32_t>(arrays.d_model) * static_cast<std::uint32_t>(bytes_of<type>);
  const std::int32_t length = lit.length;
  ColumnSums<type, columns> sums[pieces];
  KRONECKER_UNROLL
  for (int piece = 0; piece < pieces; ++piece) sums[piece].clear();
  for (std::int32_t first = 0; first < length; first += rows_at_once) {
    const FourCells cells = cells_from(first);
    Stored<type, columns> stored[rows_at_once][pieces];
    KRONECKER_UNROLL
    for (int p = 0; p < rows_at_once; ++p) {
      const char* const row = rows + std::uint64_t{cell_at(cells, p)} * row_bytes;
      if (first + p < length) {
        KRONECKER_UNROLL
        for (int piece = 0; piece < pieces; ++piece)
          stored[p][piece] = read_stored<type, columns>(row, first_columns[piece] - first_columns[0]);
      }
    }
    KRONECKER_UNROLL
    for (int p = 0; p < rows_at_once; ++p) {
      if (first + p >= length) break;
      KRONECKER_UNROLL
      for (int piece = 0; piece < pieces; ++piece) sums[piece].add_row(stored[p][piece]);
    }
  }
  KRONECKER_UNROLL
  for (int piece = 0; piece < pieces; ++piece) {
    sums[piece].finish(length, out[piece]);
    finish_sum<type, columns>(arrays, length, is_own, lit.scale, first_columns[piece], out[piece]);
  }
}

/// The same of one column, of a token whose bytes are read as they are needed.
template <RowType type>
KRONECKER_DEVICE float sum_rows(const EmbeddingArrays& arrays, const Lit& lit, std::size_t column) {
  const std::size_t first_columns[1] = {column};
  float out[1][1];
  sum_rows<type, 1, 1>(
      arrays, rows_of(arrays, lit, bytes_of<type>),
      [&](std::int32_t first) { return four_cells(arrays, lit, first); }, first_columns, out);
  return out[0][0];
}

}  // namespace KRONECKER_NAMESPACE::gpu::detail
