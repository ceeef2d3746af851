#include "catch.hpp"

#include <kronecker/analysis/fit_groups.hpp>

#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

using kronecker::FitGroup;
using kronecker::FitResult;
using kronecker::TokenId;
using kronecker::Vocabulary;

namespace {

/// A fit of these tokens; the figures are made up.
FitResult fit_of(std::vector<kronecker::TokenFit> tokens) {
  return {kronecker::LearnedProjection::normal(1, 1, 1), std::move(tokens), 0};
}

constexpr double not_there = std::numeric_limits<double>::quiet_NaN();

}  // namespace

TEST_CASE("a fit is told by the length of tokens, about the mean row of all") {
  const Vocabulary vocabulary({"a", "abc", "b", "", "abcde"});
  const kronecker::DynamicEncoder encoder(256, 4, {});
  const FitResult fit = fit_of({{1, 1, 4, not_there},
                                {1, 9, 3, not_there},
                                {3, 0.5, 2, 1},
                                {0, 100, 100, not_there},
                                {1, 2, 8, not_there}});
  const std::vector<FitGroup> groups = fit_by_length(fit, kronecker::TokenBytes(vocabulary, encoder));
  REQUIRE(groups.size() == 3);
  CHECK(groups[0].ids == std::vector<TokenId>{0, 2});
  CHECK(groups[0].first == 1);
  CHECK(groups[0].r_squared == 1 - (1 + 3 * 0.5) / (4 + 3 * 2));
  CHECK(groups[0].held_out == 1);
  CHECK(groups[0].held_out_r_squared == 0.5);
  CHECK(groups[1].first == 3);
  CHECK(groups[1].r_squared == -2);
  CHECK(groups[1].held_out == 0);
  CHECK(std::isnan(groups[1].held_out_r_squared));
  CHECK(groups[2].last == 4);  // as many bytes as are kept
  const auto merged = fit_by_length(fit, kronecker::TokenBytes(vocabulary, encoder), 2);
  REQUIRE(merged.size() == 2);
  CHECK(merged[1].ids == std::vector<TokenId>{1, 4});
  CHECK(merged[1].first == 3);
  CHECK(merged[1].last == 4);
  CHECK_THROWS_AS(fit_by_length(fit_of({}), kronecker::TokenBytes(vocabulary, encoder)),
                  std::invalid_argument);
}

TEST_CASE("a fit is told by tenths of ids and of weights") {
  std::vector<kronecker::TokenFit> tokens(26);
  for (std::size_t id = 0; id < 26; ++id) {
    tokens[id] = {static_cast<double>(id % 13 + 1), static_cast<double>(id), 10, not_there};
    if (id == 3) tokens[id].weight = 0;
  }
  const FitResult fit = fit_of(tokens);
  const std::vector<FitGroup> by_id = fit_by_id(fit);
  REQUIRE(by_id.size() == 10);
  CHECK(by_id[0].ids == std::vector<TokenId>{0, 1});
  CHECK(by_id[1].ids == std::vector<TokenId>{2, 4, 5});
  CHECK(by_id[1].first == 2);
  CHECK(by_id[1].last == 5);
  CHECK(by_id[1].r_squared == 1 - (3 * 2 + 5 * 4 + 6 * 5) / (14 * 10.0));
  CHECK(by_id[9].last == 25);
  const std::vector<FitGroup> by_weight = fit_by_weight(fit);
  REQUIRE(by_weight.size() == 10);
  CHECK(by_weight[0].ids == std::vector<TokenId>{12, 25});
  CHECK(by_weight[0].first == 13);
  CHECK(by_weight[1].ids == std::vector<TokenId>{11, 24, 10});
  CHECK(by_weight[9].last == 1);
  CHECK(fit_by_id(fit_of({{1, 2, 3, not_there}})).size() == 1);
}

TEST_CASE("the worst tokens are those that cost most") {
  const FitResult fit =
      fit_of({{1, 1, 4, not_there}, {2, 9, 3, not_there}, {3, 4, 2, not_there}, {0, 100, 100, not_there}});
  CHECK(worst_fitted(fit, 2) == std::vector<TokenId>{1, 2});
  CHECK(worst_fitted(fit, 9) == std::vector<TokenId>{1, 2, 0});
}
