#include "catch.hpp"
#include "golden.hpp"

#include <kronecker/head.hpp>

#include <algorithm>
#include <limits>
#include <random>

using kronecker::KroneckerEmbedding;
using kronecker::KroneckerEncoder;
using kronecker::KroneckerHead;
using kronecker::LearnedProjection;
using kronecker::RowMajorMatrix;
using kronecker::TokenId;
using kronecker::TokenLogit;
using kronecker::Vocabulary;

namespace {

using Encoder = KroneckerEncoder<256, 16>;

/// Tokens with an empty one and doubles among them; more than are looked at together.
Vocabulary some_vocabulary() {
  std::vector<std::string> tokens = {"", "same", "other", "same"};
  for (int i = 0; i < 700; ++i) tokens.push_back(std::to_string(i * 7919));
  return Vocabulary(tokens);
}

template <class Scalar = float>
KroneckerEmbedding<Encoder, Scalar> some_embedding(kronecker::CodeOptions options = {}) {
  return {Encoder(options), some_vocabulary(), LearnedProjection::normal(50, Encoder().code_dim(), 1)};
}

RowMajorMatrix<float> some_hidden_states(Eigen::Index count, Eigen::Index d_model) {
  std::mt19937 random(2);
  std::normal_distribution<float> normal;
  return RowMajorMatrix<float>::NullaryExpr(count, d_model, [&] { return normal(random); });
}

std::span<const float> floats_of(const RowMajorMatrix<float>& matrix) {
  return {matrix.data(), static_cast<std::size_t>(matrix.size())};
}

template <class Head>
RowMajorMatrix<float> logits(const Head& head, const RowMajorMatrix<float>& hidden) {
  RowMajorMatrix<float> out = RowMajorMatrix<float>::Constant(hidden.rows(), head.vocab_size(), 42);
  head.logits(floats_of(hidden), {out.data(), static_cast<std::size_t>(out.size())});
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
      const RowMajorMatrix<double> expected = 0.5 * hidden.cast<double>() * table.cast<double>().transpose();
      const RowMajorMatrix<float> found = logits(head, hidden);
      const double largest = expected.cwiseAbs().maxCoeff<Eigen::PropagateNaN>();
      INFO("mode " << mode << ", " << count << " hidden states");
      CHECK((found.cast<double>() - expected).cwiseAbs().maxCoeff<Eigen::PropagateNaN>() <= 1e-5 * largest);
    }
}

TEST_CASE("the top tokens are the best logits, the lowest id first where they are equal, and none is empty") {
  const KroneckerHead head(some_embedding());
  const auto hidden = some_hidden_states(1, head.d_model());
  const RowMajorMatrix<float> all = logits(head, hidden);
  std::vector<TokenLogit> expected;
  for (TokenId id = 1; id < head.vocab_size(); ++id) expected.push_back({id, all(0, id)});
  std::stable_sort(expected.begin(), expected.end(),
                   [](const TokenLogit& a, const TokenLogit& b) { return a.logit > b.logit; });
  for (const int k : {1, 2, 10, 600}) {
    const auto top = head.top(floats_of(hidden), k);
    CHECK(top == std::vector<TokenLogit>(expected.begin(), expected.begin() + k));
  }
  CHECK(head.top(floats_of(hidden), 1000000) == expected);
}

TEST_CASE("a head over real tokens finds the table's best token") {
  for (const auto& path : test_support::real_token_files()) {
    if (!path.string().ends_with("gpt2.tokens.bin")) continue;
    const KroneckerEmbedding embedding(Encoder(), Vocabulary(test_support::read_token_file(path)),
                                       LearnedProjection::normal(64, Encoder().code_dim(), 3));
    const KroneckerHead head(embedding);
    CHECK(head.cells().size() < 2000);
    const auto hidden = some_hidden_states(5, 64);
    const RowMajorMatrix<double> expected =
        hidden.cast<double>() * embedding.table().cast<double>().transpose();
    for (Eigen::Index n = 0; n < hidden.rows(); ++n) {
      Eigen::Index best = 0;
      expected.row(n).maxCoeff(&best);
      CHECK(head.top(floats_of(hidden.row(n)), 1).front().id == best);
    }
  }
}

TEST_CASE("a hidden state, an output or a number of tokens that does not fit is named") {
  const KroneckerHead head(some_embedding());
  RowMajorMatrix<float> hidden = some_hidden_states(2, head.d_model());
  std::vector<float> out(100);
  CHECK(message_of<std::invalid_argument>([&] { head.logits(floats_of(hidden), out); }) ==
        "an output of 100 floats does not fit 2 hidden states and 704 tokens: it takes 1408");
  CHECK(message_of<std::invalid_argument>([&] { head.logits(floats_of(hidden).first(51), out); }) ==
        "51 floats are no whole number of hidden states of d_model 50");
  CHECK(message_of<std::invalid_argument>([&] { head.top(floats_of(hidden), 1); }) ==
        "a hidden state of 100 floats does not fit d_model 50");
  CHECK(message_of<std::invalid_argument>([&] { head.top(floats_of(hidden).first(50), 0); }) ==
        "the top 0 tokens are none: k must be positive");
  hidden(1, 7) = std::numeric_limits<float>::infinity();
  out.resize(1408);
  CHECK(message_of<std::invalid_argument>([&] { head.logits(floats_of(hidden), out); }) ==
        "hidden state 1 has the value inf at 7: it must be finite");
  CHECK(message_of<std::invalid_argument>([] {
          KroneckerHead(some_embedding(), std::numeric_limits<float>::infinity());
        }) == "the gain inf is not finite");
  CHECK_NOTHROW(head.logits({}, {}));
}

TEST_CASE("a vocabulary of empty tokens has logits of zero and no top token") {
  const KroneckerHead head(KroneckerEmbedding(Encoder(), Vocabulary(std::vector<std::string>(3)),
                                              LearnedProjection::normal(4, Encoder().code_dim(), 1)));
  const auto hidden = some_hidden_states(2, 4);
  CHECK(logits(head, hidden).isZero(0));
  CHECK(head.top(floats_of(hidden).first(4), 2).empty());
}
