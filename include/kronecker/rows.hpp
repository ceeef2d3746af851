#pragma once

/// The rows that a forward pass sums: a projection made ready for it.
///
/// Z-normalisation subtracts from a code its mean, so e = W z does not change if every column of W is shifted
/// by their mean w_bar, and with columns that sum to zero the mean of the code no longer matters:
///
///     e = a_L * sum_p (w_{cell_p} - w_bar)
///
/// Centring once here is all of z-normalisation that is left (docs/identity.md derives it). Without
/// z-normalisation the rows are the weights as they were learned.

#include <kronecker/error.hpp>
#include <kronecker/projection.hpp>
#include <kronecker/shared_array.hpp>

#include <algorithm>
#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

namespace kronecker::detail {

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

/// The weights minus the mean of all D rows. The mean is summed in double in the order of the cells and
/// subtracted in double (dividing, since a product could be fused), so the rounding to float comes once.
inline LearnedProjection centred(const LearnedProjection& projection) {
  const auto d_model = static_cast<std::size_t>(projection.d_model());
  const auto weights = projection.rows().span();
  std::vector<double> mean(d_model, 0.0);
  for (std::size_t i = 0; i < weights.size(); i += d_model)
    for (std::size_t column = 0; column < d_model; ++column) mean[column] += weights[i + column];
  for (double& value : mean) value /= projection.code_dim();

  return LearnedProjection::make(projection.d_model(), projection.code_dim(), [&](std::span<float> rows) {
    for (std::size_t i = 0; i < weights.size(); i += d_model)
      for (std::size_t column = 0; column < d_model; ++column)
        rows[i + column] = static_cast<float>(weights[i + column] - mean[column]);
  });
}

}  // namespace kronecker::detail
