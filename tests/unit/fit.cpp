#include "definition.hpp"
#include "golden.hpp"
#include "matrices.hpp"

#include <kronecker/analysis/fit.hpp>

#include <Eigen/QR>
#include <cmath>
#include <limits>
#include <random>
#include <set>

using kronecker::fit_projection;
using kronecker::FitOptions;
using kronecker::FitResult;
using kronecker::KroneckerEmbedding;
using kronecker::KroneckerEncoder;
using kronecker::LearnedProjection;
using kronecker::RowMajorMatrix;
using kronecker::TokenId;
using kronecker::Vocabulary;
using test_support::Doubles;
using test_support::doubles;
using test_support::largest_of;
using test_support::max_difference;
using test_support::modes;
using test_support::product;

namespace {

/// Different words of 1 to 5 bytes; those of the first 6 bytes of the alphabet only.
Vocabulary random_words(unsigned seed, std::size_t count) {
  std::mt19937 random(seed);
  std::set<std::string> words;
  while (words.size() < count) {
    std::string word(1 + random() % 5, '\0');
    for (char& byte : word) byte = static_cast<char>(random() % 6);
    words.insert(word);
  }
  std::vector<std::string> tokens(words.begin(), words.end());
  std::shuffle(tokens.begin(), tokens.end(), random);
  return Vocabulary(tokens);
}

RowMajorMatrix<float> random_table(unsigned seed, Eigen::Index rows, Eigen::Index columns) {
  std::mt19937 random(seed);
  RowMajorMatrix<float> table(rows, columns);
  for (float& value : table.reshaped()) value = static_cast<float>(random() % 2001) / 1000 - 1;
  return table;
}

/// A, (V, D): the codes of a vocabulary by definition.
Doubles codes(const kronecker::DynamicEncoder& encoder, const Vocabulary& vocabulary) {
  Doubles all(vocabulary.size(), encoder.code_dim());
  for (TokenId id = 0; id < vocabulary.size(); ++id)
    all.row(id) = test_support::code_by_definition(vocabulary.bytes(id), encoder.char_dim(),
                                                   encoder.pos_dim(), encoder.options());
  return all;
}

/// An X that makes A X - B least.
Doubles least_squares(const Eigen::MatrixXd& a, const Eigen::MatrixXd& b) {
  return a.completeOrthogonalDecomposition().solve(b);
}

/// A table of the codes' own, and noise of `noise` times its size.
RowMajorMatrix<float> explained_table(const kronecker::DynamicEncoder& encoder, const Vocabulary& vocabulary,
                                      int d_model, float noise) {
  const auto projection = LearnedProjection::normal(d_model, encoder.code_dim(), 4);
  const auto random = random_table(5, vocabulary.size(), d_model);
  RowMajorMatrix<float> table = KroneckerEmbedding(encoder, vocabulary, projection).table();
  return table + noise * table.norm() / random.norm() * random;
}

double relative_distance(const FitResult& fit, const RowMajorMatrix<float>& table, TokenId id) {
  return std::sqrt(fit.tokens[static_cast<std::size_t>(id)].distance) / table.row(id).cast<double>().norm();
}

}  // namespace

TEST_CASE("a table that a projection made is found again, in every mode") {
  const Vocabulary vocabulary = random_words(1, 300);
  for (const auto& [mode, options] : modes())
    for (const int char_dim : {6, 256}) {  // every cell lit, or few
      INFO("mode " << mode << ", char_dim " << char_dim);
      const KroneckerEncoder encoder(char_dim, 5, options);
      const auto table = explained_table(encoder, vocabulary, 19, 0);
      const FitResult fit = fit_projection(encoder, vocabulary, table);
      CHECK(fit.converged);
      CHECK(fit.ridge == 1e-6);
      CHECK(fit.r_squared > 1 - 1e-10);
      CHECK(fit.held_out_r_squared > 1 - 1e-6);
      CHECK(fit.shift == 0);
      const auto found = KroneckerEmbedding(encoder, vocabulary, fit.projection).table();
      CHECK(max_difference(found, table) < 1e-5 * largest_of(table));
    }
}

TEST_CASE("codes that have nothing to do with a table explain as much of it as chance does") {
  const Vocabulary vocabulary = random_words(7, 2000);
  const KroneckerEncoder encoder(7, 5);
  RowMajorMatrix<float> table = random_table(8, 2000, 40);
  // By the theory of linear regression, k columns of noise explain k / n of n rows of noise, and of rows that
  // took no part they add as much to the error.
  const FitResult noise = fit_projection(encoder, vocabulary, table, {.ridge = 0});
  CHECK(std::abs(noise.chance - 30.0 / 2000) < 0.003);
  CHECK(std::abs(noise.r_squared - noise.chance) < 0.005);
  CHECK(std::abs(noise.held_out_r_squared + 30.0 / 1800) < 0.015);
  CHECK(noise.mean_share < 0.002);
  CHECK(noise.shift == 0);
  // A row that all tokens share is most of a table, and explains none of their differences.
  table.rowwise() += Eigen::RowVectorXf::Constant(40, 2.0f);
  const FitResult shifted = fit_projection(encoder, vocabulary, table, {.ridge = 0});
  CHECK(std::abs(shifted.mean_share - 4 / (4 + 1.0 / 3)) <
        0.01);  // values of -1 to 1 have the mean square 1/3
  CHECK(std::abs(shifted.r_squared - noise.r_squared) < 1e-4);
  // The ridge that is chosen leaves the mean row.
  const FitResult chosen = fit_projection(encoder, vocabulary, table);
  CHECK(chosen.ridge >= 100);
  CHECK(std::abs(chosen.held_out_r_squared) < 0.01);
  CHECK(std::abs(chosen.plain_r_squared - shifted.r_squared) < 1e-4);
  CHECK(std::abs(chosen.plain_chance - 30.0 / 2000) < 0.003);
  CHECK(std::isnan(shifted.plain_r_squared));
}

TEST_CASE("what is held out is explained as the table was made") {
  const Vocabulary vocabulary = random_words(7, 3000);
  const KroneckerEncoder encoder(256, 5);
  const FitResult fit = fit_projection(encoder, vocabulary, explained_table(encoder, vocabulary, 24, 1));
  CHECK(std::abs(fit.held_out_r_squared - 0.5) < 0.07);  // half of the squares are noise
  CHECK(fit.r_squared > fit.held_out_r_squared);
  std::size_t held_out = 0;
  for (const auto& token : fit.tokens) held_out += std::isnan(token.held_out) ? 0 : 1;
  CHECK(held_out == 150);  // of the tenth, the half that did not choose the ridge
}

TEST_CASE("a table whose rows are other ids' is noticed") {
  const Vocabulary vocabulary = random_words(7, 2000);
  const KroneckerEncoder encoder(256, 5);
  const auto table = explained_table(encoder, vocabulary, 24, 1);
  for (const int shift : {-2, 1}) {
    RowMajorMatrix<float> shifted(2000, 24);
    for (int id = 0; id < 2000; ++id) shifted.row((id + shift + 2000) % 2000) = table.row(id);
    const FitResult fit = fit_projection(encoder, vocabulary, shifted);
    CHECK(fit.shift == shift);
    CHECK(std::abs(fit.shifted_r_squared - 0.5) < 0.15);
    CHECK(fit.held_out_r_squared < 0.05);
  }
}

TEST_CASE("the fit to a random table is the dense least-squares solution") {
  const Vocabulary vocabulary = random_words(2, 200);
  const auto table = random_table(3, 200, 21);
  const Doubles target = doubles(table);
  for (const auto& [mode, options] : modes())
    for (const int char_dim : {6, 9})
      for (const double ridge : {0.0, 0.5})
        for (const bool is_weighted : {false, true}) {
          INFO("mode " << mode << ", char_dim " << char_dim << ", ridge " << ridge << ", " << is_weighted);
          const KroneckerEncoder encoder(char_dim, 5, options);
          const Doubles a = codes(encoder, vocabulary);
          const Eigen::Index d = a.cols();
          Eigen::VectorXd weights = Eigen::VectorXd::Ones(200);
          for (int id = 0; is_weighted && id < 200; ++id) weights[id] = id % 5;
          const double sum = weights.sum();
          double unit = 0;
          for (TokenId id = 0; id < vocabulary.size(); ++id) {
            const auto scale =
                static_cast<double>(encoder.scale(static_cast<int>(vocabulary.bytes(id).size())));
            unit += weights[id] * scale * scale / sum;
          }
          if (is_weighted) unit *= sum / 160;  // 40 of 200 have the weight 0
          // Weights that give every token the mean row: any, by their definition, if there are some.
          const Eigen::RowVectorXd mean = product(weights.transpose(), target) / sum;
          Doubles pull = Doubles::Zero(d, target.cols());
          if (char_dim == 9 || !options.z_normalize) {
            for (Eigen::Index cell = 0; cell < d; ++cell) {
              const int length = static_cast<int>(cell % 5) + 1;
              const double before = length > 1 ? 1 / static_cast<double>(encoder.scale(length - 1)) : 0;
              if (cell < 30)
                pull.row(cell) = (1 / static_cast<double>(encoder.scale(length)) - before) * mean;
            }
            if (options.z_normalize)
              pull.bottomRows(15).rowwise() = Eigen::RowVectorXd(-pull.topRows(30).colwise().sum() / 15);
            REQUIRE(largest_of(product(a, pull).rowwise() - mean) < 1e-6);
          }
          Doubles stacked = Doubles::Zero(a.rows() + d, d);
          const Eigen::VectorXd roots = weights.cwiseSqrt();
          stacked.topRows(a.rows()) = roots.asDiagonal() * a;
          stacked.bottomRows(d).diagonal().setConstant(std::sqrt(ridge * unit));
          Doubles stacked_target(a.rows() + d, target.cols());
          stacked_target.topRows(a.rows()) = roots.asDiagonal() * target;
          stacked_target.bottomRows(d) = std::sqrt(ridge * unit) * pull;
          const Doubles solution = least_squares(stacked, stacked_target), fitted = product(a, solution);

          FitOptions fit_options{.ridge = ridge};
          if (is_weighted) fit_options.weights.assign(weights.begin(), weights.end());
          for (const int max_factored : {1000, 0}) {  // by a Cholesky factor, and by conjugate gradients
            fit_options.max_factored = max_factored;
            const double exactness = max_factored > 0 ? 1e-6 : 2e-5;
            const FitResult fit = fit_projection(encoder, vocabulary, table, fit_options);
            CHECK(fit.converged);
            CHECK((fit.iterations == 0) == (max_factored > 0));
            CHECK(fit.gradient < exactness);
            const auto found = KroneckerEmbedding(encoder, vocabulary, fit.projection).table();
            REQUIRE(max_difference(found, fitted) < exactness);
            if (ridge > 0)  // else there are others
              CHECK(max_difference(fit.projection.to_torch(), solution.transpose()) < exactness);
            double distance = 0, spread = 0;
            for (Eigen::Index id = 0; id < 200; ++id) {
              distance += weights[id] * (target.row(id) - fitted.row(id)).squaredNorm();
              spread += weights[id] * (target.row(id) - mean).squaredNorm();
            }
            CHECK(std::abs(fit.r_squared - 1 + distance / spread) < exactness);
            CHECK(std::abs(fit.tokens[7].distance - (target.row(7) - fitted.row(7)).squaredNorm()) <
                  100 * exactness);
          }
        }
}

TEST_CASE("a fit by NumPy is the same") {
  // By its definition, with numpy.linalg.solve: c 1 to 6 made to have the mean 1, ridge 0.25 times the mean
  // of c a_L^2, and the pull towards the mean row.
  const Vocabulary vocabulary({"a", "b", "ab", "ba", "abc", "c"});
  RowMajorMatrix<float> table(6, 2), expected(6, 2);
  for (int v = 0; v < 6; ++v)
    for (int j = 0; j < 2; ++j) table(v, j) = static_cast<float>((7 * v + 3 * j) % 11 - 5) / 4;
  expected << -0.711502542f, -0.0566567319f, 0.59263187f, 0.691718613f, -0.361780663f, 0.357025699f,
      1.0605914f, -0.452608906f, 0.107318547f, 0.825856937f, -0.682903298f, 0.0202860902f;
  const KroneckerEncoder encoder(256, 3);
  const FitResult fit =
      fit_projection(encoder, vocabulary, table, {.ridge = 0.25, .weights = {1, 2, 3, 4, 5, 6}});
  CHECK(max_difference(KroneckerEmbedding(encoder, vocabulary, fit.projection).table(), expected) < 1e-6);
  CHECK(std::abs(fit.r_squared - 0.9111131538364893) < 1e-6);
  CHECK(std::abs(fit.mean_share - 0.0455980800808387) < 1e-6);
  CHECK(std::isnan(fit.held_out_r_squared));  // six tokens are too few
}

TEST_CASE("a great ridge gives every token the mean row") {
  const Vocabulary vocabulary = random_words(2, 200);
  const auto table = random_table(3, 200, 4);
  const KroneckerEncoder encoder(256, 5);
  const FitResult fit = fit_projection(encoder, vocabulary, table, {.ridge = 1e12});
  const Eigen::RowVectorXf mean = table.colwise().mean();
  const auto found = KroneckerEmbedding(encoder, vocabulary, fit.projection).table();
  CHECK(largest_of(RowMajorMatrix<float>(found.rowwise() - mean)) < 1e-6);
  CHECK(std::abs(fit.r_squared) < 1e-6);
}

TEST_CASE("tokens of weight 0 take no part, and a weight of 2 is a token that is there twice") {
  const KroneckerEncoder encoder(256, 4);
  RowMajorMatrix<float> table = random_table(3, 5, 3);
  const Vocabulary vocabulary({"ab", "ba", "b", "abc", "cab"});
  const FitOptions options{.ridge = 0.5, .weights = {1, 2, 1, 0, 1}};
  const FitResult weighted = fit_projection(encoder, vocabulary, table, options);
  table.row(3) *= 100;
  const FitResult other = fit_projection(encoder, vocabulary, table, options);
  CHECK(weighted.projection.to_torch() == other.projection.to_torch());
  CHECK(weighted.r_squared == other.r_squared);
  CHECK(weighted.tokens[3].weight == 0);
  CHECK(other.tokens[3].distance > 1000 * weighted.tokens[3].distance);

  RowMajorMatrix<float> repeated(5, 3);
  repeated << table.topRows(3), table.row(1), table.row(4);
  // The mean weight is 5 / 4 there and 1 here, so that the same pull is that of 5 / 4 as many tokens.
  const FitResult twice =
      fit_projection(encoder, Vocabulary({"ab", "ba", "b", "ba", "cab"}), repeated, {.ridge = 0.625});
  CHECK(std::abs(twice.r_squared - weighted.r_squared) < 1e-6);
}

TEST_CASE("cells that no token lights get zero, or the same number if z-normalizing") {
  const Vocabulary vocabulary({"ab", "ba", "b"});
  const auto table = random_table(4, 3, 2);
  const RowMajorMatrix<float> plain =
      fit_projection(KroneckerEncoder(256, 3, {.z_normalize = false}), vocabulary, table)
          .projection.to_torch();
  CHECK(plain.col(0).isZero(0));
  CHECK_FALSE(plain.col('a' * 3).isZero(0));
  const RowMajorMatrix<float> centered =
      fit_projection(KroneckerEncoder(256, 3), vocabulary, table).projection.to_torch();
  CHECK(centered.col(0) == centered.col(767));
  CHECK(largest_of(doubles(centered).rowwise().sum()) < 1e-6);
}

TEST_CASE("distances say which tokens the fit misses") {
  const Vocabulary vocabulary({"a", "same", "same", "", ""});
  RowMajorMatrix<float> table(5, 2);
  table << 3, 4, 1, 0, 0, 1, 0, 0, 0, 2;
  const FitResult fit = fit_projection(KroneckerEncoder<>(), vocabulary, table, {.ridge = 0});
  CHECK(relative_distance(fit, table, 0) < 1e-6);
  CHECK(std::abs(fit.tokens[1].distance - 0.5) < 1e-6);  // both get the mean of their rows
  CHECK(std::abs(fit.tokens[2].distance - 0.5) < 1e-6);
  CHECK(std::abs(fit.tokens[2].spread - 20.0 / 9) < 1e-6);  // (0, 1) from (4, 5) / 3
  CHECK(fit.tokens[3].distance == 0.0);                     // no bytes, and a row of zeros
  CHECK(fit.tokens[4].distance == 4.0);                     // no bytes: nothing but zero can be had
  CHECK(fit.tokens[4].weight == 0);
  CHECK(std::abs(fit.r_squared - (1 - 1 / (120.0 / 9))) < 1e-6);
}

TEST_CASE("a table of one row for all tokens has nothing to explain") {
  const FitResult fit =
      fit_projection(KroneckerEncoder<>(), Vocabulary({"a", "b"}), RowMajorMatrix<float>::Zero(2, 3));
  CHECK(fit.projection.to_torch().isZero(0));
  CHECK(std::isnan(fit.r_squared));
  CHECK(fit.mean_share == 0);
  CHECK(fit.tokens[1].distance == 0);
  CHECK(fit.gradient == 0);
  CHECK(fit.converged);
  const Vocabulary vocabulary = random_words(2, 200);
  const FitResult ones =
      fit_projection(KroneckerEncoder<>(), vocabulary, RowMajorMatrix<float>::Ones(200, 3));
  CHECK(std::isnan(ones.r_squared));
  CHECK(ones.mean_share == 1);
  CHECK(ones.tokens[1].distance < 1e-10);
}

TEST_CASE("a fit that is cut short says so") {
  const Vocabulary vocabulary = random_words(5, 100);
  const FitResult fit = fit_projection(KroneckerEncoder(6, 5), vocabulary, random_table(6, 100, 4),
                                       {.holds_out = false, .max_factored = 0, .max_iterations = 2});
  CHECK(fit.iterations == 2);
  CHECK_FALSE(fit.converged);
}

TEST_CASE("the same table gives the same fit") {
  const Vocabulary vocabulary = random_words(7, 200);
  const auto table = random_table(8, 200, 18);
  const KroneckerEncoder encoder(6, 5);
  CHECK(fit_projection(encoder, vocabulary, table).projection.to_torch() ==
        fit_projection(encoder, vocabulary, table).projection.to_torch());
}

TEST_CASE("a table or an option that cannot be fitted is refused by name") {
  const Vocabulary vocabulary({"a", "b"});
  const auto message = [&](const RowMajorMatrix<float>& table, FitOptions options = {}) {
    return message_of<std::invalid_argument>(
        [&] { fit_projection(KroneckerEncoder<>(), vocabulary, table, options); });
  };
  RowMajorMatrix<float> table = RowMajorMatrix<float>::Ones(2, 3);
  CHECK(message(RowMajorMatrix<float>::Ones(3, 3)) ==
        "a table of 3 rows does not fit the vocabulary of 2 tokens");
  CHECK(message(RowMajorMatrix<float>(2, 0)) == "d_model 0 is not positive");
  CHECK(message(table, {.ridge = -1}) == "ridge -1 is outside 0 to 1e30");
  CHECK(message(table, {.tolerance = 1}) == "tolerance 1 is not in [0, 1)");
  CHECK(message(table, {.max_factored = -1}) == "max_factored -1 is negative");
  CHECK(message(table, {.max_iterations = 0}) == "max_iterations 0 is not positive");
  CHECK(message(table, {.weights = {1}}) == "1 weights do not fit the vocabulary of 2 tokens");
  CHECK(message(table, {.weights = {1, -2}}) == "the weight -2 of token id 1 is no number from 0 on");
  CHECK(message(table, {.weights = {0, 0}}) == "none of the 2 tokens has bytes and a weight over 0");
  const KroneckerEncoder rounded(256, 4, {.rounding = kronecker::CodeRounding::bfloat16});
  CHECK(message_of<std::invalid_argument>([&] { fit_projection(rounded, vocabulary, table); }) ==
        "a fit is to exact codes, not to rounded ones");
  table(1, 2) = std::numeric_limits<float>::quiet_NaN();
  CHECK(message(table) == "table entry (1, 2) is not finite");
}

TEST_CASE("a fit tells how far it has got") {
  std::vector<double> fractions;
  FitOptions options;
  options.progress = [&](double fraction) { fractions.push_back(fraction); };
  fit_projection(KroneckerEncoder(6, 5), random_words(7, 200), random_table(8, 200, 20), options);
  CHECK(fractions.size() > 5);
  CHECK(std::is_sorted(fractions.begin(), fractions.end()));
  CHECK(fractions.front() > 0);
  CHECK(fractions.back() == 1);
}
