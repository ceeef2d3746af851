#include "catch.hpp"
#include "corrected_head.hpp"
#include "matrices.hpp"

#include <kronecker/head.hpp>
#include <kronecker/training/training.hpp>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>
#include <span>
#include <vector>

using kronecker::HeadCorrection;
using kronecker::HeadCorrectionGradient;
using kronecker::KroneckerHead;
using kronecker::ProjectionGradient;
using kronecker::RowMajorMatrix;
using kronecker::TokenId;
using test_support::corrected_embedding;
using test_support::DenseHead;
using test_support::Doubles;
using test_support::random_correction;

namespace {

std::vector<TokenId> some_targets(std::size_t count) {
  std::vector<TokenId> targets(count);
  for (std::size_t n = 0; n < count; ++n) targets[n] = static_cast<TokenId>(n * 77 % 130);
  return targets;
}

/// (f(x + step) - f(x - step)) / (2 step)
double central_difference(double& x, const std::function<double()>& f) {
  constexpr double step = 1e-5;
  const double held = x;
  x = held + step;
  const double above = f();
  x = held - step;
  const double below = f();
  x = held;
  return (above - below) / (2 * step);
}

bool is_near(float found, double expected) {
  return std::abs(static_cast<double>(found) - expected) <= 1e-5 * (1 + std::abs(expected));
}

bool are_near(std::span<const float> found, const Doubles& expected) {
  return std::equal(found.begin(), found.end(), expected.data(), expected.data() + expected.size(), is_near);
}

}  // namespace

TEST_CASE("the gradients of a loss without logits are central differences of the dense head's in double") {
  const auto embedding = corrected_embedding();
  for (const int rank : {0, 3})
    for (const Eigen::Index count : {1, 7}) {
      const double gain = rank == 0 ? 1 : 0.5;
      const KroneckerHead head(embedding, static_cast<float>(gain));
      INFO("rank " << rank << ", " << count << " hidden states");
      const HeadCorrection correction = random_correction(rank);
      const RowMajorMatrix<float> hidden = test_support::random_matrix(count, 10, 2);
      const std::vector<TokenId> targets = some_targets(static_cast<std::size_t>(count));
      DenseHead dense(static_cast<float>(gain) * embedding.table(), correction);
      Doubles states = test_support::doubles(hidden);
      const auto loss = [&] { return dense.cross_entropy(states, targets); };

      ProjectionGradient projection(embedding);
      HeadCorrectionGradient found(correction);
      RowMajorMatrix<float> grad_hidden = RowMajorMatrix<float>::Zero(count, 10);
      const double value = kronecker::accumulate_cross_entropy({head, embedding, &correction}, hidden,
                                                               targets, {projection, grad_hidden, &found});
      CHECK(std::abs(value - loss()) <= 3e-6 * loss());
      CHECK(kronecker::cross_entropy({head, embedding, &correction}, hidden, targets) == value);

      for (std::size_t i = 0; i < dense.factors.size(); ++i)
        CHECK(is_near(found.all()[i], central_difference(dense.factors[i], loss)));
      for (Eigen::Index i = 0; i < states.size(); ++i)
        CHECK(is_near(grad_hidden.data()[i], central_difference(states.data()[i], loss)));
      for (Eigen::Index row = 0; row < 2; ++row)
        for (Eigen::Index i = 0; i < 10; ++i)
          CHECK(is_near(projection.own_rows()[static_cast<std::size_t>(row * 10 + i)],
                        gain * central_difference(dense.table(row == 0 ? 3 : 77, i), loss)));

      // The table is linear in the projection: along a direction it changes by the direction's own table.
      const auto direction = kronecker::LearnedProjection::normal(10, embedding.encoder().code_dim(), 9);
      const kronecker::KroneckerEmbedding<float> along(
          embedding.encoder(), kronecker::Vocabulary(test_support::corrected_tokens()), direction);
      Doubles change = test_support::doubles(along.table());
      change.row(3).setZero(), change.row(77).setZero();
      const Doubles table = dense.table;
      double distance = 0;
      const double expected = central_difference(distance, [&] {
        dense.table = table + distance * gain * change;
        return loss();
      });
      const Doubles slopes = test_support::doubles(projection.to_torch()),
                    weights = test_support::doubles(direction.to_torch());
      CHECK(is_near(static_cast<float>(slopes.cwiseProduct(weights).sum()), expected));
    }
}

TEST_CASE("the loss without logits, and its gradients, are those of all N x V logits in double") {
  const auto embedding = corrected_embedding();
  const KroneckerHead head(embedding);
  const HeadCorrection correction = random_correction(3);
  std::vector<TokenId> ids(130);
  std::iota(ids.begin(), ids.end(), 0);
  for (const Eigen::Index count : {64, 65, 150}) {
    INFO(count << " hidden states");
    const RowMajorMatrix<float> hidden = 3 * test_support::random_matrix(count, 10, 2);
    const std::vector<TokenId> targets = some_targets(static_cast<std::size_t>(count));
    const DenseHead dense(embedding.table(), correction);
    const Doubles states = test_support::doubles(hidden);
    const Doubles slopes = 0.5 * dense.grad_logits(states, targets),
                  of_tokens = test_support::transposed(slopes);
    const Doubles grad_products = test_support::product(slopes, dense.token_factors());

    ProjectionGradient projection(embedding);
    HeadCorrectionGradient found(correction);
    RowMajorMatrix<float> grad_hidden = RowMajorMatrix<float>::Zero(count, 10);
    const double loss = kronecker::accumulate_cross_entropy({head, embedding, &correction}, hidden, targets,
                                                            {projection, grad_hidden, &found}, 0.5f);
    const double expected = dense.cross_entropy(states, targets);
    CHECK(std::abs(loss - expected) <= 1e-6 * expected);
    CHECK(test_support::max_difference(grad_hidden, test_support::product(slopes, dense.rows())) <= 1e-6);
    for (TokenId id = 0; id < 130; ++id)
      CHECK(is_near(found.bias()[static_cast<std::size_t>(id)], slopes.col(id).sum()));
    const Doubles of_u = test_support::product(
        of_tokens, test_support::product(states, test_support::transposed(dense.state_factors())));
    CHECK(are_near(found.token_factors(), of_u));
    CHECK(are_near(found.state_factors(),
                   test_support::product(test_support::transposed(grad_products), states)));

    // The projection's is what the embedding of all tokens passes on of the gradient of their rows.
    ProjectionGradient of_embedding(embedding);
    const RowMajorMatrix<float> of_rows = test_support::product(of_tokens, states).cast<float>();
    kronecker::accumulate_gradient(embedding, ids, of_rows, of_embedding);
    CHECK(test_support::max_difference(projection.to_torch(), of_embedding.to_torch()) <= 1e-5);
    for (std::size_t i = 0; i < 20; ++i)
      CHECK(is_near(projection.own_rows()[i], static_cast<double>(of_embedding.own_rows()[i])));

    // The same from the gradient of the logits.
    HeadCorrectionGradient by_logits(correction);
    RowMajorMatrix<float> corrected_hidden = RowMajorMatrix<float>::Zero(count, 10);
    const RowMajorMatrix<float> grad_logits = slopes.cast<float>();
    kronecker::accumulate_gradient(correction, hidden, grad_logits, by_logits, corrected_hidden);
    for (std::size_t i = 0; i < found.all().size(); ++i)
      CHECK(is_near(by_logits.all()[i], static_cast<double>(found.all()[i])));
    CHECK(test_support::max_difference(corrected_hidden,
                                       test_support::product(grad_products, dense.state_factors())) <= 1e-6);
  }
}

TEST_CASE("without a correction the loss is the additive head's, and of no hidden states it is 0") {
  const auto embedding = corrected_embedding();
  const KroneckerHead head(embedding);
  const HeadCorrection none = HeadCorrection::make(
      {130, 10, 0}, [](std::span<float> all) { std::fill(all.begin(), all.end(), 0.0f); });
  const RowMajorMatrix<float> hidden = test_support::random_matrix(70, 10, 2);
  const std::vector<TokenId> targets = some_targets(70);
  const double expected =
      DenseHead(embedding.table(), none).cross_entropy(test_support::doubles(hidden), targets);
  ProjectionGradient projection(embedding), corrected(embedding);
  HeadCorrectionGradient of_none(none);
  RowMajorMatrix<float> grad_hidden = RowMajorMatrix<float>::Zero(70, 10), corrected_hidden = grad_hidden;
  const double loss =
      kronecker::accumulate_cross_entropy({head, embedding}, hidden, targets, {projection, grad_hidden});
  CHECK(std::abs(loss - expected) <= 1e-6 * expected);
  CHECK(kronecker::accumulate_cross_entropy({head, embedding, &none}, hidden, targets,
                                            {corrected, corrected_hidden, &of_none}) == loss);
  CHECK(grad_hidden == corrected_hidden);
  CHECK(test_support::equal_numbers(projection.all(), corrected.all()));

  projection.clear();
  CHECK(kronecker::cross_entropy({head, embedding}, Eigen::VectorXf(), {}) == 0);
  CHECK(kronecker::accumulate_cross_entropy({head, embedding}, Eigen::VectorXf(), {},
                                            {projection, std::span<float>()}) == 0);
  CHECK(projection.norm() == 0);
}

TEST_CASE("a loss of large logits does not overflow") {
  const auto embedding = corrected_embedding();
  const auto correction = HeadCorrection::make({130, 10, 0}, [](std::span<float> all) {
    for (std::size_t id = 0; id < all.size(); ++id) all[id] = static_cast<float>(id) * 100 - 6500;
  });
  const RowMajorMatrix<float> hidden = RowMajorMatrix<float>::Zero(2, 10);
  // log sum exp of numbers 100 apart is the largest, 6400.
  CHECK(kronecker::cross_entropy({KroneckerHead(embedding), embedding, &correction}, hidden, {129, 0}) ==
        6450);
}

TEST_CASE("AdamW and SGD change a correction by the rules that they are named for") {
  const HeadCorrection start = random_correction(2);
  HeadCorrectionGradient gradient(start);
  HeadCorrection by_adamw = start, by_sgd = start;
  kronecker::AdamW adamw(start, {.learning_rate = 0.01f, .weight_decay = 0.1f});
  kronecker::Sgd sgd(start, {.learning_rate = 0.01f, .momentum = 0.5f, .weight_decay = 0.1f});
  const std::size_t count = start.all().size();
  std::vector<double> adamw_weights(start.all().begin(), start.all().end()), sgd_weights = adamw_weights;
  std::vector<double> means(count), squares(count), velocity(count);
  for (int step = 1; step <= 3; ++step) {
    for (std::size_t i = 0; i < count; ++i) {
      gradient.all()[i] = static_cast<float>((i + static_cast<std::size_t>(step) * 3) % 5) - 2;
      const auto slope = static_cast<double>(gradient.all()[i]);
      means[i] = 0.9 * means[i] + 0.1 * slope;
      squares[i] = 0.999 * squares[i] + 0.001 * slope * slope;
      const double mean = means[i] / (1 - std::pow(0.9, step)),
                   square = squares[i] / (1 - std::pow(0.999, step));
      adamw_weights[i] += -0.01 * 0.1 * adamw_weights[i] - 0.01 * mean / (std::sqrt(square) + 1e-8);
      velocity[i] = 0.5 * velocity[i] + slope + 0.1 * sgd_weights[i];
      sgd_weights[i] -= 0.01 * velocity[i];
    }
    adamw.step(by_adamw, gradient);
    sgd.step(by_sgd, gradient);
  }
  for (std::size_t i = 0; i < count; ++i) {
    CHECK(is_near(by_adamw.all()[i], adamw_weights[i]));
    CHECK(is_near(by_sgd.all()[i], sgd_weights[i]));
  }
  gradient.all()[200] = std::numeric_limits<float>::quiet_NaN();
  const HeadCorrection before = by_adamw;
  CHECK(message_of<std::invalid_argument>([&] { adamw.step(by_adamw, gradient); }) ==
        "number 200 of the gradient of a correction is nan: it must be finite");
  CHECK(test_support::equal_numbers(by_adamw.all(), before.all()));
  HeadCorrection other = random_correction(3);
  CHECK(message_of<std::invalid_argument>([&] { sgd.step(other, HeadCorrectionGradient(other)); }) ==
        "an optimizer of 410 weights does not fit a gradient of 550");
}

TEST_CASE("what does not fit a loss is refused, and nothing is added") {
  const auto embedding = corrected_embedding();
  const KroneckerHead head(embedding);
  const HeadCorrection correction = random_correction(2);
  const auto hidden = test_support::random_matrix(2, 10, 2);
  const std::vector<TokenId> outside = {5, 130};
  CHECK(message_of<std::out_of_range>([&] {
          kronecker::cross_entropy({head, embedding}, hidden, outside);
        }) == "token id 130 at index 1 is outside the vocabulary of 130 tokens");
  CHECK(message_of<std::invalid_argument>([&] {
          kronecker::cross_entropy({head, embedding}, hidden, {"a", 4});
        }) == "the targets of a loss are token ids");
  ProjectionGradient gradient(embedding);
  std::vector<float> grad_hidden(20);
  CHECK(message_of<std::invalid_argument>([&] {
          kronecker::accumulate_cross_entropy({head, embedding, &correction}, hidden, {1, 2},
                                              {gradient, grad_hidden});
        }) == "a head with a correction, and a gradient for none");
  CHECK(gradient.norm() == 0);
}
