#pragma once

/// The definition of codes and embeddings (arXiv 2605.29459, section 3), evaluated as it is written, in
/// double: the oracle for everything that the library computes by shortcuts.

#include <kronecker/encoder.hpp>
#include <kronecker/types.hpp>

#include <cmath>
#include <string_view>

namespace test_support {

/// Code of `bytes`, none of which is truncated, in R^D.
inline Eigen::VectorXd code_by_definition(std::string_view bytes, int char_dim, int pos_dim,
                                          kronecker::CodeOptions options) {
  const Eigen::Index d = Eigen::Index{char_dim} * pos_dim;
  Eigen::VectorXd code = Eigen::VectorXd::Zero(d);
  if (bytes.empty()) return code;
  const double s = options.length_normalize ? 1 / std::sqrt(static_cast<double>(bytes.size())) : 1.0;
  for (std::size_t p = 0; p < bytes.size(); ++p)
    code[static_cast<unsigned char>(bytes[p]) * pos_dim + static_cast<int>(p)] += s;
  if (!options.z_normalize) return code;
  const double mean = code.mean();
  const double deviation = std::sqrt((code.array() - mean).square().sum() / static_cast<double>(d - 1));
  return (code.array() - mean) / (deviation + static_cast<double>(options.epsilon));
}

/// Embedding of `bytes`, W z, with W of shape (d_model, D).
inline Eigen::VectorXd embedding_by_definition(std::string_view bytes, int char_dim, int pos_dim,
                                               kronecker::CodeOptions options,
                                               const kronecker::RowMajorMatrix<float>& weight) {
  const Eigen::VectorXd code = code_by_definition(bytes, char_dim, pos_dim, options);
  Eigen::VectorXd embedding(weight.rows());
  for (Eigen::Index row = 0; row < weight.rows(); ++row) {
    double sum = 0;
    for (Eigen::Index cell = 0; cell < code.size(); ++cell)
      sum += static_cast<double>(weight(row, cell)) * code[cell];
    embedding[row] = sum;
  }
  return embedding;
}

}  // namespace test_support
