#pragma once

/// The rows that a forward pass sums: a projection made ready for it.
///
/// Z-normalisation subtracts from a code its mean, so e = W z does not change if every column of W is shifted
/// by their mean w_bar, and with columns that sum to zero the mean of the code no longer matters:
///
///     e = a_L * sum_p (w_{cell_p} - w_bar)
///
/// Centring once here is all of z-normalisation that is left (docs/identity.md derives it). Without
/// z-normalisation the rows are the weights as they were learned. Either way they are then rounded to the
/// type in which they are stored.

#include <kronecker/error.hpp>
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

/// Throws std::invalid_argument if a weight is NaN or infinite, naming it as an entry of W. `what` begins the
/// message.
inline void check_finite(const LearnedProjection& projection, std::string_view what) {
  const auto weights = projection.rows().span();
  const auto bad = std::find_if_not(weights.begin(), weights.end(), is_finite);
  if (bad == weights.end()) return;
  const auto at = static_cast<std::size_t>(bad - weights.begin());
  const auto d_model = static_cast<std::size_t>(projection.d_model());
  fail<std::invalid_argument>(what, " (", at % d_model, ", ", at / d_model, ") is ", *bad,
                              ": weights must be finite");
}

/// The mean of all D rows, (d_model): summed in double in the order of the cells, and divided, since a
/// product could be fused with what follows.
inline std::vector<double> mean_row(std::span<const float> rows, int d_model) {
  const auto columns = static_cast<std::size_t>(d_model);
  std::vector<double> mean(columns, 0.0);
  for (std::size_t i = 0; i < rows.size(); i += columns)
    for (std::size_t column = 0; column < columns; ++column) mean[column] += rows[i + column];
  for (double& value : mean) value /= static_cast<double>(rows.size() / columns);
  return mean;
}

/// Subtracts the mean of all rows from every row; in double, so that there is one rounding to float.
inline void centre(std::span<float> rows, int d_model) {
  const std::vector<double> mean = mean_row(rows, d_model);
  for (std::size_t i = 0; i < rows.size(); i += mean.size())
    for (std::size_t column = 0; column < mean.size(); ++column)
      rows[i + column] = static_cast<float>(rows[i + column] - mean[column]);
}

/// The weights minus the mean of all D rows.
inline LearnedProjection centred(const LearnedProjection& projection) {
  return LearnedProjection::make(projection.d_model(), projection.code_dim(), [&](std::span<float> rows) {
    std::copy_n(projection.rows().data(), rows.size(), rows.begin());
    centre(rows, projection.d_model());
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

/// The rows of a projection, (D, d_model), stored as float, Eigen::bfloat16, Eigen::half or std::int8_t. An
/// int8 row is multiplied by one float32 scale for each column. Immutable; copies share the numbers.
template <class Scalar>
class ProjectionRows {
 public:
  /// The type as the kernels name it.
  static constexpr kernels::RowType type = detail::row_type_of<Scalar>();

  /// Rounds `weights` to Scalar, to the nearest; rows of floats share them. For int8, the scale of a column
  /// is its largest magnitude / 127. Throws std::invalid_argument if a weight is beyond the range of Scalar.
  /// O(D * d_model).
  static ProjectionRows round(const LearnedProjection& weights) {
    const int d_model = weights.d_model(), code_dim = weights.code_dim();
    if constexpr (std::is_same_v<Scalar, float>) {
      return ProjectionRows(d_model, code_dim, weights.rows());
    } else if constexpr (std::is_same_v<Scalar, std::int8_t>) {
      const SharedArray<float> scales = column_scales_of(weights);
      return ProjectionRows(d_model, code_dim, quantized(weights, scales), scales);
    } else {
      const auto values = SharedArray<Scalar>::make(weights.rows().size(), [&](std::span<Scalar> rounded) {
        for (std::size_t i = 0; i < rounded.size(); ++i) rounded[i] = static_cast<Scalar>(weights.rows()[i]);
      });
      const ProjectionRows rows(d_model, code_dim, values);
      detail::check_finite(rows.to_projection(), "after rounding to 16 bits, projection weight");
      return rows;
    }
  }

  /// Shares rows that were rounded before. Throws std::invalid_argument if a size is not positive, if there
  /// are not code_dim * d_model numbers, or, for int8, d_model scales.
  ProjectionRows(int d_model, int code_dim, SharedArray<Scalar> values, SharedArray<float> column_scales = {})
      : d_model_(d_model),
        code_dim_(code_dim),
        values_(std::move(values)),
        column_scales_(std::move(column_scales)) {
    LearnedProjection::check_row_count(d_model, code_dim, values_.size());
    const std::size_t scales = type == kernels::RowType::int8 ? static_cast<std::size_t>(d_model) : 0;
    if (column_scales_.size() != scales)
      detail::fail<std::invalid_argument>(column_scales_.size(), " column scales given for rows that take ",
                                          scales);
  }

  int d_model() const noexcept { return d_model_; }                       ///< Length of a row.
  int code_dim() const noexcept { return code_dim_; }                     ///< Number of rows, D.
  const SharedArray<Scalar>& values() const noexcept { return values_; }  ///< (D, d_model)
  /// (D, d_model), to change them. Copies them first if they are shared, or mapped from a file.
  std::span<Scalar> values_to_change() { return values_.values_to_change(); }
  /// (d_model) for int8 rows, else empty.
  const SharedArray<float>& column_scales() const noexcept { return column_scales_; }

  /// The rows as weights, each the number that its row stands for; rows of floats are shared.
  LearnedProjection to_projection() const {
    if constexpr (std::is_same_v<Scalar, float>) {
      return LearnedProjection::from_rows(d_model_, code_dim_, values_);
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
  static constexpr double largest_int8 = 127;

  static SharedArray<float> column_scales_of(const LearnedProjection& weights) {
    return SharedArray<float>::make(static_cast<std::size_t>(weights.d_model()),
                                    [&](std::span<float> scales) {
                                      std::fill(scales.begin(), scales.end(), 0.0f);
                                      for (std::size_t i = 0; i < weights.rows().size(); ++i) {
                                        float& largest = scales[i % scales.size()];
                                        largest = (std::max)(largest, std::abs(weights.rows()[i]));
                                      }
                                      for (float& scale : scales)
                                        scale = static_cast<float>(scale / largest_int8);
                                    });
  }

  static SharedArray<std::int8_t> quantized(const LearnedProjection& weights,
                                            const SharedArray<float>& scales) {
    return SharedArray<std::int8_t>::make(weights.rows().size(), [&](std::span<std::int8_t> rounded) {
      for (std::size_t i = 0; i < rounded.size(); ++i) {
        const double scale = scales[i % scales.size()];
        const double nearest = scale > 0 ? std::floor(weights.rows()[i] / scale + 0.5) : 0.0;
        rounded[i] = static_cast<std::int8_t>(std::clamp(nearest, -largest_int8, largest_int8));
      }
    });
  }

  int d_model_;
  int code_dim_;
  SharedArray<Scalar> values_;
  SharedArray<float> column_scales_;
};

}  // namespace KRONECKER_NAMESPACE
