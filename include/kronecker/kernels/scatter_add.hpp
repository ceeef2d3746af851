#pragma once

/// The backward pass of few columns, a head's: each token adds its gradient, times its scale, to the rows
/// that it lights. For an embedding's see block_sums.hpp.
///
///     gradient_row[cell_p] += scale * grad_out,   for every byte of every token, in the order of the tokens
///
/// Every column is on its own, so threads that take a range of columns each make the same bits as one thread
/// that takes all; product and sum are rounded one after the other on every instruction set.

#include <kronecker/kernels/row_type.hpp>
#include <kronecker/kernels/vectors.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace KRONECKER_NAMESPACE::kernels {

/// A part of the columns of a gradient.
struct GradientRows {
  float* values;                ///< (D, d_model)
  std::size_t d_model;          ///< Length of a row.
  std::size_t pos_dim;          ///< Byte b at position p lights cell b * pos_dim + p.
  std::size_t first_column;     ///< The first column to add to.
  std::size_t end_column;       ///< The one after the last.
  float* own_values = nullptr;  ///< (count, d_model), if some tokens have rows of their own.
};

}  // namespace KRONECKER_NAMESPACE::kernels

#define KRONECKER_KERNEL_FILE <kronecker/kernels/scatter_add.inc>
#include <kronecker/kernels/for_each_instruction_set.inc>
#include <kronecker/namespace.hpp>

namespace KRONECKER_NAMESPACE::kernels {

/// Adds the gradients of a sequence of tokens, `grad_out` of (count, d_model), with the instructions of
/// `set`, which the processor must have. O(columns * bytes).
[[maybe_unused]] static inline void scatter_add(InstructionSet set, const Tokens& tokens,
                                                const float* grad_out,
                                                const GradientRows& gradient) noexcept {
#ifdef KRONECKER_HAS_AVX
  if (set == InstructionSet::avx512) return avx512::scatter_add(tokens, grad_out, gradient);
  if (set == InstructionSet::avx2) return avx2::scatter_add(tokens, grad_out, gradient);
#endif
  static_cast<void>(set);
  baseline::scatter_add(tokens, grad_out, gradient);
}

}  // namespace KRONECKER_NAMESPACE::kernels
