#pragma once

/// From a table that was trained to the projection whose embeddings come nearest to it, and how near that is.
///
/// The embeddings of a vocabulary are a linear function of the weights, E = A W^T, where row v of A is the
/// code of token v: a_L at its lit cells and, when z-normalizing, the same mean taken off every cell. The fit
/// is the least-squares solution of A W^T = table. A is never formed. Conjugate gradients on the normal
/// equations (Hestenes and Stiefel 1952), scaled by their diagonal, need only to gather and to scatter rows.
///
/// A table has V rows and a projection D; where D < V, most tables cannot be met, and tokens of equal code
/// never can: read the residuals before using the result.

#include <kronecker/cell.hpp>
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
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

namespace KRONECKER_NAMESPACE {

/// How a projection is fitted.
struct FitOptions {
  /// Pull of the weights towards zero: how many further tokens each cell seems to have, all of them zero. It
  /// decides what cells that few tokens light are given. 0 is plain least squares.
  double ridge = 1e-6;
  double tolerance = 1e-6;    ///< A column is solved once its gradient is this small, relative to the first.
  int max_iterations = 1000;  ///< For each column of the table.
  /// Called with the part of the work that is done, above 0 to 1, each time that some columns are solved.
  std::function<void(double fraction)> progress = {};
};

/// A projection fitted to a table.
struct FitResult {
  LearnedProjection projection;  ///< (d_model, D); its columns sum to zero if z-normalizing.
  /// For each token, the distance of its embedding from its row of the table, relative to the row's norm; for
  /// a row of zeros, relative to the root mean square of the norms of all rows.
  std::vector<float> residual;
  double explained;  ///< 1 - |table - embeddings|^2 / |table|^2, over all tokens; 1 for a table met exactly.
  int iterations;    ///< The most that a column took.
  bool converged;    ///< Whether every column reached the tolerance.
  /// 1 - |table - embeddings|^2 / |table - its mean row|^2, over all tokens: what the codes explain of what
  /// makes tokens differ. Below zero if the mean row alone is nearer.
  double r_squared = 0;
  /// What `r_squared` is to be expected of codes that have nothing to do with the table: the cells that
  /// tokens light, for each token, at most 1. A fit that is not well above it explains nothing.
  double chance = 0;
  double mean_share = 0;  ///< |mean row|^2 of all tokens / |table|^2: what one row for all tokens explains.
};

namespace detail {

/// A few columns of the problem at a time, so that the rows of an iteration stay in the cache.
inline constexpr int fit_columns = 16;
using FitBlock = Eigen::Matrix<double, Eigen::Dynamic, fit_columns, Eigen::RowMajor>;
using FitRow = Eigen::Matrix<double, 1, fit_columns>;

/// The normal equations (A^T A + ridge) X = A^T T, for X of shape (D, columns).
class FitEquations {
 public:
  FitEquations(const DynamicEncoder& encoder, const TokenBytes& token_bytes, double ridge)
      : token_bytes_(token_bytes),
        code_dim_(encoder.code_dim()),
        is_centered_(encoder.options().z_normalize),
        diagonal_(Eigen::VectorXd::Zero(code_dim_)) {
    for (const float scale : encoder.scales()) scales_.push_back(static_cast<double>(scale));
    double squared_scales = 0;
    for_each_token([&](Eigen::Index, double scale, const auto& lit_cells) {
      squared_scales += scale * scale;
      for (const Eigen::Index cell : lit_cells) diagonal_[cell] += scale * scale;
    });
    const double one_token = squared_scales > 0 ? squared_scales / token_bytes.size() : 1.0;
    ridge_ = ridge * one_token;
    for (double& weight : diagonal_) weight = (weight > 0 ? weight : one_token) + ridge_;
  }

  /// An approximate diagonal of A^T A + ridge, positive also where no token lights the cell.
  const Eigen::VectorXd& diagonal() const noexcept { return diagonal_; }

  /// A^T T for the columns of the table from `column` on; those that it does not have are zero.
  FitBlock right_side(const Eigen::Ref<const RowMajorMatrix<float>>& table, Eigen::Index column) const {
    const Eigen::Index columns = std::min<Eigen::Index>(fit_columns, table.cols() - column);
    FitBlock sums = FitBlock::Zero(code_dim_, fit_columns);
    FitRow target = FitRow::Zero();
    for_each_token([&](Eigen::Index id, double scale, const auto& lit_cells) {
      target.head(columns) = scale * table.row(id).segment(column, columns).cast<double>();
      for (const Eigen::Index cell : lit_cells) sums.row(cell) += target;
    });
    if (is_centered_) center(sums);
    return sums;
  }

  /// (A^T A + ridge) X.
  FitBlock times(const FitBlock& x) const {
    const FitRow mean = is_centered_ ? FitRow(x.colwise().mean()) : FitRow(FitRow::Zero());
    FitBlock sums = FitBlock::Zero(code_dim_, fit_columns);
    for_each_token([&](Eigen::Index, double scale, const auto& lit_cells) {
      FitRow embedding = -static_cast<double>(lit_cells.size()) * mean;
      for (const Eigen::Index cell : lit_cells) embedding += x.row(cell);
      embedding *= scale * scale;
      for (const Eigen::Index cell : lit_cells) sums.row(cell) += embedding;
    });
    if (is_centered_) center(sums);
    sums += ridge_ * x;
    return sums;
  }

  /// Takes off what z-normalization makes of no effect.
  static void center(FitBlock& x) {
    const FitRow mean = x.colwise().mean();
    x.rowwise() -= mean;
  }

 private:
  /// Calls `visit(id, a_L, lit cells)` for every token that has bytes.
  template <class Visit>
  void for_each_token(Visit visit) const {
    const auto pos_dim = static_cast<std::size_t>(token_bytes_.pos_dim());
    std::vector<Eigen::Index> cells(pos_dim);
    for (std::size_t id = 0; id < token_bytes_.lengths().size(); ++id) {
      const std::size_t length = token_bytes_.lengths()[id];
      for (std::size_t p = 0; p < length; ++p)
        cells[p] = static_cast<Eigen::Index>(cell_of(token_bytes_.bytes()[id * pos_dim + p], p, pos_dim));
      if (length > 0) visit(static_cast<Eigen::Index>(id), scales_[length], std::span(cells.data(), length));
    }
  }

  TokenBytes token_bytes_;
  int code_dim_;
  bool is_centered_;
  std::vector<double> scales_;  // a_L
  double ridge_ = 0;
  Eigen::VectorXd diagonal_;
};

/// A solution of the equations, and what it took.
struct FitSolution {
  FitBlock x;
  int iterations = 0;
  bool converged = false;
};

/// Conjugate gradients from zero, every column by itself; a column that is solved stays as it is.
inline FitSolution solve(const FitEquations& equations, FitBlock gradient, const FitOptions& options) {
  const auto preconditioned = [&] {
    return FitBlock(equations.diagonal().cwiseInverse().asDiagonal() * gradient);
  };
  FitSolution solution{FitBlock::Zero(gradient.rows(), fit_columns)};
  FitBlock direction = preconditioned();
  FitRow squared = gradient.cwiseProduct(direction).colwise().sum();
  const FitRow solved = options.tolerance * options.tolerance * squared;
  while (!(solution.converged = (squared.array() <= solved.array()).all()) &&
         solution.iterations < options.max_iterations) {
    const FitBlock image = equations.times(direction);
    const FitRow curvature = direction.cwiseProduct(image).colwise().sum();
    FitRow step = FitRow::Zero();
    for (int i = 0; i < fit_columns; ++i)
      if (squared[i] > solved[i] && curvature[i] > 0) step[i] = squared[i] / curvature[i];
    solution.x += direction * step.asDiagonal();
    gradient -= image * step.asDiagonal();

    const FitBlock next = preconditioned();
    const FitRow next_squared = gradient.cwiseProduct(next).colwise().sum();
    FitRow turn = FitRow::Zero();
    for (int i = 0; i < fit_columns; ++i)
      if (squared[i] > 0) turn[i] = next_squared[i] / squared[i];
    direction = next + direction * turn.asDiagonal();
    squared = next_squared;
    ++solution.iterations;
  }
  return solution;
}

/// Fills in the residuals of a fit, from the embeddings that its float32 projection really gives.
inline void measure_residuals(const KroneckerEmbedding<float>& embedding,
                              const Eigen::Ref<const RowMajorMatrix<float>>& table, FitResult& fit) {
  const double squared_table = table.cast<double>().squaredNorm();
  const double typical_norm = std::sqrt(squared_table / static_cast<double>(table.rows()));
  double squared_residual = 0;
  for (TokenId id = 0; id < embedding.vocab_size(); ++id) {
    const auto row = table.row(id).cast<double>();
    const double distance = (embedding.forward({id}).row(0).cast<double>() - row).norm();
    const double norm = row.norm() > 0 ? row.norm() : typical_norm;
    fit.residual.push_back(norm > 0 ? static_cast<float>(distance / norm) : 0.0f);
    squared_residual += distance * distance;
  }
  fit.explained = squared_table > 0 ? 1 - squared_residual / squared_table : 1.0;
  const Eigen::RowVectorXd mean = table.cast<double>().colwise().mean();
  const double squared_differences = (table.cast<double>().rowwise() - mean).squaredNorm();
  const double squared_mean = static_cast<double>(table.rows()) * mean.squaredNorm();
  fit.mean_share = squared_table > 0 ? squared_mean / squared_table : 0;
  fit.r_squared = squared_differences > 0 ? 1 - squared_residual / squared_differences : 0;
  const auto cells = static_cast<double>(embedding.token_bytes().reached_cells().size());
  fit.chance = (std::min)(1.0, cells / static_cast<double>(table.rows()));
}

}  // namespace detail

/// The projection whose embeddings of `vocabulary` are nearest to `table`, (V, d_model), in least squares.
///
/// Cells that no token lights get zero, or, if z-normalizing, what makes the columns of the result sum to
/// zero. The same input gives the same result on the same machine. Throws std::invalid_argument if the table
/// is not of V rows, has no columns, or has an entry that is not finite, if a token has a byte outside the
/// alphabet, or if an option is out of its range. O(V * d_model * bytes per token) for an iteration; memory
/// of the projection and O(V * pos_dim + D).
inline FitResult fit_projection(const DynamicEncoder& encoder, const Vocabulary& vocabulary,
                                const Eigen::Ref<const RowMajorMatrix<float>>& table,
                                FitOptions options = {}) {
  if (table.rows() != vocabulary.size())
    detail::fail<std::invalid_argument>("a table of ", table.rows(), " rows does not fit the vocabulary of ",
                                        vocabulary.size(), " tokens");
  for (Eigen::Index i = 0; i < table.rows(); ++i)
    for (Eigen::Index j = 0; j < table.cols(); ++j)
      if (!detail::is_finite(table(i, j)))
        detail::fail<std::invalid_argument>("table entry (", i, ", ", j, ") is not finite");
  if (!(options.ridge >= 0 && options.ridge <= 1e30))
    detail::fail<std::invalid_argument>("ridge ", options.ridge, " is outside 0 to 1e30");
  if (!(options.tolerance >= 0 && options.tolerance < 1))
    detail::fail<std::invalid_argument>("tolerance ", options.tolerance, " is not in [0, 1)");
  if (options.max_iterations < 1)
    detail::fail<std::invalid_argument>("max_iterations ", options.max_iterations, " is not positive");

  const detail::FitEquations equations(encoder, TokenBytes(vocabulary, encoder), options.ridge);
  int iterations = 0;
  bool converged = true;
  const auto solve_all = [&](std::span<float> weights) {
    Eigen::Map<RowMajorMatrix<float>> rows(weights.data(), encoder.code_dim(), table.cols());
    for (Eigen::Index column = 0; column < table.cols(); column += detail::fit_columns) {
      detail::FitSolution solution = detail::solve(equations, equations.right_side(table, column), options);
      if (encoder.options().z_normalize) detail::FitEquations::center(solution.x);
      const Eigen::Index columns = std::min<Eigen::Index>(detail::fit_columns, table.cols() - column);
      rows.middleCols(column, columns) = solution.x.leftCols(columns).cast<float>();
      iterations = (std::max)(iterations, solution.iterations);
      converged = converged && solution.converged;
      if (options.progress)
        options.progress(static_cast<double>(column + columns) / static_cast<double>(table.cols()));
    }
  };
  LearnedProjection projection =
      LearnedProjection::make(static_cast<int>(table.cols()), encoder.code_dim(), solve_all);

  FitResult fit{projection, {}, 0, iterations, converged};
  detail::measure_residuals(KroneckerEmbedding(encoder, vocabulary, projection), table, fit);
  return fit;
}

}  // namespace KRONECKER_NAMESPACE
