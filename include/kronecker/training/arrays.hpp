#pragma once

/// The embedding and its gradient on arrays of someone else's: of a framework that holds the weights, and
/// changes them as it likes. Nothing is kept between calls that could be out of date.
///
/// Of a z-normalized code, what centering subtracts enters as a row for each length, forward
/// (length_rows.hpp), and as what every row of the gradient starts from, backward. How threads are had is an
/// argument: `parallel(count, threads, work)` calls `work(part)` for each of `count` parts, on at most so
/// many threads, before it returns; there are `parallel.most` at most, and each is worth having for
/// `parallel.least_numbers` numbers that are read, added or written. Results have the same bits for any
/// number.

#include <kronecker/encoder.hpp>
#include <kronecker/kernels/block_sums.hpp>
#include <kronecker/kernels/gather_sum.hpp>
#include <kronecker/kernels/instruction_set.hpp>
#include <kronecker/kernels/row_type.hpp>
#include <kronecker/large_pages.hpp>
#include <kronecker/length_rows.hpp>
#include <kronecker/namespace.hpp>
#include <kronecker/training/array_sequence.hpp>
#include <kronecker/training/sums_in_parts.hpp>
#include <kronecker/training/tokens_by_cell.hpp>
#include <kronecker/views.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace KRONECKER_NAMESPACE::detail {

/// One of the `count` parts into which `total` is split, in whole pieces.
inline Range part_of(std::size_t total, std::size_t piece, std::size_t part, std::size_t count) noexcept {
  const std::size_t pieces = (total + piece - 1) / piece;
  return {(std::min)(total, pieces * part / count * piece),
          (std::min)(total, pieces * (part + 1) / count * piece)};
}

/// The embeddings of a sequence into `out`, (N, width) numbers of `out_type`, by weights as they lie,
/// (D, width) numbers of `type`: with `subtracts_mean`, of codes that are z-normalized and rows that are not
/// centered. Takes (4 * (pos_dim + 1) + 136) * width bytes then. O(width * (bytes of the tokens + D)).
template <kernels::RowType type, kernels::RowType out_type, class Parallel>
void embed_arrays(const DynamicEncoder& encoder, bool subtracts_mean, const ArraySequence& sequence,
                  const void* values, std::size_t width, void* out, const Parallel& parallel) {
  const auto code_dim = static_cast<std::size_t>(encoder.code_dim());
  const auto pos_dim = static_cast<std::size_t>(encoder.pos_dim());
  kernels::Rows rows{values, nullptr, width, pos_dim};
  ask_for_large_pages(out, sequence.count() * width * kernels::size_of(out_type));
  const auto sum = [&] {
    const std::size_t parts = thread_count(sequence.byte_count() * width, parallel);
    parallel(parts, parts, [&](std::size_t part) noexcept {
      const Range some = part_of(sequence.count(), 1, part, parts);
      auto* const to = static_cast<char*>(out) + some.begin * width * kernels::size_of(out_type);
      kernels::gather_sum<type, out_type>(kernels::instruction_set(), rows, sequence.part(some),
                                          {to, width, false});
    });
  };
  if (!subtracts_mean) return sum();

  const std::vector<std::uint8_t> lengths = sequence.different_lengths();
  const std::unique_ptr<float[]> length_rows(new float[(pos_dim + 1) * width]);
  if (!lengths.empty())
    write_length_rows(sum_in_parts<type>(values, code_dim, width, nullptr, parallel), code_dim, lengths,
                      length_rows.get());
  rows.length_rows = length_rows.get();
  sum();
}

/// The sums of all blocks of a sequence, of some columns, and what it takes to compute them.
class ColumnsOfBlocks {
 public:
  ColumnsOfBlocks(const ArraySequence& sequence, std::size_t code_dim, std::size_t pos_dim, std::size_t width,
                  Range columns)
      : sequence_(sequence),
        width_(width),
        columns_(columns),
        by_cell_((std::min)(sequence.count(), kernels::tokens_in_block), pos_dim),
        places_(new kernels::CellEnd[code_dim]) {}

  /// Adds them to rows of `width` floats: where `place_of_cell`, (D), says that those of each cell are; null:
  /// in the order of the cells. The first block's are added to `held`, (width), in place of what its rows
  /// hold.
  template <kernels::RowType type>
  void add(const void* grad_out, float* rows, const std::int32_t* place_of_cell, const float* held) noexcept {
    kernels::GradientColumns gradient{rows, width_, columns_.begin, columns_.end, held};
    for (std::size_t first = 0; first < sequence_.count(); first += kernels::tokens_in_block) {
      by_cell_.assign(
          sequence_.part({first, (std::min)(first + kernels::tokens_in_block, sequence_.count())}));
      kernels::BlockByCell block = by_cell_.view();
      if (place_of_cell != nullptr) {
        for (std::size_t i = 0; i < block.cell_count; ++i)
          places_[i] = {static_cast<std::uint32_t>(place_of_cell[block.cells[i].cell]), block.cells[i].end};
        block.cells = places_.get();
      }
      kernels::add_block_sums<type>(
          kernels::instruction_set(), block,
          static_cast<const char*>(grad_out) + first * width_ * kernels::size_of(type), gradient);
      gradient.held = nullptr;
    }
  }

 private:
  const ArraySequence& sequence_;
  std::size_t width_;
  Range columns_;
  TokensByCell by_cell_;
  std::unique_ptr<kernels::CellEnd[]> places_;
};

/// Minus the mean of all rows of the gradient, (width): each token of L bytes adds L terms to their sum.
template <kernels::RowType type, class Parallel>
std::vector<float> minus_mean_of_gradient(const ArraySequence& sequence, std::size_t code_dim,
                                          const void* grad_out, std::size_t width, const Parallel& parallel) {
  const kernels::RowLengths lengths{sequence.lengths(), sequence.scales()};
  std::vector<float> mean(width);
  const std::vector<double> sums = sum_in_parts<type>(grad_out, sequence.count(), width, &lengths, parallel);
  for (std::size_t i = 0; i < width; ++i)
    mean[i] = static_cast<float>(0 - sums[i] / static_cast<double>(code_dim));
  return mean;
}

/// Writes a row of floats as numbers of `to_type`, each rounded once.
template <kernels::RowType to_type>
void round_row(const float* from, std::size_t width, void* to) noexcept {
  constexpr std::uint8_t byte = 0, length = 1;  // the embedding of a token of one byte that lights it
  constexpr std::int32_t id = 0;
  constexpr float scales[] = {0, 1};
  kernels::gather_sum<kernels::RowType::float32, to_type>(
      kernels::instruction_set(), kernels::Rows{from, nullptr, width, 1}, {&byte, &length, scales, &id, 1},
      {to, width, false});
}

/// The gradient of the weights into `grad_rows`, (D, width) numbers of `rows_type`, every one of which is
/// written, given that of the embeddings, `grad_out` of (N, width) numbers of `type`. Terms are summed as
/// accumulate_gradient (gradient.hpp) sums them, and rounded to 16 bits once, for which the rows that are lit
/// take memory in float32. O(width * (bytes of the tokens + D)).
template <kernels::RowType type, kernels::RowType rows_type, class Parallel>
void scatter_arrays(const DynamicEncoder& encoder, bool subtracts_mean, const ArraySequence& sequence,
                    const void* grad_out, std::size_t width, void* grad_rows, const Parallel& parallel) {
  constexpr bool rounds = rows_type != kernels::RowType::float32;
  constexpr std::size_t columns_in_piece = 64, row_parts = 16;
  const auto code_dim = static_cast<std::size_t>(encoder.code_dim());
  const auto pos_dim = static_cast<std::size_t>(encoder.pos_dim());
  const std::size_t row_bytes = width * kernels::size_of(rows_type);
  ask_for_large_pages(grad_rows, code_dim * row_bytes);

  // Rows that are written by adding sums: those that the first block lights, or, if they are rounded, all
  // that are lit.
  std::vector<std::int32_t> place_of_cell(code_dim, ArraySequence::unlit);
  const std::size_t in_first_block = (std::min)(sequence.count(), kernels::tokens_in_block);
  const std::size_t lit_first = sequence.number_cells({0, in_first_block}, 0, place_of_cell);
  std::size_t lit_cells = lit_first;
  if (rounds) lit_cells = sequence.number_cells({in_first_block, sequence.count()}, lit_first, place_of_cell);
  std::vector<std::uint8_t> is_lit(code_dim);
  for (std::size_t cell = 0; cell < code_dim; ++cell) is_lit[cell] = place_of_cell[cell] >= 0;

  const std::size_t column_parts =
      (std::min)((width + columns_in_piece - 1) / columns_in_piece,
                 thread_count((sequence.count() + sequence.byte_count()) * width, parallel));
  std::vector<ColumnsOfBlocks> columns;
  for (std::size_t part = 0; part < column_parts; ++part)
    columns.emplace_back(sequence, code_dim, pos_dim, width,
                         part_of(width, columns_in_piece, part, column_parts));
  const std::unique_ptr<float[]> lit_rows(rounds ? new float[lit_cells * width] : nullptr);
  std::vector<char> unlit_row(row_bytes);
  const std::vector<float> held =
      subtracts_mean ? minus_mean_of_gradient<type>(sequence, code_dim, grad_out, width, parallel)
                     : std::vector<float>(width);
  round_row<rows_type>(held.data(), width, unlit_row.data());

  const auto write_rows = [&](std::size_t part) noexcept {
    const Range some = part_of(code_dim, 1, part, row_parts);
    kernels::write_unlit_rows(kernels::instruction_set(), {grad_rows, row_bytes, unlit_row.data(),
                                                           is_lit.data(), code_dim, some.begin, some.end});
    if (!rounds) return;
    for (std::size_t cell = some.begin; cell < some.end; ++cell)
      if (is_lit[cell] != 0)
        round_row<rows_type>(&lit_rows[static_cast<std::size_t>(place_of_cell[cell]) * width], width,
                             static_cast<char*>(grad_rows) + cell * row_bytes);
  };
  const auto add_columns = [&](std::size_t part) noexcept {
    if constexpr (rounds)
      columns[part].add<type>(grad_out, lit_rows.get(), place_of_cell.data(), held.data());
    else
      columns[part].add<type>(grad_out, static_cast<float*>(grad_rows), nullptr, held.data());
  };
  for (std::size_t place = lit_first; place < lit_cells; ++place)
    std::copy(held.begin(), held.end(), &lit_rows[place * width]);
  if (rounds) parallel(column_parts, column_parts, add_columns);
  parallel(row_parts, thread_count(code_dim * width, parallel), write_rows);
  if (!rounds) parallel(column_parts, column_parts, add_columns);
}

}  // namespace KRONECKER_NAMESPACE::detail
