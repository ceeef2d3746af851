#pragma once

/// The kernels of what z-normalization subtracts: sums of all rows in double, of weights as they lie and of
/// the embeddings' gradients, in the order of training/sums_in_parts.hpp.

#include <kronecker/integrations/gpu/machine.hpp>
#include <kronecker/integrations/gpu/sums.hpp>

#include <cstddef>
#include <cstdint>

namespace KRONECKER_NAMESPACE::gpu::detail {

/// Rows are summed in at most so many parts of at least so many rows.
inline constexpr std::size_t most_parts = 16, least_rows_of_part = 256;

/// How many rows are read before the first of them is added.
inline constexpr std::size_t rows_in_flight = 8, rows_of_sum_in_flight = 16;

/// Sums of the columns of parts of some rows.
template <RowType type, int columns>
struct PartSumKernel {
  const void* rows;             ///< (count, d_model)
  std::size_t count;            ///< Number of rows.
  std::size_t d_model;          ///< Length of a row.
  std::size_t rows_of_part;     ///< Of each part but the last.
  const float* scales;          ///< (count): multiply the numbers; null: nothing does.
  const std::uint8_t* lengths;  ///< (count): multiply them after that; rows of length 0 do not count.
  double* sums;                 ///< (parts, d_model)

  static constexpr int phases = 1, most_threads = 256;
  KRONECKER_DEVICE std::uint32_t rounds() const { return 1; }

  KRONECKER_DEVICE void run(int, std::uint32_t, const Place& place, char*) const {
    const std::size_t at_once = std::size_t{place.threads} * columns,
                      blocks = (d_model + at_once - 1) / at_once;
    const std::size_t part = place.block / blocks;
    const std::size_t column = place.block % blocks * at_once + std::size_t{place.thread} * columns;
    if (column >= d_model) return;
    const std::size_t begin = part * rows_of_part, left = count - begin;
    const std::size_t end = begin + (left < rows_of_part ? left : rows_of_part);
    double sum[columns] = {};
    for (std::size_t row = begin; row < end; row += rows_of_sum_in_flight) {
      Stored<type, columns> stored[rows_of_sum_in_flight];
      float scale[rows_of_sum_in_flight], length[rows_of_sum_in_flight];
      KRONECKER_UNROLL
      for (std::size_t i = 0; i < rows_of_sum_in_flight; ++i) {  // past the end, the last row again
        const std::size_t from = row + i < end ? row + i : end - 1;
        stored[i] = read_stored<type, columns>(rows, from * d_model + column);
        scale[i] = scales == nullptr ? 1.0f : read(scales, from);
        length[i] = lengths == nullptr ? 1.0f : static_cast<float>(read(lengths, from));
      }
      KRONECKER_UNROLL
      for (std::size_t i = 0; i < rows_of_sum_in_flight; ++i) {
        if (row + i >= end || length[i] == 0) continue;
        KRONECKER_UNROLL
        for (int c = 0; c < columns; ++c)
          sum[c] = add(sum[c], multiply(static_cast<double>(length[i]),
                                        static_cast<double>(multiply(scale[i], number(stored[i], c)))));
      }
    }
    KRONECKER_UNROLL
    for (int c = 0; c < columns; ++c)
      at(sums, part * d_model + column + static_cast<std::size_t>(c)) = sum[c];
  }
};

/// The sum of a column over all parts.
KRONECKER_DEVICE double total_of_parts(const double* sums, std::size_t parts, std::size_t d_model,
                                       std::size_t column) {
  double total = read(sums, column);
  for (std::size_t part = 1; part < parts; ++part) total = add(total, read(sums, part * d_model + column));
  return total;
}

/// Rows of the lengths of weights as they lie: r_L = -L * mean row (length_rows.hpp).
struct LengthRowsKernel {
  const double* sums;    ///< (parts, d_model)
  std::size_t parts;     ///< How many.
  std::size_t d_model;   ///< Length of a row.
  std::size_t code_dim;  ///< Rows that were summed, D.
  std::int32_t pos_dim;  ///< The greatest length.
  float* length_rows;    ///< (pos_dim + 1, d_model)

  static constexpr int phases = 1, most_threads = 256;
  KRONECKER_DEVICE std::uint32_t rounds() const { return 1; }

  KRONECKER_DEVICE void run(int, std::uint32_t, const Place& place, char*) const {
    const std::size_t column = std::size_t{place.block} * place.threads + place.thread;
    if (column >= d_model) return;
    const double mean = total_of_parts(sums, parts, d_model, column) / static_cast<double>(code_dim);
    at(length_rows, column) = 0;
    for (std::int32_t length = 1; length <= pos_dim; ++length)
      at(length_rows, static_cast<std::size_t>(length) * d_model + column) =
          static_cast<float>(multiply(static_cast<double>(-length), mean));
  }
};

/// Adds what the unlit cells of rounded codes give to every row (ProjectionGradient::shared): token by token.
template <RowType type>
struct UnlitTermsKernel {
  const void* grad_sums;        ///< (count, d_model)
  std::size_t count;            ///< Number of tokens.
  std::size_t d_model;          ///< Length of a row.
  const std::uint8_t* lengths;  ///< (count): 0 for tokens that light no cells.
  const float* unlit_values;    ///< (pos_dim + 1)
  double* shared_row;           ///< (d_model)

  static constexpr int phases = 1, most_threads = 256;
  KRONECKER_DEVICE std::uint32_t rounds() const { return 1; }

  KRONECKER_DEVICE void run(int, std::uint32_t, const Place& place, char*) const {
    const std::size_t column = std::size_t{place.block} * place.threads + place.thread;
    if (column >= d_model) return;
    double sum = at(shared_row, column);
    for (std::size_t first = 0; first < count; first += rows_in_flight) {
      double unlit[rows_in_flight], numbers[rows_in_flight];
      bool counts[rows_in_flight];
      KRONECKER_UNROLL
      for (std::size_t i = 0; i < rows_in_flight; ++i) {
        counts[i] = false;
        if (first + i >= count) continue;
        const std::size_t length = read(lengths, first + i);
        counts[i] = length > 0;
        unlit[i] = static_cast<double>(read(unlit_values, length));
        numbers[i] =
            static_cast<double>(number(read_stored<type, 1>(grad_sums, (first + i) * d_model + column), 0));
      }
      KRONECKER_UNROLL
      for (std::size_t i = 0; i < rows_in_flight; ++i)
        if (counts[i]) sum = add(sum, multiply(unlit[i], numbers[i]));
    }
    at(shared_row, column) = sum;
  }
};

}  // namespace KRONECKER_NAMESPACE::gpu::detail
