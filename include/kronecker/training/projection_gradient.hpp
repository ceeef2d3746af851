#pragma once

/// A gradient of a loss with respect to what an embedding learns.
///
/// z-normalization subtracts from a code its mean, so the gradient of the learned weights is the sum of what
/// tokens add to the rows that they light, minus the mean of all D rows. Subtracting commutes with adding:
/// sums are kept as they come, and centered when they are read.

#include <kronecker/embedding.hpp>
#include <kronecker/error.hpp>
#include <kronecker/namespace.hpp>
#include <kronecker/projection.hpp>
#include <kronecker/rows.hpp>
#include <kronecker/types.hpp>
#include <kronecker/views.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <span>
#include <stdexcept>
#include <string_view>
#include <vector>

namespace KRONECKER_NAMESPACE {

/// A sum of gradients with respect to what an embedding learns, in float32: its projection, (D, d_model), the
/// rows of their own that tokens may have, and the weight of a norm.
class ProjectionGradient {
  /// Numbers of each kind.
  struct Sizes {
    std::size_t weights = 0, own_rows = 0, norm = 0;

    Sizes() = default;
    template <class Scalar>
    explicit Sizes(const KroneckerEmbedding<Scalar>& embedding)
        : weights(embedding.rows().values().size()),
          own_rows(embedding.own_rows() ? embedding.own_rows()->rows().values().size() : 0),
          norm(embedding.norm() ? embedding.norm()->weight().size() : 0) {}
    std::size_t count() const noexcept { return weights + own_rows + norm; }
  };

 public:
  /// Zeros, one value for each number that `embedding` learns.
  template <class Scalar>
  explicit ProjectionGradient(const KroneckerEmbedding<Scalar>& embedding)
      : ProjectionGradient(embedding, Sizes(embedding)) {
    own_.resize(sizes_.count());
  }

  /// The same over the caller's memory of as many floats, D * d_model and those of own rows and norm, to
  /// which it adds. Throws std::invalid_argument if there are not as many.
  template <class Scalar>
  ProjectionGradient(const KroneckerEmbedding<Scalar>& embedding, Outputs<float> memory)
      : ProjectionGradient(embedding, Sizes(embedding)) {
    borrowed_ = memory.span();
    if (memory.size() != sizes_.count())
      detail::fail<std::invalid_argument>(memory.size(), " floats do not fit the gradient of ",
                                          sizes_.count());
  }

  /// Zeros, for a projection of these sizes; `is_centered` says whether codes are z-normalized. Throws
  /// std::invalid_argument if a size is not positive.
  ProjectionGradient(int d_model, int code_dim, bool is_centered)
      : d_model_(d_model), code_dim_(code_dim), is_centered_(is_centered) {
    if (d_model < 1 || code_dim < 1)
      detail::fail<std::invalid_argument>("a gradient of ", d_model, " x ", code_dim, " has no values");
    const auto width = static_cast<std::size_t>(d_model), cells = static_cast<std::size_t>(code_dim);
    if (width > (std::numeric_limits<std::size_t>::max)() / sizeof(float) / cells)
      detail::fail<std::invalid_argument>("a gradient of ", d_model, " x ", code_dim, " is too large");
    sizes_.weights = width * cells;
    own_.resize(sizes_.count());
  }

  /// How many numbers `embedding` learns.
  template <class Scalar>
  static std::size_t count_for(const KroneckerEmbedding<Scalar>& embedding) noexcept {
    return Sizes(embedding).count();
  }

  int d_model() const noexcept { return d_model_; }    ///< Length of a row.
  int code_dim() const noexcept { return code_dim_; }  ///< Number of rows, D.
  /// Whether reading it subtracts the mean of all rows.
  bool is_centered() const noexcept { return is_centered_; }

  /// All sums: those of the projection as they came, (D, d_model), before anything is subtracted; then those
  /// of the rows of their own, (own rows, d_model), and of the norm's weight, (d_model).
  std::span<float> all() & noexcept { return own_.empty() ? borrowed_ : std::span(own_); }
  /// The same, to read.
  std::span<const float> all() const& noexcept {
    return own_.empty() ? std::span<const float>(borrowed_) : std::span(own_);
  }
  std::span<float> values() & noexcept { return all().first(sizes_.weights); }  ///< Of the projection.
  std::span<const float> values() const& noexcept { return all().first(sizes_.weights); }  ///< To read.
  /// Of the rows of their own.
  std::span<float> own_rows() & noexcept { return all().subspan(sizes_.weights, sizes_.own_rows); }
  /// The same, to read.
  std::span<const float> own_rows() const& noexcept { return all().subspan(sizes_.weights, sizes_.own_rows); }
  std::span<float> norm_weight() & noexcept { return all().last(sizes_.norm); }  ///< Of the norm's weight.
  std::span<const float> norm_weight() const& noexcept { return all().last(sizes_.norm); }  ///< To read.
  std::span<const float> all() const&& = delete;
  std::span<const float> values() const&& = delete;
  std::span<const float> own_rows() const&& = delete;
  std::span<const float> norm_weight() const&& = delete;

  /// For rounded codes, (d_model): what reading adds to every row of the projection, since unlit cells take
  /// part too; empty for others.
  std::span<double> shared() & noexcept { return shared_; }
  std::span<const double> shared() const& noexcept { return shared_; }  ///< To read.
  std::span<const double> shared() const&& = delete;

  /// Zeros again.
  void clear() noexcept {
    std::fill(all().begin(), all().end(), 0.0f);
    std::fill(shared_.begin(), shared_.end(), 0.0);
  }

  /// Multiplies every value, for example to average micro-batches.
  void scale(float factor) noexcept {
    for (float& value : all()) value *= factor;
    for (double& value : shared_) value *= static_cast<double>(factor);
  }

  /// What reading subtracts from every row of the projection, (d_model): their mean, if it is centered. O(D *
  /// d_model).
  std::vector<double> subtracted() const {
    if (is_centered_) return detail::mean_row(values(), d_model_);
    std::vector<double> row(static_cast<std::size_t>(d_model_), 0.0);
    for (std::size_t column = 0; column < shared_.size(); ++column) row[column] = -shared_[column];
    return row;
  }

  /// The Euclidean norm of the gradient. O(D * d_model).
  double norm() const {
    const std::span<const float> sums = values();
    const std::vector<double> row = subtracted();
    double sum = 0;
    for (std::size_t i = 0; i < sums.size(); i += row.size())
      for (std::size_t column = 0; column < row.size(); ++column) {
        const double value = sums[i + column] - row[column];
        sum += value * value;
      }
    for (const float value : all().subspan(sizes_.weights))
      sum += static_cast<double>(value) * static_cast<double>(value);
    return std::sqrt(sum);
  }

  /// The gradient of W alone, (d_model, D), as PyTorch's autograd gives it. O(D * d_model).
  RowMajorMatrix<float> to_torch() const {
    const std::vector<double> row = subtracted();
    return LearnedProjection::make(d_model_, code_dim_,
                                   [&](std::span<float> rows) {
                                     for (std::size_t i = 0; i < rows.size(); ++i)
                                       rows[i] = static_cast<float>(values()[i] - row[i % row.size()]);
                                   })
        .to_torch();
  }

  /// Throws std::invalid_argument if it is not for what `embedding` learns.
  template <class Scalar>
  void check_fits(const KroneckerEmbedding<Scalar>& embedding) const {
    const Sizes expected(embedding);
    const auto width = static_cast<std::size_t>(d_model_);
    if (d_model_ != embedding.d_model() || code_dim_ != embedding.encoder().code_dim() ||
        is_centered_ != embedding.encoder().centers_rows())
      detail::fail<std::invalid_argument>(
          "a gradient of ", d_model_, " x ", code_dim_, is_centered_ ? ", centered," : ", not centered,",
          " does not fit the embedding of ", embedding.d_model(), " x ", embedding.encoder().code_dim());
    if (sizes_.own_rows != expected.own_rows || sizes_.norm != expected.norm ||
        shared_.empty() == embedding.encoder().has_length_rows())
      detail::fail<std::invalid_argument>(
          "a gradient for ", sizes_.own_rows / width, " own rows, ", sizes_.norm > 0 ? "a norm" : "no norm",
          " and codes ", shared_.empty() ? "not " : "", "rounded does not fit an embedding of ",
          expected.own_rows / width, " own rows");
  }

 private:
  template <class Scalar>
  ProjectionGradient(const KroneckerEmbedding<Scalar>& embedding, const Sizes& sizes)
      : d_model_(embedding.d_model()),
        code_dim_(embedding.encoder().code_dim()),
        is_centered_(embedding.encoder().centers_rows()),
        sizes_(sizes),
        shared_(embedding.encoder().has_length_rows() ? static_cast<std::size_t>(embedding.d_model()) : 0) {}

  int d_model_;
  int code_dim_;
  bool is_centered_;
  Sizes sizes_;
  std::vector<double> shared_;
  std::vector<float> own_;
  std::span<float> borrowed_;  // if there are none of its own
};

namespace detail {

inline void check_float_count(std::string_view what, std::size_t found, std::size_t expected) {
  if (found != expected) fail<std::invalid_argument>(what, " has ", found, " floats instead of ", expected);
}

}  // namespace detail

}  // namespace KRONECKER_NAMESPACE
