#include "catch.hpp"

#include <kronecker/rows.hpp>

#include <limits>

using kronecker::LearnedProjection;
using kronecker::RowMajorMatrix;

TEST_CASE("centering subtracts the mean of all cells from every cell") {
  const RowMajorMatrix<float> weight = RowMajorMatrix<float>::Random(7, 512);
  const auto centered = kronecker::detail::centered(LearnedProjection::from_torch(weight)).to_torch();
  const Eigen::MatrixXd expected = weight.cast<double>().colwise() - weight.cast<double>().rowwise().mean();
  CHECK((centered.cast<double>() - expected).cwiseAbs().maxCoeff<Eigen::PropagateNaN>() <
        6.1e-8);  // half a unit of a float below 2
  CHECK(centered.cast<double>().rowwise().mean().cwiseAbs().maxCoeff<Eigen::PropagateNaN>() < 6.1e-8);
}

TEST_CASE("a weight that is not a number is named by its place") {
  RowMajorMatrix<float> weight = RowMajorMatrix<float>::Zero(3, 8);
  CHECK_NOTHROW(kronecker::detail::check_finite(LearnedProjection::from_torch(weight), "weight"));
  weight(2, 5) = std::numeric_limits<float>::quiet_NaN();
  CHECK(message_of<std::invalid_argument>([&] {
          kronecker::detail::check_finite(LearnedProjection::from_torch(weight), "weight");
        }).starts_with("weight (2, 5) is "));
  weight(2, 5) = -std::numeric_limits<float>::infinity();
  CHECK(message_of<std::invalid_argument>([&] {
          kronecker::detail::check_finite(LearnedProjection::from_torch(weight), "weight");
        }) == "weight (2, 5) is -inf: weights must be finite");
}
