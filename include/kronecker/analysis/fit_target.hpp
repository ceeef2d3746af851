#pragma once

/// What a fit (fit.hpp) is to come near to: a row of a table for each token, and how much each token counts.

#include <kronecker/error.hpp>
#include <kronecker/namespace.hpp>
#include <kronecker/random.hpp>
#include <kronecker/token_bytes.hpp>
#include <kronecker/types.hpp>

#include <algorithm>
#include <cstddef>
#include <limits>
#include <stdexcept>
#include <utility>
#include <vector>

namespace KRONECKER_NAMESPACE::detail {

/// Rows that tokens are to have: those of a table, or some of its columns.
struct FitTarget {
  using Table = Eigen::Map<const RowMajorMatrix<float>, 0, Eigen::Stride<Eigen::Dynamic, Eigen::Dynamic>>;

  Table table;
  Eigen::RowVectorXd mean;           ///< Of the rows.
  std::vector<TokenId> row_of = {};  ///< The row for each token; none: its own.

  Eigen::Index columns() const { return table.cols(); }

  /// The token's row less the mean.
  void read(TokenId id, Eigen::RowVectorXd& row) const {
    row = table.row(row_of.empty() ? id : row_of[static_cast<std::size_t>(id)]).cast<double>() - mean;
  }

  /// At most `most` of its columns, evenly spaced.
  FitTarget thinned(Eigen::Index most) const {
    const Eigen::Index step = (columns() + most - 1) / most, count = (columns() + step - 1) / step;
    Eigen::RowVectorXd part_mean(count);
    for (Eigen::Index i = 0; i < count; ++i) part_mean[i] = mean[i * step];
    return {Table(table.data(), table.rows(), count, {table.outerStride(), step * table.innerStride()}),
            std::move(part_mean), row_of};
  }

  /// The same rows for other tokens.
  FitTarget with_rows(std::vector<TokenId> rows) const { return {table, mean, std::move(rows)}; }
};

/// The rows of tokens, and their weighted mean.
inline FitTarget fit_target(const FitTarget::Table& table, const std::vector<double>& weights) {
  Eigen::RowVectorXd mean = Eigen::RowVectorXd::Zero(table.cols());
  double total = 0;
  for (std::size_t id = 0; id < weights.size(); ++id) {
    if (weights[id] == 0) continue;
    mean += weights[id] * table.row(static_cast<Eigen::Index>(id)).cast<double>();
    total += weights[id];
  }
  return {table, mean / total};
}

/// The weights given, or 1 for each token, made to have the mean 1 over those that are not 0; 0 for tokens
/// without bytes.
inline std::vector<double> fit_weights(const TokenBytes& token_bytes, const std::vector<double>& given) {
  std::vector<double> weights(token_bytes.lengths().size(), 1.0);
  if (!given.empty() && given.size() != weights.size())
    fail<std::invalid_argument>(given.size(), " weights do not fit the vocabulary of ", weights.size(),
                                " tokens");
  double greatest = 0, sum = 0, count = 0;
  for (std::size_t id = 0; id < given.size(); ++id) {
    if (!(given[id] >= 0 && given[id] <= (std::numeric_limits<double>::max)()))
      fail<std::invalid_argument>("the weight ", given[id], " of token id ", id, " is no number from 0 on");
    greatest = (std::max)(greatest, given[id]);
  }
  for (std::size_t id = 0; id < weights.size(); ++id) {
    if (!given.empty()) weights[id] = greatest > 0 ? given[id] / greatest : 0;
    if (token_bytes.lengths()[id] == 0) weights[id] = 0;
    sum += weights[id];
    count += weights[id] > 0 ? 1 : 0;
  }
  if (!(sum > 0))
    fail<std::invalid_argument>("none of the ", weights.size(), " tokens has bytes and a weight over 0");
  for (double& weight : weights) weight *= count / sum;
  return weights;
}

/// Weighted sums of squares, and R^2 of them.
struct FitSquares {
  double distance = 0;  ///< From the rows.
  double spread = 0;    ///< Of the rows from their mean.

  void add(double weight, const FitSquares& token) {
    distance += weight * token.distance;
    spread += weight * token.spread;
  }
  /// NaN if there is nothing to explain.
  double r_squared() const {
    return spread > 0 ? 1 - distance / spread : std::numeric_limits<double>::quiet_NaN();
  }
};

/// A number below `count` that the stream decides.
inline std::size_t random_below(RandomStream& random, std::size_t count) {
  return static_cast<std::size_t>((random.uniform() + 1) / 2 * static_cast<double>(count));
}

}  // namespace KRONECKER_NAMESPACE::detail
