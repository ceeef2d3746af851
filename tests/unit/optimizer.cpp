#include "golden_embedding.hpp"
#include "matrices.hpp"

#include <kronecker/training/training.hpp>

#include <cstring>
#include <limits>

using kronecker::AdamW;
using kronecker::AdamWOptions;
using kronecker::KroneckerEmbedding;
using kronecker::LearnedProjection;
using kronecker::ProjectionGradient;
using kronecker::RowMajorMatrix;
using kronecker::Sgd;
using kronecker::SgdOptions;
using kronecker::TokenId;
using test_support::doubles;
using test_support::golden_embedding;
using test_support::golden_json;
using test_support::golden_matrix;
using test_support::largest_of;
using test_support::max_difference;

namespace {

/// One batch of the golden training: the loss, and its gradient added to `gradient`.
double accumulate_loss(const KroneckerEmbedding<>& embedding, std::span<const TokenId> ids,
                       const RowMajorMatrix<float>& targets, ProjectionGradient& gradient) {
  RowMajorMatrix<float> difference = embedding.forward(ids);
  for (std::size_t i = 0; i < ids.size(); ++i)
    difference.row(static_cast<Eigen::Index>(i)) -= targets.row(ids[i]);
  const RowMajorMatrix<float> grad_out = 2 * difference;
  kronecker::accumulate_gradient(embedding, ids, grad_out, gradient);
  return difference.cast<double>().squaredNorm();
}

}  // namespace

TEST_CASE("24 steps of AdamW are the reference's") {
  const auto golden = golden_json("emb_d8_p8_adamw.json");
  const auto ids = kronecker::read_npy<std::int32_t>(test_support::golden_path("emb_d8_p8_adamw_ids.npy"));
  const RowMajorMatrix<float> targets = golden_matrix("emb_d8_p8_adamw_targets.npy");
  auto embedding = golden_embedding({});
  AdamW optimizer(
      embedding,
      {.learning_rate = 1e-3f, .beta1 = 0.9f, .beta2 = 0.95f, .epsilon = 1e-8f, .weight_decay = 0.1f});
  ProjectionGradient gradient(embedding);
  const std::size_t batch = ids.shape[1];
  for (std::size_t step = 0; step < ids.shape[0]; ++step) {
    gradient.clear();
    const double loss =
        accumulate_loss(embedding, std::span(ids.values).subspan(step * batch, batch), targets, gradient);
    const auto expected = golden["losses"][step].get<double>();
    INFO("step " << step);
    CHECK(std::abs(loss - expected) <= 1e-5 * expected);
    optimizer.step(embedding, gradient);
    for (const std::size_t shown : {1u, 4u, 12u, 24u})
      if (step + 1 == shown)
        CHECK(max_difference(embedding.table(), golden_matrix("emb_d8_p8_adamw_table_after_" +
                                                              std::to_string(shown) + ".npy")) <= 5e-4);
  }
  CHECK(optimizer.steps() == 24);
}

TEST_CASE("steps keep the mean of all rows at zero, and leave copies and the learned projection alone") {
  auto embedding = golden_embedding({});
  const auto copy = embedding;
  const RowMajorMatrix<float> table = copy.table();
  ProjectionGradient gradient(embedding);
  accumulate_loss(embedding, std::vector<TokenId>{1, 2, 3}, RowMajorMatrix<float>::Ones(64, 8), gradient);
  AdamW adam(embedding);
  Sgd sgd(embedding, {.learning_rate = 0.1f, .momentum = 0.9f, .weight_decay = 0.01f});
  for (int step = 0; step < 5; ++step) {
    adam.step(embedding, gradient);
    sgd.step(embedding, gradient);
    CHECK(largest_of(doubles(embedding.projection().to_torch()).rowwise().mean()) < 1e-8);
  }
  CHECK(copy.table() == table);
  CHECK(embedding.table() != table);
}

TEST_CASE("gradient descent is what it says") {
  const RowMajorMatrix<float> weight = RowMajorMatrix<float>::Random(2, 8);
  KroneckerEmbedding embedding(
      kronecker::KroneckerEncoder(4, 2, {.length_normalize = false, .z_normalize = false}),
      kronecker::Vocabulary({"\1"}), LearnedProjection::from_torch(weight));
  ProjectionGradient gradient(embedding);
  const std::vector<float> grad_out = {1, -2};
  kronecker::accumulate_gradient(embedding, std::vector<TokenId>{0}, grad_out, gradient);
  Sgd optimizer(embedding, {.learning_rate = 0.5f, .momentum = 0.25f});
  optimizer.step(embedding, gradient);
  optimizer.step(embedding, gradient);
  const Eigen::Vector2f moved = embedding.projection().to_torch().col(2) - weight.col(2);
  CHECK((moved - Eigen::Vector2f(-0.5f * 2.25f, 1.0f * 2.25f)).norm() < 1e-6f);  // 1 + (0.25 + 1) gradients
  CHECK(embedding.projection().to_torch().col(0) == weight.col(0));
}

TEST_CASE("a gradient is clipped to a norm, and scaled") {
  const auto embedding = golden_embedding({});
  ProjectionGradient gradient(embedding);
  accumulate_loss(embedding, std::vector<TokenId>{1, 2, 3}, RowMajorMatrix<float>::Ones(64, 8), gradient);
  const double norm = doubles(gradient.to_torch()).norm();
  CHECK(std::abs(gradient.norm() - norm) < 1e-6 * norm);
  CHECK(std::abs(kronecker::clip_norm(gradient, norm / 4) - norm) < 1e-6 * norm);
  CHECK(std::abs(gradient.norm() - norm / 4) < 1e-6 * norm);
  CHECK(std::abs(kronecker::clip_norm(gradient, norm) - norm / 4) < 1e-6 * norm);
  CHECK(std::abs(gradient.norm() - norm / 4) < 1e-6 * norm);
  CHECK(message_of<std::invalid_argument>([&] { kronecker::clip_norm(gradient, 0); }) ==
        "the largest norm 0 is not positive");
}

TEST_CASE("norms of a projection and of its outputs are watched") {
  const auto embedding = golden_embedding({});
  CHECK(std::abs(kronecker::projection_norm(embedding) - doubles(embedding.projection().to_torch()).norm()) <
        1e-9);
  const std::vector<TokenId> ids = {1, 5};
  const double expected =
      (doubles(embedding.forward({1})).norm() + doubles(embedding.forward({5})).norm()) / 2;
  CHECK(std::abs(kronecker::mean_output_norm(embedding, ids) - expected) < 1e-9);
  CHECK(kronecker::mean_output_norm(embedding, {}) == 0);
}

TEST_CASE("bad settings and bad gradients are refused, and change nothing") {
  auto embedding = golden_embedding({});
  const RowMajorMatrix<float> table = embedding.table();
  CHECK(message_of<std::invalid_argument>([&] { AdamW(embedding, AdamWOptions{.learning_rate = -1}); }) ==
        "learning_rate -1 is not in [0, 3e+38)");
  CHECK(message_of<std::invalid_argument>([&] { AdamW(embedding, AdamWOptions{.beta2 = 1}); }) ==
        "beta2 1 is not in [0, 1)");
  CHECK(message_of<std::invalid_argument>([&] { Sgd(embedding, SgdOptions{.momentum = 1}); }) ==
        "momentum 1 is not in [0, 1)");
  CHECK(message_of<std::invalid_argument>([&] { AdamW(embedding, AdamWOptions{.epsilon = 0}); }) ==
        "epsilon 0 would divide by zero where a gradient always was zero");
  ProjectionGradient gradient(embedding);
  gradient.values()[11] = std::numeric_limits<float>::quiet_NaN();
  AdamW optimizer(embedding);
  CHECK(message_of<std::invalid_argument>([&] {
          optimizer.step(embedding, gradient);
        }).starts_with("gradient (3, 1) is "));
  ProjectionGradient other(8, 1024, true);
  CHECK(message_of<std::invalid_argument>([&] { optimizer.step(embedding, other); }) ==
        "an optimizer of 16384 weights does not fit a gradient of 8192");
  CHECK(optimizer.steps() == 0);
  CHECK(embedding.table() == table);
}

TEST_CASE("an optimizer that was stopped goes on with the same bits") {
  const auto start = golden_embedding({});
  ProjectionGradient gradient(start);
  accumulate_loss(start, std::vector<TokenId>{1, 2, 3}, RowMajorMatrix<float>::Ones(64, 8), gradient);
  const auto check = [&](auto whole, auto restore) {
    auto embedding = start;
    for (int step = 0; step < 4; ++step) whole.step(embedding, gradient);
    auto restored_embedding = embedding;
    decltype(whole) restored(restored_embedding, whole.options());
    restore(restored, whole);
    CHECK(restored.steps() == 4);
    for (int step = 0; step < 3; ++step) {
      whole.step(embedding, gradient);
      restored.step(restored_embedding, gradient);
    }
    CHECK(restored_embedding.projection().to_torch() == embedding.projection().to_torch());
  };
  check(AdamW(start, {.weight_decay = 0.1f}), [](AdamW& restored, const AdamW& saved) {
    restored.restore(saved.steps(), saved.means(), saved.squares());
  });
  check(Sgd(start, {.momentum = 0.9f}),
        [](Sgd& restored, const Sgd& saved) { restored.restore(saved.steps(), saved.velocity()); });
}

TEST_CASE("a state that is none is refused, and changes nothing") {
  const auto embedding = golden_embedding({});
  AdamW optimizer(embedding);
  std::vector<float> means(optimizer.means().size(), 1.0f), squares = means;
  CHECK(message_of<std::invalid_argument>([&] { optimizer.restore(-1, means, squares); }) ==
        "an optimizer cannot have made -1 steps");
  CHECK(message_of<std::invalid_argument>([&] {
          optimizer.restore(1, means, std::span(squares).first(5));
        }) == "a state of 5 numbers does not fit the optimizer of 16384 weights");
  squares[3] = -1;
  CHECK(message_of<std::invalid_argument>([&] { optimizer.restore(1, means, squares); }) ==
        "the state has the number -1 for weight 3");
  CHECK(optimizer.steps() == 0);
  CHECK(optimizer.means()[0] == 0);
}

TEST_CASE("moments that have decayed below the normal numbers are zero") {
  auto embedding = golden_embedding({.z_normalize = false});
  AdamW optimizer(embedding, {.beta1 = 0.5f, .beta2 = 0.5f});
  ProjectionGradient gradient(embedding);
  for (float& value : gradient.values()) value = 1e-18f;
  optimizer.step(embedding, gradient);
  gradient.clear();
  for (int step = 0; step < 80; ++step) optimizer.step(embedding, gradient);
  CHECK(optimizer.means()[5] == 0);
  CHECK(optimizer.squares()[5] == 0);
  CHECK(embedding.table().allFinite());
}
