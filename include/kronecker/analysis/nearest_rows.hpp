#pragma once

/// The rows of an ordinary table that are nearest to a vector: what `nearest_tokens` is for codes, for tables
/// that were learned.

#include <kronecker/analysis/neighbors.hpp>
#include <kronecker/error.hpp>
#include <kronecker/namespace.hpp>
#include <kronecker/types.hpp>

#include <algorithm>
#include <cstddef>
#include <span>
#include <utility>
#include <vector>

namespace KRONECKER_NAMESPACE {

/// A table of a row for each token, made ready to be searched by cosine. Immutable.
class NearestRows {
 public:
  /// Of `table`, (V, d_model), as it is; or, if `is_centered`, of what its rows and all queries are beyond
  /// the mean of the rows, which is what most rows of a trained table have in common. Throws
  /// std::invalid_argument if there is no row or a number is not finite. O(V * d_model).
  explicit NearestRows(RowMajorMatrix<float> table, bool is_centered = false) : units_(std::move(table)) {
    if (units_.size() == 0) detail::fail<std::invalid_argument>("a table without rows has no nearest ones");
    const std::size_t at = detail::first_not_finite({units_.data(), static_cast<std::size_t>(units_.size())});
    if (at < static_cast<std::size_t>(units_.size()))
      detail::fail<std::invalid_argument>("row ", at / static_cast<std::size_t>(units_.cols()),
                                          " of the table has a number that is not finite");
    mean_ = Eigen::RowVectorXf::Zero(units_.cols());
    if (is_centered) mean_ = units_.cast<double>().colwise().mean().cast<float>();
    make_units(units_);
  }

  TokenId vocab_size() const noexcept { return static_cast<TokenId>(units_.rows()); }  ///< Number of rows, V.
  int d_model() const noexcept { return static_cast<int>(units_.cols()); }             ///< Length of a row.

  /// The k rows with the largest cosine with each of N vectors, (N, d_model); a row or vector of zeros has
  /// the cosine 0 with all. Throws std::invalid_argument if k < 1 or the vectors are not of d_model numbers.
  /// O(N * V * d_model).
  std::vector<Neighbors> nearest(RowMajorMatrix<float> vectors, int k) const {
    detail::check_neighbor_count(k);
    check_width(vectors.cols());
    make_units(vectors);
    constexpr Eigen::Index block = 32;
    std::vector<Neighbors> found;
    for (Eigen::Index first = 0; first < vectors.rows(); first += block) {
      const Eigen::Index count = (std::min)(block, vectors.rows() - first);
      const Eigen::MatrixXf cosines = units_ * vectors.middleRows(first, count).transpose();
      for (Eigen::Index i = 0; i < count; ++i) {
        std::vector<Neighbor> candidates;
        for (TokenId id = 0; id < vocab_size(); ++id) candidates.push_back({id, cosines(id, i)});
        found.push_back(detail::best_of(std::move(candidates), k));
      }
    }
    return found;
  }

  /// The cosine of two vectors, as the search has it. Throws std::invalid_argument if they are not of d_model
  /// numbers.
  float cosine(const Eigen::RowVectorXf& a, const Eigen::RowVectorXf& b) const {
    check_width(a.size());
    check_width(b.size());
    RowMajorMatrix<float> both(2, units_.cols());
    both << a, b;
    make_units(both);
    return both.row(0).dot(both.row(1));
  }

 private:
  void check_width(Eigen::Index width) const {
    if (width != units_.cols())
      detail::fail<std::invalid_argument>("vectors of ", width, " numbers are not the table's d_model ",
                                          units_.cols());
  }

  void make_units(RowMajorMatrix<float>& vectors) const {
    for (Eigen::Index i = 0; i < vectors.rows(); ++i) {
      vectors.row(i) -= mean_;
      const double length = vectors.row(i).cast<double>().norm();
      if (length > 0) vectors.row(i) = (vectors.row(i).cast<double>() / length).cast<float>();
    }
  }

  RowMajorMatrix<float> units_;  // (V, d_model) of length 1
  Eigen::RowVectorXf mean_;      // (d_model) zeros if not centered
};

}  // namespace KRONECKER_NAMESPACE
