#include "golden.hpp"
#include "matrices.hpp"

#include <kronecker/projection.hpp>

#include <cmath>
#include <limits>

using kronecker::LearnedProjection;
using kronecker::RowMajorMatrix;
using test_support::same_bits;

namespace {

struct Statistics {
  double mean, deviation, least, most;
};

Statistics statistics_of(const LearnedProjection& projection) {
  const Eigen::VectorXd weights =
      Eigen::Map<const Eigen::VectorXf>(projection.weights().data(),
                                        static_cast<Eigen::Index>(projection.weights().size()))
          .cast<double>();
  const double mean = weights.mean();
  return {mean, std::sqrt((weights.array() - mean).square().mean()), weights.minCoeff(), weights.maxCoeff()};
}

}  // namespace

TEST_CASE("initial weights have the statistics of the reference's") {
  const auto goldens = test_support::golden_json("init.json");
  CHECK(goldens.size() > 4);
  for (const auto& golden : goldens) {
    const int d_model = golden["d_model"], code_dim = golden["D"];
    const bool is_normal = golden["init"] == "normal";
    const auto projection = is_normal ? LearnedProjection::normal(d_model, code_dim, 99)
                                      : LearnedProjection::xavier(d_model, code_dim, 99);
    const auto [mean, deviation, least, most] = statistics_of(projection);
    const double expected = golden["expected_std"];
    const double count = static_cast<double>(projection.weights().size());
    INFO(golden["init"] << ", d_model " << d_model << ", D " << code_dim);
    CHECK(projection.weights().size() == golden["trainable_params"].get<std::size_t>());
    // Five standard errors: of a mean, and of a deviation (the fourth moment is 3 or 1.8).
    CHECK(std::abs(mean) < 5 * expected / std::sqrt(count));
    CHECK(std::abs(deviation / expected - 1) < 5 * std::sqrt((is_normal ? 0.5 : 0.2) / count));
    CHECK(std::abs(golden["std"].get<double>() / deviation - 1) <
          10 * std::sqrt((is_normal ? 0.5 : 0.2) / count));
    if (is_normal) {
      CHECK(most > 3 * expected);
      CHECK(least < -3 * expected);
    } else {
      const double bound = golden["bound"];
      CHECK((most <= bound * (1 + 1e-7) && most > bound * 0.999));
      CHECK((least >= -bound * (1 + 1e-7) && least < -bound * 0.999));
    }
  }
}

TEST_CASE("a seed decides the weights") {
  const auto a = LearnedProjection::normal(5, 32, 1).to_torch();
  CHECK(same_bits(a, LearnedProjection::normal(5, 32, 1).to_torch()));
  CHECK_FALSE(same_bits(a, LearnedProjection::normal(5, 32, 2).to_torch()));
  CHECK_FALSE(same_bits(LearnedProjection::xavier(5, 32, 1).to_torch(),
                        LearnedProjection::xavier(5, 32, 2).to_torch()));
}

TEST_CASE("weights go to PyTorch's layout and back bit for bit") {
  for (const auto& [d_model, code_dim] : {std::pair{1, 2}, {3, 64}, {33, 100}, {64, 64}, {70, 257}}) {
    RowMajorMatrix<float> weight = RowMajorMatrix<float>::Random(d_model, code_dim);
    weight(0, 0) = -0.0f;
    weight(0, code_dim - 1) = std::numeric_limits<float>::quiet_NaN();
    const auto projection = LearnedProjection::from_torch(weight);
    CHECK(projection.d_model() == d_model);
    CHECK(projection.code_dim() == code_dim);
    CHECK(same_bits(projection.to_torch(), weight));
    CHECK(projection.weights()[static_cast<std::size_t>(d_model) - 1] == weight(d_model - 1, 0));
  }
}

TEST_CASE("a column-major matrix and a part of a matrix are read as the matrices they are") {
  const Eigen::MatrixXf column_major = Eigen::MatrixXf::Random(6, 10);
  CHECK(LearnedProjection::from_torch(column_major).to_torch() == column_major);
  const RowMajorMatrix<float> whole = RowMajorMatrix<float>::Random(8, 20);
  CHECK(LearnedProjection::from_torch(whole.block(1, 2, 6, 10)).to_torch() == whole.block(1, 2, 6, 10));
}

TEST_CASE("a projection without rows or columns is refused") {
  CHECK(message_of<std::invalid_argument>([] { LearnedProjection::normal(0, 8, 1); }) ==
        "d_model 0 is not positive");
  CHECK(message_of<std::invalid_argument>([] { LearnedProjection::xavier(8, 0, 1); }) ==
        "code_dim 0 is not positive");
  CHECK(message_of<std::invalid_argument>([] { LearnedProjection::normal(-3, 8, 1); }) ==
        "d_model -3 is not positive");
  CHECK(message_of<std::invalid_argument>([] {
          LearnedProjection::from_torch(RowMajorMatrix<float>(0, 8));
        }) == "d_model 0 is not positive");
}

TEST_CASE("a projection is made of rows that fit its sizes, and shares them") {
  const auto rows = LearnedProjection::normal(4, 6, 1).weights();
  const LearnedProjection made = LearnedProjection::from_weights(4, 6, rows);
  CHECK(made.weights().data() == rows.data());
  CHECK(message_of<std::invalid_argument>([&] { LearnedProjection::from_weights(5, 6, rows); }) ==
        "24 weights are no projection of 5 x 6");
  CHECK(message_of<std::invalid_argument>([&] { LearnedProjection::from_weights(0, 6, rows); }) ==
        "24 weights are no projection of 0 x 6");
}
