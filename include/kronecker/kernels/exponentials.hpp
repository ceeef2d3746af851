#pragma once

/// Exponentials of the columns of a block of logits, and their sums: what a softmax is made of. They are
/// within 4e-7 of their size of the exact ones; like the head's products they are fused as the instruction
/// set likes, the same bits on the same machine and build.

#include <kronecker/kernels/vectors.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <initializer_list>

namespace KRONECKER_NAMESPACE::kernels {

/// values[i][n] = factors[n] * exp(values[i][n] - shifts[n]);  sums[n] += values[i][n]
struct Exponentials {
  float* values;         ///< (rows, stride)
  std::size_t rows;      ///< How many.
  std::size_t stride;    ///< From a row to the next.
  std::size_t columns;   ///< Those of a row that count.
  const float* shifts;   ///< (columns): at least the largest value of each, but for rounding.
  const float* factors;  ///< (columns)
  float* sums;           ///< (columns)
};

}  // namespace KRONECKER_NAMESPACE::kernels

#define KRONECKER_KERNEL_FILE <kronecker/kernels/exponentials.inc>
#include <kronecker/kernels/for_each_instruction_set.inc>
#include <kronecker/namespace.hpp>

namespace KRONECKER_NAMESPACE::kernels {

/// Replaces values by exponentials, with the instructions of `set`, which the processor must have; below
/// exp(-87) they are 0. O(rows * columns).
[[maybe_unused]] static inline void exponentials(InstructionSet set, const Exponentials& of) noexcept {
#ifdef KRONECKER_HAS_AVX
  if (set == InstructionSet::avx512) return avx512::exponentials(of);
  if (set == InstructionSet::avx2) return avx2::exponentials(of);
#endif
  static_cast<void>(set);
  baseline::exponentials(of);
}

}  // namespace KRONECKER_NAMESPACE::kernels
