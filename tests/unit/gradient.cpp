#include "golden_embedding.hpp"
#include "matrices.hpp"

#include <kronecker/training/gradient.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <random>
#include <thread>

using kronecker::CodeOptions;
using kronecker::KroneckerEmbedding;
using kronecker::KroneckerEncoder;
using kronecker::KroneckerHead;
using kronecker::LearnedProjection;
using kronecker::ProjectionGradient;
using kronecker::Range;
using kronecker::RowMajorMatrix;
using kronecker::TokenId;
using kronecker::Vocabulary;
using test_support::doubles;
using test_support::golden_embedding;
using test_support::golden_ids;
using test_support::golden_matrix;
using test_support::golden_path;
using test_support::largest_of;
using test_support::max_difference;
using test_support::product;
using test_support::product_with_table;
using test_support::random_matrix;

namespace {

/// Tokens of run-time sizes, with one empty.
KroneckerEmbedding<> small_embedding(CodeOptions options, const RowMajorMatrix<float>& weight) {
  return {KroneckerEncoder(8, 3, options), Vocabulary({"\1\2", "", "\3", "\1\2\3", "\7\7\7\7", "\2\2"}),
          LearnedProjection::from_torch(weight)};
}

/// The derivative of `loss(weight)` with respect to every weight, by central differences.
template <class Loss>
RowMajorMatrix<double> central_differences(const RowMajorMatrix<float>& weight, Loss loss) {
  RowMajorMatrix<double> derivatives(weight.rows(), weight.cols());
  constexpr float step = 0.125f;  // exact; the losses are linear in the weights
  for (Eigen::Index i = 0; i < weight.size(); ++i) {
    RowMajorMatrix<float> shifted = weight;
    shifted.data()[i] = weight.data()[i] + step;
    const double above = loss(shifted);
    shifted.data()[i] = weight.data()[i] - step;
    derivatives.data()[i] = (above - loss(shifted)) / (2 * static_cast<double>(step));
  }
  return derivatives;
}

}  // namespace

TEST_CASE("the gradient is the reference's, with z-normalization") {
  const auto embedding = golden_embedding({});
  ProjectionGradient gradient(embedding);
  const auto grad_out = kronecker::read_npy<float>(golden_path("emb_d8_p8_G.npy")).values;
  kronecker::accumulate_gradient(embedding, golden_ids(), grad_out, gradient);
  const RowMajorMatrix<float> expected = golden_matrix("emb_d8_p8_grad_TT.npy");
  CHECK(max_difference(gradient.to_torch(), expected) <= 5e-5 * largest_of(expected));
}

TEST_CASE("the gradient is the reference's, without z-normalization") {
  const auto embedding = golden_embedding({.z_normalize = false});
  ProjectionGradient gradient(embedding);
  const auto grad_out = kronecker::read_npy<float>(golden_path("emb_d8_p8_G.npy")).values;
  kronecker::accumulate_gradient(embedding, golden_ids(), grad_out, gradient);
  const auto columns = kronecker::read_npy<std::int64_t>(golden_path("emb_d8_p8_gradcols_TF.npy")).values;
  const RowMajorMatrix<float> column_values = golden_matrix("emb_d8_p8_gradvals_TF.npy");
  RowMajorMatrix<double> expected = RowMajorMatrix<double>::Zero(8, embedding.encoder().code_dim());
  for (std::size_t i = 0; i < columns.size(); ++i)
    expected.col(static_cast<Eigen::Index>(columns[i])) =
        column_values.col(static_cast<Eigen::Index>(i)).cast<double>();
  CHECK(max_difference(gradient.to_torch(), expected) <= 5e-5 * largest_of(expected));
}

TEST_CASE("gradients add up, and clear") {
  const auto embedding = golden_embedding({});
  const std::vector<TokenId> ids = golden_ids();
  const RowMajorMatrix<float> grad_out = random_matrix(static_cast<Eigen::Index>(ids.size()), 8, 1);
  ProjectionGradient whole(embedding), parts(embedding);
  kronecker::accumulate_gradient(embedding, ids, grad_out, whole);
  for (std::size_t i = 0; i < ids.size(); ++i)
    kronecker::accumulate_gradient(embedding, std::span(ids).subspan(i, 1),
                                   grad_out.row(static_cast<Eigen::Index>(i)), parts);
  CHECK(whole.to_torch() == parts.to_torch());
  whole.clear();
  CHECK(whole.to_torch().isZero(0));
}

TEST_CASE("the gradient of an embedding is the derivative, in every mode") {
  const std::vector<TokenId> ids = {0, 3, 3, 1, 2, 4, 5, 0};
  for (const auto& [mode, options] : test_support::modes()) {
    const RowMajorMatrix<float> weight = random_matrix(5, 24, 2), grad_out = random_matrix(8, 5, 3);
    const auto embedding = small_embedding(options, weight);
    ProjectionGradient gradient(embedding);
    kronecker::accumulate_gradient(embedding, ids, grad_out, gradient);
    const auto loss = [&, &code_options = options](const RowMajorMatrix<float>& shifted) {
      return doubles(small_embedding(code_options, shifted).forward(ids))
          .cwiseProduct(doubles(grad_out))
          .sum();
    };
    INFO("mode " << mode);
    CHECK(max_difference(gradient.to_torch(), central_differences(weight, loss)) < 1e-4);
  }
}

TEST_CASE("the gradient of a head is the derivative, in every mode") {
  for (const auto& [mode, options] : test_support::modes()) {
    const RowMajorMatrix<float> weight = random_matrix(5, 24, 2), hidden = random_matrix(70, 5, 4),
                                grad_logits = random_matrix(70, 6, 5);
    constexpr float gain = 0.7f;
    const auto embedding = small_embedding(options, weight);
    const KroneckerHead head(embedding, gain);
    ProjectionGradient gradient(embedding);
    RowMajorMatrix<float> grad_hidden = RowMajorMatrix<float>::Zero(70, 5);
    kronecker::accumulate_gradient(head, embedding, hidden, grad_logits, gradient, grad_hidden);
    const RowMajorMatrix<double> grad_products = static_cast<double>(gain) * doubles(grad_logits);
    const auto loss = [&, &code_options = options](const RowMajorMatrix<float>& shifted) {
      return product_with_table(hidden, small_embedding(code_options, shifted).table())
          .cwiseProduct(grad_products)
          .sum();
    };
    INFO("mode " << mode);
    CHECK(max_difference(gradient.to_torch(), central_differences(weight, loss)) < 1e-3);
    CHECK(max_difference(grad_hidden, product(grad_products, doubles(embedding.table()))) < 1e-4);
  }
}

TEST_CASE("threads that split the columns make the same bits as one") {
  const RowMajorMatrix<float> weight = random_matrix(50, 24, 6), hidden = random_matrix(9, 50, 7),
                              grad_logits = random_matrix(9, 6, 8), grad_out = random_matrix(8, 50, 9);
  const auto embedding = small_embedding({}, weight);
  const KroneckerHead head(embedding);
  const std::vector<TokenId> ids = {0, 3, 3, 1, 2, 4, 5, 0};
  ProjectionGradient alone(embedding);
  RowMajorMatrix<float> grad_hidden_alone = RowMajorMatrix<float>::Zero(9, 50);
  kronecker::accumulate_gradient(embedding, ids, grad_out, alone);
  kronecker::accumulate_gradient(head, embedding, hidden, grad_logits, alone, grad_hidden_alone);

  for (const std::size_t thread_count : {1u, 2u, 3u, 7u}) {
    std::vector<float> memory(alone.values().size());  // the caller's
    ProjectionGradient gradient(embedding, memory);
    RowMajorMatrix<float> grad_hidden = RowMajorMatrix<float>::Zero(9, 50);
    std::vector<float> products(kronecker::product_gradients_size(head, 9));
    const auto on_all = [&](std::size_t count, const auto& work) {
      std::vector<std::thread> threads;
      for (std::size_t i = 0; i < thread_count; ++i)
        threads.emplace_back(work, Range{count * i / thread_count, count * (i + 1) / thread_count});
      for (std::thread& thread : threads) thread.join();
    };
    on_all(9, [&](Range states) { kronecker::product_gradients(head, grad_logits, products, states); });
    on_all(50, [&](Range columns) {
      kronecker::accumulate_gradient(embedding, ids, grad_out, gradient, columns);
      kronecker::accumulate_product_gradients(head, embedding, hidden, products, gradient, grad_hidden,
                                              columns);
    });
    CHECK(gradient.to_torch() == alone.to_torch());
    CHECK(grad_hidden == grad_hidden_alone);
    CHECK(gradient.values().data() == memory.data());
  }
}

TEST_CASE("the gradient of a mixed sequence is that of tokens with the same bytes") {
  const auto embedding = small_embedding({}, random_matrix(5, 24, 2));
  const RowMajorMatrix<float> grad_out = random_matrix(3, 5, 3);
  ProjectionGradient mixed(embedding), ids(embedding);
  kronecker::accumulate_gradient(embedding, {0, "\2\2", "\3"}, grad_out, mixed);
  kronecker::accumulate_gradient(embedding, {0, 5, 2}, grad_out, ids);
  CHECK(mixed.to_torch() == ids.to_torch());
}

TEST_CASE("sums over long batches keep the accuracy of short ones") {
  // Relative to the largest sum, of 2^12, 2^16 and 2^20 tokens: measured 9.3e-6, 9.4e-6 and 1.8e-5 for equal
  // terms (a running sum: 1.8e-5, 6.5e-4 and 4.9e-3), 4.4e-7, 2.4e-6 and 1.2e-6 for random ones.
  const KroneckerEncoder encoder(8, 3, {.z_normalize = false});
  const KroneckerEmbedding<> embedding(encoder, Vocabulary({"\1\2", "\1"}),
                                       LearnedProjection::normal(1, 24, 1));
  std::mt19937 random(10);
  for (const std::size_t count : {std::size_t{1} << 12, std::size_t{1} << 16, std::size_t{1} << 20})
    for (const bool are_equal : {true, false}) {
      std::vector<TokenId> ids(count);
      std::vector<float> grad_out(count, 0.1f);
      if (!are_equal) grad_out = test_support::random_floats(count, random);
      std::vector<double> expected(24);
      for (std::size_t i = 0; i < count; ++i) {
        ids[i] = are_equal ? 0 : static_cast<TokenId>(random() % 2);
        const double term = static_cast<double>(encoder.scale(ids[i] == 0 ? 2 : 1)) * grad_out[i];
        expected[3] += term;
        if (ids[i] == 0) expected[7] += term;
      }
      ProjectionGradient gradient(embedding);
      kronecker::accumulate_gradient(embedding, ids, grad_out, gradient);
      double largest = 0, error = 0;
      for (std::size_t cell = 0; cell < 24; ++cell) {
        largest = std::max(largest, std::abs(expected[cell]));
        error = std::max(error, std::abs(gradient.values()[cell] - expected[cell]));
      }
      INFO(count << (are_equal ? " equal" : " random") << " terms: " << error / largest);
      CHECK(error / largest < (are_equal ? 1e-4 : 1e-5));
    }
}

TEST_CASE("blocks of a long batch are added in order, however its tokens are given and its columns split") {
  const auto embedding = small_embedding({}, random_matrix(20, 24, 2));
  constexpr std::size_t count = 5000;
  std::mt19937 random(11);
  std::vector<TokenId> ids(count);
  for (TokenId& id : ids) id = static_cast<TokenId>(random() % 6);
  const RowMajorMatrix<float> grad_out = random_matrix(count, 20, 3);

  std::vector<float> expected(24 * 20);
  for (std::size_t first = 0; first < count; first += 1024) {
    std::vector<float> sums(expected.size());
    for (std::size_t i = first; i < std::min(count, first + 1024); ++i) {
      const std::string_view bytes = embedding.token_bytes().bytes_of(static_cast<std::size_t>(ids[i]));
      const float scale = embedding.encoder().scale(static_cast<int>(bytes.size()));
      for (std::size_t p = 0; p < bytes.size(); ++p)
        for (std::size_t column = 0; column < 20; ++column) {
          const volatile float term = scale * grad_out.data()[i * 20 + column];
          sums[(static_cast<unsigned char>(bytes[p]) * 3u + p) * 20 + column] += term;
        }
    }
    for (std::size_t i = 0; i < sums.size(); ++i) expected[i] += sums[i];
  }

  std::vector<kronecker::TokenOrBytes> mixed(ids.begin(), ids.end());
  for (std::size_t i = 0; i < count; i += 3)
    mixed[i] = embedding.token_bytes().bytes_of(static_cast<std::size_t>(ids[i]));
  const std::vector<std::uint16_t> short_ids(ids.begin(), ids.end());
  for (const kronecker::TokenSequence& tokens : {kronecker::TokenSequence(ids), {mixed}, {short_ids}})
    for (const std::size_t split : {0u, 7u}) {
      ProjectionGradient gradient(embedding);
      kronecker::accumulate_gradient(embedding, tokens, grad_out, gradient, {0, split});
      kronecker::accumulate_gradient(embedding, tokens, grad_out, gradient, {split, 20});
      CHECK(std::equal(expected.begin(), expected.end(), gradient.values().begin()));
    }
}

TEST_CASE("a gradient of other sizes is refused, and nothing is added") {
  const auto embedding = golden_embedding({});
  ProjectionGradient gradient(embedding);
  const std::vector<float> grad_out(16, 1.0f);
  const auto message = [&](std::vector<TokenId> ids, Range columns = {}) {
    return message_of<std::logic_error>(
        [&] { kronecker::accumulate_gradient(embedding, ids, grad_out, gradient, columns); });
  };
  CHECK(message({1, 64}) == "token id 64 at index 1 is outside the vocabulary of 64 tokens");
  CHECK(message({1}) == "the gradient of the output has 16 numbers instead of 1 x 8");
  CHECK(message({1, 2}, {3, 1}) == "columns 3 to 1 are no range of 8");
  CHECK(message({1, 2}, {9, 10}) == "columns 9 to 10 are no range of 8");
  ProjectionGradient other(8, 1024, true);
  CHECK(message_of<std::invalid_argument>([&] {
          kronecker::accumulate_gradient(embedding, std::vector<TokenId>{1, 2}, grad_out, other);
        }) == "a gradient of 8 x 1024, centered, does not fit the embedding of 8 x 2048");
  CHECK(gradient.to_torch().isZero(0));
}
