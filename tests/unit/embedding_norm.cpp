#include "golden_embedding.hpp"
#include "matrices.hpp"
#include "scratch.hpp"

#include <kronecker/embedding_norm.hpp>
#include <kronecker/files/model.hpp>
#include <kronecker/head.hpp>
#include <kronecker/training/training.hpp>

#include <limits>
#include <string>
#include <vector>

using kronecker::CodeOptions;
using kronecker::CodeRounding;
using kronecker::EmbeddingNorm;
using kronecker::KroneckerEmbedding;
using kronecker::KroneckerEncoder;
using kronecker::LearnedProjection;
using kronecker::ProjectionGradient;
using kronecker::RowMajorMatrix;
using kronecker::TokenId;
using kronecker::Vocabulary;
using test_support::doubles;
using test_support::golden_ids;
using test_support::golden_matrix;
using test_support::golden_path;
using test_support::largest_of;
using test_support::max_difference;
using test_support::product;
using test_support::product_with_table;
using test_support::transposed;

namespace {

constexpr CodeOptions production_code{.rounding = CodeRounding::bfloat16};

/// The production layer of the golden files `name`, before its norm. Its weights are bfloat16.
template <class Scalar>
KroneckerEmbedding<Scalar> production_layer(const std::string& name) {
  const KroneckerEmbedding<float> exact = test_support::golden_embedding({});
  const auto weight = golden_matrix(name + "_weight_bf16_as_f32.npy");
  return KroneckerEmbedding<Scalar>(
      KroneckerEncoder(256, 8, production_code), exact.token_bytes(),
      kronecker::ProjectionRows<Scalar>(LearnedProjection::from_torch(weight), false));
}

std::vector<float> norm_of(const std::string& name) {
  return kronecker::read_npy<float>(golden_path(name + "_norm.npy")).values;
}

/// The largest difference, relative to the largest number expected.
double relative_difference(const RowMajorMatrix<float>& found, const RowMajorMatrix<float>& expected) {
  return max_difference(found, expected) / largest_of(expected);
}

const std::vector<std::string> rounded_cases = {"rounded_d8_p8", "rounded_mean_d8_p8"};

}  // namespace

TEMPLATE_TEST_CASE("embeddings of rounded codes are the production layer's, before and after its norm", "",
                   float, Eigen::bfloat16) {
  for (const std::string& name : rounded_cases) {
    INFO(name);
    const auto layer = production_layer<TestType>(name);
    const auto normed = layer.with_norm(norm_of(name), 1e-6f);
    CHECK(relative_difference(layer.table(), golden_matrix(name + "_table.npy")) <= 2e-5);
    CHECK(relative_difference(normed.table(), golden_matrix(name + "_normed_table.npy")) <= 2e-5);
    CHECK(relative_difference(normed.forward(golden_ids()), golden_matrix(name + "_normed_out.npy")) <= 2e-5);
  }
}

TEST_CASE("the gradients of projection and norm are the production layer's") {
  for (const std::string& name : rounded_cases) {
    INFO(name);
    const auto embedding = production_layer<float>(name).with_norm(norm_of(name), 1e-6f);
    const auto grad_out = kronecker::read_npy<float>(golden_path("emb_d8_p8_G.npy")).values;
    ProjectionGradient gradient(embedding), in_parts(embedding);
    kronecker::accumulate_gradient(embedding, golden_ids(), grad_out, gradient);
    CHECK(relative_difference(gradient.to_torch(), golden_matrix(name + "_normed_grad_weight.npy")) <= 2e-5);
    const RowMajorMatrix<float> norm_gradient =
        Eigen::Map<const RowMajorMatrix<float>>(gradient.norm_weight().data(), 1, 8);
    const auto expected = kronecker::read_npy<float>(golden_path(name + "_normed_grad_norm.npy")).values;
    CHECK(relative_difference(norm_gradient,
                              Eigen::Map<const RowMajorMatrix<float>>(expected.data(), 1, 8)) <= 2e-5);
    for (const kronecker::Range columns : {kronecker::Range{0, 3}, kronecker::Range{3, 8}})
      kronecker::accumulate_gradient(embedding, golden_ids(), grad_out, in_parts, columns);
    CHECK(test_support::same_bits(in_parts.to_torch(), gradient.to_torch()));
    CHECK(test_support::equal_numbers(in_parts.all(), gradient.all()));
    gradient.scale(2);
    CHECK(gradient.norm() == Approx(2 * in_parts.norm()));
  }
}

TEST_CASE("rows of int8 take part in rounded codes with their mean") {
  // In double, from the numbers that the rows stand for and the code's values.
  const std::string name = "rounded_mean_d8_p8";
  const auto layer = production_layer<std::int8_t>(name);
  const RowMajorMatrix<double> weight = doubles(layer.projection().to_torch());
  const RowMajorMatrix<float> table = layer.table();
  const double largest = largest_of(table);
  for (TokenId id = 0; id < layer.vocab_size(); ++id) {
    const std::string bytes(layer.token_bytes().bytes_of(static_cast<std::size_t>(id)));
    const RowMajorMatrix<double> expected = product(weight, doubles(layer.encoder().encode(bytes)));
    INFO("token id " << id);
    CHECK(max_difference(doubles(table.row(id)), transposed(expected)) <= 1e-6 * largest);
  }
}

TEST_CASE("a norm applies to every token, string, gain and type of output") {
  const KroneckerEmbedding<float> plain(KroneckerEncoder(256, 8), Vocabulary({"a", "", "bc"}),
                                        LearnedProjection::normal(20, 2048, 1));
  const std::vector<float> weight(20, 3.0f), own(20, 0.25f);
  const auto embedding = plain.with_own_rows({2}, own).with_norm(weight, 0);
  const RowMajorMatrix<float> table = embedding.table();
  CHECK(table.row(0).squaredNorm() == Approx(20 * 9));
  CHECK(table.row(1).squaredNorm() == 0);
  CHECK((table.row(2).array() == 3).all());
  CHECK(test_support::same_bits(embedding.embed("a").transpose(), table.row(0)));
  CHECK(test_support::same_bits(embedding.forward({"a", 2, 0}).row(2), table.row(0)));
  std::vector<float> out(40, 1.0f);
  embedding.forward({2, 1}, out, {.gain = 2.0f, .accumulate = true});
  CHECK(out[0] == 7.0f);
  CHECK(out[20] == 1.0f);
  std::vector<Eigen::bfloat16> halves(20);
  embedding.forward({0}, halves);
  for (std::size_t i = 0; i < halves.size(); ++i)
    CHECK(halves[i] == static_cast<Eigen::bfloat16>(table(0, static_cast<Eigen::Index>(i))));
  CHECK(test_support::same_bits(embedding.with_norm(std::nullopt).forward({0}), plain.forward({0})));
  CHECK(embedding.cast<Eigen::bfloat16>().norm()->epsilon() == 0);
}

TEST_CASE("a batch of many tokens has the norms of each alone") {
  const KroneckerEmbedding<float> embedding =
      KroneckerEmbedding<float>(KroneckerEncoder(256, 8), Vocabulary({"a", "xyz", "bc"}),
                                LearnedProjection::normal(1000, 2048, 1))
          .with_norm(std::vector<float>(1000, 0.5f), 1e-6f);
  std::vector<TokenId> ids(2000);  // of which 16 fit into the memory for sums, and whose output is streamed
  for (std::size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<TokenId>(i % 3);
  const RowMajorMatrix<float> all = embedding.forward(ids), table = embedding.table();
  for (std::size_t i = 0; i < ids.size(); ++i)
    if (!test_support::same_bits(all.row(static_cast<Eigen::Index>(i)), table.row(ids[i])))
      FAIL_CHECK("token " << i);
  CHECK(all.rows() == 2000);
}

TEST_CASE("the weight of a norm is checked") {
  const KroneckerEmbedding<float> plain(KroneckerEncoder(256, 8), Vocabulary({"a"}),
                                        LearnedProjection::normal(4, 2048, 1));
  CHECK(message_of<std::invalid_argument>([&] { plain.with_norm(std::vector<float>(3), 1e-6f); }) ==
        "a norm of 3 weights does not fit d_model 4");
  CHECK(message_of<std::invalid_argument>([&] { plain.with_norm(std::vector<float>(4), -1); }) ==
        "the norm's epsilon -1 is not a finite number >= 0");
  CHECK(message_of<std::invalid_argument>([&] {
          plain.with_norm(std::vector{1.0f, 2.0f, std::numeric_limits<float>::infinity(), 4.0f}, 0);
        }) == "the norm's weight 2 is inf: it must be finite");
  CHECK(message_of<std::invalid_argument>([] { EmbeddingNorm({nullptr, 0}, 0); }) == "a norm of no weights");
  auto embedding = plain.with_norm(std::vector<float>(4, 1.0f), 1e-6f);
  const auto copy = embedding;
  embedding.update_norm([](std::span<float> values) { values[1] = 5; });
  CHECK(embedding.norm()->weight()[1] == 5);
  CHECK(copy.norm()->weight()[1] == 1);
  CHECK(message_of<std::invalid_argument>([&] {
          embedding.update_norm(
              [](std::span<float> values) { values[0] = std::numeric_limits<float>::quiet_NaN(); });
        }) == "the norm's weight 0 is nan: it must be finite");
  CHECK(message_of<std::invalid_argument>([&] { kronecker::KroneckerHead head(copy); }) ==
        "an embedding with a norm cannot be an output head");
}

TEST_CASE("a head of rounded codes has the logits of the table") {
  for (const std::string& name : rounded_cases) {
    const auto check = [&](const auto& embedding) {
      const kronecker::KroneckerHead head(embedding, 0.5f);
      const RowMajorMatrix<float> hidden = test_support::random_matrix(3, 8, 1);
      const RowMajorMatrix<double> expected = 0.5 * product_with_table(hidden, embedding.table());
      RowMajorMatrix<float> logits(3, embedding.vocab_size()), one(1, embedding.vocab_size());
      head.logits(embedding, hidden, logits);
      head.logits(embedding, hidden.row(0), one);
      const double largest = largest_of(expected);
      CHECK(max_difference(logits, expected) <= 1e-5 * largest);
      CHECK(max_difference(doubles(one), expected.row(0)) <= 1e-5 * largest);
    };
    check(production_layer<float>(name));
    check(production_layer<std::int8_t>(name));
  }
}

TEST_CASE("an optimizer trains the norm's weight like every other") {
  // torch.optim.SGD's step, in double.
  const std::string name = "rounded_mean_d8_p8";
  auto embedding = production_layer<float>(name).with_norm(norm_of(name), 1e-6f);
  const auto before = embedding;
  const auto grad_out = kronecker::read_npy<float>(golden_path("emb_d8_p8_G.npy")).values;
  ProjectionGradient gradient(embedding);
  kronecker::accumulate_gradient(embedding, golden_ids(), grad_out, gradient);
  kronecker::Sgd optimizer(embedding, {.learning_rate = 0.5f});
  optimizer.step(embedding, gradient);
  const RowMajorMatrix<double> expected = doubles(before.projection().to_torch()) -
                                          0.5 * doubles(golden_matrix(name + "_normed_grad_weight.npy"));
  CHECK(max_difference(embedding.projection().to_torch(), expected) <= 2e-5 * largest_of(expected));
  const auto norm_gradient = kronecker::read_npy<float>(golden_path(name + "_normed_grad_norm.npy")).values;
  for (std::size_t i = 0; i < norm_gradient.size(); ++i)
    CHECK(embedding.norm()->weight()[i] == Approx(before.norm()->weight()[i] - 0.5f * norm_gradient[i]));
  CHECK(!test_support::same_bits(embedding.length_rows().size() > 0 ? embedding.table() : before.table(),
                                 before.table()));
}
