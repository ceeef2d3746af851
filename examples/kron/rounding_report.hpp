#pragma once

/// What rows of int8 lose, in words.

#include <kronecker/analysis/rounding.hpp>
#include <kronecker/embedding.hpp>

#include <fmt/core.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <vector>

namespace kron {

/// Says on standard error how far int8 rows are from those of `embedding`: for the tokens, and for the column
/// that lost most, with the cell whose number decided that.
inline void report_rounding(const kronecker::KroneckerEmbedding<float>& embedding,
                            const kronecker::KroneckerEmbedding<std::int8_t>& rounded) {
  const kronecker::RoundingLoss loss = kronecker::rounding_loss(embedding, rounded);
  std::vector<float> tokens = loss.tokens;
  std::sort(tokens.begin(), tokens.end());
  const auto column = static_cast<std::size_t>(std::max_element(loss.columns.begin(), loss.columns.end()) -
                                               loss.columns.begin());
  const std::uint32_t cell = loss.largest_cells[column];
  const auto pos_dim = static_cast<std::uint32_t>(embedding.encoder().pos_dim());
  fmt::print(
      stderr,
      "rows of I8: half of the tokens lose {:.1f} % or more of their embedding, the worst {:.1f} %\n"
      "  column {} loses most, {:.1f} %: its largest number is that of byte 0x{:02X} at position {}, the "
      "cell of the largest in {} of {} columns\n",
      100 * tokens[tokens.size() / 2], 100 * tokens.back(), column, 100 * loss.columns[column],
      cell / pos_dim, cell % pos_dim, std::count(loss.largest_cells.begin(), loss.largest_cells.end(), cell),
      loss.columns.size());
}

}  // namespace kron
