#pragma once

/// Steps that change an embedding's projection by its gradient: AdamW and SGD.
///
/// With z-normalization the mean of all rows never matters, so every step ends by subtracting it. The
/// embeddings after the step are those of an optimizer that works on the weights as they were learned:
/// gradients are centered, decay keeps what is centered centered, and what else a step adds to all rows alike
/// is taken out again.

#include <kronecker/embedding.hpp>
#include <kronecker/error.hpp>
#include <kronecker/kernels/adamw.hpp>
#include <kronecker/kernels/instruction_set.hpp>
#include <kronecker/namespace.hpp>
#include <kronecker/rows.hpp>
#include <kronecker/training/gradient.hpp>
#include <kronecker/views.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

namespace KRONECKER_NAMESPACE {

/// Settings of AdamW (Loshchilov and Hutter 2019), with PyTorch's names and meanings.
struct AdamWOptions {
  float learning_rate = 1e-3f;  ///< Size of a step; finite and >= 0.
  float beta1 = 0.9f;           ///< Decay of the mean of gradients, in [0, 1).
  float beta2 = 0.999f;         ///< Decay of the mean of their squares, in [0, 1).
  float epsilon = 1e-8f;        ///< Added to the root of that mean; finite and > 0.
  float weight_decay = 1e-2f;   ///< Part of the weights, times the learning rate, that a step takes away.
};

/// Settings of stochastic gradient descent.
struct SgdOptions {
  float learning_rate = 1e-2f;  ///< Size of a step; finite and >= 0.
  float momentum = 0.0f;        ///< Part of the last step that is made again, in [0, 1).
  float weight_decay = 0.0f;    ///< Part of the weights that is added to the gradient, as in PyTorch.
};

namespace detail {

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

/// Numbers that an optimizer keeps for each weight, (D + own rows, d_model).
class WeightState {
 public:
  explicit WeightState(const KroneckerEmbedding<float>& embedding)
      : values_(ProjectionGradient::count_for(embedding), 0.0f) {}

  std::span<const float> span() const noexcept { return values_; }
  /// Those of the row whose first number is `first`.
  std::span<float> row(std::size_t first, std::size_t count) noexcept {
    return std::span(values_).subspan(first, count);
  }

  void check_gradient_size(const ProjectionGradient& gradient) const {
    if (values_.size() != gradient.all().size())
      fail<std::invalid_argument>("an optimizer of ", values_.size(), " weights does not fit a gradient of ",
                                  gradient.all().size());
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

}  // namespace detail

/// Scales a gradient down to the norm `most`, if it is longer; returns the norm before. For several parts of
/// a model, add up the squares of their norms first. Throws std::invalid_argument if `most` is not positive.
/// O(D * d_model).
inline double clip_norm(ProjectionGradient& gradient, double most) {
  if (!(most > 0)) detail::fail<std::invalid_argument>("the largest norm ", most, " is not positive");
  const double norm = gradient.norm();
  if (norm > most) gradient.scale(static_cast<float>(most / norm));
  return norm;
}

/// AdamW with decoupled weight decay, for one embedding. `steps`, `means` and `squares` are all of its state:
/// one that is restored from them goes on with the same bits.
class AdamW {
 public:
  /// An optimizer for `embedding`, before its first step. Throws std::invalid_argument if an option is out of
  /// its range. Keeps two floats for each weight.
  explicit AdamW(const KroneckerEmbedding<float>& embedding, AdamWOptions options = {})
      : options_(options), means_(embedding), squares_(embedding) {
    constexpr float largest = 3e38f;
    detail::check_learning_rate(options.learning_rate);
    detail::check_setting("beta1", options.beta1, 1);
    detail::check_setting("beta2", options.beta2, 1);
    detail::check_setting("epsilon", options.epsilon, largest);
    if (options.epsilon == 0)
      detail::fail<std::invalid_argument>("epsilon 0 would divide by zero where a gradient always was zero");
    detail::check_setting("weight_decay", options.weight_decay, largest);
  }

  /// Changes the rows of `embedding`, which are copied first if they are shared or mapped. The gradient
  /// stays: clear it before the next batch. Throws std::invalid_argument if the gradient does not fit or is
  /// not finite; nothing is changed then. O(D * d_model).
  void step(KroneckerEmbedding<float>& embedding, const ProjectionGradient& gradient) {
    means_.check_gradient_size(gradient);
    const double steps = static_cast<double>(steps_ + 1);
    const auto step_size = static_cast<float>(options_.learning_rate / (1 - std::pow(options_.beta1, steps)));
    const auto root_correction = static_cast<float>(std::sqrt(1 - std::pow(options_.beta2, steps)));
    const kernels::AdamWFactors factors{
        options_.beta1, options_.beta2,  1 - options_.learning_rate * options_.weight_decay,
        step_size,      root_correction, options_.epsilon};
    detail::change_rows(
        embedding, gradient, [&](std::span<float> weights, std::span<const float> slopes, std::size_t first) {
          kernels::adamw(
              kernels::instruction_set(),
              {weights.size(), weights.data(), slopes.data(), means_.row(first, weights.size()).data(),
               squares_.row(first, weights.size()).data()},
              factors);
        });
    ++steps_;
  }

  std::int64_t steps() const noexcept { return steps_; }  ///< Steps made.
  std::span<const float> means() const& noexcept {
    return means_.span();
  }  ///< Of the gradients, (D + own rows, d_model).
  std::span<const float> squares() const& noexcept { return squares_.span(); }  ///< Means of their squares.
  std::span<const float> means() const&& = delete;
  std::span<const float> squares() const&& = delete;

  /// Goes on from a state that was saved. Throws std::invalid_argument if a size does not fit or a number is
  /// none of such a state; nothing is changed then.
  void restore(std::int64_t steps, Inputs means, Inputs squares) {
    detail::check_steps(steps);
    means_.check_state(means, -(std::numeric_limits<float>::max)());
    squares_.check_state(squares, 0);
    means_.set(means);
    squares_.set(squares);
    steps_ = steps;
  }

  const AdamWOptions& options() const& noexcept { return options_; }  ///< As given, or last set.
  const AdamWOptions& options() const&& = delete;
  /// For a schedule; checked as at the start.
  void set_learning_rate(float rate) {
    detail::check_learning_rate(rate);
    options_.learning_rate = rate;
  }

 private:
  AdamWOptions options_;
  std::int64_t steps_ = 0;
  detail::WeightState means_;
  detail::WeightState squares_;
};

/// Stochastic gradient descent with momentum, for one embedding. `steps` and `velocity` are all of its state.
class Sgd {
 public:
  /// As AdamW. Keeps one float for each weight.
  explicit Sgd(const KroneckerEmbedding<float>& embedding, SgdOptions options = {})
      : options_(options), velocity_(embedding) {
    detail::check_learning_rate(options.learning_rate);
    detail::check_setting("momentum", options.momentum, 1);
    detail::check_setting("weight_decay", options.weight_decay, 3e38f);
  }

  /// As AdamW::step.
  void step(KroneckerEmbedding<float>& embedding, const ProjectionGradient& gradient) {
    velocity_.check_gradient_size(gradient);
    const SgdOptions options = options_;  // copies, which writing to the state cannot change
    detail::change_rows(
        embedding, gradient, [&](std::span<float> weights, std::span<const float> slopes, std::size_t first) {
          const std::span<float> velocity = velocity_.row(first, weights.size());
          for (std::size_t i = 0; i < weights.size(); ++i) {
            velocity[i] = options.momentum * velocity[i] + slopes[i] + options.weight_decay * weights[i];
            // What has decayed below the normal numbers, with which processors are many times slower, is
            // zero.
            if (std::abs(velocity[i]) < (std::numeric_limits<float>::min)()) velocity[i] = 0;
            weights[i] -= options.learning_rate * velocity[i];
          }
        });
    ++steps_;
  }

  std::int64_t steps() const noexcept { return steps_; }  ///< Steps made.
  std::span<const float> velocity() const& noexcept {
    return velocity_.span();
  }  ///< The last step, (D + own rows, d_model).
  std::span<const float> velocity() const&& = delete;

  /// As AdamW::restore.
  void restore(std::int64_t steps, Inputs velocity) {
    detail::check_steps(steps);
    velocity_.check_state(velocity, -(std::numeric_limits<float>::max)());
    velocity_.set(velocity);
    steps_ = steps;
  }

  const SgdOptions& options() const& noexcept { return options_; }  ///< As given, or last set.
  const SgdOptions& options() const&& = delete;
  /// As AdamW::set_learning_rate.
  void set_learning_rate(float rate) {
    detail::check_learning_rate(rate);
    options_.learning_rate = rate;
  }

 private:
  SgdOptions options_;
  std::int64_t steps_ = 0;
  detail::WeightState velocity_;
};

}  // namespace KRONECKER_NAMESPACE
