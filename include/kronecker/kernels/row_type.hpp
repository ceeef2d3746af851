#pragma once

/// What the kernels take: rows of numbers in one of four types, the tokens that light them, and where the
/// sums go.

#include <kronecker/cell.hpp>
#include <kronecker/namespace.hpp>

#include <bit>
#include <cstddef>
#include <cstdint>

namespace KRONECKER_NAMESPACE::kernels {

/// How the numbers of a row are stored.
enum class RowType {
  float32,   ///< IEEE single precision.
  bfloat16,  ///< The upper half of a float32.
  float16,   ///< IEEE half precision.
  int8,      ///< -127 to 127, times a float32 scale of the column.
};

/// Size in bytes of a number of a row.
constexpr std::size_t size_of(RowType type) noexcept {
  return type == RowType::float32 ? 4 : type == RowType::int8 ? 1 : 2;
}

/// The rows of a projection, (D, d_model).
struct Rows {
  const void* values;          ///< Cell c's numbers start at c * d_model; any alignment.
  const float* column_scales;  ///< (d_model) for int8 rows, else null.
  std::size_t d_model;         ///< Length of a row.
  std::size_t pos_dim;         ///< Byte b at position p lights cell b * pos_dim + p.
  /// (pos_dim + 1, d_model), or null: one more row for each length, which is added after those of the bytes.
  /// It turns rows that are not centered, weights as they lie or those of rounded codes, into z-normalized
  /// embeddings. With int8 rows, each number is divided by its column's scale. Those of length 0 and of
  /// lengths that no token has are not read.
  const float* length_rows = nullptr;
};

/// Which of 64 tokens have a row of their own.
struct OwnRowsOf64 {
  std::uint64_t bits;    ///< Bit i for the token i.
  std::uint32_t before;  ///< How many of the tokens before these have one.
};

/// Rows that some tokens have of their own: such a token's embedding is its row, whatever its bytes are.
struct OwnRows {
  const OwnRowsOf64* found;    ///< (V / 64, rounded up): bit id % 64 of element id / 64 is that of token id.
  const void* values;          ///< (count, d_model), in the order of the ids; any alignment.
  const float* column_scales;  ///< (d_model) for int8 rows, else null.
  float scale;                 ///< Multiplies them.
};

/// The number of the own row of token `id`, if it has one; else no_own_row.
inline constexpr std::uint32_t no_own_row = 0xffffffff;
[[maybe_unused]] static inline std::uint32_t own_row_of(const OwnRowsOf64* found, std::size_t id) noexcept {
  const OwnRowsOf64& of_64 = found[id / 64];
  const std::uint64_t bit = std::uint64_t{1} << id % 64;
  if ((of_64.bits & bit) == 0) return no_own_row;
  return of_64.before + static_cast<std::uint32_t>(std::popcount(of_64.bits & (bit - 1)));
}

/// A sequence of tokens.
struct Tokens {
  const std::uint8_t* bytes;     ///< (V, pos_dim): the bytes of each token of a vocabulary.
  const std::uint8_t* lengths;   ///< (V): how many of them it has.
  const float* scales;           ///< (pos_dim + 1): a_L for each length; numbers.
  const std::int32_t* ids;       ///< (count): the tokens, each below V.
  std::size_t count;             ///< Length of the sequence.
  const OwnRows* own = nullptr;  ///< Rows that some of the V tokens have of their own; null: none has.
};

/// Where the embeddings of a sequence of tokens go: d_model numbers for each.
struct Output {
  void* values;        ///< The first token's numbers; any alignment.
  std::size_t stride;  ///< Numbers from one token's to the next one's, at least d_model.
  bool accumulate;     ///< Whether to add to what is there instead of replacing it.
};

}  // namespace KRONECKER_NAMESPACE::kernels
