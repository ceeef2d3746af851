#pragma once

/// Sums of all rows of a matrix, in double, by several threads: of weights as they lie and of outputs'
/// gradients, whose means z-normalization subtracts.

#include <kronecker/kernels/instruction_set.hpp>
#include <kronecker/kernels/row_sums.hpp>
#include <kronecker/kernels/row_type.hpp>
#include <kronecker/namespace.hpp>

#include <algorithm>
#include <cstddef>
#include <memory>
#include <vector>

namespace KRONECKER_NAMESPACE::detail {

/// How many threads of `parallel` (arrays.hpp) work on so many numbers.
template <class Parallel>
std::size_t thread_count(std::size_t numbers, const Parallel& parallel) noexcept {
  return std::clamp<std::size_t>(numbers / parallel.least_numbers, 1, parallel.most);
}

/// The sums of the columns of `count` rows, (count, width) numbers of `type`, with `lengths` as sum_rows
/// takes them. Threads take parts of 256 rows and more, at most 16, whose sums are added in their order: the
/// same bits for any number of threads. Takes 128 * width bytes at most. O(width * rows).
template <kernels::RowType type, class Parallel>
std::vector<double> sum_in_parts(const void* values, std::size_t count, std::size_t width,
                                 const kernels::RowLengths* lengths, const Parallel& parallel) {
  constexpr std::size_t least_rows = 256, most_parts = 16;
  const std::size_t rows = (std::max)(least_rows, (count + most_parts - 1) / most_parts);
  const std::size_t parts = (std::max<std::size_t>)(1, (count + rows - 1) / rows);
  const std::unique_ptr<double[]> sums(new double[parts * width]);
  parallel(parts, thread_count(count * width, parallel), [&](std::size_t part) noexcept {
    const std::size_t first = part * rows;
    const char* const some = static_cast<const char*>(values) + first * width * kernels::size_of(type);
    const kernels::SummedRows part_rows{some, (std::min)(rows, count - first), width, 0, width};
    if (lengths == nullptr) {
      kernels::sum_rows<type>(kernels::instruction_set(), part_rows, nullptr, &sums[part * width]);
    } else {
      const kernels::RowLengths part_lengths{lengths->lengths + first, lengths->scales};
      kernels::sum_rows<type>(kernels::instruction_set(), part_rows, &part_lengths, &sums[part * width]);
    }
  });
  std::vector<double> total(&sums[0], &sums[0] + width);
  for (std::size_t part = 1; part < parts; ++part)
    for (std::size_t column = 0; column < width; ++column) total[column] += sums[part * width + column];
  return total;
}

}  // namespace KRONECKER_NAMESPACE::detail
