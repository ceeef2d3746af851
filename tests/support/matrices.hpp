#pragma once

/// Matrices in tests: random ones, products in double, and how far apart two are. These are ordinary
/// functions where they can be: Eigen's own are compiled again for every kind of expression that they are
/// given.

#include <kronecker/types.hpp>
#include <kronecker/views.hpp>

#include "catch.hpp"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <random>
#include <span>
#include <vector>

namespace test_support {

using kronecker::RowMajorMatrix;
using Doubles = RowMajorMatrix<double>;

template <class Matrix>
Doubles doubles(const Matrix& matrix) {
  return matrix.template cast<double>();
}

inline Doubles transposed(const Doubles& matrix) { return matrix.transpose(); }

inline Doubles product(const Doubles& a, const Doubles& b) {
  REQUIRE(a.cols() == b.rows());
  Doubles sums = Doubles::Zero(a.rows(), b.cols());
  for (Eigen::Index i = 0; i < a.rows(); ++i)
    for (Eigen::Index k = 0; k < a.cols(); ++k) {
      const double factor = a(i, k);
      for (Eigen::Index j = 0; j < b.cols(); ++j) sums(i, j) += factor * b(k, j);
    }
  return sums;
}

/// What an output head makes of hidden states and a table: hidden * table^T.
inline Doubles product_with_table(const RowMajorMatrix<float>& hidden, const RowMajorMatrix<float>& table) {
  return product(doubles(hidden), transposed(doubles(table)));
}

/// The largest magnitude; NaN if there is one.
inline double largest_of(const Doubles& matrix) { return matrix.cwiseAbs().maxCoeff<Eigen::PropagateNaN>(); }
template <class Matrix>
double largest_of(const Matrix& matrix) {
  return largest_of(doubles(matrix));
}

/// The largest difference of two matrices of the same shape; NaN if there is one.
inline double max_difference(const Doubles& a, const Doubles& b) {
  REQUIRE(a.rows() == b.rows());
  REQUIRE(a.cols() == b.cols());
  return largest_of(Doubles(a - b));
}
template <class A, class B>
double max_difference(const A& a, const B& b) {
  return max_difference(doubles(a), doubles(b));
}

/// A matrix or a vector of floats that lies in memory, without gaps.
struct Floats {
  const float* values;
  Eigen::Index rows, columns;

  template <kronecker::detail::EigenMemoryOf<float> Matrix>
  Floats(const Matrix& matrix) : values(matrix.data()), rows(matrix.rows()), columns(matrix.cols()) {
    kronecker::detail::gapless_size(matrix);
  }
};

inline bool same_bits(const Floats& a, const Floats& b) {
  return a.rows == b.rows && a.columns == b.columns &&
         std::memcmp(a.values, b.values, static_cast<std::size_t>(a.rows * a.columns) * sizeof(float)) == 0;
}

inline bool equal_numbers(std::span<const float> a, std::span<const float> b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end());
}

/// Normal numbers, deviation 1.
inline RowMajorMatrix<float> random_matrix(Eigen::Index rows, Eigen::Index columns, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  return RowMajorMatrix<float>::NullaryExpr(rows, columns, [&] { return normal(random); });
}

/// Uniform numbers from -1 to 1.
inline std::vector<float> random_floats(std::size_t count, std::mt19937& random) {
  std::uniform_real_distribution<float> numbers(-1, 1);
  std::vector<float> floats(count);
  for (float& value : floats) value = numbers(random);
  return floats;
}

}  // namespace test_support
