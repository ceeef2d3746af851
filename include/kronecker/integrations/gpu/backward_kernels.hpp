#pragma once

/// The kernels of the backward pass: no number is added by an atomic, and the order is that of the CPU
/// (kernels/block_sums.hpp), so the bits are.
///
/// A block of threads for some columns takes the sorted blocks of tokens (sort_kernels.hpp) one after the
/// other: their terms lie in its shared memory, read from the device once, and a few threads side by side sum
/// those of a cell in the order of the tokens, and add the sum to the cell's row. Nothing but the rows
/// outlives a step.

#include <kronecker/integrations/gpu/arrays.hpp>
#include <kronecker/integrations/gpu/machine.hpp>
#include <kronecker/integrations/gpu/mean_kernels.hpp>
#include <kronecker/integrations/gpu/sort_kernels.hpp>
#include <kronecker/integrations/gpu/sums.hpp>

#include <cstddef>
#include <cstdint>

namespace KRONECKER_NAMESPACE::gpu::detail {

/// What a backward pass starts from: no cell is lit yet, and each row holds zeros, or what it held, minus the
/// mean.
struct StartKernel {
  Backward call;              ///< The rows.
  std::size_t numbers;        ///< Of `call.grad_rows` that may have a mean subtracted, D * d_model.
  std::size_t own_numbers;    ///< Those after them.
  std::size_t d_model;        ///< Length of a row.
  const double* sums;         ///< (parts, d_model), of a_L L g; null: no mean is subtracted.
  std::size_t parts;          ///< How many.
  std::size_t code_dim;       ///< D.
  std::size_t rows_of_block;  ///< Rows that a block takes.
  std::size_t column_blocks;  ///< Blocks that share those rows' columns.

  static constexpr int phases = 1, most_threads = 256;
  KRONECKER_DEVICE std::uint32_t rounds() const { return 1; }

  KRONECKER_DEVICE void run(int, std::uint32_t, const Place& place, char*) const {
    const std::size_t column = place.block % column_blocks * place.threads + place.thread;
    if (column >= d_model) return;
    const std::size_t rows = (numbers + own_numbers) / d_model,
                      first = place.block / column_blocks * rows_of_block;
    float start = 0;
    if (sums != nullptr)
      start = static_cast<float>(0 - total_of_parts(sums, parts, d_model, column) /
                                         static_cast<double>(code_dim));
    for (std::size_t row = first; row < first + rows_of_block && row < rows; ++row) {
      const float step = row < code_dim ? start : 0.0f;
      float& number = at(call.grad_rows, row * d_model + column);
      number = call.accumulate ? add(number, step) : step;
    }
  }
};

/// Adds the sums of all blocks of tokens to the rows, of some columns: `columns` of each thread, 4 or 1.
template <RowType type, int columns>
struct BlockSumKernel {
  SortedTokens sorted;   ///< The tokens.
  std::size_t count;     ///< N.
  const void* grad_out;  ///< (N, d_model)
  float* grad_rows;      ///< (cells, d_model)
  std::size_t d_model;   ///< Length of a row.
  std::uint32_t lanes;   ///< Threads that take a cell's columns of a block.

  static constexpr int phases = 2, most_threads = 1024;
  KRONECKER_DEVICE std::uint32_t rounds() const {
    return static_cast<std::uint32_t>((count + tokens_in_block - 1) / tokens_in_block);
  }

  /// Shared memory for the terms of at most `tokens` tokens.
  static std::size_t shared_bytes(std::size_t tokens, std::uint32_t lanes) {
    return (tokens + 1) * lanes * columns * sizeof(float);
  }

  KRONECKER_DEVICE void run(int phase, std::uint32_t round, const Place& place, char* shared) const {
    auto* const terms = reinterpret_cast<Words<columns>*>(shared);
    const std::uint32_t lane = place.thread % lanes, group = place.thread / lanes,
                        groups = place.threads / lanes;
    const std::size_t column = (std::size_t{place.block} * lanes + lane) * columns;
    if (group >= groups || column >= d_model) return;
    const std::size_t first = std::size_t{round} * tokens_in_block, left = count - first;
    if (phase == 0) {
      if (group == 0) at(terms, sorted.most_tokens * lanes + lane) = all(-0.0f);
      const std::size_t tokens = left < tokens_in_block ? left : tokens_in_block;
      KRONECKER_UNROLL_FOUR
      for (std::size_t i = group; i < tokens; i += groups) {
        const float scale = read(sorted.scales, first + i);
        const auto numbers = read_stored<type, columns>(grad_out, (first + i) * d_model + column);
        Words<columns> some;
        KRONECKER_UNROLL
        for (int c = 0; c < columns; ++c) some.word[c] = bits_of(multiply(scale, number(numbers, c)));
        at(terms, i * lanes + lane) = some;
      }
      return;
    }
    const std::uint32_t cells = read(sorted.counts, 2 * std::size_t{round});
    const std::size_t first_cell = round * sorted.cells_of_block;
    const std::uint16_t* const lists = sorted.places + round * sorted.places_of_block;
    if (group >= cells) return;
    CellTokens next = read_cell(first_cell + group);
    for (std::uint32_t i = group; i < cells; i += groups) {
      const CellTokens cell = next;
      auto* const row = reinterpret_cast<Words<columns>*>(grad_rows + cell.cell * d_model + column);
      Words<columns> total = at(row, 0);
      if (i + groups < cells) next = read_cell(first_cell + i + groups);
      const Words<columns> sum = sum_of(terms + lane, lists + cell.list, cell.count);
      KRONECKER_UNROLL
      for (int c = 0; c < columns; ++c)
        total.word[c] = bits_of(add(float_of(total.word[c]), float_of(sum.word[c])));
      at(row, 0) = total;
    }
  }

 private:
  KRONECKER_DEVICE CellTokens read_cell(std::size_t i) const {
    const Words<4> words = read_words<4>(sorted.cells + i);
    return {words.word[0], words.word[1], words.word[2], 0};
  }

  KRONECKER_DEVICE void add_term(Words<columns>& sum, const Words<columns>& term) const {
    KRONECKER_UNROLL
    for (int c = 0; c < columns; ++c)
      sum.word[c] = bits_of(add(float_of(sum.word[c]), float_of(term.word[c])));
  }

  KRONECKER_DEVICE Words<columns> all(float number) const {
    Words<columns> words;
    KRONECKER_UNROLL
    for (int c = 0; c < columns; ++c) words.word[c] = bits_of(number);
    return words;
  }

  /// The sum of a cell's terms, from zero, in the order of its tokens. They are read eight at once, and their
  /// places long before, since a list lies in the device's memory; past its end are places of -0, which
  /// changes no sum.
  KRONECKER_DEVICE Words<columns> sum_of(Words<columns>* terms, const std::uint16_t* list,
                                         std::uint32_t count_of_cell) const {
    constexpr std::uint32_t ahead = 3;
    Words<columns> sum = all(0.0f);
    Words<4> places[ahead];
    KRONECKER_UNROLL
    for (std::uint32_t k = 0; k < ahead; ++k)
      if (k * places_at_once < count_of_cell) places[k] = read_words<4>(list + k * places_at_once);
    for (std::uint32_t first = 0; first < count_of_cell; first += ahead * places_at_once) {
      KRONECKER_UNROLL
      for (std::uint32_t k = 0; k < ahead; ++k) {
        const std::uint32_t i = first + k * places_at_once, next = i + ahead * places_at_once;
        if (i >= count_of_cell) break;
        Words<columns> some[places_at_once];
        KRONECKER_UNROLL
        for (std::uint32_t j = 0; j < places_at_once; ++j)
          some[j] = at(terms, std::size_t{places[k].word[j / 2] >> j % 2 * 16 & 0xffffu} * lanes);
        if (next < count_of_cell) places[k] = read_words<4>(list + next);
        KRONECKER_UNROLL
        for (std::uint32_t j = 0; j < places_at_once; ++j) add_term(sum, some[j]);
      }
    }
    return sum;
  }
};

}  // namespace KRONECKER_NAMESPACE::gpu::detail
