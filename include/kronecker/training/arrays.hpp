#pragma once

/// The embedding and its gradient on arrays of someone else's: of a framework that holds the weights, and
/// changes them as it likes. Nothing is kept between calls that could be out of date.
///
/// Of a z-normalized code, what centering subtracts enters as a row for each length, forward
/// (length_rows.hpp), and as what every row of the gradient starts from, backward. How threads are had is an
/// argument: `parallel(count, work)` calls `work(part)` for each of `count` parts, at most `parallel.most`,
/// before it returns. Results have the same bits for any number.

#include <kronecker/encoder.hpp>
#include <kronecker/kernels/block_sums.hpp>
#include <kronecker/kernels/gather_sum.hpp>
#include <kronecker/kernels/instruction_set.hpp>
#include <kronecker/kernels/row_sums.hpp>
#include <kronecker/large_pages.hpp>
#include <kronecker/length_rows.hpp>
#include <kronecker/namespace.hpp>
#include <kronecker/training/array_sequence.hpp>
#include <kronecker/training/tokens_by_cell.hpp>
#include <kronecker/views.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>

namespace KRONECKER_NAMESPACE::detail {

/// Columns that threads do not split: four cache lines of floats.
inline constexpr std::size_t columns_in_piece = 64;

/// Numbers that are read, added or written by a thread at least: about half a millisecond, where starting and
/// joining one, whose caches have nothing of the work, takes up to a fifth of that.
inline constexpr std::size_t least_numbers_of_thread = std::size_t{1} << 22;

inline std::size_t pieces_of(std::size_t columns) noexcept {
  return (columns + columns_in_piece - 1) / columns_in_piece;
}

/// Into how many parts to split work on so many numbers: at most `threads`, and at most `pieces`.
inline std::size_t part_count(std::size_t numbers, std::size_t threads, std::size_t pieces) noexcept {
  return std::clamp<std::size_t>((std::min)(numbers / least_numbers_of_thread, pieces), 1, threads);
}

/// One of the `count` parts into which `total` is split, in whole pieces.
inline Range part_of(std::size_t total, std::size_t piece, std::size_t part, std::size_t count) noexcept {
  const std::size_t pieces = (total + piece - 1) / piece;
  return {(std::min)(total, pieces * part / count * piece),
          (std::min)(total, pieces * (part + 1) / count * piece)};
}

/// The embeddings of a sequence into `out`, (N, width) numbers of `out_type`, by weights as they lie,
/// (D, width) numbers of `type`: with `subtracts_mean`, of codes that are z-normalized and rows that are not
/// centered. Takes 4 * (pos_dim + 1) * width bytes then. O(width * (bytes of the tokens + D)).
template <kernels::RowType type, kernels::RowType out_type, class Parallel>
void embed_arrays(const DynamicEncoder& encoder, bool subtracts_mean, const ArraySequence& sequence,
                  const void* values, std::size_t width, void* out, const Parallel& parallel) {
  const auto code_dim = static_cast<std::size_t>(encoder.code_dim());
  const auto pos_dim = static_cast<std::size_t>(encoder.pos_dim());
  kernels::Rows rows{values, nullptr, width, pos_dim};
  ask_for_large_pages(out, sequence.count() * width * kernels::size_of(out_type));
  const auto sum = [&] {
    const std::size_t parts = part_count(sequence.byte_count() * width, parallel.most, sequence.count());
    parallel(parts, [&](std::size_t part) {
      const Range some = part_of(sequence.count(), 1, part, parts);
      auto* const to = static_cast<char*>(out) + some.begin * width * kernels::size_of(out_type);
      kernels::gather_sum<type, out_type>(kernels::instruction_set(), rows, sequence.part(some),
                                          {to, width, false});
    });
  };
  if (!subtracts_mean) return sum();

  const std::vector<std::uint8_t> lengths = sequence.different_lengths();
  const std::unique_ptr<float[]> length_rows(new float[(pos_dim + 1) * width]);
  if (!lengths.empty()) {
    const std::size_t parts = part_count(code_dim * width, parallel.most, pieces_of(width));
    parallel(parts, [&](std::size_t part) {
      write_length_rows<type>(values, code_dim, width, lengths, part_of(width, columns_in_piece, part, parts),
                              length_rows.get());
    });
  }
  rows.length_rows = length_rows.get();
  sum();
}

/// The gradient of some columns of the rows, and what it takes to compute it.
class ColumnsGradient {
 public:
  /// With `subtracts_mean` as in embed_arrays.
  ColumnsGradient(const DynamicEncoder& encoder, bool subtracts_mean, const ArraySequence& sequence,
                  std::size_t width, Range columns)
      : sequence_(sequence),
        code_dim_(static_cast<std::size_t>(encoder.code_dim())),
        is_centered_(subtracts_mean),
        width_(width),
        columns_(columns),
        by_cell_((std::min)(sequence.count(), kernels::tokens_in_block),
                 static_cast<std::size_t>(encoder.pos_dim())),
        mean_(width),
        is_lit_(code_dim_) {}

  /// Writes them to `grad_rows`, (D, width): rows that the first block lights with its sums, the others
  /// before.
  template <kernels::RowType type>
  void write(const void* grad_out, float* grad_rows) noexcept {
    if (is_centered_) subtract_mean<type>(grad_out);
    kernels::GradientColumns gradient{grad_rows, width_, columns_.begin, columns_.end, mean_.data()};
    for_each_block<type>(grad_out, [&](const kernels::BlockByCell& block, const void* grad_of_block) {
      if (gradient.held != nullptr) {
        for (std::size_t i = 0; i < block.cell_count; ++i) is_lit_[block.cells[i].cell] = 1;
        kernels::write_unlit_rows(kernels::instruction_set(), is_lit_.data(), code_dim_, gradient);
      }
      kernels::add_block_sums<type>(kernels::instruction_set(), block, grad_of_block, gradient);
      gradient.held = nullptr;
    });
  }

  /// The same, to numbers of 16 bits, each rounded once. The rows that are lit are summed in `lit_rows`, (lit
  /// cells, width), at the places that `place_of_cell`, (D), says.
  template <kernels::RowType type, kernels::RowType rows_type>
  void write_rounded(const void* grad_out, void* grad_rows, const std::int32_t* place_of_cell,
                     float* lit_rows) noexcept {
    if (is_centered_) subtract_mean<type>(grad_out);
    kernels::GradientColumns gradient{lit_rows, width_, columns_.begin, columns_.end};
    for (std::size_t cell = 0; cell < code_dim_; ++cell)
      if (place_of_cell[cell] != unlit)
        std::copy_n(mean_.data() + columns_.begin, columns_.size(), lit_row(lit_rows, place_of_cell[cell]));
    for_each_block<type>(grad_out, [&](kernels::BlockByCell block, const void* grad_of_block) {
      std::copy_n(block.cells, block.cell_count, places_.get());
      for (std::size_t i = 0; i < block.cell_count; ++i)
        places_[i].cell = static_cast<std::uint32_t>(place_of_cell[places_[i].cell]);
      block.cells = places_.get();
      kernels::add_block_sums<type>(kernels::instruction_set(), block, grad_of_block, gradient);
    });
    constexpr std::size_t size = kernels::size_of(rows_type);
    const char* unlit_row = nullptr;
    for (std::size_t cell = 0; cell < code_dim_; ++cell) {
      char* const row = static_cast<char*>(grad_rows) + (cell * width_ + columns_.begin) * size;
      if (place_of_cell[cell] != unlit) {
        round_row<rows_type>(lit_row(lit_rows, place_of_cell[cell]), row);
      } else if (unlit_row != nullptr) {
        std::memcpy(row, unlit_row, columns_.size() * size);
      } else {
        round_row<rows_type>(mean_.data() + columns_.begin, row);
        unlit_row = row;
      }
    }
  }

  /// The place of a cell that no token lights.
  static constexpr std::int32_t unlit = -1;

 private:
  /// Calls `visit` with each 1,024 tokens by their cells, and their outputs' gradients; with none, if there
  /// are none.
  template <kernels::RowType type, class Visit>
  void for_each_block(const void* grad_out, Visit visit) noexcept {
    for (std::size_t first = 0; first < sequence_.count() || first == 0; first += kernels::tokens_in_block) {
      by_cell_.assign(
          sequence_.part({first, (std::min)(first + kernels::tokens_in_block, sequence_.count())}));
      visit(by_cell_.view(), static_cast<const void*>(static_cast<const char*>(grad_out) +
                                                      first * width_ * kernels::size_of(type)));
    }
  }

  float* lit_row(float* lit_rows, std::int32_t place) const noexcept {
    return lit_rows + static_cast<std::size_t>(place) * width_ + columns_.begin;
  }

  /// A row of these columns, as the embedding of a token of one byte that lights it.
  template <kernels::RowType rows_type>
  void round_row(const float* from, void* to) const noexcept {
    constexpr std::uint8_t byte = 0, length = 1;
    constexpr std::int32_t id = 0;
    constexpr float scales[] = {0, 1};
    kernels::gather_sum<kernels::RowType::float32, rows_type>(
        kernels::instruction_set(), kernels::Rows{from, nullptr, columns_.size(), 1},
        {&byte, &length, scales, &id, 1}, {to, columns_.size(), false});
  }

  /// Minus the mean of all rows of the gradient: a token adds L terms.
  template <kernels::RowType type>
  void subtract_mean(const void* grad_out) noexcept {
    const kernels::RowLengths lengths{sequence_.lengths(), sequence_.scales()};
    std::array<double, 2048> sums;
    for (std::size_t first = columns_.begin; first < columns_.end; first += sums.size()) {
      const std::size_t end = (std::min)(first + sums.size(), columns_.end);
      kernels::sum_rows<type>(kernels::instruction_set(), {grad_out, sequence_.count(), width_, first, end},
                              &lengths, sums.data());
      for (std::size_t i = 0; i < end - first; ++i)
        mean_[first + i] = static_cast<float>(0 - sums[i] / static_cast<double>(code_dim_));
    }
  }

  const ArraySequence& sequence_;
  std::size_t code_dim_;
  bool is_centered_;
  std::size_t width_;
  Range columns_;
  TokensByCell by_cell_;
  std::vector<float> mean_;  // minus it, of all columns; zeros if none is subtracted
  std::vector<std::uint8_t> is_lit_;
  std::unique_ptr<kernels::CellEnd[]> places_{new kernels::CellEnd[code_dim_]};
};

/// The gradient of the weights into `grad_rows`, (D, width) numbers of `rows_type`, every one of which is
/// written, given that of the embeddings, `grad_out` of (N, width) numbers of `type`. Terms are summed as
/// accumulate_gradient (gradient.hpp) sums them, and rounded to 16 bits once, for which the rows that are lit
/// take memory in float32. O(width * (bytes of the tokens + D)).
template <kernels::RowType type, kernels::RowType rows_type, class Parallel>
void scatter_arrays(const DynamicEncoder& encoder, bool subtracts_mean, const ArraySequence& sequence,
                    const void* grad_out, std::size_t width, void* grad_rows, const Parallel& parallel) {
  const auto code_dim = static_cast<std::size_t>(encoder.code_dim());
  const std::size_t numbers = (code_dim + sequence.count() + sequence.byte_count()) * width;
  const std::size_t count = part_count(numbers, parallel.most, pieces_of(width));
  std::vector<ColumnsGradient> parts;
  for (std::size_t part = 0; part < count; ++part)
    parts.emplace_back(encoder, subtracts_mean, sequence, width,
                       part_of(width, columns_in_piece, part, count));
  if constexpr (rows_type == kernels::RowType::float32) {
    ask_for_large_pages(grad_rows, code_dim * width * sizeof(float));
    parallel(count, [&](std::size_t part) {
      parts[part].template write<type>(grad_out, static_cast<float*>(grad_rows));
    });
  } else {
    std::vector<std::int32_t> place_of_cell(code_dim, ColumnsGradient::unlit);
    const std::size_t lit_cells = sequence.number_cells(place_of_cell);
    const std::unique_ptr<float[]> lit_rows(new float[lit_cells * width]);
    ask_for_large_pages(grad_rows, code_dim * width * kernels::size_of(rows_type));
    ask_for_large_pages(lit_rows.get(), lit_cells * width * sizeof(float));
    parallel(count, [&](std::size_t part) {
      parts[part].template write_rounded<type, rows_type>(grad_out, grad_rows, place_of_cell.data(),
                                                          lit_rows.get());
    });
  }
}

}  // namespace KRONECKER_NAMESPACE::detail
