#include "catch.hpp"
#include "golden.hpp"

#include <kronecker/analysis/rounding.hpp>

#include <cmath>

using kronecker::KroneckerEmbedding;
using kronecker::KroneckerEncoder;
using kronecker::LearnedProjection;
using kronecker::rounding_loss;
using kronecker::RoundingLoss;

namespace {

constexpr int rounding_d_model = 8, rounding_pos_dim = 4;
constexpr auto space_cell = static_cast<std::uint32_t>(0x20 * rounding_pos_dim);

/// Weights of standard deviation 1, but for those of a space at position 0, which are `factor` times as
/// large.
KroneckerEmbedding<float> embedding_with_large_space(float factor) {
  const KroneckerEncoder<256, rounding_pos_dim> encoder;
  auto weights = LearnedProjection::normal(rounding_d_model, encoder.code_dim(), 1).to_torch();
  weights *= std::sqrt(static_cast<float>(encoder.code_dim()));
  weights.col(space_cell) *= factor;
  std::vector<std::string> tokens = {""};
  for (char letter = 'a'; letter <= 'z'; ++letter) tokens.push_back(std::string(2, letter) + "x");
  tokens.push_back(" the");
  return {encoder, kronecker::Vocabulary(tokens), LearnedProjection::from_torch(weights)};
}

float middle_of(std::vector<float> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

}  // namespace

TEST_CASE("int8 rows lose what steps of the largest number's 127th part lose of the others") {
  const auto exact = embedding_with_large_space(1000);
  const RoundingLoss loss = rounding_loss(exact, exact.cast<std::int8_t>());
  REQUIRE(loss.columns.size() == rounding_d_model);
  const auto values = exact.rows().values();
  for (std::size_t column = 0; column < rounding_d_model; ++column) {
    CHECK(loss.largest_cells[column] == space_cell);
    // Numbers of standard deviation 1 that are below half a step become 0, those above lose up to half a
    // step.
    const float step = std::abs(values[space_cell * rounding_d_model + column]) / 127;
    if (step > 8) CHECK(std::abs(loss.columns[column] - 1) < 0.01f);
  }
  CHECK(loss.tokens.size() == 28);
  CHECK(loss.tokens[0] == 0);      // no bytes, and no loss
  CHECK(loss.tokens[27] < 0.01f);  // lights the large cell
  CHECK(middle_of(loss.tokens) > 0.5f);
}

TEST_CASE("uniform rounding errors are a step over the root of 12") {
  // A step of a tenth of the standard deviation: 0.1 / sqrt(12) is 2.9 %, in the rows and in sums of them.
  auto exact = embedding_with_large_space(1);
  exact.update_rows([](std::span<float> rows) {
    for (std::size_t column = 0; column < rounding_d_model; ++column)
      rows[space_cell * rounding_d_model + column] = 12.7f;
  });
  const RoundingLoss loss = rounding_loss(exact, exact.cast<std::int8_t>());
  for (std::size_t column = 0; column < rounding_d_model; ++column) {
    CHECK(loss.largest_cells[column] == space_cell);
    CHECK(std::abs(loss.columns[column] - 0.0289f) < 0.004f);
  }
  CHECK(std::abs(middle_of(loss.tokens) - 0.0289f) < 0.01f);
}

TEST_CASE("rows that hold the numbers lose nothing, and other embeddings are not compared") {
  const auto exact = embedding_with_large_space(1);
  const RoundingLoss loss = rounding_loss(exact, exact);
  CHECK(loss.tokens == std::vector<float>(28, 0.0f));
  CHECK(loss.columns == std::vector<float>(rounding_d_model, 0.0f));
  CHECK_THROWS_AS(rounding_loss(exact, exact.with_vocabulary(kronecker::Vocabulary({"a"}))),
                  std::invalid_argument);
}
