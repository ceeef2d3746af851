#include "golden.hpp"

#include <kronecker/analysis/nearest_rows.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

using kronecker::NearestRows;
using kronecker::Neighbors;
using kronecker::RowMajorMatrix;

namespace {

RowMajorMatrix<float> numbers_up_to_one(Eigen::Index rows, Eigen::Index columns, unsigned seed) {
  std::mt19937 random(seed);
  RowMajorMatrix<float> matrix(rows, columns);
  for (Eigen::Index i = 0; i < matrix.size(); ++i)
    matrix.data()[i] = static_cast<float>(random() % 2001) / 1000 - 0.7f;
  return matrix;
}

}  // namespace

TEST_CASE("the nearest rows are those whose cosines, computed one by one in double, are largest") {
  const bool is_centered = GENERATE(false, true);
  const RowMajorMatrix<float> table = numbers_up_to_one(300, 7, 1), queries = numbers_up_to_one(70, 7, 2);
  const NearestRows rows(table, is_centered);
  CHECK(rows.vocab_size() == 300);
  CHECK(rows.d_model() == 7);
  RowMajorMatrix<double> exact = table.cast<double>(), wanted = queries.cast<double>();
  if (is_centered) {
    const Eigen::RowVectorXd mean = exact.colwise().sum() / 300;
    exact.rowwise() -= mean;
    wanted.rowwise() -= mean;
  }
  const std::vector<Neighbors> found = rows.nearest(queries, 4);
  REQUIRE(found.size() == 70);
  for (Eigen::Index i = 0; i < 70; ++i) {
    std::vector<double> cosines;
    for (Eigen::Index id = 0; id < 300; ++id)
      cosines.push_back(exact.row(id).dot(wanted.row(i)) / (exact.row(id).norm() * wanted.row(i).norm()));
    std::vector<double> best = cosines;
    std::sort(best.rbegin(), best.rend());
    const auto& tokens = found[static_cast<std::size_t>(i)].tokens;
    REQUIRE(tokens.size() == 4);
    for (std::size_t k = 0; k < 4; ++k) {
      REQUIRE(std::abs(static_cast<double>(tokens[k].cosine) - best[k]) < 1e-6);
      REQUIRE(std::abs(cosines[static_cast<std::size_t>(tokens[k].id)] - best[k]) < 1e-6);
    }
  }
  const double exact_cosine =
      wanted.row(0).dot(wanted.row(1)) / (wanted.row(0).norm() * wanted.row(1).norm());
  CHECK(std::abs(static_cast<double>(rows.cosine(queries.row(0), queries.row(1))) - exact_cosine) < 1e-6);
}

TEST_CASE("a row of zeros is as near to all as to none, and equal rows tie") {
  RowMajorMatrix<float> table(4, 2);
  table << 0, 0, 1, 0, 2, 0, -1, 0;
  const Neighbors found = NearestRows(table).nearest(table.row(1), 1).front();
  CHECK(found.tokens == std::vector<kronecker::Neighbor>{{1, 1.0f}});
  CHECK(found.tied_with_last == 1);
  CHECK(NearestRows(table).nearest(table.row(0), 4).front().tokens[3].cosine == 0);
}

TEST_CASE("tables and vectors that cannot be compared are refused by what is wrong with them") {
  RowMajorMatrix<float> table = numbers_up_to_one(3, 4, 1);
  const NearestRows rows(table);
  CHECK(message_of<std::invalid_argument>([&] { rows.nearest(table.leftCols(3), 1); }) ==
        "vectors of 3 numbers are not the table's d_model 4");
  CHECK(message_of<std::invalid_argument>([&] { rows.nearest(table, 0); }) ==
        "a search for the 0 nearest tokens finds none");
  table(2, 1) = std::numeric_limits<float>::quiet_NaN();
  CHECK(message_of<std::invalid_argument>([&] { NearestRows{table}; }) ==
        "row 2 of the table has a number that is not finite");
  CHECK(message_of<std::invalid_argument>([&] { NearestRows{RowMajorMatrix<float>(0, 3)}; }) ==
        "a table without rows has no nearest ones");
}
