#pragma once

/// Solves the equations of a fit (fit_equations.hpp) for all columns at once: by a Cholesky factor of the
/// Gram matrix of the cells, so that another right side or another ridge is cheap, or, where that would take
/// too much memory, by conjugate gradients (Hestenes and Stiefel 1952), scaled by the diagonal.

#include <kronecker/analysis/fit_equations.hpp>
#include <kronecker/namespace.hpp>

#include <Eigen/Cholesky>
#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

namespace KRONECKER_NAMESPACE::detail {

/// The Gram matrix and a factor of it, in the memory of one matrix: the factor lies on and below the diagonal
/// and leaves what is above as it was.
class FitFactor {
 public:
  explicit FitFactor(const FitEquations& equations) : unit_(equations.unit()) {
    equations.write_gram(matrix_);
    diagonal_ = matrix_.diagonal();
  }

  /// Factors the matrix with the ridge, or, where that is not positive definite to rounding, with the least
  /// one that is. O(unknowns^3 / 3).
  void factor(double ridge) {
    constexpr double least = 1e-12, step = 100;
    const double greatest = diagonal_.size() > 0 ? diagonal_.maxCoeff() : 0;
    for (double added = (std::max)(ridge * unit_, least * (greatest > 0 ? greatest : 1));; added *= step) {
      copy_upper();
      matrix_.diagonal() = diagonal_.array() + added;
      const Eigen::LLT<Eigen::Ref<Eigen::MatrixXd>> in_place(matrix_);
      if (in_place.info() != Eigen::NumericalIssue) return;
    }
  }

  /// Divides by what was factored. O(unknowns^2 * columns).
  void solve(FitEquations::Matrix& x) const {
    const auto lower = matrix_.triangularView<Eigen::Lower>();
    lower.solveInPlace(x);
    lower.adjoint().solveInPlace(x);
  }

 private:
  /// Copies what is above the diagonal to below it, in blocks that stay in the first-level cache.
  void copy_upper() {
    constexpr Eigen::Index block = 32;
    const Eigen::Index size = matrix_.rows();
    for (Eigen::Index j = 0; j < size; j += block)
      for (Eigen::Index i = j; i < size; i += block)
        for (Eigen::Index column = j; column < (std::min)(j + block, size); ++column)
          for (Eigen::Index row = (std::max)(i, column + 1); row < (std::min)(i + block, size); ++row)
            matrix_(row, column) = matrix_(column, row);
  }

  double unit_;
  Eigen::MatrixXd matrix_;
  Eigen::VectorXd diagonal_;
};

/// How a fit is solved, and when that is good enough.
struct FitAccuracy {
  double tolerance;    ///< Of the gradient, relative to that of no weights.
  int max_iterations;  ///< Of conjugate gradients, for each column.
  int max_factored;    ///< Unknowns for which the Gram matrix is formed, at most.
};

/// Solves one system for any targets and ridges.
class FitSolver {
 public:
  FitSolver(const FitEquations& equations, const FitAccuracy& accuracy)
      : equations_(equations), accuracy_(accuracy) {
    if (equations.unknowns() <= accuracy.max_factored) factor_.emplace(equations);
  }

  /// The solution, to the tolerance if that can be reached.
  FitEquations::Matrix solve(const FitTarget& target, double ridge) {
    FitEquations::Matrix right = equations_.right_side(target);
    first_gradient_ = right.norm();
    return factor_ ? solve_by_factor(target, ridge, std::move(right)) : solve_by_blocks(ridge, right);
  }

  /// The most iterations that a column took; 0 if a factor did.
  int iterations() const noexcept { return iterations_; }

  /// The norm of the right side of the last system: of the gradient where all weights are 0.
  double first_gradient() const noexcept { return first_gradient_; }

  /// Whether all columns reached the tolerance.
  bool converged() const noexcept { return converged_; }

 private:
  /// A few columns at a time, so that the rows of an iteration stay in the cache.
  static constexpr int block_columns = 16;
  using Block = Eigen::Matrix<double, Eigen::Dynamic, block_columns, Eigen::RowMajor>;
  using BlockRow = Eigen::Matrix<double, 1, block_columns>;

  /// By the factor, and again for what rounding, or a ridge that had to be added, left.
  FitEquations::Matrix solve_by_factor(const FitTarget& target, double ridge, FitEquations::Matrix x) {
    constexpr int most_refinements = 4;
    if (factored_ridge_ != ridge) factor_->factor(ridge);
    factored_ridge_ = ridge;
    factor_->solve(x);
    equations_.center(x);
    for (int i = 0;; ++i) {
      FitEquations::Matrix left = equations_.remainder(target, x) - ridge * equations_.unit() * x;
      const bool is_solved = left.norm() <= accuracy_.tolerance * first_gradient_;
      if (is_solved || i == most_refinements) {
        converged_ = converged_ && is_solved;
        return x;
      }
      factor_->solve(left);
      equations_.center(left);
      x += left;
    }
  }

  FitEquations::Matrix solve_by_blocks(double ridge, const FitEquations::Matrix& right) {
    FitEquations::Matrix x(right.rows(), right.cols());
    for (Eigen::Index first = 0; first < right.cols(); first += block_columns) {
      const Eigen::Index columns = (std::min)(Eigen::Index{block_columns}, right.cols() - first);
      Block gradient = Block::Zero(right.rows(), block_columns);
      gradient.leftCols(columns) = right.middleCols(first, columns);
      x.middleCols(first, columns) = solve_block(ridge, gradient).leftCols(columns);
    }
    equations_.center(x);
    return x;
  }

  /// Conjugate gradients from zero, every column by itself; a column that is solved stays as it is.
  Block solve_block(double ridge, Block& gradient) {
    const double added = ridge * equations_.unit();
    const Eigen::VectorXd inverse = (equations_.diagonal().array() + added).inverse();
    Block x = Block::Zero(gradient.rows(), block_columns);
    const auto preconditioned = [&] {
      Block scaled = inverse.asDiagonal() * gradient;
      equations_.center(scaled);
      return scaled;
    };
    Block direction = preconditioned();
    BlockRow squared = gradient.cwiseProduct(direction).colwise().sum();
    const BlockRow solved = accuracy_.tolerance * accuracy_.tolerance * squared;
    const auto is_solved = [&] { return (squared.array() <= solved.array()).all(); };
    int iterations = 0;
    for (; !is_solved() && iterations < accuracy_.max_iterations; ++iterations) {
      Block image = equations_.times(direction);
      image += added * direction;
      const BlockRow curvature = direction.cwiseProduct(image).colwise().sum();
      BlockRow step = BlockRow::Zero(), turn = BlockRow::Zero();
      for (int i = 0; i < block_columns; ++i)
        if (squared[i] > solved[i] && curvature[i] > 0) step[i] = squared[i] / curvature[i];
      x += direction * step.asDiagonal();
      gradient -= image * step.asDiagonal();
      const Block next = preconditioned();
      const BlockRow next_squared = gradient.cwiseProduct(next).colwise().sum();
      for (int i = 0; i < block_columns; ++i)
        if (squared[i] > 0) turn[i] = next_squared[i] / squared[i];
      direction = next + direction * turn.asDiagonal();
      squared = next_squared;
    }
    iterations_ = (std::max)(iterations_, iterations);
    converged_ = converged_ && is_solved();
    return x;
  }

  const FitEquations& equations_;
  FitAccuracy accuracy_;
  std::optional<FitFactor> factor_;
  std::optional<double> factored_ridge_;
  double first_gradient_ = 0;
  int iterations_ = 0;
  bool converged_ = true;
};

}  // namespace KRONECKER_NAMESPACE::detail
