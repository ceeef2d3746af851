#pragma once

/// From a table that was trained to the projection whose embeddings come nearest to it, and how near that is.
///
/// The embeddings of a vocabulary are a linear function of the weights (fit_equations.hpp), so the fit is a
/// weighted least-squares solution. A ridge pulls the weights towards those that give every token the mean
/// row, not towards zero: what the codes cannot tell is guessed to be ordinary.
///
/// A table has V rows and a projection D; where D < V, most tables cannot be met, and tokens of equal code
/// never can. So the result is measured, on tokens that took part and on tokens that did not, and beside what
/// the same fit makes of shuffled rows.

#include <kronecker/analysis/fit_equations.hpp>
#include <kronecker/analysis/fit_solver.hpp>
#include <kronecker/analysis/fit_target.hpp>
#include <kronecker/analysis/held_out_fit.hpp>
#include <kronecker/embedding.hpp>
#include <kronecker/encoder.hpp>
#include <kronecker/error.hpp>
#include <kronecker/namespace.hpp>
#include <kronecker/projection.hpp>
#include <kronecker/token_bytes.hpp>
#include <kronecker/types.hpp>
#include <kronecker/vocabulary.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <functional>
#include <limits>
#include <numeric>
#include <optional>
#include <span>
#include <stdexcept>
#include <utility>
#include <vector>

namespace KRONECKER_NAMESPACE {

/// How a projection is fitted.
struct FitOptions {
  /// Pull of the weights towards the mean row: how many further tokens, of mean weight, each cell seems to
  /// have, all of which have it. 0 is plain least squares. Not given, it is chosen: the one that is best for
  /// tokens that are held out.
  std::optional<double> ridge = std::nullopt;
  /// How much each token counts, such as how often it occurs; not negative, and not all zero. Tokens of
  /// weight 0 take no part, in the fit and in what is said of it. Empty: all alike.
  std::vector<double> weights = {};
  /// Whether a fit without a tenth of the tokens is measured on these, and on shifted rows; without, and for
  /// fewer than 100 tokens, there is no such figure, and a ridge that is not given is 1e-6.
  bool holds_out = true;
  double tolerance = 1e-6;    ///< Solved once the gradient is this small, relative to the first.
  int max_factored = 8193;    ///< Over as many cells, conjugate gradients; below, a Cholesky factor.
  int max_iterations = 1000;  ///< Of conjugate gradients, for each column.
  /// Called with the part of the work that is done, from 0 to 1, as it grows.
  std::function<void(double fraction)> progress = {};
};

/// How near the embedding of a token is to its row. Of a token without bytes the embedding is zero.
struct TokenFit {
  double weight = 0;    ///< With the mean 1 over the tokens that take part; 0 for those that take none.
  double distance = 0;  ///< From its row, squared.
  double spread = 0;    ///< The distance of its row from the mean row, squared.
  /// The distance squared in the fit that it took no part in; NaN if it was in all.
  double held_out = std::numeric_limits<double>::quiet_NaN();
};

/// A projection fitted to a table. All means and sums are weighted; R^2 is 1 - the sum of squared distances
/// from the rows / that of the rows from their mean.
struct FitResult {
  LearnedProjection projection;  ///< (d_model, D); its columns sum to zero if z-normalizing.
  std::vector<TokenFit> tokens;  ///< For each id.
  double ridge;                  ///< That was given or chosen.
  double r_squared = 0;  ///< What the codes explain of what makes tokens differ. 1: all; 0: the mean row.
  double held_out_r_squared = 0;  ///< The same of tokens that took no part in the fit; NaN if none were.
  /// What `r_squared` is when the rows are dealt to the tokens at random: a fit that is not well above it
  /// explains nothing.
  double chance = 0;
  /// The two without a ridge, of plain least squares: what any weights could explain of these very rows. NaN
  /// if a ridge was given, or if conjugate gradients would look for it.
  double plain_r_squared = std::numeric_limits<double>::quiet_NaN();
  double plain_chance = std::numeric_limits<double>::quiet_NaN();  ///< Of rows at random.
  double mean_share = 0;  ///< Of the squares of all rows, what the mean row alone has.
  /// If rows fit better when taken from another id, how far on that is, -4 to 4: with 1, token 0 has row 1,
  /// as where a model puts special tokens before a tokenizer's. 0: they do not.
  int shift = 0;
  double shifted_r_squared = 0;  ///< Of tokens that took no part, with rows shifted so.
  double gradient = 0;           ///< Of the squares at the result, relative to that at the mean row.
  int iterations = 0;            ///< The most that a column took; 0 if none were needed.
  bool converged = false;        ///< Whether every column reached the tolerance.
};

namespace detail {

inline void check_fit(const DynamicEncoder& encoder, const Vocabulary& vocabulary,
                      const Eigen::Ref<const RowMajorMatrix<float>>& table, const FitOptions& options) {
  if (table.rows() != vocabulary.size())
    fail<std::invalid_argument>("a table of ", table.rows(), " rows does not fit the vocabulary of ",
                                vocabulary.size(), " tokens");
  if (table.cols() < 1) fail<std::invalid_argument>("d_model ", table.cols(), " is not positive");
  for (Eigen::Index i = 0; i < table.rows(); ++i)
    for (Eigen::Index j = 0; j < table.cols(); ++j)
      if (!is_finite(table(i, j)))
        fail<std::invalid_argument>("table entry (", i, ", ", j, ") is not finite");
  if (encoder.options().rounding != CodeRounding::exact)
    fail<std::invalid_argument>("a fit is to exact codes, not to rounded ones");
  if (options.ridge && !(*options.ridge >= 0 && *options.ridge <= 1e30))
    fail<std::invalid_argument>("ridge ", *options.ridge, " is outside 0 to 1e30");
  if (!(options.tolerance >= 0 && options.tolerance < 1))
    fail<std::invalid_argument>("tolerance ", options.tolerance, " is not in [0, 1)");
  if (options.max_factored < 0)
    fail<std::invalid_argument>("max_factored ", options.max_factored, " is negative");
  if (options.max_iterations < 1)
    fail<std::invalid_argument>("max_iterations ", options.max_iterations, " is not positive");
}

/// R^2 of the fit of that ridge to a target.
inline double r_squared_of(const FitEquations& equations, FitSolver& solver, const FitTarget& target,
                           double ridge) {
  const FitEquations::Matrix x = solver.solve(target, ridge);
  FitSquares squares;
  equations.for_each_token([&](TokenId id, double, FitEquations::Lit) {
    squares.add(equations.weight(id), equations.squares(target, x, id));
  });
  return squares.r_squared();
}

/// The same when the rows are dealt to the tokens at random, from a sample of columns.
inline double chance_of(const FitEquations& equations, FitSolver& solver, const FitTarget& target,
                        double ridge) {
  std::vector<TokenId> ids, row_of(static_cast<std::size_t>(target.table.rows()));
  std::iota(row_of.begin(), row_of.end(), TokenId{0});
  equations.for_each_token([&](TokenId id, double, FitEquations::Lit) { ids.push_back(id); });
  RandomStream random(ids.size());
  for (std::size_t i = ids.size(); i > 0; --i) {
    const std::size_t other = random_below(random, i);
    std::swap(row_of[static_cast<std::size_t>(ids[i - 1])], row_of[static_cast<std::size_t>(ids[other])]);
  }
  return r_squared_of(equations, solver, target.thinned(sampled_columns).with_rows(std::move(row_of)), ridge);
}

/// Measures the embeddings that the float32 projection really gives. Returns what they leave of the right
/// side of the equations.
inline FitEquations::Matrix measure_fit(const FitEquations& equations, const FitTarget& target,
                                        const DynamicEncoder& encoder, const Vocabulary& vocabulary,
                                        FitResult& fit) {
  const KroneckerEmbedding<float> embedding(encoder, vocabulary, fit.projection);
  Eigen::RowVectorXd difference;
  Eigen::VectorXf embedded(embedding.d_model());
  FitSquares squares;
  double total = 0;
  const auto measure = [&](TokenId id) {
    embedding.forward({id}, embedded);
    target.read(id, difference);
    TokenFit& token = fit.tokens[static_cast<std::size_t>(id)];
    token.weight = equations.weight(id);
    token.spread = difference.squaredNorm();
    difference += target.mean - embedded.transpose().cast<double>();
    token.distance = difference.squaredNorm();
    squares.add(token.weight, {token.distance, token.spread});
    total += token.weight;
  };
  FitEquations::Matrix remainder = equations.scatter<FitEquations::Matrix>(
      target.columns(), [&](TokenId id, double, FitEquations::Lit) -> const auto& {
        measure(id);
        return difference;
      });
  for (TokenId id = 0; id < vocabulary.size(); ++id)
    if (!(equations.weight(id) > 0)) measure(id);
  const double squared_rows = squares.spread + total * target.mean.squaredNorm();
  fit.r_squared = squares.r_squared();
  fit.mean_share = squared_rows > 0 ? 1 - squares.spread / squared_rows : 0;
  return remainder;
}

}  // namespace detail

/// The projection whose embeddings of `vocabulary` are nearest to `table`, (V, d_model), in weighted least
/// squares.
///
/// Cells that no token lights get zero, or, if z-normalizing, what makes the columns of the result sum to
/// zero. The same input gives the same result on the same machine. Throws std::invalid_argument if the table
/// is not of V rows, has no columns, or has an entry that is not finite, if a token has a byte outside the
/// alphabet, if no token has bytes and a weight, if codes are rounded, or if an option is out of its range.
/// With k cells that tokens light: O(V * d_model * bytes per token + k^3 / 3 + k^2 * d_model), k^3 / 3 again
/// for each ridge that is tried and for none, and memory of 8 k^2 bytes; by conjugate gradients O(V * d_model
/// * bytes per token) for an iteration. Memory besides: 3 k * d_model doubles and O(V * pos_dim + D *
/// d_model).
inline FitResult fit_projection(const DynamicEncoder& encoder, const Vocabulary& vocabulary,
                                const Eigen::Ref<const RowMajorMatrix<float>>& table,
                                const FitOptions& options = {}) {
  detail::check_fit(encoder, vocabulary, table, options);
  const TokenBytes token_bytes(vocabulary, encoder);
  const std::vector<double> weights = detail::fit_weights(token_bytes, options.weights);
  const detail::FitTarget::Table rows(table.data(), table.rows(), table.cols(), {table.outerStride(), 1});
  const detail::FitAccuracy accuracy{options.tolerance, options.max_iterations, options.max_factored};
  const auto report = [&](double fraction) {
    if (options.progress) options.progress(fraction);
  };

  detail::HeldOutFigures held_out;
  constexpr double held_out_end = 0.7, solved = 0.9;
  if (options.holds_out && detail::HeldOutTokens(weights).is_there()) {
    detail::HeldOutFit fit(encoder, token_bytes, weights, rows, accuracy);
    constexpr double usual_trials = 8;
    int trials = 0;
    const auto tried = [&] { report(held_out_end * (std::min)(1.0, ++trials / (usual_trials + 1))); };
    held_out = fit.figures(options.ridge ? *options.ridge : fit.best_ridge(tried), !options.ridge);
  }
  if (options.ridge) held_out.ridge = *options.ridge;
  report(held_out_end);

  const detail::FitEquations equations(encoder, token_bytes, weights);
  const detail::FitTarget target = detail::fit_target(rows, weights);
  detail::FitSolver solver(equations, accuracy);
  detail::FitEquations::Matrix x = solver.solve(target, held_out.ridge);
  const double first_gradient = solver.first_gradient();
  FitResult fit{
      LearnedProjection::make(static_cast<int>(table.cols()), encoder.code_dim(),
                              [&](std::span<float> cells) { equations.write_weights(target, x, cells); }),
      std::vector<TokenFit>(weights.size()), held_out.ridge};
  fit.iterations = solver.iterations();
  fit.converged = solver.converged();
  report(solved);

  x *= -held_out.ridge * equations.unit();
  x += detail::measure_fit(equations, target, encoder, vocabulary, fit);
  fit.gradient = first_gradient > 0 ? x.norm() / first_gradient : 0;
  fit.chance = detail::chance_of(equations, solver, target, held_out.ridge);
  if (!options.ridge && equations.unknowns() <= options.max_factored) {
    fit.plain_r_squared = detail::r_squared_of(equations, solver, target, 0);
    fit.plain_chance = detail::chance_of(equations, solver, target, 0);
  }
  fit.held_out_r_squared = held_out.r_squared;
  fit.shift = held_out.shift;
  fit.shifted_r_squared = held_out.shifted_r_squared;
  for (const auto& [id, distance] : held_out.distances)
    fit.tokens[static_cast<std::size_t>(id)].held_out = distance;
  report(1);
  return fit;
}

}  // namespace KRONECKER_NAMESPACE
