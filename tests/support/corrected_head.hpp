#pragma once

/// A small corrected head, and what it is by definition, in double.

#include "matrices.hpp"

#include <kronecker/embedding.hpp>
#include <kronecker/head_correction.hpp>

#include <cmath>
#include <string>
#include <vector>

namespace test_support {

/// 130 tokens, one of them empty.
inline std::vector<std::string> corrected_tokens() {
  std::vector<std::string> tokens = {"", "same", "other", "same"};
  for (int i = 0; i < 126; ++i) tokens.push_back(std::to_string(i * 7919));
  return tokens;
}

/// An embedding of them, with rows of their own for two.
inline kronecker::KroneckerEmbedding<float> corrected_embedding() {
  const kronecker::KroneckerEncoder<256, 8> encoder;
  const kronecker::KroneckerEmbedding<float> embedding(
      encoder, kronecker::Vocabulary(corrected_tokens()),
      kronecker::LearnedProjection::normal(10, encoder.code_dim(), 1));
  return embedding.with_own_rows({3, 77}, random_matrix(2, 10, 5));
}

/// A correction of random numbers for it.
inline kronecker::HeadCorrection random_correction(int rank) {
  return kronecker::HeadCorrection::make({130, 10, rank}, [](std::span<float> all) {
    std::mt19937 random(3);
    const std::vector<float> numbers = random_floats(all.size(), random);
    std::copy(numbers.begin(), numbers.end(), all.begin());
  });
}

/// What a corrected head is made of, in double.
struct DenseHead {
  Doubles table;                ///< (V, d_model)
  std::vector<double> factors;  ///< All numbers of the correction.
  kronecker::HeadCorrectionSizes sizes;

  DenseHead(const RowMajorMatrix<float>& of, const kronecker::HeadCorrection& correction)
      : table(doubles(of)),
        factors(correction.all().begin(), correction.all().end()),
        sizes(correction.sizes()) {}

  /// (N, V): the head as a dense one, with the rows e_v + C^T u_v.
  Doubles logits(const Doubles& hidden) const {
    const std::span<const double> all = factors, bias = sizes.bias(all), u = sizes.token_factors(all),
                                  c = sizes.state_factors(all);
    const std::size_t rank = sizes.factors(), width = sizes.width();
    Doubles rows = table;
    for (std::size_t v = 0; v < sizes.tokens(); ++v)
      for (std::size_t k = 0; k < rank; ++k)
        for (std::size_t i = 0; i < width; ++i)
          rows(static_cast<Eigen::Index>(v), static_cast<Eigen::Index>(i)) +=
              u[v * rank + k] * c[k * width + i];
    Doubles found = product(hidden, transposed(rows));
    for (Eigen::Index n = 0; n < found.rows(); ++n)
      for (Eigen::Index v = 0; v < found.cols(); ++v) found(n, v) += bias[static_cast<std::size_t>(v)];
    return found;
  }

  /// The mean of log sum exp(logits) - logit of the target.
  double cross_entropy(const Doubles& hidden, const std::vector<kronecker::TokenId>& targets) const {
    const Doubles all = logits(hidden);
    double sum = 0;
    for (Eigen::Index n = 0; n < all.rows(); ++n) {
      double exponentials = 0;
      for (Eigen::Index v = 0; v < all.cols(); ++v) exponentials += std::exp(all(n, v));
      sum += std::log(exponentials) - all(n, targets[static_cast<std::size_t>(n)]);
    }
    return sum / static_cast<double>(all.rows());
  }
};

}  // namespace test_support
