#pragma once

/// The backward pass of an embedding: each token adds its output's gradient, times its scale, to the rows
/// that it lights.
///
///     gradient_row[cell] += sum of scale * grad_out over the tokens of a block that light the cell
///
/// A block is 1,024 tokens of a batch. Each term is rounded, those of a cell are summed from zero in the
/// order of the tokens, and the sum is added to the row. A running sum over a whole batch would lose what
/// sums of blocks keep: the error stays near that of a matrix product, however long the batch is.
///
/// Every column is on its own, so threads that take a range of columns each make the same bits as one thread
/// that takes all; nothing is fused on any instruction set.

#include <kronecker/kernels/outputs.hpp>
#include <kronecker/kernels/row_type.hpp>
#include <kronecker/kernels/vectors.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace KRONECKER_NAMESPACE::kernels {

/// Tokens whose terms are summed before the sums are added to the rows.
inline constexpr std::size_t tokens_in_block = 1024;

/// A cell, and where its tokens end in a list that is sorted by cells.
struct CellEnd {
  std::uint32_t cell;  ///< The row that it is: byte * pos_dim + position.
  std::uint32_t end;   ///< The next cell's tokens begin there.
};

/// The tokens of a block, sorted by the cells that they light.
struct BlockByCell {
  const CellEnd* cells;         ///< (cell_count): those that are lit, of position 0 first.
  std::size_t cell_count;       ///< How many.
  const std::uint16_t* tokens;  ///< The places in the block of each cell's tokens, ascending.
  std::size_t token_count;      ///< Tokens that light a cell of position 0; the first that are listed.
  const float* scales;          ///< a_L of the token at each place of the block; numbers.
};

/// A part of the columns of a gradient.
struct GradientColumns {
  float* values;             ///< (D, d_model)
  std::size_t d_model;       ///< Length of a row, and of an output's gradient.
  std::size_t first_column;  ///< The first column to add to.
  std::size_t end_column;    ///< The one after the last.
  /// (d_model): what the rows that the block lights are taken to hold, which are then written and not read.
  /// Null: what they hold.
  const float* held = nullptr;
};

/// Some of the rows of a gradient, and what those hold that no token lights.
struct UnlitRows {
  void* values;                ///< (D, row_bytes); any alignment.
  std::size_t row_bytes;       ///< Size of a row.
  const void* row;             ///< (row_bytes): what is written to each of them.
  const std::uint8_t* is_lit;  ///< (D): not 0 for rows that are left as they are.
  std::size_t code_dim;        ///< D.
  std::size_t first_row;       ///< The first row to write.
  std::size_t end_row;         ///< The one after the last.
};

}  // namespace KRONECKER_NAMESPACE::kernels

#define KRONECKER_KERNEL_FILE <kronecker/kernels/block_sums.inc>
#include <kronecker/kernels/for_each_instruction_set.inc>
#include <kronecker/namespace.hpp>

namespace KRONECKER_NAMESPACE::kernels {

/// Adds the gradients of a block of tokens, `grad_out` of (tokens of the block, d_model), numbers of `type`,
/// with the instructions of `set`, which the processor must have. O(columns * bytes).
template <RowType type>
static inline void add_block_sums(InstructionSet set, const BlockByCell& block, const void* grad_out,
                                  const GradientColumns& gradient) noexcept {
  static_assert(type != RowType::int8, "gradients have no scales of columns");
#ifdef KRONECKER_HAS_AVX
  if (set == InstructionSet::avx512) return avx512::add_block_sums<type>(block, grad_out, gradient);
  if (set == InstructionSet::avx2) return avx2::add_block_sums<type>(block, grad_out, gradient);
#endif
  static_cast<void>(set);
  baseline::add_block_sums<type>(block, grad_out, gradient);
}

/// Writes `rows`: around the caches, if all of them would not stay there. O(rows * row_bytes).
[[maybe_unused]] static inline void write_unlit_rows(InstructionSet set, const UnlitRows& rows) noexcept {
#ifdef KRONECKER_HAS_AVX
  if (set == InstructionSet::avx512) return avx512::write_unlit_rows(rows);
  if (set == InstructionSet::avx2) return avx2::write_unlit_rows(rows);
#endif
  static_cast<void>(set);
  baseline::write_unlit_rows(rows);
}

}  // namespace KRONECKER_NAMESPACE::kernels
