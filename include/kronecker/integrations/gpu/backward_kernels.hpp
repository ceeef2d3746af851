#pragma once

/// The kernels of the backward pass: no number is added by an atomic, and the order is that of the CPU
/// (kernels/block_sums.hpp), so the bits are.
///
/// Of every 1,024 tokens and every position a block of threads sorts the tokens by their byte, stable, by
/// counting. Then a block of threads for some columns takes those 1,024 tokens after the others: their terms
/// lie in shared memory, read from the device once, and a few threads side by side sum those of a cell in the
/// order of the tokens, and add the sum to the cell's row. Nothing but the rows outlives a step.

#include <kronecker/integrations/gpu/arrays.hpp>
#include <kronecker/integrations/gpu/machine.hpp>
#include <kronecker/integrations/gpu/mean_kernels.hpp>
#include <kronecker/integrations/gpu/sums.hpp>

#include <cstddef>
#include <cstdint>

namespace KRONECKER_NAMESPACE::gpu::detail {

/// Tokens whose terms are summed before the sums are added to the rows, kernels::tokens_in_block.
inline constexpr std::size_t tokens_in_block = 1024;

/// A cell that a block of tokens lights.
struct alignas(16) CellTokens {
  std::uint32_t cell;    ///< Its number; D + i for own row i.
  std::uint32_t list;    ///< Where its tokens begin in the lists of the block.
  std::uint32_t count;   ///< How many they are.
  std::uint32_t unused;  ///< 0.
};

/// The tokens of a sequence sorted by cells, block by block, in memory of the caller.
struct SortedTokens {
  std::uint16_t*
      places;  ///< (blocks, groups, places_of_group): the tokens of each list, by their place in the block.
  CellTokens* cells;            ///< (blocks, cells_of_block): those that are lit, in any order.
  std::uint32_t* cell_counts;   ///< (blocks)
  float* scales;                ///< (N): a_L; 1 for a row of its own.
  std::uint8_t* lengths;        ///< (N): bytes that light cells; none for a row of its own.
  std::size_t groups;           ///< pos_dim, and one more if there are rows of their own.
  std::size_t places_of_group;  ///< At most 1,024.
  std::size_t cells_of_block;   ///< Room for as many.
};

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

/// No cell of any block is lit.
struct ClearKernel {
  std::uint32_t* counts;  ///< (count)
  std::size_t count;      ///< How many.

  static constexpr int phases = 1, most_threads = 256;
  KRONECKER_DEVICE std::uint32_t rounds() const { return 1; }

  KRONECKER_DEVICE void run(int, std::uint32_t, const Place& place, char*) const {
    const std::size_t i = std::size_t{place.block} * place.threads + place.thread;
    if (i < count) at(counts, i) = 0;
  }
};

/// Sorts a block of tokens by the byte at a position; by their own rows, in the group after the last
/// position.
struct SortKernel {
  EmbeddingArrays arrays;  ///< The vocabulary.
  Ids ids;                 ///< The tokens.
  std::uint32_t* outside;  ///< Counts ids outside the vocabulary; or null.
  SortedTokens sorted;     ///< Where they go.

  static constexpr int phases = 3, most_threads = 256;
  static constexpr std::uint32_t none = 0xffffffff;
  static constexpr std::size_t shared_bytes = tokens_in_block * 6;
  KRONECKER_DEVICE std::uint32_t rounds() const { return 1; }

  KRONECKER_DEVICE void run(int phase, std::uint32_t, const Place& place, char* shared) const {
    auto* const keys = reinterpret_cast<std::uint32_t*>(shared);
    auto* const ranked = reinterpret_cast<std::uint16_t*>(keys + tokens_in_block);
    const std::size_t block = place.block / sorted.groups, group = place.block % sorted.groups;
    const std::size_t first = block * tokens_in_block, left = ids.count - first;
    const auto count = static_cast<std::uint32_t>(left < tokens_in_block ? left : tokens_in_block);
    const bool is_own = group == static_cast<std::size_t>(arrays.pos_dim);
    if (phase == 0) {
      for (std::uint32_t i = place.thread; i < count; i += place.threads)
        at(keys, i) = key(first + i, group, is_own);
    } else if (is_own) {
      if (phase == 1)
        for (std::uint32_t i = place.thread; i < count; i += place.threads) rank(keys, count, i, ranked);
      else
        for (std::uint32_t i = place.thread; i < count; i += place.threads)
          list_own_row(keys, count, i, ranked, block, group);
    } else if (phase == 1) {
      for (std::uint32_t byte = place.thread; byte < 256; byte += place.threads)
        list_byte(keys, count, byte, block, group);
    }
  }

 private:
  /// What token i is sorted by.
  KRONECKER_DEVICE std::uint32_t key(std::size_t i, std::size_t group, bool is_own) const {
    const std::int32_t id = read_id(ids, arrays.vocab_size, i);
    const Lit lit = light(arrays, id, 1.0f);
    if (group == 0) {
      at(sorted.scales, i) = lit.scale;
      at(sorted.lengths, i) = static_cast<std::uint8_t>(lit.own_row >= 0 ? 0 : lit.length);
      if (id < 0 && outside != nullptr) count_up(outside);
    }
    if (is_own) return lit.own_row >= 0 ? static_cast<std::uint32_t>(lit.own_row) : none;
    if (lit.own_row >= 0 || group >= static_cast<std::size_t>(lit.length)) return none;
    return read(lit.bytes, group);
  }

  KRONECKER_DEVICE std::uint16_t* list(std::size_t block, std::size_t group) const {
    return sorted.places + (block * sorted.groups + group) * sorted.places_of_group;
  }

  KRONECKER_DEVICE void add_cell(std::size_t block, std::size_t group, std::size_t cell, std::uint32_t begin,
                                 std::uint32_t end) const {
    const std::size_t i = block * sorted.cells_of_block + count_up(sorted.cell_counts + block);
    at(sorted.cells, i) = {static_cast<std::uint32_t>(cell),
                           static_cast<std::uint32_t>(group * sorted.places_of_group) + begin, end - begin,
                           0};
  }

  /// The tokens of a byte follow those of all smaller bytes.
  KRONECKER_DEVICE void list_byte(std::uint32_t* keys, std::uint32_t count, std::uint32_t byte,
                                  std::size_t block, std::size_t group) const {
    std::uint32_t begin = 0, found = 0;
    for (std::uint32_t i = 0; i < count; ++i) {
      const std::uint32_t other = at(keys, i);
      begin += other < byte ? 1u : 0u;
      found += other == byte ? 1u : 0u;
    }
    if (found == 0) return;
    std::uint32_t end = begin;
    for (std::uint32_t i = 0; end < begin + found; ++i)
      if (at(keys, i) == byte) at(list(block, group), end++) = static_cast<std::uint16_t>(i);
    add_cell(block, group, byte * static_cast<std::size_t>(arrays.pos_dim) + group, begin, end);
  }

  /// Token i follows those of smaller keys, and those of its own before it.
  KRONECKER_DEVICE void rank(std::uint32_t* keys, std::uint32_t count, std::uint32_t i,
                             std::uint16_t* ranked) const {
    const std::uint32_t own = at(keys, i);
    std::uint32_t place = 0;
    for (std::uint32_t j = 0; j < count; ++j) {
      const std::uint32_t other = at(keys, j);
      place += other < own || (other == own && j < i) ? 1u : 0u;
    }
    at(ranked, place) = static_cast<std::uint16_t>(i);
  }

  KRONECKER_DEVICE void list_own_row(std::uint32_t* keys, std::uint32_t count, std::uint32_t i,
                                     std::uint16_t* ranked, std::size_t block, std::size_t group) const {
    const std::uint32_t own = at(keys, at(ranked, i));
    if (own == none) return;
    at(list(block, group), i) = at(ranked, i);
    if (i > 0 && at(keys, at(ranked, i - 1)) == own) return;
    std::uint32_t end = i + 1;
    while (end < count && at(keys, at(ranked, end)) == own) ++end;
    add_cell(block, group, static_cast<std::size_t>(arrays.code_dim) + own, i, end);
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
    return tokens * lanes * columns * sizeof(float);
  }

  KRONECKER_DEVICE void run(int phase, std::uint32_t round, const Place& place, char* shared) const {
    auto* const terms = reinterpret_cast<Words<columns>*>(shared);
    const std::uint32_t lane = place.thread % lanes, group = place.thread / lanes,
                        groups = place.threads / lanes;
    const std::size_t column = (std::size_t{place.block} * lanes + lane) * columns;
    if (group >= groups || column >= d_model) return;
    const std::size_t first = std::size_t{round} * tokens_in_block, left = count - first;
    if (phase == 0) {
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
    const std::uint32_t cells = read(sorted.cell_counts, round);
    const std::size_t first_cell = round * sorted.cells_of_block;
    const std::uint16_t* const lists = sorted.places + round * sorted.groups * sorted.places_of_group;
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

  /// The sum of a cell's terms, from zero, in the order of its tokens, eight of which are read at once.
  KRONECKER_DEVICE Words<columns> sum_of(Words<columns>* terms, const std::uint16_t* list,
                                         std::uint32_t count_of_cell) const {
    constexpr std::uint32_t at_once = 8;
    Words<columns> sum = {};
    std::uint32_t i = 0;
    for (; i + at_once <= count_of_cell; i += at_once) {
      std::uint32_t places[at_once];
      Words<columns> some[at_once];
      KRONECKER_UNROLL
      for (std::uint32_t j = 0; j < at_once; ++j) places[j] = read(list, i + j);
      KRONECKER_UNROLL
      for (std::uint32_t j = 0; j < at_once; ++j) some[j] = at(terms, std::size_t{places[j]} * lanes);
      KRONECKER_UNROLL
      for (std::uint32_t j = 0; j < at_once; ++j) add_term(sum, some[j]);
    }
    for (; i < count_of_cell; ++i) add_term(sum, at(terms, std::size_t{read(list, i)} * lanes));
    return sum;
  }
};

}  // namespace KRONECKER_NAMESPACE::gpu::detail
