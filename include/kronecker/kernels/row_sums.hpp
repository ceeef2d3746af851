#pragma once

/// Sums of all rows of a matrix, in double: what z-normalization takes the mean of, forward and back.
///
///     sums[column] = row_0[column] + row_1[column] + ...                       of weights as they lie
///     sums[column] = length_0 * (scale_0 * row_0[column]) + ...                of outputs' gradients
///
/// Rows are added in their order, and the products with a length are exact: every column has the same bits on
/// every instruction set, whichever way the columns are split among threads.

#include <kronecker/kernels/row_type.hpp>
#include <kronecker/kernels/vectors.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace KRONECKER_NAMESPACE::kernels {

/// Some columns of rows that are summed.
struct SummedRows {
  const void* values;        ///< (count, d_model); any alignment.
  std::size_t count;         ///< Number of rows.
  std::size_t d_model;       ///< Length of a row.
  std::size_t first_column;  ///< The first column to sum.
  std::size_t end_column;    ///< The one after the last.
};

/// The lengths of the tokens whose outputs' gradients are summed, and the factor of each length. What is not
/// a number in a row of length 0 does not count.
struct RowLengths {
  const std::uint8_t* lengths;  ///< (count)
  const float* scales;          ///< a_L for each length; numbers.
};

/// One row, as it enters a sum.
struct SummedRow {
  const char* values;  ///< The first number that is summed.
  float scale;         ///< Multiplies the numbers, of rows that have lengths.
  double length;       ///< Multiplies them after that.
};

}  // namespace KRONECKER_NAMESPACE::kernels

#define KRONECKER_KERNEL_FILE <kronecker/kernels/row_sums.inc>
#include <kronecker/kernels/for_each_instruction_set.inc>
#include <kronecker/namespace.hpp>

namespace KRONECKER_NAMESPACE::kernels {

/// Writes the sums of the columns to `sums`, (end_column - first_column), with the instructions of `set`,
/// which the processor must have. `lengths` are null for a plain sum. O(columns * rows).
template <RowType type>
static inline void sum_rows(InstructionSet set, const SummedRows& rows, const RowLengths* lengths,
                            double* sums) noexcept {
  static_assert(type != RowType::int8, "not for rows with scales of columns");
#ifdef KRONECKER_HAS_AVX
  if (set == InstructionSet::avx512) return avx512::sum_rows<type>(rows, lengths, sums);
  if (set == InstructionSet::avx2) return avx2::sum_rows<type>(rows, lengths, sums);
#endif
  static_cast<void>(set);
  baseline::sum_rows<type>(rows, lengths, sums);
}

}  // namespace KRONECKER_NAMESPACE::kernels
