#pragma once

/// What to watch while a projection learns: its norm, and that of what it puts out (arXiv 2605.29459 tracks
/// both).

#include <kronecker/embedding.hpp>
#include <kronecker/namespace.hpp>
#include <kronecker/token_sequence.hpp>
#include <kronecker/types.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace KRONECKER_NAMESPACE {

/// The Frobenius norm of the projection: of the centered rows, if codes are z-normalized. O(D * d_model).
inline double projection_norm(const KroneckerEmbedding<float>& embedding) {
  double sum = 0;
  for (const float weight : embedding.rows().values().span())
    sum += static_cast<double>(weight) * static_cast<double>(weight);
  return std::sqrt(sum);
}

/// The mean Euclidean norm of the embeddings of some tokens; 0 if there are none. Throws std::out_of_range if
/// an id is out of range. O(N * d_model * bytes per token).
template <class Scalar>
double mean_output_norm(const KroneckerEmbedding<Scalar>& embedding, TokenSequence tokens) {
  constexpr std::size_t block = 256;
  double sum = 0;
  for (std::size_t first = 0; first < tokens.size(); first += block) {
    const RowMajorMatrix<float> out =
        embedding.forward(tokens.part(first, (std::min)(block, tokens.size() - first)));
    for (Eigen::Index i = 0; i < out.rows(); ++i) {
      double squares = 0;
      for (Eigen::Index j = 0; j < out.cols(); ++j)
        squares += static_cast<double>(out(i, j)) * static_cast<double>(out(i, j));
      sum += std::sqrt(squares);
    }
  }
  return tokens.size() == 0 ? 0 : sum / static_cast<double>(tokens.size());
}

}  // namespace KRONECKER_NAMESPACE
