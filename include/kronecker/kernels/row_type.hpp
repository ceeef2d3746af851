#pragma once

/// What the kernels take: rows of numbers in one of four types, the tokens that light them, and where the
/// sums go.

#include <kronecker/cell.hpp>
#include <kronecker/namespace.hpp>

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
};

/// The same with one more row for each length, which is added after those of the bytes. It turns rows that
/// are not centered, weights as they lie or those of rounded codes, into z-normalized embeddings.
struct RowsAndLengthRows : Rows {
  const float* length_rows;  ///< (pos_dim + 1, d_model); those of lengths that no token has are not read.
                             ///< With int8 rows, each number divided by its column's scale.
};

/// A sequence of tokens.
struct Tokens {
  const std::uint8_t* bytes;    ///< (V, pos_dim): the bytes of each token of a vocabulary.
  const std::uint8_t* lengths;  ///< (V): how many of them it has.
  const float* scales;          ///< (pos_dim + 1): a_L for each length; numbers.
  const std::int32_t* ids;      ///< (count): the tokens, each below V.
  std::size_t count;            ///< Length of the sequence.
};

/// Where the embeddings of a sequence of tokens go: d_model numbers for each.
struct Output {
  void* values;        ///< The first token's numbers; any alignment.
  std::size_t stride;  ///< Numbers from one token's to the next one's, at least d_model.
  bool accumulate;     ///< Whether to add to what is there instead of replacing it.
};

}  // namespace KRONECKER_NAMESPACE::kernels
