#pragma once

/// The forward pass with a norm in one sweep: the same bits as gather_sum and then rms_norm.
///
/// A token's norm is known once all its columns are summed. Its sums wait in memory of one row, which stays
/// in the cache, and go out while the next token is summed: of every vector, what waits there is multiplied
/// and written, and the next token's sum takes its place. So writing, which takes the longest, never stops.

#include <kronecker/kernels/gather_sum.hpp>
#include <kronecker/kernels/rms_norm.hpp>

#include <algorithm>
#include <cstddef>

#define KRONECKER_KERNEL_FILE <kronecker/kernels/gather_norm.inc>
#include <kronecker/kernels/for_each_instruction_set.inc>
#include <kronecker/namespace.hpp>

namespace KRONECKER_NAMESPACE::kernels {

/// Whether `gather_norm` can write an output of floats: to replace it, in whole vectors.
[[maybe_unused]] static inline bool can_gather_norm(const Rows& rows, const Output& output) noexcept {
  return !output.accumulate && rows.d_model % 32 == 0;
}

/// Writes the norms of the embeddings of a sequence of tokens, times `gain`, with the instructions of `set`,
/// which the processor must have; `can_gather_norm` says whether it can. `sums` is memory for d_model floats.
/// O(d_model * bytes).
template <RowType type>
static inline void gather_norm(InstructionSet set, const Rows& rows, const Tokens& tokens,
                               const NormWeights& weights, float gain, float* sums,
                               const Output& output) noexcept {
#ifdef KRONECKER_HAS_AVX
  if (set == InstructionSet::avx512)
    return avx512::gather_norm<type>(rows, tokens, weights, gain, sums, output);
  if (set == InstructionSet::avx2) return avx2::gather_norm<type>(rows, tokens, weights, gain, sums, output);
#endif
  static_cast<void>(set);
  baseline::gather_norm<type>(rows, tokens, weights, gain, sums, output);
}

}  // namespace KRONECKER_NAMESPACE::kernels
