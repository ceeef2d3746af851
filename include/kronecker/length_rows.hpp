#pragma once

/// z-normalized embeddings of weights as they lie: nothing is centered, so nothing is copied that could be
/// out of date when the weights change.
///
/// What centering subtracts from each of a token's L rows, their mean w_bar, is subtracted from their sum:
///
///     e = a_L * (sum_p w_{cell_p} + r_L),     r_L = -L * w_bar
///
/// One reading of the weights makes the rows r_L, which kernels::gather_sum takes as
/// kernels::Rows::length_rows. Codes that are rounded after z-normalization have such rows too, with another
/// factor: their mean is not 0, and centering would change the embedding.

#include <kronecker/encoder.hpp>
#include <kronecker/kernels/instruction_set.hpp>
#include <kronecker/kernels/row_sums.hpp>
#include <kronecker/kernels/row_type.hpp>
#include <kronecker/namespace.hpp>
#include <kronecker/rows.hpp>
#include <kronecker/shared_array.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace KRONECKER_NAMESPACE::detail {

/// Writes r_L to row L of `length_rows`, (pos_dim + 1, d_model), for each of `lengths`, given the sums of all
/// `count` rows, (d_model). r_L is rounded once to float. O(d_model * lengths).
inline void write_length_rows(std::span<const double> sums, std::size_t count,
                              std::span<const std::uint8_t> lengths, float* length_rows) noexcept {
  for (const std::uint8_t length : lengths) {
    float* const row = length_rows + length * sums.size();
    for (std::size_t i = 0; i < sums.size(); ++i) {
      const double mean = sums[i] / static_cast<double>(count);
      row[i] = static_cast<float>(-length * mean);
    }
  }
}

/// The rows r_L of all lengths for codes that are rounded, (pos_dim + 1, d_model): the mean of the rows as
/// they are stored times DynamicEncoder::length_row_factor, rounded once; of int8 rows without the scales of
/// the columns, which multiply the sum. O((D + pos_dim) * d_model).
template <class Scalar>
SharedArray<float> length_rows(const DynamicEncoder& encoder, const ProjectionRows<Scalar>& rows) {
  const auto d_model = static_cast<std::size_t>(rows.d_model());
  const auto count = static_cast<std::size_t>(rows.code_dim());
  std::vector<double> mean(d_model);
  if constexpr (ProjectionRows<Scalar>::type == kernels::RowType::int8)
    for (std::size_t i = 0; i < rows.values().size(); ++i) mean[i % d_model] += rows.values()[i];
  else
    kernels::sum_rows<ProjectionRows<Scalar>::type>(
        kernels::instruction_set(), {rows.values().data(), count, d_model, 0, d_model}, nullptr, mean.data());
  for (double& value : mean) value /= static_cast<double>(count);
  const auto lengths = static_cast<std::size_t>(encoder.pos_dim()) + 1;
  return SharedArray<float>::make(lengths * d_model, [&](std::span<float> all) {
    std::fill_n(all.begin(), d_model, 0.0f);
    for (std::size_t length = 1; length < lengths; ++length) {
      const double factor = encoder.length_row_factor(static_cast<int>(length));
      for (std::size_t i = 0; i < d_model; ++i)
        all[length * d_model + i] = static_cast<float>(factor * mean[i]);
    }
  });
}

}  // namespace KRONECKER_NAMESPACE::detail
