#include "definition.hpp"
#include "golden.hpp"

#include <kronecker/analysis/fit.hpp>

#include <Eigen/QR>
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
using test_support::modes;

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
template <class Encoder>
Eigen::MatrixXd codes(const Encoder& encoder, const Vocabulary& vocabulary) {
  Eigen::MatrixXd all(vocabulary.size(), encoder.code_dim());
  for (TokenId id = 0; id < vocabulary.size(); ++id)
    all.row(id) = test_support::code_by_definition(vocabulary.bytes(id), encoder.char_dim(),
                                                   encoder.pos_dim(), encoder.options());
  return all;
}

}  // namespace

TEST_CASE("a table that a projection made is found again, in every mode") {
  const Vocabulary vocabulary = random_words(1, 300);
  for (const auto& [mode, options] : modes())
    for (const int char_dim : {6, 256}) {  // every cell lit, or few
      INFO("mode " << mode << ", char_dim " << char_dim);
      const KroneckerEncoder encoder(char_dim, 5, options);
      const auto table =
          KroneckerEmbedding(encoder, vocabulary, LearnedProjection::normal(19, encoder.code_dim(), 4))
              .table();
      const FitResult fit = fit_projection(encoder, vocabulary, table);
      CHECK(fit.converged);
      CHECK(fit.explained > 1 - 1e-10);
      CHECK(fit.r_squared > 1 - 1e-9);
      CHECK(*std::max_element(fit.residual.begin(), fit.residual.end()) < 1e-5f);
      const auto found = KroneckerEmbedding(encoder, vocabulary, fit.projection).table();
      CHECK((found - table).cwiseAbs().maxCoeff() < 1e-5f * table.cwiseAbs().maxCoeff());
    }
}

TEST_CASE("codes that have nothing to do with a table explain as much of it as chance does") {
  const Vocabulary vocabulary = random_words(7, 2000);
  const KroneckerEncoder encoder(6, 5);
  RowMajorMatrix<float> table = random_table(8, 2000, 40);
  // By the theory of linear regression, k columns of noise explain k / n of n rows of noise.
  const FitResult noise = fit_projection(encoder, vocabulary, table, {.ridge = 0});
  CHECK(noise.chance == 30.0 / 2000);
  CHECK(std::abs(noise.r_squared - noise.chance) < 0.005);
  CHECK(noise.mean_share < 0.002);
  // A row that all tokens share is most of a table, and explains none of their differences.
  table.rowwise() += Eigen::RowVectorXf::Constant(40, 2.0f);
  const FitResult shifted = fit_projection(encoder, vocabulary, table, {.ridge = 0});
  CHECK(std::abs(shifted.mean_share - 4 / (4 + 1.0 / 3)) <
        0.01);  // values of -1 to 1 have the mean square 1/3
  CHECK(shifted.r_squared < 0.03);
}

TEST_CASE("the fit to a random table is the dense least-squares solution") {
  const Vocabulary vocabulary = random_words(2, 200);
  const auto table = random_table(3, 200, 21);
  const Eigen::MatrixXd target = table.cast<double>();
  for (const auto& [mode, options] : modes())
    for (const int char_dim : {6, 9})
      for (const double ridge : {0.0, 0.5}) {
        INFO("mode " << mode << ", char_dim " << char_dim << ", ridge " << ridge);
        const KroneckerEncoder encoder(char_dim, 5, options);
        const Eigen::MatrixXd a = codes(encoder, vocabulary);
        const Eigen::Index d = a.cols();
        double mean_squared_scale = 0;
        for (TokenId id = 0; id < vocabulary.size(); ++id) {
          const auto scale =
              static_cast<double>(encoder.scale(static_cast<int>(vocabulary.bytes(id).size())));
          mean_squared_scale += scale * scale / vocabulary.size();
        }
        Eigen::MatrixXd stacked = Eigen::MatrixXd::Zero(a.rows() + d, d);
        stacked.topRows(a.rows()) = a;
        stacked.bottomRows(d).diagonal().setConstant(std::sqrt(ridge * mean_squared_scale));
        Eigen::MatrixXd stacked_target = Eigen::MatrixXd::Zero(a.rows() + d, target.cols());
        stacked_target.topRows(a.rows()) = target;
        const Eigen::MatrixXd residual =
            target - a * Eigen::MatrixXd(stacked.completeOrthogonalDecomposition().solve(stacked_target));

        const FitResult fit = fit_projection(encoder, vocabulary, table, {.ridge = ridge});
        CHECK(fit.converged);
        CHECK(std::abs(fit.explained - (1 - residual.squaredNorm() / target.squaredNorm())) < 1e-6);
        for (TokenId id = 0; id < vocabulary.size(); ++id)
          REQUIRE(std::abs(static_cast<double>(fit.residual[static_cast<std::size_t>(id)]) -
                           residual.row(id).norm() / target.row(id).norm()) < 2e-6);
      }
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
  CHECK(centered.cast<double>().rowwise().sum().cwiseAbs().maxCoeff() < 1e-6);
}

TEST_CASE("residuals say which tokens the fit misses") {
  const Vocabulary vocabulary({"a", "same", "same", "", ""});
  RowMajorMatrix<float> table(5, 2);
  table << 3, 4, 1, 0, 0, 1, 0, 0, 0, 2;
  const FitResult fit = fit_projection(KroneckerEncoder<>(), vocabulary, table, {.ridge = 0});
  CHECK(fit.residual[0] < 1e-6f);
  CHECK(std::abs(fit.residual[1] - std::sqrt(0.5f)) < 1e-6f);  // both get the mean of their rows
  CHECK(std::abs(fit.residual[2] - std::sqrt(0.5f)) < 1e-6f);
  CHECK(fit.residual[3] == 0.0f);  // no bytes, and a row of zeros
  CHECK(fit.residual[4] == 1.0f);  // no bytes: nothing but zero can be had
  CHECK(std::abs(fit.explained - (1 - (0.5 + 0.5 + 4) / 31)) < 1e-6);
}

TEST_CASE("a row of zeros is measured against the other rows") {
  const Vocabulary vocabulary({"same", "same"});
  RowMajorMatrix<float> table(2, 1);
  table << 2, 0;
  const FitResult fit = fit_projection(KroneckerEncoder<>(), vocabulary, table, {.ridge = 0});
  CHECK(std::abs(fit.residual[1] - 1 / std::sqrt(2.0f)) < 1e-6f);
}

TEST_CASE("a table of zeros has a projection of zeros") {
  const FitResult fit =
      fit_projection(KroneckerEncoder<>(), Vocabulary({"a", "b"}), RowMajorMatrix<float>::Zero(2, 3));
  CHECK(fit.projection.to_torch().isZero(0));
  CHECK(fit.explained == 1);
  CHECK(fit.residual == std::vector<float>{0, 0});
  CHECK(fit.iterations == 0);
  CHECK(fit.converged);
}

TEST_CASE("a fit that is cut short says so") {
  const Vocabulary vocabulary = random_words(5, 100);
  const FitResult fit =
      fit_projection(KroneckerEncoder(6, 5), vocabulary, random_table(6, 100, 4), {.max_iterations = 2});
  CHECK(fit.iterations == 2);
  CHECK_FALSE(fit.converged);
}

TEST_CASE("the same table gives the same fit") {
  const Vocabulary vocabulary = random_words(7, 100);
  const auto table = random_table(8, 100, 18);
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
  CHECK(message(table, {.max_iterations = 0}) == "max_iterations 0 is not positive");
  table(1, 2) = std::numeric_limits<float>::quiet_NaN();
  CHECK(message(table) == "table entry (1, 2) is not finite");
}

TEST_CASE("a fit tells how far it has got") {
  std::vector<double> fractions;
  FitOptions options;
  options.progress = [&](double fraction) { fractions.push_back(fraction); };
  const auto table = random_table(8, 100, 20);
  const FitResult fit = fit_projection(KroneckerEncoder(6, 5), random_words(7, 100), table, options);
  CHECK(fractions == std::vector<double>{0.8, 1});
}
