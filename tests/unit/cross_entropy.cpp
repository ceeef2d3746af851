#include "catch.hpp"
#include "corrected_head.hpp"
#include "matrices.hpp"

#include <kronecker/head.hpp>
#include <kronecker/training/training.hpp>

#include <functional>
#include <limits>
#include <numeric>

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

}  // namespace

TEST_CASE("the loss without logits, and its gradients, are those of the dense head in double") {
  const auto embedding = corrected_embedding();
  const KroneckerHead head(embedding);
  for (const int rank : {0, 3})
    for (const Eigen::Index count : {1, 7}) {
      INFO("rank " << rank << ", " << count << " hidden states");
      const HeadCorrection correction = random_correction(rank);
      const RowMajorMatrix<float> hidden = test_support::random_matrix(count, 10, 2);
      const std::vector<TokenId> targets = some_targets(static_cast<std::size_t>(count));
      DenseHead dense(embedding.table(), correction);
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
                        central_difference(dense.table(row == 0 ? 3 : 77, i), loss)));

      // The table is linear in the projection: along a direction it changes by the direction's own table.
      const auto direction = kronecker::LearnedProjection::normal(10, embedding.encoder().code_dim(), 9);
      const kronecker::KroneckerEmbedding<float> along(
          embedding.encoder(), kronecker::Vocabulary(test_support::corrected_tokens()), direction);
      Doubles change = test_support::doubles(along.table());
      change.row(3).setZero(), change.row(77).setZero();
      const Doubles table = dense.table;
      double distance = 0;
      const double expected = central_difference(distance, [&] {
        dense.table = table + distance * change;
        return loss();
      });
      const Doubles slopes = test_support::doubles(projection.to_torch()),
                    weights = test_support::doubles(direction.to_torch());
      CHECK(is_near(static_cast<float>(slopes.cwiseProduct(weights).sum()), expected));
    }
}

TEST_CASE("the loss of many hidden states, and its gradients, are those that their logits give") {
  const auto embedding = corrected_embedding();
  const KroneckerHead head(embedding);
  const HeadCorrection correction = random_correction(3);
  const RowMajorMatrix<float> hidden = 3 * test_support::random_matrix(150, 10, 2);
  const std::vector<TokenId> targets = some_targets(150);
  for (const HeadCorrection* corrected : {static_cast<const HeadCorrection*>(nullptr), &correction}) {
    RowMajorMatrix<float> logits(150, 130), grad_logits(150, 130);
    head.logits(embedding, hidden, logits, corrected);
    double expected = 0;
    for (Eigen::Index n = 0; n < 150; ++n) {
      const Eigen::Index target = targets[static_cast<std::size_t>(n)];
      double sum = 0;
      for (Eigen::Index v = 0; v < 130; ++v) sum += std::exp(static_cast<double>(logits(n, v)));
      expected += (std::log(sum) - static_cast<double>(logits(n, target))) / 150;
      for (Eigen::Index v = 0; v < 130; ++v)
        grad_logits(n, v) = static_cast<float>(
            (std::exp(static_cast<double>(logits(n, v))) / sum - (v == target ? 1 : 0)) / 300);
    }
    ProjectionGradient of_logits(embedding), found(embedding);
    HeadCorrectionGradient correction_of_logits(correction), correction_found(correction);
    RowMajorMatrix<float> hidden_of_logits = RowMajorMatrix<float>::Zero(150, 10),
                          hidden_found = hidden_of_logits;
    kronecker::accumulate_gradient(head, embedding, hidden, grad_logits, of_logits, hidden_of_logits);
    if (corrected != nullptr)
      kronecker::accumulate_gradient(*corrected, hidden, grad_logits, correction_of_logits, hidden_of_logits);
    const double loss = kronecker::accumulate_cross_entropy(
        {head, embedding, corrected}, hidden, targets,
        {found, hidden_found, corrected != nullptr ? &correction_found : nullptr}, 0.5f);
    CHECK(std::abs(loss - expected) <= 1e-6 * expected);
    CHECK(test_support::max_difference(hidden_found, hidden_of_logits) <= 1e-6);
    for (std::size_t i = 0; i < found.all().size(); ++i)
      CHECK(is_near(found.all()[i], static_cast<double>(of_logits.all()[i])));
    for (std::size_t i = 0; i < correction_found.all().size(); ++i)
      CHECK(is_near(correction_found.all()[i], static_cast<double>(correction_of_logits.all()[i])));
  }
  CHECK(kronecker::cross_entropy({head, embedding}, Eigen::VectorXf(), {}) == 0);
}

TEST_CASE("AdamW and SGD change a correction by the rules that they are named for") {
  const HeadCorrection start = random_correction(2);
  HeadCorrectionGradient gradient(start);
  for (std::size_t i = 0; i < gradient.all().size(); ++i) gradient.all()[i] = static_cast<float>(i % 5) - 2;
  HeadCorrection by_adamw = start, by_sgd = start;
  kronecker::AdamW adamw(start, {.learning_rate = 0.01f, .weight_decay = 0.1f});
  kronecker::Sgd sgd(start, {.learning_rate = 0.01f, .momentum = 0.5f});
  adamw.step(by_adamw, gradient);
  for (int step = 0; step < 2; ++step) sgd.step(by_sgd, gradient);
  for (std::size_t i = 0; i < gradient.all().size(); ++i) {
    const double weight = static_cast<double>(start.all()[i]), slope = static_cast<double>(gradient.all()[i]);
    // The first step of AdamW is one of the learning rate against the slope's sign.
    const double sign = slope > 0 ? 1 : slope < 0 ? -1 : 0;
    CHECK(is_near(by_adamw.all()[i], weight * (1 - 0.01 * 0.1) - 0.01 * sign));
    CHECK(is_near(by_sgd.all()[i], weight - 0.01 * (slope + 1.5 * slope)));
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
