#include "catch.hpp"
#include "instruction_sets.hpp"
#include "matrices.hpp"

#include <kronecker/head.hpp>
#include <kronecker/own_rows.hpp>
#include <kronecker/training/training.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>
#include <string>
#include <vector>

using kronecker::KroneckerEmbedding;
using kronecker::KroneckerEncoder;
using kronecker::KroneckerHead;
using kronecker::LearnedProjection;
using kronecker::OwnRows;
using kronecker::OwnTokens;
using kronecker::ProjectionGradient;
using kronecker::RowMajorMatrix;
using kronecker::TokenId;
using kronecker::TokenOrBytes;
using kronecker::TokenSequence;
using kronecker::Vocabulary;
using test_support::doubles;
using test_support::largest_of;
using test_support::max_difference;
using test_support::product;
using test_support::product_with_table;
using test_support::random_matrix;
using test_support::same_bits;
using test_support::transposed;

namespace {

constexpr TokenId some_vocab_size = 200;

/// Tokens of many lengths, one without bytes.
Vocabulary vocabulary_of_own_rows() {
  std::vector<std::string> tokens = {"", "a"};
  while (static_cast<TokenId>(tokens.size()) < some_vocab_size)
    tokens.push_back(std::to_string(tokens.size() * 7919));
  return Vocabulary(tokens);
}

template <class Scalar = float>
KroneckerEmbedding<Scalar> embedding_by_code(int d_model = 50) {
  return {KroneckerEncoder(256, 8), vocabulary_of_own_rows(), LearnedProjection::normal(d_model, 2048, 1)};
}

/// The token without bytes, both ends of the vocabulary and of words of 64, in no order.
const std::vector<TokenId> own_ids = {64, 0, 199, 63, 128, 7};

RowMajorMatrix<float> own_values(int d_model = 50) {
  return random_matrix(static_cast<Eigen::Index>(own_ids.size()), d_model, 2);
}

template <class Scalar>
KroneckerEmbedding<Scalar> with_some_own_rows(const KroneckerEmbedding<Scalar>& embedding) {
  return embedding.with_own_rows(own_ids, own_values(embedding.d_model()));
}

/// The number of the row of a token in own_values, or -1.
Eigen::Index place_of(TokenId id) {
  const auto found = std::find(own_ids.begin(), own_ids.end(), id);
  return found == own_ids.end() ? -1 : found - own_ids.begin();
}

}  // namespace

TEMPLATE_TEST_CASE("tokens that have rows of their own take those, and all others go by the code", "", float,
                   Eigen::bfloat16, Eigen::half, std::int8_t) {
  for (const int d_model : {1, 5, 50, 300}) {
    const auto by_code = embedding_by_code<TestType>(d_model);
    const auto embedding = with_some_own_rows(by_code);
    const RowMajorMatrix<float> table = embedding.table(), code_table = by_code.table();
    const RowMajorMatrix<float> values = own_values(d_model);
    const RowMajorMatrix<float> largest = values.cwiseAbs().colwise().maxCoeff();
    for (TokenId id = 0; id < some_vocab_size; ++id) {
      INFO("d_model " << d_model << ", token id " << id);
      const Eigen::Index place = place_of(id);
      if (place < 0) {
        CHECK(same_bits(table.row(id), code_table.row(id)));
        continue;
      }
      for (Eigen::Index column = 0; column < d_model; ++column) {
        const float value = values(place, column);
        if constexpr (std::is_same_v<TestType, std::int8_t>)
          CHECK(std::abs(table(id, column) - value) <= 0.5001f * largest(0, column) / 127);
        else
          CHECK(table(id, column) == static_cast<float>(static_cast<TestType>(value)));
      }
    }
    CHECK(same_bits(embedding.embed("a").transpose(), code_table.row(1)));
    CHECK(embedding.own_rows()->size() == own_ids.size());
    CHECK(same_bits(embedding.with_own_rows({}, std::vector<float>()).table(), code_table));
  }
}

TEST_CASE("own rows are found whatever the ids' type, order and company") {
  const auto embedding = with_some_own_rows(embedding_by_code());
  const RowMajorMatrix<float> table = embedding.table();
  std::vector<TokenId> ids(10000);  // more than are copied at once
  std::mt19937 random(3);
  for (TokenId& id : ids) id = static_cast<TokenId>(random() % some_vocab_size);
  const RowMajorMatrix<float> expected = embedding.forward(ids);
  for (std::size_t i = 0; i < ids.size(); ++i)
    if (!same_bits(expected.row(static_cast<Eigen::Index>(i)), table.row(ids[i]))) FAIL_CHECK("index " << i);
  CHECK(same_bits(embedding.forward(std::vector<std::uint16_t>(ids.begin(), ids.end())), expected));

  std::vector<TokenOrBytes> mixed;
  for (std::size_t i = 0; i < ids.size(); ++i)
    if (i % 5 < 2)
      mixed.emplace_back("a");
    else
      mixed.emplace_back(ids[i]);
  const RowMajorMatrix<float> found = embedding.forward(mixed);
  for (std::size_t i = 0; i < ids.size(); ++i)
    if (!same_bits(found.row(static_cast<Eigen::Index>(i)), table.row(i % 5 < 2 ? 1 : ids[i])))
      FAIL_CHECK("index " << i);

  std::vector<float> out(60 * 3, 1.0f);
  embedding.forward({64, 1, 0}, std::span(out).first(2 * 60 + 50),
                    {.stride = 60, .gain = 2, .accumulate = true});
  CHECK(out[3] == 1 + 2 * table(64, 3));
  CHECK(out[2 * 60 + 3] == 1 + 2 * table(0, 3));
  CHECK(out[55] == 1);
  std::vector<Eigen::half> halves(50);
  embedding.forward({64}, halves);
  CHECK(halves[3] == static_cast<Eigen::half>(table(64, 3)));
}

TEMPLATE_TEST_CASE("own rows have the same bits on every instruction set", "", float, Eigen::bfloat16,
                   Eigen::half, std::int8_t) {
  const auto embedding = with_some_own_rows(embedding_by_code<TestType>());
  const auto& tokens = embedding.token_bytes();
  const std::vector<float> scales = embedding.encoder().scales();
  const auto own = embedding.own_rows()->view(1);
  std::vector<TokenId> ids(some_vocab_size);
  std::iota(ids.begin(), ids.end(), 0);
  const RowMajorMatrix<float> expected = embedding.table();
  for (const auto set : test_support::instruction_sets()) {
    RowMajorMatrix<float> found(some_vocab_size, 50);
    kronecker::kernels::gather_sum<kronecker::ProjectionRows<TestType>::type,
                                   kronecker::kernels::RowType::float32>(
        set, embedding.rows().view(8),
        {tokens.bytes().data(), tokens.lengths().data(), scales.data(), ids.data(), ids.size(), &own},
        {found.data(), 50, false});
    INFO("instruction set " << static_cast<int>(set));
    CHECK(same_bits(found, expected));
  }
}

TEST_CASE("what are no own rows is refused by name") {
  const auto embedding = embedding_by_code(2);
  const auto message = [&](const TokenSequence& ids, const std::vector<float>& values) {
    return message_of<std::invalid_argument>([&] { embedding.with_own_rows(ids, values); });
  };
  CHECK(message({1, 2}, {1, 2, 3}) == "3 numbers are not 2 own rows of d_model 2");
  CHECK(message({4, 3, 4}, {1, 2, 3, 4, 5, 6}) ==
        "token id 4 is given two rows of its own, at indexes 0 and 2");
  CHECK(message({"a"}, {1, 2}) == "rows of their own are for token ids, not for byte strings");
  CHECK(message({5, 3}, {1, 2, 3, std::numeric_limits<float>::quiet_NaN()}) ==
        "the own row of token id 3 has the value nan at 1: it must be finite");
  CHECK(message_of<std::out_of_range>([&] {
          embedding.with_own_rows({3, 200}, std::vector<float>(4));
        }) == "token id 200 at index 1 is outside the vocabulary of 200 tokens");
  CHECK(message_of<std::out_of_range>([&] { embedding.with_own_rows({-1}, std::vector<float>(2)); }) ==
        "token id -1 at index 0 is outside the vocabulary of 200 tokens");
  const auto ids_of = [](std::vector<TokenId> ids) {
    return kronecker::SharedArray<TokenId>::make(
        ids.size(), [&](std::span<TokenId> copy) { std::copy(ids.begin(), ids.end(), copy.begin()); });
  };
  CHECK(message_of<std::invalid_argument>([&] {
          OwnTokens(9, ids_of({3, 3}));
        }) == "own rows 0 and 1 are for token ids 3 and 3, which do not ascend");
  CHECK(message_of<std::out_of_range>([&] {
          OwnTokens(9, ids_of({3, 9}));
        }) == "own row 1 is for token id 9, outside the vocabulary of 9 tokens");
  const OwnRows<float> of_nine(OwnTokens(9, ids_of({3})), LearnedProjection::normal(2, 1, 1));
  CHECK(message_of<std::invalid_argument>([&] { embedding.with_own_rows(of_nine); }) ==
        "own rows for a vocabulary of 9 tokens do not fit an embedding of 200");
  CHECK(message_of<std::invalid_argument>([&] {
          OwnRows<float>(OwnTokens(9, ids_of({3, 4})), of_nine.rows());
        }) == "1 own rows do not fit 2 tokens");
}

TEST_CASE("other rows, other vocabularies: own rows stay with their tokens") {
  const auto embedding = with_some_own_rows(embedding_by_code());
  const RowMajorMatrix<float> table = embedding.table();
  const auto eight_bits = embedding.cast<std::int8_t>();
  CHECK(eight_bits.own_rows()->tokens() == embedding.own_rows()->tokens());
  CHECK(max_difference(eight_bits.table().row(64), table.row(64)) <= 0.02);

  const Vocabulary tokens = vocabulary_of_own_rows();
  std::vector<std::string> more;
  for (TokenId id = 0; id < some_vocab_size; ++id) more.emplace_back(tokens.bytes(id));
  more.resize(1000, "more");
  const auto larger = embedding.with_vocabulary(Vocabulary(more));
  CHECK(same_bits(larger.table().topRows(some_vocab_size), table));
  CHECK(same_bits(larger.forward({999}).row(0), embedding.embed("more").transpose()));
  more[64] = "other";
  CHECK(message_of<std::invalid_argument>([&] { embedding.with_vocabulary(Vocabulary(more)); }) ==
        "token id 64 has a row of its own, and other bytes or none in the new vocabulary of 1000 tokens");
  CHECK(message_of<std::invalid_argument>([&] {
          embedding.with_vocabulary(Vocabulary({"", "a"}));
        }) == "token id 7 has a row of its own, and other bytes or none in the new vocabulary of 2 tokens");
}

TEMPLATE_TEST_CASE("a head counts own rows exactly", "", float, Eigen::bfloat16, Eigen::half, std::int8_t) {
  const auto embedding = with_some_own_rows(embedding_by_code<TestType>());
  const KroneckerHead head(embedding, 0.5f);
  const RowMajorMatrix<float> table = embedding.table();
  for (const Eigen::Index count : {1, 3, 70}) {
    const RowMajorMatrix<float> hidden = random_matrix(count, 50, 4);
    const RowMajorMatrix<double> expected = 0.5 * product_with_table(hidden, table);
    RowMajorMatrix<float> found(count, some_vocab_size);
    head.logits(embedding, hidden, found);
    INFO(count << " hidden states");
    CHECK(max_difference(found, expected) <= 1e-5 * largest_of(expected));
  }
  const RowMajorMatrix<float> towards = table.row(0);  // the token without bytes
  CHECK(head.top(embedding, towards, 1).front().first == 0);

  std::vector<float> products(head.products_size(2)), some(2 * 4);
  const RowMajorMatrix<float> hidden = random_matrix(2, 50, 5);
  head.cell_products(embedding, hidden, products, {0, 40});
  head.cell_products(embedding, hidden, products, {40, head.cells().size() - 2});
  head.cell_products(embedding, hidden, products, {head.cells().size() - 2});
  head.token_logits(products, {64, "a", 199, 5}, some);
  const RowMajorMatrix<double> expected = 0.5 * product_with_table(hidden, table);
  const std::vector<Eigen::Index> ids = {64, 1, 199, 5};
  for (std::size_t i = 0; i < some.size(); ++i)
    CHECK(some[i] == Approx(expected(static_cast<Eigen::Index>(i / 4), ids[i % 4])).margin(1e-5));
  CHECK(message_of<std::invalid_argument>([&] { head.check_embedding(embedding_by_code()); }) ==
        "the embedding's 0 rows of their own are not of the same tokens as the head's 6");
}

TEST_CASE("the gradient of an own row is the sum of its token's, and that of the projection has none of it") {
  const auto embedding = with_some_own_rows(embedding_by_code());
  std::vector<TokenId> ids(3000);
  std::mt19937 random(6);
  for (TokenId& id : ids) id = static_cast<TokenId>(random() % some_vocab_size);
  const RowMajorMatrix<float> grad_out = random_matrix(3000, 50, 7);
  ProjectionGradient gradient(embedding), in_parts(embedding);
  kronecker::accumulate_gradient(embedding, ids, grad_out, gradient);

  RowMajorMatrix<double> expected = RowMajorMatrix<double>::Zero(some_vocab_size, 50);
  RowMajorMatrix<float> by_code_alone = grad_out;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    expected.row(ids[i]) += grad_out.row(static_cast<Eigen::Index>(i)).cast<double>();
    if (place_of(ids[i]) >= 0) by_code_alone.row(static_cast<Eigen::Index>(i)).setZero();
  }
  const auto tokens = embedding.own_rows()->tokens().ids();
  for (std::size_t i = 0; i < tokens.size(); ++i)
    for (std::size_t column = 0; column < 50; ++column)
      CHECK(gradient.own_rows()[i * 50 + column] ==
            Approx(expected(tokens[i], static_cast<Eigen::Index>(column))).margin(1e-4));
  const auto plain = embedding_by_code();
  ProjectionGradient of_plain(plain);
  kronecker::accumulate_gradient(plain, ids, by_code_alone, of_plain);
  CHECK(max_difference(gradient.to_torch(), of_plain.to_torch()) <= 1e-6);

  for (const kronecker::Range columns : {kronecker::Range{0, 17}, kronecker::Range{17, 50}})
    kronecker::accumulate_gradient(embedding, ids, grad_out, in_parts, columns);
  CHECK(test_support::equal_numbers(in_parts.all(), gradient.all()));
  std::vector<TokenOrBytes> mixed(ids.begin(), ids.end());
  mixed.emplace_back("a");
  RowMajorMatrix<float> grad_mixed(3001, 50);
  grad_mixed << grad_out, RowMajorMatrix<float>::Zero(1, 50);
  ProjectionGradient of_mixed(embedding);
  kronecker::accumulate_gradient(embedding, mixed, grad_mixed, of_mixed);
  CHECK(test_support::equal_numbers(of_mixed.all(), gradient.all()));
}

TEST_CASE("a head's gradient reaches own rows and hidden states") {
  // The logits are hidden * table', so the gradients are products in double.
  const auto embedding = with_some_own_rows(embedding_by_code());
  const KroneckerHead head(embedding, 0.5f);
  const RowMajorMatrix<float> hidden = random_matrix(70, 50, 8),
                              grad_logits = random_matrix(70, some_vocab_size, 9);
  ProjectionGradient gradient(embedding);
  RowMajorMatrix<float> grad_hidden = RowMajorMatrix<float>::Zero(70, 50);
  kronecker::accumulate_gradient(head, embedding, hidden, grad_logits, gradient, grad_hidden);
  const RowMajorMatrix<double> half_grad = 0.5 * doubles(grad_logits);
  const RowMajorMatrix<double> of_table = product(transposed(half_grad), doubles(hidden));
  const RowMajorMatrix<double> of_hidden = product(half_grad, doubles(embedding.table()));
  CHECK(max_difference(grad_hidden, of_hidden) <= 1e-5 * largest_of(of_hidden));
  const auto tokens = embedding.own_rows()->tokens().ids();
  for (std::size_t i = 0; i < tokens.size(); ++i)
    for (std::size_t column = 0; column < 50; ++column)
      CHECK(gradient.own_rows()[i * 50 + column] ==
            Approx(of_table(tokens[i], static_cast<Eigen::Index>(column))).margin(1e-3));
}

TEMPLATE_TEST_CASE("both kinds of rows learn", "", kronecker::AdamW, kronecker::Sgd) {
  // The loss is half the squared distance from a table that has structure of both kinds.
  const RowMajorMatrix<float> wanted = [] {
    KroneckerEmbedding<float> other(KroneckerEncoder(256, 8), vocabulary_of_own_rows(),
                                    LearnedProjection::normal(50, 2048, 10));
    return other.with_own_rows(own_ids, RowMajorMatrix<float>(3 * own_values())).table();
  }();
  auto embedding = with_some_own_rows(embedding_by_code());
  std::vector<TokenId> ids(some_vocab_size);
  std::iota(ids.begin(), ids.end(), 0);
  const auto distances = [&] {
    const RowMajorMatrix<float> left = embedding.table() - wanted;
    double own = 0, by_code = 0;
    for (TokenId id = 0; id < some_vocab_size; ++id)
      (place_of(id) >= 0 ? own : by_code) += static_cast<double>(left.row(id).squaredNorm());
    return std::pair(own, by_code);
  };
  TestType optimizer(embedding);
  constexpr bool is_adam = std::is_same_v<TestType, kronecker::AdamW>;
  optimizer.set_learning_rate(is_adam ? 0.02f : 1e-5f);  // a cell's factors are 10 to 40, an own row's is 1
  const auto [own_before, code_before] = distances();
  ProjectionGradient gradient(embedding);
  for (int step = 0; step < 200; ++step) {
    const RowMajorMatrix<float> grad_out = embedding.forward(ids) - wanted;
    gradient.clear();
    kronecker::accumulate_gradient(embedding, ids, grad_out, gradient);
    optimizer.step(embedding, gradient);
  }
  const auto [own_after, code_after] = distances();
  CHECK(own_after < (is_adam ? 0.5 : 0.997) * own_before);
  CHECK(code_after < 0.5 * code_before);
  CHECK(message_of<std::invalid_argument>([&] {
          auto other = embedding_by_code();
          optimizer.step(other, ProjectionGradient(other));
        }).starts_with("an optimizer of 102700 weights does not fit a gradient of 102400"));
}

TEST_CASE("the gradient of other own rows is refused") {
  const auto embedding = with_some_own_rows(embedding_by_code());
  ProjectionGradient gradient(embedding_by_code());
  CHECK(message_of<std::invalid_argument>(
            [&] { kronecker::accumulate_gradient(embedding, {1}, std::vector<float>(50), gradient); }) ==
        "a gradient for 0 own rows, no norm and codes not rounded does not fit an embedding of 6 own rows");
  std::vector<float> memory(102400);
  CHECK(message_of<std::invalid_argument>([&] { ProjectionGradient(embedding, memory); }) ==
        "102400 floats do not fit the gradient of 102700");
}
