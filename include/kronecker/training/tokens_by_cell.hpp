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
    for (std::size_t i = 0; i < tokens.count; ++i) {
      const bool is_own = !own_rows.empty() && own_rows[i] != kernels::no_own_row;
      code_lengths_[i] = is_own ? std::uint8_t{0} : tokens.lengths[static_cast<std::size_t>(tokens.ids[i])];
      scales_[i] = is_own ? 1.0f : tokens.scales[code_lengths_[i]];
      longer_[i] = static_cast<std::uint16_t>(i);
    }
    cell_count_ = size_ = 0;
    keep_longer(tokens.count, 0);
    token_count_ = longer_count_;
    for (std::size_t position = 0; longer_count_ > 0; ++position) {
      add_position(tokens, position);
      keep_longer(longer_count_, position + 1);
    }
    if (!own_rows.empty()) add_own_rows(own_rows, code_dim);
  }

  /// The block, as long as no other is assigned.
  kernels::BlockByCell view() const noexcept {
    return {cells_.get(), cell_count_, tokens_.get(), token_count_, scales_.data()};
  }

 private:
  static constexpr std::size_t most_bytes = 256;

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

  /// Of the first `count` that are listed as longer, keeps those of more than `length` bytes. Neither this
  /// nor the next has a branch that a processor would have to guess.
  void keep_longer(std::size_t count, std::size_t length) noexcept {
    longer_count_ = 0;
    for (std::size_t i = 0; i < count; ++i) {
      longer_[longer_count_] = longer_[i];
      longer_count_ += std::size_t{code_lengths_[longer_[i]] > length};
    }
  }

  /// Sorts the tokens that have a byte at `position` by it, by counting.
  void add_position(const kernels::Tokens& tokens, std::size_t position) noexcept {
    std::array<std::uint32_t, most_bytes> places = {};
    for (std::size_t i = 0; i < longer_count_; ++i) {
      const auto id = static_cast<std::size_t>(tokens.ids[longer_[i]]);
      bytes_[i] = tokens.bytes[id * pos_dim_ + position];
      ++places[bytes_[i]];
    }
    for (std::size_t byte = 0; byte < most_bytes; ++byte) {
      const std::uint32_t count = places[byte];
      places[byte] = static_cast<std::uint32_t>(size_);
      if (count == 0) continue;
      size_ += count;
      cells_[cell_count_++] = {static_cast<std::uint32_t>(cell_of(byte, position, pos_dim_)),
                               static_cast<std::uint32_t>(size_)};
    }
    for (std::size_t i = 0; i < longer_count_; ++i) tokens_[places[bytes_[i]]++] = longer_[i];
  }

  std::size_t pos_dim_;
  std::unique_ptr<std::uint16_t[]> tokens_;
  std::unique_ptr<kernels::CellEnd[]> cells_;
  std::array<float, kernels::tokens_in_block> scales_;
  std::array<std::uint8_t, kernels::tokens_in_block> code_lengths_;  // 0 for a row of its own
  std::array<std::uint8_t, kernels::tokens_in_block> bytes_;  // at a position, of the tokens that are longer
  std::array<std::uint16_t, kernels::tokens_in_block> longer_;  // those that have a byte there
  std::size_t longer_count_ = 0, cell_count_ = 0, token_count_ = 0, size_ = 0;
};

}  // namespace KRONECKER_NAMESPACE::detail
