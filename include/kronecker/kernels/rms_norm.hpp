#pragma once

/// The root-mean-square norm of embeddings, and back.
///
///     out = (x * factor) * weight,     factor = gain / sqrt(sum of x^2 / d_model + epsilon)
///
/// The sum of squares is taken as sixteen sums, number j of the columns j, j + 16, j + 32, ..., of squares
/// that are rounded before they are added. Then sum j + 8 is added to sum j, of the eight that remain sum j +
/// 4 to sum j, then j + 2, and 1 to 0. So a vector of any width makes the same bits, and the factor, computed
/// in double and rounded once, is the same on every instruction set. Tokens of nothing but zeros stay so,
/// whatever epsilon is.

#include <kronecker/kernels/gather_sum.hpp>
#include <kronecker/kernels/outputs.hpp>
#include <kronecker/kernels/rounding.hpp>
#include <kronecker/kernels/row_type.hpp>
#include <kronecker/kernels/vectors.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <type_traits>

namespace KRONECKER_NAMESPACE::kernels {

/// What a norm has learned, and what was chosen.
struct NormWeights {
  const float* weight;  ///< (d_model): multiplies the columns.
  float epsilon;        ///< Added to the mean of the squares; at least 0.
};

/// The squares of a token's numbers.
struct Squares {
  const float* values;  ///< (d_model)
};

/// The products of a token's numbers with the gradient of what its norm is before the weights.
struct GradientProducts {
  const float* values;    ///< (d_model)
  const float* weight;    ///< (d_model)
  const float* grad_out;  ///< (d_model)
};

/// sqrt(sum_of_squares / d_model + epsilon).
[[maybe_unused]] static inline double root_mean_square(float sum_of_squares, std::size_t d_model,
                                                       float epsilon) noexcept {
  const double mean = static_cast<double>(sum_of_squares) / static_cast<double>(d_model);
  return std::sqrt(mean + static_cast<double>(epsilon));
}

}  // namespace KRONECKER_NAMESPACE::kernels

#define KRONECKER_KERNEL_FILE <kronecker/kernels/rms_norm.inc>
#include <kronecker/kernels/for_each_instruction_set.inc>
#include <kronecker/namespace.hpp>

namespace KRONECKER_NAMESPACE::kernels {

/// Writes the norms of `values`, (count, d_model), times `gain`, with the instructions of `set`, which the
/// processor must have. `output` is written as by `gather_sum`: rounded once to nearest even, or first to
/// float32 and then added; `values` may be the output itself, if that is float32 without gaps. `streams` asks
/// for writing around the caches: only where `pays_to_stream` says so of the whole output. O(count *
/// d_model).
template <RowType out_type>
static inline void rms_norm(InstructionSet set, const float* values, std::size_t count, std::size_t d_model,
                            const NormWeights& weights, float gain, const Output& output,
                            bool streams) noexcept {
  static_assert(out_type != RowType::int8, "an output has no scales of columns");
#ifdef KRONECKER_HAS_AVX
  if (set == InstructionSet::avx512)
    return avx512::rms_norm<out_type>(values, count, d_model, weights, gain, output, streams);
  if (set == InstructionSet::avx2)
    return avx2::rms_norm<out_type>(values, count, d_model, weights, gain, output, streams);
#endif
  static_cast<void>(set);
  baseline::rms_norm<out_type>(values, count, d_model, weights, gain, output, streams);
}

/// The way back from `grad_out`, (count, d_model), the gradient of the norms of `values`, (count, d_model),
/// without a gain. With r = 1 / sqrt(sum of x^2 / d_model + epsilon) and the columns of `weights` w:
///
///     grad_values = r * (w * grad_out) - x * c,      c = r^3 * (sum of x * (w * grad_out)) / d_model
///     grad_weight += grad_out * (x * r),             token after token
///
/// The sum is taken in the order of the squares; r and c are computed in double and rounded once, and every
/// product is rounded before it is added. Only the columns from `first_column` to before `end_column` are
/// written, of `grad_values`, (count, d_model), and `grad_weight`, (d_model), which overlap nothing else:
/// each has the same bits on every instruction set, whichever way the columns are split. O(count * d_model).
[[maybe_unused]] static inline void rms_norm_gradient(InstructionSet set, const float* values,
                                                      const float* grad_out, std::size_t count,
                                                      std::size_t d_model, const NormWeights& weights,
                                                      float* grad_values, float* grad_weight,
                                                      std::size_t first_column,
                                                      std::size_t end_column) noexcept {
#ifdef KRONECKER_HAS_AVX
  if (set == InstructionSet::avx512)
    return avx512::rms_norm_gradient(values, grad_out, count, d_model, weights, grad_values, grad_weight,
                                     first_column, end_column);
  if (set == InstructionSet::avx2)
    return avx2::rms_norm_gradient(values, grad_out, count, d_model, weights, grad_values, grad_weight,
                                   first_column, end_column);
#endif
  static_cast<void>(set);
  baseline::rms_norm_gradient(values, grad_out, count, d_model, weights, grad_values, grad_weight,
                              first_column, end_column);
}

}  // namespace KRONECKER_NAMESPACE::kernels
