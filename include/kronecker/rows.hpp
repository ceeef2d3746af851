#pragma once

/// The rows that a forward pass sums: a projection made ready for it.
///
/// Z-normalization subtracts from a code its mean, so e = W z does not change if every column of W is shifted
/// by their mean w_bar, and with columns that sum to zero the mean of the code no longer matters:
///
///     e = a_L * sum_p (w_{cell_p} - w_bar)
///
/// Centering once here is all of z-normalization that is left (docs/identity.md derives it). Without
/// z-normalization the rows are the weights as they were learned. Either way they are then rounded to the
/// type in which they are stored.

#include <kronecker/error.hpp>
#include <kronecker/kernels/instruction_set.hpp>
#include <kronecker/kernels/row_sums.hpp>
#include <kronecker/kernels/row_type.hpp>
#include <kronecker/namespace.hpp>
#include <kronecker/projection.hpp>
#include <kronecker/shared_array.hpp>
#include <kronecker/types.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace KRONECKER_NAMESPACE {
namespace detail {

/// Throws std::invalid_argument if a value of (D, d_model) is NaN or infinite, naming it as an entry of W.
/// `what` begins the message.
inline void check_finite(std::span<const float> values, int d_model, std::string_view what) {
  const std::size_t at = first_not_finite(values);
  if (at == values.size()) return;
  const auto columns = static_cast<std::size_t>(d_model);
  fail<std::invalid_argument>(what, " (", at % columns, ", ", at / columns, ") is ", values[at],
                              ": weights must be finite");
}
inline void check_finite(const LearnedProjection& projection, std::string_view what) {
  check_finite(projection.weights().span(), projection.d_model(), what);
}

/// The mean of all D rows, (d_model): summed in double in the order of the cells, and divided, since a
/// product could be fused with what follows.
inline std::vector<double> mean_row(std::span<const float> rows, int d_model) {
  const auto columns = static_cast<std::size_t>(d_model);
  const std::size_t count = rows.size() / columns;
  std::vector<double> mean(columns);
  kernels::sum_rows<kernels::RowType::float32>(
      kernels::instruction_set(), {rows.data(), count, columns, 0, columns}, nullptr, mean.data());
  for (double& value : mean) value /= static_cast<double>(count);
  return mean;
}

/// Subtracts the mean of all rows from every row; in double, so that there is one rounding to float. Returns
/// false, and changes nothing, if a number is not finite: then, and only then, the mean of its column is not.
inline bool center(std::span<float> rows, int d_model) {
  const std::vector<double> mean = mean_row(rows, d_model);
  if (!std::all_of(mean.begin(), mean.end(), [](double value) { return is_finite(value); })) return false;
  for (std::size_t i = 0; i < rows.size(); i += mean.size())
    for (std::size_t column = 0; column < mean.size(); ++column)
      rows[i + column] = static_cast<float>(rows[i + column] - mean[column]);
  return true;
}

/// The weights minus the mean of all D rows.
inline LearnedProjection centered(const LearnedProjection& projection) {
  return LearnedProjection::make(projection.d_model(), projection.code_dim(), [&](std::span<float> rows) {
    std::copy_n(projection.weights().data(), rows.size(), rows.begin());
    center(rows, projection.d_model());
  });
}

template <class Scalar>
constexpr kernels::RowType row_type_of() {
  if constexpr (std::is_same_v<Scalar, float>)
    return kernels::RowType::float32;
  else if constexpr (std::is_same_v<Scalar, Eigen::bfloat16>)
    return kernels::RowType::bfloat16;
  else if constexpr (std::is_same_v<Scalar, Eigen::half>)
    return kernels::RowType::float16;
  else {
    static_assert(std::is_same_v<Scalar, std::int8_t>,
                  "rows are stored as float, Eigen::bfloat16, Eigen::half or std::int8_t");
    return kernels::RowType::int8;
  }
}

}  // namespace detail

/// The rows of a projection, (D, d_model), stored as float, Eigen::bfloat16, Eigen::half or std::int8_t;
/// centered, if they are for codes that are z-normalized. An int8 row is multiplied by one float32 scale for
/// each column. All stand for finite numbers. Copies share the numbers.
template <class Scalar>
class ProjectionRows {
 public:
  /// The type as the kernels name it.
  static constexpr kernels::RowType type = detail::row_type_of<Scalar>();

  /// Centers the weights of `projection` in float32, if asked to, and rounds them to Scalar, to the nearest;
  /// rows of floats that are not centered share them. For int8, the scale of a column is its largest
  /// magnitude / 127. Throws std::invalid_argument if a weight is NaN, infinite or beyond the range of
  /// Scalar. O(D * d_model).
  ProjectionRows(const LearnedProjection& projection, bool is_centered)
      : ProjectionRows(rounded(prepared(projection, is_centered), is_centered)) {}

  /// Shares numbers that were the rows of an embedding, as a file holds them: they are trusted to be finite
  /// and centered as stated, and not looked at. Throws std::invalid_argument if a size is not positive, if
  /// there are not code_dim * d_model numbers, or, for int8, d_model scales.
  static ProjectionRows trusted(int d_model, int code_dim, bool is_centered, SharedArray<Scalar> values,
                                SharedArray<float> column_scales = {}) {
    LearnedProjection::check_weight_count(d_model, code_dim, values.size());
    const std::size_t scales = type == kernels::RowType::int8 ? static_cast<std::size_t>(d_model) : 0;
    if (column_scales.size() != scales)
      detail::fail<std::invalid_argument>(column_scales.size(), " column scales given for rows that take ",
                                          scales);
    return {d_model, code_dim, is_centered, std::move(values), std::move(column_scales)};
  }

  int d_model() const noexcept { return d_model_; }           ///< Length of a row.
  int code_dim() const noexcept { return code_dim_; }         ///< Number of rows, D.
  bool is_centered() const noexcept { return is_centered_; }  ///< Whether they sum to zero, but for rounding.
  const SharedArray<Scalar>& values() const& noexcept { return values_; }  ///< (D, d_model)
  /// (d_model) for int8 rows, else empty.
  const SharedArray<float>& column_scales() const& noexcept { return column_scales_; }
  SharedArray<Scalar> values() const&& noexcept { return values_; }               ///< Shares them.
  SharedArray<float> column_scales() const&& noexcept { return column_scales_; }  ///< Shares them.

  /// Lets `change(std::span<float>)` write to all numbers, (D, d_model), and then centers them again, if they
  /// were. Copies them first if they are shared, or mapped from a file. Throws std::invalid_argument if a
  /// number is not finite then, naming its cell: the rows hold what was written.
  template <class Change>
  void update(Change&& change) requires std::is_same_v<Scalar, float> {
    const std::span<float> values = values_.mutable_values();
    std::forward<Change>(change)(values);
    if (!is_centered_ || !detail::center(values, d_model_))
      return detail::check_finite(values, d_model_, "updated weight");
    detail::check_finite(values, d_model_, "after centering, updated weight");
  }

  /// The same rows, rounded to another type; shared if it is the same.
  template <class Other>
  ProjectionRows<Other> cast() const {
    if constexpr (std::is_same_v<Other, Scalar>)
      return *this;
    else
      return ProjectionRows<Other>::rounded(to_projection(), is_centered_);
  }

  /// The rows as weights, each the number that its row stands for; rows of floats are shared.
  LearnedProjection to_projection() const {
    if constexpr (std::is_same_v<Scalar, float>) {
      return LearnedProjection::from_weights(d_model_, code_dim_, values_);
    } else {
      const auto columns = static_cast<std::size_t>(d_model_);
      return LearnedProjection::make(d_model_, code_dim_, [&](std::span<float> weights) {
        for (std::size_t i = 0; i < weights.size(); ++i) {
          weights[i] = static_cast<float>(values_[i]);
          if constexpr (type == kernels::RowType::int8) weights[i] *= column_scales_[i % columns];
        }
      });
    }
  }

  /// The rows as the kernels take them; `pos_dim` is the encoder's. Valid as long as this.
  kernels::Rows view(int pos_dim) const noexcept {
    return {values_.data(), column_scales_.data(), static_cast<std::size_t>(d_model_),
            static_cast<std::size_t>(pos_dim)};
  }

 private:
  template <class>
  friend class ProjectionRows;

  static constexpr double largest_int8 = 127;

  ProjectionRows(int d_model, int code_dim, bool is_centered, SharedArray<Scalar> values,
                 SharedArray<float> column_scales)
      : d_model_(d_model),
        code_dim_(code_dim),
        is_centered_(is_centered),
        values_(std::move(values)),
        column_scales_(std::move(column_scales)) {}

  static LearnedProjection prepared(const LearnedProjection& projection, bool is_centered) {
    detail::check_finite(projection, "projection weight");
    if (!is_centered) return projection;
    const LearnedProjection centered = detail::centered(projection);
    detail::check_finite(centered, "after centering, projection weight");
    return centered;
  }

  static ProjectionRows rounded(const LearnedProjection& weights, bool is_centered) {
    const int d_model = weights.d_model(), code_dim = weights.code_dim();
    if constexpr (std::is_same_v<Scalar, float>) {
      return {d_model, code_dim, is_centered, weights.weights(), {}};
    } else if constexpr (std::is_same_v<Scalar, std::int8_t>) {
      const SharedArray<float> scales = column_scales_of(weights);
      return {d_model, code_dim, is_centered, quantized(weights, scales), scales};
    } else {
      const auto values = SharedArray<Scalar>::make(weights.weights().size(), [&](std::span<Scalar> rounded) {
        for (std::size_t i = 0; i < rounded.size(); ++i)
          rounded[i] = static_cast<Scalar>(weights.weights()[i]);
      });
      const ProjectionRows rows(d_model, code_dim, is_centered, values, {});
      detail::check_finite(rows.to_projection(), "after rounding to 16 bits, projection weight");
      return rows;
    }
  }

  static SharedArray<float> column_scales_of(const LearnedProjection& weights) {
    return SharedArray<float>::make(static_cast<std::size_t>(weights.d_model()),
                                    [&](std::span<float> scales) {
                                      std::fill(scales.begin(), scales.end(), 0.0f);
                                      for (std::size_t i = 0; i < weights.weights().size(); ++i) {
                                        float& largest = scales[i % scales.size()];
                                        largest = (std::max)(largest, std::abs(weights.weights()[i]));
                                      }
                                      for (float& scale : scales)
                                        scale = static_cast<float>(scale / largest_int8);
                                    });
  }

  static SharedArray<std::int8_t> quantized(const LearnedProjection& weights,
                                            const SharedArray<float>& scales) {
    return SharedArray<std::int8_t>::make(weights.weights().size(), [&](std::span<std::int8_t> rounded) {
      for (std::size_t i = 0; i < rounded.size(); ++i) {
        const double scale = scales[i % scales.size()];
        const double nearest = scale > 0 ? std::floor(weights.weights()[i] / scale + 0.5) : 0.0;
        rounded[i] = static_cast<std::int8_t>(std::clamp(nearest, -largest_int8, largest_int8));
      }
    });
  }

  int d_model_;
  int code_dim_;
  bool is_centered_;
  SharedArray<Scalar> values_;
  SharedArray<float> column_scales_;
};

}  // namespace KRONECKER_NAMESPACE
