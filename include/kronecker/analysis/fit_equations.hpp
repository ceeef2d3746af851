#pragma once

/// The equations of a fit (fit.hpp): least squares from the codes of a vocabulary's tokens to the rows of a
/// table, each token with a weight.
///
/// The embeddings of a vocabulary are E = A X. Row v of A is the code of token v: a_L at its lit cells and,
/// when z-normalizing, the same mean taken off every cell. A is never formed. Where the rows of X sum to
/// zero, which z-normalizing makes no loss, E is a_L times the sum of the lit rows in either case, so all
/// that z-normalizing changes is that gradients are centered.
///
/// The unknowns are the cells that tokens light. When z-normalizing, those that none does are one more: they
/// are equal, and the square root of their number times their value keeps lengths and angles of R^D.

#include <kronecker/analysis/fit_target.hpp>
#include <kronecker/cell.hpp>
#include <kronecker/encoder.hpp>
#include <kronecker/namespace.hpp>
#include <kronecker/token_bytes.hpp>
#include <kronecker/types.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

namespace KRONECKER_NAMESPACE::detail {

/// Weighted least squares for X, (unknowns, columns): the normal equations (A^T C A + ridge) X = A^T C T.
class FitEquations {
 public:
  using Matrix = RowMajorMatrix<double>;
  using Lit = std::span<const Eigen::Index>;  ///< The unknowns that a token lights.

  /// The tokens of some weight that have bytes take part; the others may light cells that only the ridge
  /// decides. Weights are not negative. O(V * pos_dim + D).
  FitEquations(const DynamicEncoder& encoder, const TokenBytes& token_bytes, std::vector<double> weights)
      : token_bytes_(token_bytes),
        weights_(std::move(weights)),
        is_centered_(encoder.options().z_normalize),
        unknown_of_(static_cast<std::size_t>(encoder.code_dim()), unlit) {
    for (const float scale : encoder.scales()) scales_.push_back(static_cast<double>(scale));
    for (const std::uint32_t cell : token_bytes.reached_cells()) unknown_of_[cell] = lit_++;
    double total_weight = 0;
    for_each_token([&](TokenId id, double scale, Lit) {
      total_weight += weight(id);
      unit_ += weight(id) * scale * scale;
    });
    unit_ /= total_weight > 0 ? total_weight : 1;
    const auto d = static_cast<double>(encoder.code_dim());
    const auto unlit_cells = static_cast<double>(encoder.code_dim() - lit_);
    direction_ = Eigen::VectorXd::Constant(lit_ + (has_rest() ? 1 : 0), 1 / std::sqrt(d));
    if (has_rest()) direction_[lit_] = std::sqrt(unlit_cells / d);
  }

  Eigen::Index unknowns() const noexcept { return direction_.size(); }
  bool is_centered() const noexcept { return is_centered_; }
  double weight(TokenId id) const noexcept { return weights_[static_cast<std::size_t>(id)]; }

  /// What a ridge of 1 adds to every square: what a token adds to that of a cell that it lights, in the mean.
  double unit() const noexcept { return unit_; }

  /// Whether there are weights that give the same to all tokens that have bytes. When z-normalizing, cells
  /// that no token lights must be there to make the sum zero.
  bool can_be_constant() const noexcept { return !is_centered_ || has_rest(); }

  /// Takes off what makes X's rows sum to another number than zero.
  template <class X>
  void center(X& x) const {
    if (is_centered_) x -= direction_ * (direction_.transpose() * x).eval();
  }

  /// The embedding of a token, given its unknowns.
  template <class X>
  auto embedding(const X& x, double scale, Lit lit) const {
    Eigen::Matrix<double, 1, X::ColsAtCompileTime> sum = x.row(lit[0]);
    for (const Eigen::Index unknown : lit.subspan(1)) sum += x.row(unknown);
    sum *= scale;
    return sum;
  }

  /// A^T C applied to one row for each token, which `row(id, scale, lit)` returns.
  template <class X, class Row>
  X scatter(Eigen::Index columns, Row&& row) const {
    X sums = X::Zero(unknowns(), columns);
    for_each_token([&](TokenId id, double scale, Lit lit) {
      const auto values = (weight(id) * scale * row(id, scale, lit)).eval();
      for (const Eigen::Index unknown : lit) sums.row(unknown) += values;
    });
    center(sums);
    return sums;
  }

  /// The rows that X is to give: less their mean where weights can give that to all tokens, which
  /// `write_weights` adds again.
  void read(const FitTarget& target, TokenId id, Eigen::RowVectorXd& row) const {
    target.read(id, row);
    if (!can_be_constant()) row += target.mean;
  }

  /// A^T C T. O(V * bytes per token * columns).
  Matrix right_side(const FitTarget& target) const {
    Eigen::RowVectorXd row;
    return scatter<Matrix>(
        target.columns(), [&](TokenId id, double, Lit) -> const auto& {
          read(target, id, row);
          return row;
        });
  }

  /// A^T C (T - A X): the right side less what X accounts for, without the ridge. As `right_side`.
  Matrix remainder(const FitTarget& target, const Matrix& x) const {
    Eigen::RowVectorXd row;
    return scatter<Matrix>(
        target.columns(), [&](TokenId id, double scale, Lit lit) -> const auto& {
          read(target, id, row);
          row -= embedding(x, scale, lit);
          return row;
        });
  }

  /// The squared distance of a token's embedding from its row, and that of the row from the mean.
  FitSquares squares(const FitTarget& target, const Matrix& x, TokenId id) const {
    Eigen::RowVectorXd row;
    FitSquares squares;
    visit_token(id, [&](TokenId, double scale, Lit lit) {
      target.read(id, row);
      squares.spread = row.squaredNorm();
      if (!can_be_constant()) row += target.mean;
      squares.distance = (row - embedding(x, scale, lit)).squaredNorm();
    });
    return squares;
  }

  /// A^T C A X, for X of which the rows sum to zero.
  template <class X>
  X times(const X& x) const {
    return scatter<X>(x.cols(), [&](TokenId, double scale, Lit lit) { return embedding(x, scale, lit); });
  }

  /// Writes A^T C A, on and above the diagonal. When z-normalizing it is made regular where rows sum to
  /// another number than zero. O(V * bytes per token^2 + unknowns^2).
  void write_gram(Eigen::MatrixXd& gram) const {
    gram.setZero(unknowns(), unknowns());
    for_each_token([&](TokenId id, double scale, Lit lit) {
      const double value = weight(id) * scale * scale;
      for (const Eigen::Index i : lit)
        for (const Eigen::Index j : lit)
          if (i <= j) gram(i, j) += value;
    });
    if (!is_centered_) return;
    const Eigen::VectorXd image = gram.selfadjointView<Eigen::Upper>() * direction_;
    const double along = direction_.dot(image) + gram.diagonal().mean();
    for (Eigen::Index j = 0; j < unknowns(); ++j)
      for (Eigen::Index i = 0; i <= j; ++i)
        gram(i, j) +=
            along * direction_[i] * direction_[j] - direction_[i] * image[j] - image[i] * direction_[j];
  }

  /// The diagonal of A^T C A, approximately, and positive.
  Eigen::VectorXd diagonal() const {
    Eigen::VectorXd sums = Eigen::VectorXd::Zero(unknowns());
    for_each_token([&](TokenId id, double scale, Lit lit) {
      for (const Eigen::Index unknown : lit) sums[unknown] += weight(id) * scale * scale;
    });
    for (double& sum : sums)
      if (!(sum > 0)) sum = unit_;
    return sums;
  }

  /// Writes the weights of all cells, (D, columns), for X, and for the mean row if it was taken off.
  void write_weights(const FitTarget& target, const Matrix& x, std::span<float> weights) const {
    const Eigen::VectorXd of_mean = ones();
    const double share = has_rest() ? direction_[0] / direction_[lit_] : 0;  // of each cell that none lights
    const auto columns = static_cast<std::size_t>(x.cols());
    for (std::size_t cell = 0; cell < unknown_of_.size(); ++cell) {
      const bool is_lit = unknown_of_[cell] != unlit;
      const Eigen::Index unknown = is_lit ? unknown_of_[cell] : x.rows() - 1;
      Eigen::Map<Eigen::RowVectorXf> row(weights.data() + cell * columns, x.cols());
      row = ((is_lit ? 1 : share) * (x.row(unknown) + of_mean[unknown] * target.mean)).cast<float>();
    }
  }

  /// Calls `visit(id, a_L, unknowns that it lights)` for every token that takes part.
  template <class Visit>
  void for_each_token(Visit&& visit) const {
    for (std::size_t id = 0; id < weights_.size(); ++id)
      if (weights_[id] > 0) visit_token(static_cast<TokenId>(id), visit);
  }

  /// The same for one token, of whatever weight; nothing for one without bytes.
  template <class Visit>
  void visit_token(TokenId id, Visit&& visit) const {
    Eigen::Index lit[256];
    std::size_t count = 0;
    const auto i = static_cast<std::size_t>(id), pos_dim = static_cast<std::size_t>(token_bytes_.pos_dim());
    const std::size_t length = token_bytes_.lengths()[i];
    for (std::size_t p = 0; p < length; ++p)
      lit[count++] = unknown_of_[cell_of(token_bytes_.bytes()[i * pos_dim + p], p, pos_dim)];
    if (length > 0) visit(id, scales_[length], std::span<const Eigen::Index>(lit, count));
  }

 private:
  static constexpr Eigen::Index unlit = -1;

  bool has_rest() const noexcept {
    return is_centered_ && static_cast<std::size_t>(lit_) < unknown_of_.size();
  }

  /// The unknowns that give all tokens that have bytes 1: a_L times the sum over L positions. None if they
  /// cannot.
  Eigen::VectorXd ones() const {
    Eigen::VectorXd values = Eigen::VectorXd::Zero(unknowns());
    if (!can_be_constant()) return values;
    const auto pos_dim = static_cast<std::size_t>(token_bytes_.pos_dim());
    for (std::size_t cell = 0; cell < unknown_of_.size(); ++cell) {
      const std::size_t length = cell % pos_dim + 1;
      if (unknown_of_[cell] != unlit)
        values[unknown_of_[cell]] = 1 / scales_[length] - (length > 1 ? 1 / scales_[length - 1] : 0);
    }
    if (has_rest()) values[lit_] = -direction_[0] * values.head(lit_).sum() / direction_[lit_];
    return values;
  }

  TokenBytes token_bytes_;
  std::vector<double> weights_;
  bool is_centered_;
  std::vector<Eigen::Index> unknown_of_;  // of each cell
  std::vector<double> scales_;            // a_L
  double unit_ = 0;
  Eigen::Index lit_ = 0;       // cells that tokens light
  Eigen::VectorXd direction_;  // of the same number for every cell, of length 1
};

}  // namespace KRONECKER_NAMESPACE::detail
