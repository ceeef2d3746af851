#pragma once

/// The products of an output head: of the rows of a projection with hidden states, and back. Unlike the sums
/// of the other kernels they are fused and ordered as the instruction set likes: the same bits on the same
/// machine and build, whatever the split into columns, but not everywhere.

#include <kronecker/kernels/row_type.hpp>
#include <kronecker/kernels/vectors.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace KRONECKER_NAMESPACE::kernels {

/// out[cell][n] = row[cell] . vectors[n], for some of the cells.
struct RowProducts {
  const std::uint32_t* cells;  ///< (cell_count): which rows.
  std::size_t cell_count;      ///< At least 1.
  const float* vectors;        ///< (vector_count, d_model)
  std::size_t vector_count;    ///< At least 1.
  float* out;                  ///< (D, stride)
  std::size_t stride;          ///< 1 for one vector, else vector_count rounded up to a multiple of 4.
  std::size_t first_cell = 0;  ///< The cell of the first row.
};

/// sums[i] += factors[i][0] * addends[0] + factors[i][1] * addends[1] + ..., at some of the columns.
struct RowMultiples {
  float* sums;                          ///< Rows of d_model, no two the same.
  const std::uint32_t* sum_rows;        ///< (sum_count): which of them; null for the first sum_count.
  std::size_t sum_count;                ///< Number of sums.
  const float* addends;                 ///< Rows of d_model.
  const std::uint32_t* addend_rows;     ///< (addend_count): which of them; null for the first addend_count.
  std::size_t addend_count;             ///< Number of addends.
  const float* factors;                 ///< One for each sum and addend.
  std::size_t factors_between_sums;     ///< From a sum's factor to that of the next sum.
  std::size_t factors_between_addends;  ///< From an addend's factor to that of the next addend.
  std::size_t d_model;                  ///< Length of a row.
  std::size_t first_column;             ///< The first column to add to.
  std::size_t end_column;               ///< The one after the last.
};

/// Floats from the products of a row with `vector_count` vectors to those of the next one: rows this long are
/// summed as vectors.
[[maybe_unused]] static inline std::size_t product_stride(std::size_t vector_count) noexcept {
  constexpr std::size_t least_vector = 8;
  return vector_count == 1 ? 1 : (vector_count + least_vector - 1) / least_vector * least_vector;
}

[[maybe_unused]] static inline std::size_t row_at(const std::uint32_t* rows, std::size_t i) noexcept {
  return rows != nullptr ? rows[i] : i;
}

}  // namespace KRONECKER_NAMESPACE::kernels

#define KRONECKER_KERNEL_FILE <kronecker/kernels/row_products.inc>
#include <kronecker/kernels/for_each_instruction_set.inc>
#include <kronecker/namespace.hpp>

namespace KRONECKER_NAMESPACE::kernels {

/// Multiplies rows with vectors, with the instructions of `set`. The column
/// scales of int8 rows multiply the vectors, unless they are null. O(cell_count * vector_count * d_model).
template <RowType type>
static inline void multiply_rows(InstructionSet set, const Rows& rows, const RowProducts& products) noexcept {
#ifdef KRONECKER_HAS_AVX
  if (set == InstructionSet::avx512) return avx512::multiply_rows<type>(rows, products);
  if (set == InstructionSet::avx2) return avx2::multiply_rows<type>(rows, products);
#endif
  static_cast<void>(set);
  baseline::multiply_rows<type>(rows, products);
}

/// Adds multiples of rows to rows, with the instructions of `set`. O(sum_count * addend_count * columns).
[[maybe_unused]] static inline void add_multiples(InstructionSet set,
                                                  const RowMultiples& multiples) noexcept {
#ifdef KRONECKER_HAS_AVX
  if (set == InstructionSet::avx512) return avx512::add_multiples(multiples);
  if (set == InstructionSet::avx2) return avx2::add_multiples(multiples);
#endif
  static_cast<void>(set);
  baseline::add_multiples(multiples);
}

}  // namespace KRONECKER_NAMESPACE::kernels
