#pragma once

/// What the optimizers share: checks of their settings, the numbers that they keep for each weight, and how a
/// step goes over all weights of a model.

#include <kronecker/embedding.hpp>
#include <kronecker/error.hpp>
#include <kronecker/head_correction.hpp>
#include <kronecker/namespace.hpp>
#include <kronecker/rows.hpp>
#include <kronecker/training/gradient.hpp>
#include <kronecker/training/head_correction_gradient.hpp>
#include <kronecker/views.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <vector>

namespace KRONECKER_NAMESPACE::detail {

inline void check_setting(const char* name, float value, float end) {
  if (!is_finite(value) || value < 0 || value >= end)
    fail<std::invalid_argument>(name, " ", value, " is not in [0, ", end, ")");
}

inline void check_learning_rate(float rate) { check_setting("learning_rate", rate, 3e38f); }

/// Throws std::invalid_argument if a number of the gradient is not finite. `mean` is what is subtracted.
inline void check_finite(const ProjectionGradient& gradient, std::span<const double> mean) {
  // The mean of a column is finite if, and only if, its numbers are.
  const bool is_known = gradient.is_centered() &&
                        std::all_of(mean.begin(), mean.end(), [](double value) { return is_finite(value); });
  const std::size_t begin = is_known ? gradient.values().size() : 0;
  const std::span<const float> sums = gradient.all();
  const std::size_t i = begin + first_not_finite(sums.subspan(begin));
  if (i < sums.size())
    fail<std::invalid_argument>("gradient (", i % mean.size(), ", ", i / mean.size(), ") is ", sums[i],
                                ": it must be finite");
}

/// What the optimizers share: the gradient is checked, centered as it is read, and the rows are centered
/// after the step. `step(weights, slopes, first)` changes the weights of a row, the first of which is that of
/// number `first`; the rows of their own come after those of the projection, and the norm's weight last.
template <class Step>
void change_rows(KroneckerEmbedding<float>& embedding, const ProjectionGradient& gradient, Step step) {
  gradient.check_fits(embedding);
  const std::vector<double> mean = gradient.subtracted();
  check_finite(gradient, mean);
  const std::size_t columns = mean.size();
  const std::span<const float> sums = gradient.all();
  std::vector<float> slopes(columns);
  embedding.update_rows([&](std::span<float> weights) {
    for (std::size_t first = 0; first < weights.size(); first += columns) {
      for (std::size_t column = 0; column < columns; ++column)
        slopes[column] = static_cast<float>(sums[first + column] - mean[column]);
      step(weights.subspan(first, columns), slopes, first);
    }
  });
  std::size_t done = gradient.values().size();
  const auto change_others = [&](std::span<float> weights) {
    for (std::size_t first = 0; first < weights.size(); first += columns, done += columns)
      step(weights.subspan(first, columns), sums.subspan(done, columns), done);
  };
  embedding.update_own_rows(change_others);
  embedding.update_norm(change_others);
}

/// The same for a correction, whose numbers are one row.
template <class Step>
void change_rows(HeadCorrection& correction, const HeadCorrectionGradient& gradient, Step step) {
  gradient.check_fits(correction);
  const std::span<const float> slopes = gradient.all();
  if (const std::size_t at = first_not_finite(slopes); at < slopes.size())
    fail<std::invalid_argument>("number ", at, " of the gradient of a correction is ", slopes[at],
                                ": it must be finite");
  correction.update([&](std::span<float> weights) { step(weights, slopes, std::size_t{0}); });
}

/// Numbers that an optimizer keeps for each weight, (D + own rows, d_model).
class WeightState {
 public:
  explicit WeightState(std::size_t count) : values_(count, 0.0f) {}

  std::span<const float> span() const noexcept { return values_; }
  /// Those of the row whose first number is `first`.
  std::span<float> row(std::size_t first, std::size_t count) noexcept {
    return std::span(values_).subspan(first, count);
  }

  void check_gradient_size(std::size_t count) const {
    if (values_.size() != count)
      fail<std::invalid_argument>("an optimizer of ", values_.size(), " weights does not fit a gradient of ",
                                  count);
  }
  void check_state(Inputs state, float least) const {
    if (state.size() != values_.size())
      fail<std::invalid_argument>("a state of ", state.size(), " numbers does not fit the optimizer of ",
                                  values_.size(), " weights");
    for (std::size_t i = 0; i < state.size(); ++i)
      if (!is_finite(state.data()[i]) || state.data()[i] < least)
        fail<std::invalid_argument>("the state has the number ", state.data()[i], " for weight ", i);
  }
  void set(Inputs state) { std::copy_n(state.data(), state.size(), values_.begin()); }

 private:
  std::vector<float> values_;
};

inline void check_steps(std::int64_t steps) {
  if (steps < 0) fail<std::invalid_argument>("an optimizer cannot have made ", steps, " steps");
}

}  // namespace KRONECKER_NAMESPACE::detail
