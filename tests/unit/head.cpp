#include "catch.hpp"
#include "golden.hpp"
#include "matrices.hpp"

#include <kronecker/head.hpp>
#include <kronecker/training/training.hpp>

#include <algorithm>
#include <limits>
#include <random>
#include <thread>

using kronecker::KroneckerEmbedding;
using kronecker::KroneckerEncoder;
using kronecker::KroneckerHead;
using kronecker::LearnedProjection;
using kronecker::RowMajorMatrix;
using kronecker::TokenId;
using kronecker::Vocabulary;
using test_support::largest_of;
using test_support::max_difference;
using test_support::product_with_table;
using TokenLogit = KroneckerHead::TokenLogit;

namespace {

using HeadEncoder = KroneckerEncoder<256, 16>;

/// Tokens with an empty one and doubles among them; more than are looked at together.
Vocabulary some_vocabulary() {
  std::vector<std::string> tokens = {"", "same", "other", "same"};
  for (int i = 0; i < 700; ++i) tokens.push_back(std::to_string(i * 7919));
  return Vocabulary(tokens);
}

template <class Scalar = float>
KroneckerEmbedding<Scalar> some_embedding(kronecker::CodeOptions options = {}) {
  return {HeadEncoder(options), some_vocabulary(),
          LearnedProjection::normal(50, HeadEncoder().code_dim(), 1)};
}

RowMajorMatrix<float> some_hidden_states(Eigen::Index count, Eigen::Index d_model) {
  return test_support::random_matrix(count, d_model, 2);
}

template <class Scalar>
RowMajorMatrix<float> logits(const KroneckerHead& head, const KroneckerEmbedding<Scalar>& embedding,
                             const RowMajorMatrix<float>& hidden) {
  RowMajorMatrix<float> out = RowMajorMatrix<float>::Constant(hidden.rows(), head.vocab_size(), 42);
  head.logits(embedding, hidden, out);
  return out;
}

}  // namespace

TEMPLATE_TEST_CASE("logits are the product with the table", "", float, Eigen::bfloat16, Eigen::half,
                   std::int8_t) {
  for (const auto& [mode, options] : test_support::modes())
    for (const Eigen::Index count : {1, 2, 7, 64, 130}) {
      const auto embedding = some_embedding<TestType>(options);
      const KroneckerHead head(embedding, 0.5f);
      const RowMajorMatrix<float> hidden = some_hidden_states(count, embedding.d_model()),
                                  table = embedding.table();
      const RowMajorMatrix<double> expected = 0.5 * product_with_table(hidden, table);
      const RowMajorMatrix<float> found = logits(head, embedding, hidden);
      INFO("mode " << mode << ", " << count << " hidden states");
      CHECK(max_difference(found, expected) <= 1e-5 * largest_of(expected));
    }
}

TEST_CASE("the top tokens are the best logits, the lowest id first where they are equal, and none is empty") {
  const auto embedding = some_embedding();
  const KroneckerHead head(embedding);
  const auto hidden = some_hidden_states(1, embedding.d_model());
  const RowMajorMatrix<float> all = logits(head, embedding, hidden);
  std::vector<TokenLogit> expected;
  for (TokenId id = 1; id < head.vocab_size(); ++id) expected.push_back({id, all(0, id)});
  std::stable_sort(expected.begin(), expected.end(),
                   [](const TokenLogit& a, const TokenLogit& b) { return a.second > b.second; });
  for (const int k : {1, 2, 10, 600}) {
    const auto top = head.top(embedding, hidden, k);
    CHECK(top == std::vector<TokenLogit>(expected.begin(), expected.begin() + k));
  }
  CHECK(head.top(embedding, hidden, 1000000) == expected);
  CHECK(head.top(embedding, embedding.embed("same"), 3).size() == 3);
}

TEMPLATE_TEST_CASE("the two halves, over threads and for some tokens, make the bits of the whole", "", float,
                   Eigen::bfloat16, Eigen::half, std::int8_t) {
  const auto embedding = some_embedding<TestType>();
  const KroneckerHead head(embedding, 0.5f);
  for (const Eigen::Index count : {1, 3, 64}) {
    const auto hidden = some_hidden_states(count, embedding.d_model());
    const RowMajorMatrix<float> expected = logits(head, embedding, hidden);
    const auto states = static_cast<std::size_t>(count);
    INFO(count << " hidden states");

    std::vector<float> products(head.products_size(states));
    const std::size_t middle = head.cells().size() / 3 * 2 + 1;
    std::thread first([&] { head.cell_products(embedding, hidden, products, {0, middle}); });
    head.cell_products(embedding, hidden, products, {.begin = middle});
    first.join();
    RowMajorMatrix<float> left(count, 300), right(count, 404);
    std::thread other([&] { head.token_logits(products, left, {0, 300}); });
    head.token_logits(products, right, {300, 704});
    other.join();
    CHECK(left == expected.leftCols(300));
    CHECK(right == expected.rightCols(404));

    const std::vector<std::int64_t> some = {703, 2, 2, 0, 350};
    RowMajorMatrix<float> of_some(count, 5);
    head.token_logits(products, some, of_some);
    for (Eigen::Index i = 0; i < 5; ++i)
      CHECK(of_some.col(i) == expected.col(static_cast<Eigen::Index>(some[static_cast<std::size_t>(i)])));
  }
}

TEST_CASE("a head that was made before has the logits of every step") {
  auto embedding = some_embedding();
  const KroneckerHead head(embedding);
  const auto hidden = some_hidden_states(2, embedding.d_model());
  kronecker::AdamW optimizer(embedding, {.learning_rate = 0.05f});
  const auto grad_out = some_hidden_states(3, embedding.d_model());
  const float* rows = embedding.rows().values().data();
  for (int step = 0; step < 24; ++step) {
    kronecker::ProjectionGradient gradient(embedding);
    kronecker::accumulate_gradient(embedding, {step, step + 1, 9}, grad_out, gradient);
    optimizer.step(embedding, gradient);
    const RowMajorMatrix<double> expected = product_with_table(hidden, embedding.table());
    CHECK(max_difference(logits(head, embedding, hidden), expected) <= 1e-5 * largest_of(expected));
  }
  CHECK(embedding.rows().values().data() == rows);  // changed where they lie
}

TEST_CASE("an untied head takes other weights of the same vocabulary, and no other vocabulary") {
  const auto embedding = some_embedding();
  const KroneckerHead head(embedding);
  const KroneckerEmbedding untied(HeadEncoder(), some_vocabulary(),
                                  LearnedProjection::normal(50, HeadEncoder().code_dim(), 9));
  const auto hidden = some_hidden_states(2, 50);
  CHECK(max_difference(logits(head, untied, hidden), product_with_table(hidden, untied.table())) < 1e-2);
  RowMajorMatrix<float> out(2, 704);
  const auto message = [&](const auto& other) {
    return message_of<std::invalid_argument>([&] { head.logits(other, hidden, out); });
  };
  std::vector<std::string> tokens(704, "other");
  CHECK(message(embedding.with_vocabulary(Vocabulary(tokens))) ==
        "the embedding's vocabulary of 704 tokens (pos_dim 16) is not that of the head, of 704 tokens "
        "(pos_dim 16)");
  CHECK(message(embedding.with_vocabulary(Vocabulary({"a"}))) ==
        "the embedding's vocabulary of 1 tokens (pos_dim 16) is not that of the head, of 704 tokens (pos_dim "
        "16)");
  CHECK(message(some_embedding({.epsilon = 0.5f})) ==
        "the embedding's code options are not those of the head");
}

TEST_CASE("a head over real tokens finds the table's best token") {
  for (const auto& path : test_support::real_token_files()) {
    if (!path.generic_string().ends_with("gpt2.tokens.bin")) continue;
    const KroneckerEmbedding embedding(HeadEncoder(), Vocabulary(test_support::read_token_file(path)),
                                       LearnedProjection::normal(64, HeadEncoder().code_dim(), 3));
    const KroneckerHead head(embedding);
    CHECK(head.cells().size() < 2000);
    const auto hidden = some_hidden_states(5, 64);
    const RowMajorMatrix<double> expected = product_with_table(hidden, embedding.table());
    for (Eigen::Index n = 0; n < hidden.rows(); ++n) {
      Eigen::Index best = 0;
      expected.row(n).maxCoeff(&best);
      CHECK(head.top(embedding, hidden.row(n), 1).front().first == best);
    }
  }
}

TEST_CASE("a hidden state, an output or a number of tokens that does not fit is named") {
  const auto embedding = some_embedding();
  const KroneckerHead head(embedding);
  RowMajorMatrix<float> hidden = some_hidden_states(2, 50);
  const std::span<const float> floats(hidden.data(), 100);
  std::vector<float> out(100);
  const auto message = [&](std::span<const float> states, auto&& output) {
    return message_of<std::invalid_argument>([&] { head.logits(embedding, states, output); });
  };
  CHECK(message(floats, out) == "the output for logits has 100 numbers instead of 2 x 704");
  CHECK(message(floats.first(51), out) == "51 floats are no whole number of hidden states of d_model 50");
  CHECK(message_of<std::invalid_argument>([&] { head.top(embedding, floats, 1); }) ==
        "a hidden state of 100 floats does not fit d_model 50");
  CHECK(message_of<std::invalid_argument>([&] { head.top(embedding, floats.first(50), 0); }) ==
        "the top 0 tokens are none: k must be positive");
  CHECK(message_of<std::invalid_argument>([&] { head.cell_products(embedding, floats, out); }) ==
        "the products of 2 hidden states take 32768 floats, not 100");
  CHECK(message_of<std::invalid_argument>([&] {
          head.cell_products(embedding, some_hidden_states(65, 50), out);
        }) == "65 hidden states are more than 64 at a time");
  CHECK(message_of<std::out_of_range>([&] {
          std::vector<float> products(head.products_size(1));
          head.cell_products(embedding, floats.first(50), products, {100000, 100001});
        }) == "cells 100000 to 100001 are no range of " + std::to_string(head.cells().size()));
  hidden(1, 7) = std::numeric_limits<float>::infinity();
  out.resize(1408, 42.0f);
  CHECK(message(floats, out) == "hidden state 1 has the value inf at 7: it must be finite");
  CHECK(out.back() == 42.0f);
  CHECK(message_of<std::invalid_argument>([&] {
          KroneckerHead(embedding, std::numeric_limits<float>::infinity());
        }) == "the gain inf is not finite");
  CHECK_NOTHROW(head.logits(embedding, std::span<const float>(), std::span<float>()));
}

TEST_CASE("a vocabulary of empty tokens has logits of zero and no top token") {
  const KroneckerEmbedding embedding(HeadEncoder(), Vocabulary(std::vector<std::string>(3)),
                                     LearnedProjection::normal(4, HeadEncoder().code_dim(), 1));
  const KroneckerHead head(embedding);
  const auto hidden = some_hidden_states(2, 4);
  CHECK(logits(head, embedding, hidden).isZero(0));
  CHECK(head.top(embedding, hidden.row(0), 2).empty());
}

TEST_CASE("a string has a logit where tokens light its cells, and is refused by name where none does") {
  const auto embedding = some_embedding();
  const KroneckerHead head(embedding);
  const auto hidden = some_hidden_states(1, embedding.d_model());
  std::vector<float> products(head.products_size(1)), logits(2);
  head.cell_products(embedding, hidden, products);
  head.token_logits(products, {"stme", 2}, logits);  // its bytes are those of same and other at their places
  const double expected = product_with_table(hidden, embedding.embed("stme").transpose())(0, 0);
  CHECK(std::abs(static_cast<double>(logits[0]) - expected) <= 1e-5 * std::abs(expected) + 1e-4);
  CHECK(message_of<std::invalid_argument>([&] {
          head.token_logits(products, {2, "sQ"}, logits);
        }) == "string at index 1: no token has the byte 81 at position 1, so the head has no product for it");
}
