#pragma once

/// What is learned: the matrix W of shape (d_model, D) that turns a code into an embedding, e = W z
/// (arXiv 2605.29459, section 3). This is the weight of PyTorch's `nn.Linear(D, d_model, bias=False)`.

#include <kronecker/error.hpp>
#include <kronecker/namespace.hpp>
#include <kronecker/random.hpp>
#include <kronecker/shared_array.hpp>
#include <kronecker/types.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <utility>

namespace KRONECKER_NAMESPACE {

/// The learned weights, in float32, exactly as they were learned. Immutable; copies share the weights.
///
/// Kept transposed, (D, d_model): row c holds the d_model weights of cell c, which is column c of W.
class LearnedProjection {
 public:
  /// Random weights, normal with mean 0 and deviation 1 / sqrt(code_dim): the reference's default. The same
  /// numbers on every platform. Throws std::invalid_argument if a size is not positive. O(d_model *
  /// code_dim).
  static LearnedProjection normal(int d_model, int code_dim, std::uint64_t seed) {
    const double deviation = 1 / std::sqrt(static_cast<double>(code_dim));
    return random(d_model, code_dim, seed,
                  [=](detail::RandomStream& stream) { return deviation * stream.normal(); });
  }

  /// Random weights, uniform within +-sqrt(6 / (d_model + code_dim)) (Glorot and Bengio 2010); otherwise as
  /// `normal`.
  static LearnedProjection xavier(int d_model, int code_dim, std::uint64_t seed) {
    const double bound = std::sqrt(6 / (static_cast<double>(d_model) + static_cast<double>(code_dim)));
    return random(d_model, code_dim, seed,
                  [=](detail::RandomStream& stream) { return bound * stream.uniform(); });
  }

  /// The weights of a PyTorch linear layer, `weight` of shape (d_model, D). Copies. Throws
  /// std::invalid_argument if either size is 0 or beyond an int.
  static LearnedProjection from_torch(const Eigen::Ref<const RowMajorMatrix<float>>& weight) {
    constexpr Eigen::Index most = (std::numeric_limits<int>::max)();
    if (weight.rows() > most || weight.cols() > most)
      detail::fail<std::invalid_argument>("a projection of ", weight.rows(), " x ", weight.cols(),
                                          " is too large");
    return make(static_cast<int>(weight.rows()), static_cast<int>(weight.cols()), [&](std::span<float> rows) {
      transpose(weight.data(), weight.outerStride(), weight.rows(), weight.cols(), rows.data());
    });
  }

  /// A projection whose (code_dim, d_model) weights `fill(std::span<float>)` writes, every one of them; row c
  /// holds the weights of cell c. Throws std::invalid_argument if a size is not positive.
  template <class Fill>
  static LearnedProjection make(int d_model, int code_dim, Fill&& fill) {
    if (d_model < 1) detail::fail<std::invalid_argument>("d_model ", d_model, " is not positive");
    if (code_dim < 1) detail::fail<std::invalid_argument>("code_dim ", code_dim, " is not positive");
    const auto columns = static_cast<std::size_t>(d_model);
    const auto cells = static_cast<std::size_t>(code_dim);
    if (columns > (std::numeric_limits<std::size_t>::max)() / sizeof(float) / cells)
      detail::fail<std::invalid_argument>("a projection of ", d_model, " x ", code_dim, " is too large");
    return LearnedProjection(d_model, code_dim,
                             SharedArray<float>::make(cells * columns, std::forward<Fill>(fill)));
  }

  /// The projection whose weights are `weights`, (code_dim, d_model), row c those of cell c; it shares them.
  /// Throws std::invalid_argument if a size is not positive or there are not as many.
  static LearnedProjection from_weights(int d_model, int code_dim, SharedArray<float> weights) {
    check_weight_count(d_model, code_dim, weights.size());
    return LearnedProjection(d_model, code_dim, std::move(weights));
  }

  /// Throws std::invalid_argument if a size is not positive or `count` is not code_dim * d_model.
  static void check_weight_count(int d_model, int code_dim, std::size_t count) {
    if (d_model < 1 || code_dim < 1 ||
        count / static_cast<std::size_t>(d_model) != static_cast<std::size_t>(code_dim) ||
        count % static_cast<std::size_t>(d_model) != 0)
      detail::fail<std::invalid_argument>(count, " weights are no projection of ", d_model, " x ", code_dim);
  }

  /// W, (d_model, D), in PyTorch's layout: from_torch(W).to_torch() is W bit for bit.
  RowMajorMatrix<float> to_torch() const {
    RowMajorMatrix<float> weight(d_model_, code_dim_);
    transpose(weights_.data(), d_model_, code_dim_, d_model_, weight.data());
    return weight;
  }

  int d_model() const noexcept { return d_model_; }    ///< Rows of W.
  int code_dim() const noexcept { return code_dim_; }  ///< Columns of W, D.

  /// All weights, (D, d_model): row c holds the weights of cell c. Copies share them.
  const SharedArray<float>& weights() const& noexcept { return weights_; }
  SharedArray<float> weights() const&& noexcept { return weights_; }  ///< Shares them.

 private:
  LearnedProjection(int d_model, int code_dim, SharedArray<float> weights)
      : d_model_(d_model), code_dim_(code_dim), weights_(std::move(weights)) {}

  template <class Draw>
  static LearnedProjection random(int d_model, int code_dim, std::uint64_t seed, Draw draw) {
    return make(d_model, code_dim, [&](std::span<float> rows) {
      detail::RandomStream stream(seed);
      for (float& weight : rows) weight = static_cast<float>(draw(stream));
    });
  }

  /// Writes the transpose of a rows x columns matrix, whose rows start `stride` apart, without gaps; in
  /// blocks that stay in the first-level cache. (Eigen's own expressions would double this header's compile
  /// time.)
  static void transpose(const float* from, Eigen::Index stride, Eigen::Index rows, Eigen::Index columns,
                        float* to) {
    constexpr Eigen::Index block = 32;
    for (Eigen::Index i = 0; i < rows; i += block)
      for (Eigen::Index j = 0; j < columns; j += block)
        for (Eigen::Index column = j; column < (std::min)(j + block, columns); ++column)
          for (Eigen::Index row = i; row < (std::min)(i + block, rows); ++row)
            to[column * rows + row] = from[row * stride + column];
  }

  int d_model_;
  int code_dim_;
  SharedArray<float> weights_;
};

}  // namespace KRONECKER_NAMESPACE
