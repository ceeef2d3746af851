#pragma once

/// What rounding the rows of an embedding loses. In rows of int8 the largest number of a column decides how
/// coarse all others are: one row that is far larger than the rest costs every token that does not light it.

#include <kronecker/embedding.hpp>
#include <kronecker/error.hpp>
#include <kronecker/namespace.hpp>
#include <kronecker/token_sequence.hpp>
#include <kronecker/types.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <vector>

namespace KRONECKER_NAMESPACE {

/// How far rounded rows are from the ones they were made of, everywhere relative to the latter.
struct RoundingLoss {
  std::vector<float> tokens;   ///< (V) The distance of each token's embedding; 0 for a token of zeros.
  std::vector<float> columns;  ///< (d_model) The distance of a column's numbers, all but its largest.
  std::vector<std::uint32_t> largest_cells;  ///< (d_model) The cell of each column's largest number.
};

namespace detail {

inline float relative_distance(double squared_distance, double squared_norm) noexcept {
  return squared_norm > 0 ? static_cast<float>(std::sqrt(squared_distance / squared_norm)) : 0.0f;
}

/// Measures the columns of (D, d_model), all but the row that has their largest number.
inline void measure_columns(std::span<const float> exact, std::span<const float> rounded,
                            RoundingLoss& loss) {
  const std::size_t columns = loss.columns.size();
  for (std::size_t i = 0; i < exact.size(); ++i) {
    std::uint32_t& largest = loss.largest_cells[i % columns];
    if (std::abs(exact[i]) > std::abs(exact[largest * columns + i % columns]))
      largest = static_cast<std::uint32_t>(i / columns);
  }
  std::vector<double> squared_distances(columns, 0.0), squared_norms(columns, 0.0);
  for (std::size_t i = 0; i < exact.size(); ++i) {
    if (loss.largest_cells[i % columns] == i / columns) continue;
    const double value = exact[i], distance = static_cast<double>(rounded[i]) - value;
    squared_distances[i % columns] += distance * distance;
    squared_norms[i % columns] += value * value;
  }
  for (std::size_t column = 0; column < columns; ++column)
    loss.columns[column] = relative_distance(squared_distances[column], squared_norms[column]);
}

}  // namespace detail

/// What `rounded`, an embedding of the same tokens, lost of `exact`, by its tokens and by the columns of its
/// rows: `rounding_loss(embedding, embedding.cast<std::int8_t>())`. Throws std::invalid_argument if they
/// differ in tokens or d_model. O(V * d_model * bytes per token + D * d_model).
template <class Scalar>
RoundingLoss rounding_loss(const KroneckerEmbedding<float>& exact,
                           const KroneckerEmbedding<Scalar>& rounded) {
  if (!(exact.token_bytes() == rounded.token_bytes()) || exact.d_model() != rounded.d_model())
    detail::fail<std::invalid_argument>(
        "two embeddings of other tokens or another d_model cannot be compared");
  const auto d_model = static_cast<std::size_t>(exact.d_model());
  RoundingLoss loss{{}, std::vector<float>(d_model), std::vector<std::uint32_t>(d_model)};
  const LearnedProjection rounded_weights = rounded.rows().to_projection();
  detail::measure_columns(exact.rows().values().span(), rounded_weights.weights().span(), loss);

  constexpr TokenId block = 1024;
  for (TokenId first = 0; first < exact.vocab_size(); first += block) {
    const auto tokens = TokenSequence::in_order(first, (std::min)(first + block, exact.vocab_size()));
    const RowMajorMatrix<float> vectors = exact.forward(tokens), near = rounded.forward(tokens);
    for (Eigen::Index i = 0; i < vectors.rows(); ++i)
      loss.tokens.push_back(
          detail::relative_distance((near.row(i) - vectors.row(i)).template cast<double>().squaredNorm(),
                                    vectors.row(i).template cast<double>().squaredNorm()));
  }
  return loss;
}

}  // namespace KRONECKER_NAMESPACE
