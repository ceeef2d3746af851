#pragma once

/// The tokens of a block sorted by the cells that they light, for the backward kernel: each cell's terms can
/// then be summed in registers, and its row is read and written once.

#include <kronecker/cell.hpp>
#include <kronecker/kernels/block_sums.hpp>
#include <kronecker/namespace.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <span>

namespace KRONECKER_NAMESPACE::detail {

/// Sorts blocks of tokens, one after the other, into memory that it takes once: about 4 bytes for each
/// position of each token of a block and 2 KB for each position, 130 KB for 1,024 tokens of 32 bytes.
class TokensByCell {
 public:
  /// For blocks of at most `most_tokens` tokens, at most kernels::tokens_in_block.
  TokensByCell(std::size_t most_tokens, std::size_t pos_dim)
      : pos_dim_(pos_dim),
        tokens_(new std::uint16_t[most_tokens * pos_dim]),
        cells_(new kernels::CellEnd[(std::min)(most_tokens, most_bytes) * pos_dim + most_tokens]) {}

  /// Takes the place of the block before. `own_rows` are the numbers of the tokens' own rows, kernels::
  /// no_own_row for a token that has none, or empty if none has one: the row of number i is taken for that of
  /// cell `code_dim` + i, and lit with the factor 1. O(tokens * bytes).
  void assign(const kernels::Tokens& tokens, std::span<const std::uint32_t> own_rows = {},
              std::size_t code_dim = 0) noexcept {
    std::size_t longest = 0;
    for (std::size_t i = 0; i < tokens.count; ++i) {
      const bool is_own = !own_rows.empty() && own_rows[i] != kernels::no_own_row;
      code_lengths_[i] = is_own ? std::uint8_t{0} : tokens.lengths[static_cast<std::size_t>(tokens.ids[i])];
      scales_[i] = is_own ? 1.0f : tokens.scales[code_lengths_[i]];
      longest = (std::max)(longest, std::size_t{code_lengths_[i]});
    }
    cell_count_ = token_count_ = size_ = 0;
    for (std::size_t position = 0; position < longest; ++position) {
      add_position(tokens, position);
      if (position == 0) token_count_ = size_;
    }
    if (!own_rows.empty()) add_own_rows(own_rows, code_dim);
  }

  /// The block, as long as no other is assigned.
  kernels::BlockByCell view() const noexcept {
    return {cells_.get(), cell_count_, tokens_.get(), token_count_, scales_.data()};
  }

 private:
  static constexpr std::size_t most_bytes = 256;
  static constexpr auto none = (std::numeric_limits<std::uint16_t>::max)();

  /// Sorts the tokens that have rows of their own by those.
  void add_own_rows(std::span<const std::uint32_t> own_rows, std::size_t code_dim) noexcept {
    std::uint16_t* const begin = tokens_.get() + size_;
    std::uint16_t* end = begin;
    for (std::size_t i = 0; i < own_rows.size(); ++i)
      if (own_rows[i] != kernels::no_own_row) *end++ = static_cast<std::uint16_t>(i);
    std::sort(begin, end, [&](std::uint16_t a, std::uint16_t b) {
      return own_rows[a] != own_rows[b] ? own_rows[a] < own_rows[b] : a < b;
    });
    for (const std::uint16_t* token = begin; token != end; ++token) {
      ++size_;
      const auto cell = static_cast<std::uint32_t>(code_dim + own_rows[*token]);
      if (token != begin && cells_[cell_count_ - 1].cell == cell)
        cells_[cell_count_ - 1].end = static_cast<std::uint32_t>(size_);
      else
        cells_[cell_count_++] = {cell, static_cast<std::uint32_t>(size_)};
    }
  }

  /// Strings the tokens of each byte into a list, and writes the lists one after the other.
  void add_position(const kernels::Tokens& tokens, std::size_t position) noexcept {
    std::array<std::uint16_t, most_bytes> first, last;
    std::array<std::uint16_t, kernels::tokens_in_block> next;
    std::array<std::uint8_t, most_bytes> found;
    std::size_t found_count = 0;
    first.fill(none);
    last.fill(none);
    for (std::size_t i = 0; i < tokens.count; ++i) {
      if (code_lengths_[i] <= position) continue;
      const auto token = static_cast<std::uint16_t>(i);
      const std::uint8_t byte = tokens.bytes[static_cast<std::size_t>(tokens.ids[i]) * pos_dim_ + position];
      if (first[byte] == none) {
        first[byte] = token;
        found[found_count++] = byte;
      } else {
        next[last[byte]] = token;
      }
      last[byte] = token;
      next[token] = none;
    }
    for (std::size_t i = 0; i < found_count; ++i) {
      for (std::uint16_t token = first[found[i]]; token != none; token = next[token])
        tokens_[size_++] = token;
      cells_[cell_count_++] = {static_cast<std::uint32_t>(cell_of(found[i], position, pos_dim_)),
                               static_cast<std::uint32_t>(size_)};
    }
  }

  std::size_t pos_dim_;
  std::unique_ptr<std::uint16_t[]> tokens_;
  std::unique_ptr<kernels::CellEnd[]> cells_;
  std::array<float, kernels::tokens_in_block> scales_;
  std::array<std::uint8_t, kernels::tokens_in_block> code_lengths_;  // 0 for a row of its own
  std::size_t cell_count_ = 0, token_count_ = 0, size_ = 0;
};

}  // namespace KRONECKER_NAMESPACE::detail
