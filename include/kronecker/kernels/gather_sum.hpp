#pragma once

/// The forward pass: an embedding is the sum of the rows that a token's bytes light, times one number.
///
///     out = scale * (row[cell_0] + row[cell_1] + ... + row[cell_{L-1}]),   cell_p = byte_p * pos_dim + p
///
/// The sum is taken in byte order and the multiplication comes last; int8 rows are summed exactly, and
/// multiplied by scale * column_scale. There is nothing in it that a compiler could fuse or reorder, so the
/// result has the same bits on every instruction set, vector width and optimization level. Nothing outside
/// this folder knows how the sum is taken.
///
/// Of weights as they lie, whose mean row was not subtracted, the sum has one row more, that of the length:
///
///     out = scale * (row[cell_0] + ... + row[cell_{L-1}] + length_row[L]),   length_row[L] = -L * mean row
///
/// The same goes for rounded codes, with another multiple of the mean row. A length's row for int8 rows is
/// divided by the scales of the columns, and added to the exact sum once that is a float.
///
/// A token that has a row of its own lights that one alone.

#include <kronecker/kernels/outputs.hpp>
#include <kronecker/kernels/rounding.hpp>
#include <kronecker/kernels/row_type.hpp>
#include <kronecker/kernels/vectors.hpp>
#include <kronecker/out_of_line.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

namespace KRONECKER_NAMESPACE::kernels {

/// The rows that one token lights.
struct LitRows {
  const char* rows[256];       ///< In byte order; of floats, then that of the length, if there is one.
  std::size_t count;           ///< How many: L, or L + 1.
  float scale;                 ///< a_L.
  const float* column_scales;  ///< As in Rows, or of the row of its own.
  const float* length_row;     ///< (d_model): that of the length, unless it is among `rows`; or null.
};

/// Columns that are summed for all tokens before the next ones: 4 KB of a row. Of long rows, the parts that
/// many tokens light then stay in the second-level cache.
template <RowType type>
inline constexpr std::size_t columns_in_tile = 4096 / size_of(type);

/// Whether to write around the caches. It pays once the output would not stay in them anyway: the memory is
/// then written without being read first, and the rows keep the caches to themselves. It takes numbers that
/// are replaced, each token's aligned to 16 bytes, and rows that whole vectors fill.
template <RowType out_type>
static inline bool pays_to_stream(const Rows& rows, const Tokens& tokens, const Output& output) noexcept {
#ifdef KRONECKER_HAS_AVX
  constexpr std::size_t least_bytes = std::size_t{4} << 20;
  return tokens.count * rows.d_model * size_of(out_type) >= least_bytes && !output.accumulate &&
         reinterpret_cast<std::uintptr_t>(output.values) % 16 == 0 &&
         output.stride * size_of(out_type) % 16 == 0 && rows.d_model % 32 == 0;
#else
  static_cast<void>(rows), static_cast<void>(tokens), static_cast<void>(output);
  return false;
#endif
}

}  // namespace KRONECKER_NAMESPACE::kernels

#define KRONECKER_KERNEL_FILE <kronecker/kernels/gather_sum.inc>
#include <kronecker/kernels/for_each_instruction_set.inc>
#include <kronecker/namespace.hpp>

namespace KRONECKER_NAMESPACE::kernels {

/// Writes the embeddings of a sequence of tokens, with the instructions of `set`, which the processor must
/// have; zeros for a token without bytes. Numbers that are not float32 are rounded once, to nearest even, and
/// what is not a number becomes a quiet one. Accumulating, the embedding is first rounded to float32, then
/// added in float32, and a token without bytes adds nothing. The output must not overlap the rows; what lies
/// between one token's numbers and the next one's stays as it is. Rows of another type than `type`, and
/// outputs of another than `out_type`, are not noticed.
/// O(d_model * bytes).
template <RowType type, RowType out_type>
static inline void gather_sum(InstructionSet set, const Rows& rows, const Tokens& tokens,
                              const Output& output) noexcept {
  static_assert(out_type != RowType::int8, "an output has no scales of columns");
#ifdef KRONECKER_HAS_AVX
  if (set == InstructionSet::avx512) return avx512::gather_sum<type, out_type>(rows, tokens, output);
  if (set == InstructionSet::avx2) return avx2::gather_sum<type, out_type>(rows, tokens, output);
#endif
  static_cast<void>(set);
  baseline::gather_sum<type, out_type>(rows, tokens, output);
}

}  // namespace KRONECKER_NAMESPACE::kernels
