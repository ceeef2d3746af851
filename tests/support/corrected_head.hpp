#pragma once

/// A small corrected head, and what it is by definition, in double.

#include "matrices.hpp"

#include <kronecker/embedding.hpp>
#include <kronecker/head_correction.hpp>

#include <algorithm>
#include <cmath>
#include <random>
#include <span>
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
inline kronecker::KroneckerEmbedding<float> corrected_embedding(kronecker::CodeOptions options = {}) {
  const kronecker::KroneckerEncoder<256, 8> encoder(options);
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

  /// (V, k) and (k, d_model).
  Doubles token_factors() const { return matrix(sizes.token_factors(all()), sizes.vocab_size, sizes.rank); }
  Doubles state_factors() const { return matrix(sizes.state_factors(all()), sizes.rank, sizes.d_model); }

  /// (V, d_model): those of the dense head with the same logits.
  Doubles rows() const { return table + product(token_factors(), state_factors()); }

  /// (N, V)
  Doubles logits(const Doubles& hidden) const {
    Doubles found = product(hidden, transposed(rows()));
    const std::span<const double> bias = sizes.bias(all());
    for (Eigen::Index n = 0; n < found.rows(); ++n)
      for (Eigen::Index v = 0; v < found.cols(); ++v) found(n, v) += bias[static_cast<std::size_t>(v)];
    return found;
  }

  /// The mean of log sum exp(logits) - logit of the target.
  double cross_entropy(const Doubles& hidden, const std::vector<kronecker::TokenId>& targets) const {
    const Doubles found = logits(hidden);
    double sum = 0;
    for (Eigen::Index n = 0; n < found.rows(); ++n) {
      double exponentials = 0;
      for (Eigen::Index v = 0; v < found.cols(); ++v) exponentials += std::exp(found(n, v));
      sum += std::log(exponentials) - found(n, targets[static_cast<std::size_t>(n)]);
    }
    return sum / static_cast<double>(found.rows());
  }

  /// (N, V): its gradient with respect to the logits, (softmax - 1 at the target) / N.
  Doubles grad_logits(const Doubles& hidden, const std::vector<kronecker::TokenId>& targets) const {
    Doubles slopes = logits(hidden);
    for (Eigen::Index n = 0; n < slopes.rows(); ++n) {
      double sum = 0;
      for (Eigen::Index v = 0; v < slopes.cols(); ++v) sum += std::exp(slopes(n, v));
      for (Eigen::Index v = 0; v < slopes.cols(); ++v) {
        const double hit = v == targets[static_cast<std::size_t>(n)] ? 1 : 0;
        slopes(n, v) = (std::exp(slopes(n, v)) / sum - hit) / static_cast<double>(slopes.rows());
      }
    }
    return slopes;
  }

 private:
  std::span<const double> all() const { return factors; }
  static Doubles matrix(std::span<const double> values, Eigen::Index rows, Eigen::Index columns) {
    Doubles made(rows, columns);
    std::copy(values.begin(), values.end(), made.data());
    return made;
  }
};

}  // namespace test_support
