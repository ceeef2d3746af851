#pragma once

/// Matrices of floats in tests: random ones, and how far apart two are.

#include <kronecker/types.hpp>

#include "catch.hpp"

#include <cstddef>
#include <cstring>
#include <random>
#include <span>
#include <vector>

namespace test_support {

using kronecker::RowMajorMatrix;

/// The largest difference of two matrices of the same shape; NaN if there is one.
template <class A, class B>
double max_difference(const A& a, const B& b) {
  REQUIRE(a.rows() == b.rows());
  REQUIRE(a.cols() == b.cols());
  return (a.template cast<double>() - b.template cast<double>())
      .cwiseAbs()
      .template maxCoeff<Eigen::PropagateNaN>();
}

inline bool same_bits(const RowMajorMatrix<float>& a, const RowMajorMatrix<float>& b) {
  return a.rows() == b.rows() && a.cols() == b.cols() &&
         std::memcmp(a.data(), b.data(), static_cast<std::size_t>(a.size()) * sizeof(float)) == 0;
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
