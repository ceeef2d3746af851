#pragma once

/// The forward pass: an embedding is the sum of the rows that a token's bytes light, times one number.
///
///     out = scale * (row[cell_0] + row[cell_1] + ... + row[cell_{L-1}]),   cell_p = byte_p * pos_dim + p
///
/// The sum is taken in byte order and the multiplication comes last. There is nothing in it that a compiler
/// could fuse or reorder, so the result has the same bits on every instruction set, vector width and
/// optimisation level. Nothing outside this folder knows how the sum is taken.

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace kronecker::kernels {

/// The rows of a projection.
struct Rows {
  const float* values;  ///< Cell c's d_model values start at values + c * d_model.
  std::size_t d_model;  ///< Length of a row.
  std::size_t pos_dim;  ///< Byte b at position p lights cell b * pos_dim + p.
};

/// One token.
struct Token {
  const std::uint8_t* bytes;  ///< The bytes that are encoded.
  std::size_t length;         ///< Their number, L; at most 255.
  float scale;                ///< a_L.
};

#if defined(__GNUC__) && !defined(KRONECKER_NO_VECTOR_EXTENSIONS)
/// Four floats that are added and multiplied at once.
using FloatVector [[gnu::vector_size(16)]] = float;

static inline FloatVector load(const float* from) noexcept {
  FloatVector vector;
  std::memcpy(&vector, from, sizeof vector);
  return vector;
}
static inline void store(float* to, FloatVector vector) noexcept { std::memcpy(to, &vector, sizeof vector); }

/// Sums 32 columns, one block, in eight named registers (an array of them would be kept in memory), and
/// returns the first column that is left.
static inline std::size_t sum_blocks(const float* const* lit_rows, const Token& token, std::size_t d_model,
                                     float* out) noexcept {
  constexpr std::size_t width = sizeof(FloatVector) / sizeof(float);
  constexpr std::size_t block = 8 * width;
  std::size_t column = 0;
  for (; column + block <= d_model; column += block) {
    const float* row = lit_rows[0] + column;
    FloatVector sum_0 = load(row), sum_1 = load(row + width), sum_2 = load(row + 2 * width),
                sum_3 = load(row + 3 * width), sum_4 = load(row + 4 * width), sum_5 = load(row + 5 * width),
                sum_6 = load(row + 6 * width), sum_7 = load(row + 7 * width);
    for (std::size_t p = 1; p < token.length; ++p) {
      row = lit_rows[p] + column;
      sum_0 += load(row);
      sum_1 += load(row + width);
      sum_2 += load(row + 2 * width);
      sum_3 += load(row + 3 * width);
      sum_4 += load(row + 4 * width);
      sum_5 += load(row + 5 * width);
      sum_6 += load(row + 6 * width);
      sum_7 += load(row + 7 * width);
    }
    float* to = out + column;
    store(to, token.scale * sum_0);
    store(to + width, token.scale * sum_1);
    store(to + 2 * width, token.scale * sum_2);
    store(to + 3 * width, token.scale * sum_3);
    store(to + 4 * width, token.scale * sum_4);
    store(to + 5 * width, token.scale * sum_5);
    store(to + 6 * width, token.scale * sum_6);
    store(to + 7 * width, token.scale * sum_7);
  }
  return column;
}
#else
/// Without vector types: sums 64 columns at a time in loops that compilers turn into vector code.
static inline std::size_t sum_blocks(const float* const* lit_rows, const Token& token, std::size_t d_model,
                                     float* out) noexcept {
  constexpr std::size_t block = 64;
  std::size_t column = 0;
  for (; column + block <= d_model; column += block) {
    float sums[block];
    std::memcpy(sums, lit_rows[0] + column, sizeof sums);
    for (std::size_t p = 1; p < token.length; ++p)
      for (std::size_t i = 0; i < block; ++i) sums[i] += lit_rows[p][column + i];
    for (std::size_t i = 0; i < block; ++i) out[column + i] = token.scale * sums[i];
  }
  return column;
}
#endif

/// Writes the embedding of one token, d_model values, to `out`; zeros for a token without bytes. `out` may
/// have any alignment and must not overlap the rows. O(d_model * (length + 1)).
static inline void gather_sum(const Rows& rows, const Token& token, float* out) noexcept {
  if (token.length == 0) {
    std::memset(out, 0, rows.d_model * sizeof(float));
    return;
  }
  const float* lit_rows[255];
  for (std::size_t p = 0; p < token.length; ++p)
    lit_rows[p] = rows.values + (token.bytes[p] * rows.pos_dim + p) * rows.d_model;

  for (std::size_t column = sum_blocks(lit_rows, token, rows.d_model, out); column < rows.d_model; ++column) {
    float sum = lit_rows[0][column];
    for (std::size_t p = 1; p < token.length; ++p) sum += lit_rows[p][column];
    out[column] = token.scale * sum;
  }
}

}  // namespace kronecker::kernels
