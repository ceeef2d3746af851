#pragma once

/// A step of AdamW (Loshchilov and Hutter 2019) for a row of weights.
///
///     mean = beta1 * mean + (1 - beta1) * slope
///     square = beta2 * square + ((1 - beta2) * slope) * slope
///     weight = kept * weight - (step_size * mean) / (sqrt(square) / root_correction + epsilon)
///
/// Nothing is fused, and root and quotient are those that IEEE 754 defines: the same bits on every
/// instruction set. Means and squares that have decayed below the normal numbers become zero, since
/// processors are many times slower with them.

#include <kronecker/kernels/vectors.hpp>

#include <algorithm>
#include <cstddef>

namespace KRONECKER_NAMESPACE::kernels {

/// The factors of a step, in the terms above.
struct AdamWFactors {
  float beta1;            ///< Decay of the means.
  float beta2;            ///< Decay of the squares.
  float kept;             ///< 1 - learning rate * weight decay.
  float step_size;        ///< Learning rate / (1 - beta1^steps).
  float root_correction;  ///< sqrt(1 - beta2^steps).
  float epsilon;          ///< Above 0.
};

/// A row that is changed.
struct AdamWRow {
  std::size_t count;    ///< Numbers of each of these.
  float* weights;       ///< What the model learns.
  const float* slopes;  ///< The gradient.
  float* means;         ///< Of the slopes.
  float* squares;       ///< Means of their squares.
};

}  // namespace KRONECKER_NAMESPACE::kernels

#define KRONECKER_KERNEL_FILE <kronecker/kernels/adamw.inc>
#include <kronecker/kernels/for_each_instruction_set.inc>
#include <kronecker/namespace.hpp>

namespace KRONECKER_NAMESPACE::kernels {

/// Changes a row with the instructions of `set`, which the processor must have. O(count).
[[maybe_unused]] static inline void adamw(InstructionSet set, const AdamWRow& row,
                                          const AdamWFactors& factors) noexcept {
#ifdef KRONECKER_HAS_AVX
  if (set == InstructionSet::avx512) return avx512::adamw(row, factors);
  if (set == InstructionSet::avx2) return avx2::adamw(row, factors);
#endif
  static_cast<void>(set);
  baseline::adamw(row, factors);
}

}  // namespace KRONECKER_NAMESPACE::kernels
