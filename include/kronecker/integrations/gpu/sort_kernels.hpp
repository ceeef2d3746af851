#pragma once

/// The kernels that sort the tokens of a backward pass by the cells that they light, stable, by counting: in
/// blocks of 1,024 tokens, of every position by a block of threads. Integers are counted by atomics where no
/// order matters.

#include <kronecker/integrations/gpu/arrays.hpp>
#include <kronecker/integrations/gpu/machine.hpp>
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
  std::uint16_t* places;  ///< (blocks, places_of_block): of each cell the places of its tokens in the block,
                          ///< in order, filled up to a multiple of places_at_once with `most_tokens`.
  CellTokens* cells;      ///< (blocks, cells_of_block): those that are lit, in any order.
  std::uint32_t* counts;  ///< (blocks, 2): how many cells there are, and how many places.
  float* scales;          ///< (N): a_L; 1 for a row of its own.
  std::uint8_t* lengths;  ///< (N): bytes that light cells; none for a row of its own.
  std::size_t groups;  ///< Lists that are sorted apart: pos_dim, and one more if there are rows of their own.
  std::size_t most_tokens;      ///< Of a block, at most 1,024.
  std::size_t cells_of_block;   ///< Room for as many.
  std::size_t places_of_block;  ///< Room for as many.
};

/// Places that are read at once.
inline constexpr std::uint32_t places_at_once = 8;

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

/// Sorts a block of tokens by the byte at a position: every 32 tokens are counted, and what is before them
/// then added. Or, in the group after the last position, by their own rows.
struct SortKernel {
  EmbeddingArrays arrays;  ///< The vocabulary.
  Ids ids;                 ///< The tokens.
  std::uint32_t* outside;  ///< Counts ids outside the vocabulary; or null.
  SortedTokens sorted;     ///< Where they go.

  static constexpr int phases = 4, most_threads = 256;
  static constexpr std::uint32_t none = 0xffffffff, bytes = 256, tokens_of_part = 32;
  static constexpr std::uint32_t parts = tokens_in_block / tokens_of_part;
  static constexpr std::uint32_t pitch = bytes + 2;  // so that the threads of a warp count in different banks

  /// What a block keeps.
  struct Shared {
    std::uint32_t keys[tokens_in_block];   ///< What tokens are sorted by.
    std::uint32_t begins[bytes];           ///< Where each byte's places begin.
    std::uint16_t before[parts * pitch];   ///< Tokens of a byte in a part; then in those before it.
    std::uint16_t ranks[tokens_in_block];  ///< Tokens of the same byte before it in its part.
  };
  KRONECKER_DEVICE std::uint32_t rounds() const { return 1; }

  KRONECKER_DEVICE void run(int phase, std::uint32_t, const Place& place, char* memory) const {
    Shared& shared = *reinterpret_cast<Shared*>(memory);
    const std::size_t block = place.block / sorted.groups, group = place.block % sorted.groups;
    const std::size_t first = block * tokens_in_block, left = ids.count - first;
    const auto count = static_cast<std::uint32_t>(left < tokens_in_block ? left : tokens_in_block);
    const bool is_own = group == static_cast<std::size_t>(arrays.pos_dim);
    if (phase == 0) {
      for (std::uint32_t i = place.thread; i < count; i += place.threads)
        at(shared.keys, i) = key(first + i, group, is_own);
      for (std::uint32_t i = place.thread; i < parts * pitch; i += place.threads) at(shared.before, i) = 0;
    } else if (phase == 1 && is_own) {
      for (std::uint32_t i = place.thread; i < count; i += place.threads) rank(shared, count, i);
    } else if (phase == 1) {
      for (std::uint32_t part = place.thread; part < parts; part += place.threads)
        count_part(shared, count, part);
    } else if (phase == 2 && is_own) {
      for (std::uint32_t i = place.thread; i < count; i += place.threads)
        list_own_row(shared, count, i, block);
    } else if (phase == 2) {
      for (std::uint32_t byte = place.thread; byte < bytes; byte += place.threads)
        begin_list(shared, count, byte, block, group);
    } else if (!is_own) {
      for (std::uint32_t i = place.thread; i < count; i += place.threads) {
        const std::uint32_t byte = at(shared.keys, i);
        if (byte == none) continue;
        const std::uint32_t before = at(shared.before, i / tokens_of_part * pitch + byte);
        at(places(block), at(shared.begins, byte) + before + at(shared.ranks, i)) =
            static_cast<std::uint16_t>(i);
      }
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

  KRONECKER_DEVICE std::uint16_t* places(std::size_t block) const {
    return sorted.places + block * sorted.places_of_block;
  }

  /// Adds a cell of `count` tokens, and returns where its list begins, the end of which is filled up.
  KRONECKER_DEVICE std::uint32_t add_cell(std::size_t block, std::size_t cell, std::uint32_t count) const {
    const std::uint32_t filled = (count + places_at_once - 1) / places_at_once * places_at_once;
    const std::size_t i = block * sorted.cells_of_block + count_up(sorted.counts + 2 * block);
    const std::uint32_t begin = count_up(sorted.counts + 2 * block + 1, filled);
    at(sorted.cells, i) = {static_cast<std::uint32_t>(cell), begin, count, 0};
    for (std::uint32_t j = count; j < filled; ++j)
      at(places(block), begin + j) = static_cast<std::uint16_t>(sorted.most_tokens);
    return begin;
  }

  KRONECKER_DEVICE void count_part(Shared& shared, std::uint32_t count, std::uint32_t part) const {
    const std::uint32_t begin = part * tokens_of_part;
    for (std::uint32_t i = begin; i < begin + tokens_of_part && i < count; ++i) {
      const std::uint32_t byte = at(shared.keys, i);
      if (byte == none) continue;
      std::uint16_t& found = at(shared.before, part * pitch + byte);
      at(shared.ranks, i) = found;
      ++found;
    }
  }

  KRONECKER_DEVICE void begin_list(Shared& shared, std::uint32_t count, std::uint32_t byte, std::size_t block,
                                   std::size_t group) const {
    std::uint32_t all = 0;
    for (std::uint32_t part = 0; part * tokens_of_part < count; ++part) {
      std::uint16_t& found = at(shared.before, part * pitch + byte);
      const std::uint32_t of_part = found;
      found = static_cast<std::uint16_t>(all);
      all += of_part;
    }
    if (all > 0)
      at(shared.begins, byte) = add_cell(block, byte * static_cast<std::size_t>(arrays.pos_dim) + group, all);
  }

  /// Token i follows those of smaller keys, and those of its own before it.
  KRONECKER_DEVICE void rank(Shared& shared, std::uint32_t count, std::uint32_t i) const {
    const std::uint32_t own = at(shared.keys, i);
    std::uint32_t rank_of_token = 0;
    for (std::uint32_t j = 0; j < count; ++j) {
      const std::uint32_t other = at(shared.keys, j);
      rank_of_token += other < own || (other == own && j < i) ? 1u : 0u;
    }
    at(shared.ranks, rank_of_token) = static_cast<std::uint16_t>(i);
  }

  /// Writes the list that begins with the token of rank i, if one does.
  KRONECKER_DEVICE void list_own_row(Shared& shared, std::uint32_t count, std::uint32_t i,
                                     std::size_t block) const {
    const std::uint32_t own = at(shared.keys, at(shared.ranks, i));
    if (own == none || (i > 0 && at(shared.keys, at(shared.ranks, i - 1)) == own)) return;
    std::uint32_t end = i + 1;
    while (end < count && at(shared.keys, at(shared.ranks, end)) == own) ++end;
    const std::uint32_t begin = add_cell(block, static_cast<std::size_t>(arrays.code_dim) + own, end - i);
    for (std::uint32_t j = i; j < end; ++j) at(places(block), begin + (j - i)) = at(shared.ranks, j);
  }
};

}  // namespace KRONECKER_NAMESPACE::gpu::detail
