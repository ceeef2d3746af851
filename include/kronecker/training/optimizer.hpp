#pragma once

/// Steps that change an embedding's projection, or what corrects an output head, by its gradient: AdamW and
/// SGD.
///
/// With z-normalization the mean of all rows never matters, so every step ends by subtracting it. The
/// embeddings after the step are those of an optimizer that works on the weights as they were learned:
/// gradients are centered, decay keeps what is centered centered, and what else a step adds to all rows alike
/// is taken out again.

#include <kronecker/embedding.hpp>
#include <kronecker/error.hpp>
#include <kronecker/head_correction.hpp>
#include <kronecker/kernels/adamw.hpp>
#include <kronecker/kernels/instruction_set.hpp>
#include <kronecker/namespace.hpp>
#include <kronecker/training/gradient.hpp>
#include <kronecker/training/head_correction_gradient.hpp>
#include <kronecker/training/weight_changes.hpp>
#include <kronecker/views.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <stdexcept>

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

/// Scales a gradient down to the norm `most`, if it is longer; returns the norm before. For several parts of
/// a model, add up the squares of their norms first. Throws std::invalid_argument if `most` is not positive.
/// O(D * d_model).
template <class Gradient>
double clip_norm(Gradient& gradient, double most) {
  if (!(most > 0)) detail::fail<std::invalid_argument>("the largest norm ", most, " is not positive");
  const double norm = gradient.norm();
  if (norm > most) gradient.scale(static_cast<float>(most / norm));
  return norm;
}

/// AdamW with decoupled weight decay, for one embedding or one correction. `steps`, `means` and `squares` are
/// all of its state: one that is restored from them goes on with the same bits.
class AdamW {
 public:
  /// An optimizer for `embedding`, before its first step. Throws std::invalid_argument if an option is out of
  /// its range. Keeps two floats for each weight.
  explicit AdamW(const KroneckerEmbedding<float>& embedding, AdamWOptions options = {})
      : AdamW(ProjectionGradient::count_for(embedding), options) {}
  /// The same for `correction`, whose biases decay as all its numbers do: without weight decay they stay
  /// what they are where a gradient is 0.
  explicit AdamW(const HeadCorrection& correction, AdamWOptions options = {})
      : AdamW(correction.sizes().count(), options) {}

  /// Changes the rows of `embedding`, which are copied first if they are shared or mapped. The gradient
  /// stays: clear it before the next batch. Throws std::invalid_argument if the gradient does not fit or is
  /// not finite; nothing is changed then. O(D * d_model).
  void step(KroneckerEmbedding<float>& embedding, const ProjectionGradient& gradient) {
    change(embedding, gradient);
  }
  /// The same for a correction. O(V * k).
  void step(HeadCorrection& correction, const HeadCorrectionGradient& gradient) {
    change(correction, gradient);
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
  AdamW(std::size_t count, AdamWOptions options) : options_(options), means_(count), squares_(count) {
    constexpr float largest = 3e38f;
    detail::check_learning_rate(options.learning_rate);
    detail::check_setting("beta1", options.beta1, 1);
    detail::check_setting("beta2", options.beta2, 1);
    detail::check_setting("epsilon", options.epsilon, largest);
    if (options.epsilon == 0)
      detail::fail<std::invalid_argument>("epsilon 0 would divide by zero where a gradient always was zero");
    detail::check_setting("weight_decay", options.weight_decay, largest);
  }

  template <class Model, class Gradient>
  void change(Model& model, const Gradient& gradient) {
    means_.check_gradient_size(gradient.all().size());
    const double steps = static_cast<double>(steps_ + 1);
    const auto step_size = static_cast<float>(options_.learning_rate / (1 - std::pow(options_.beta1, steps)));
    const auto root_correction = static_cast<float>(std::sqrt(1 - std::pow(options_.beta2, steps)));
    const kernels::AdamWFactors factors{
        options_.beta1, options_.beta2,  1 - options_.learning_rate * options_.weight_decay,
        step_size,      root_correction, options_.epsilon};
    detail::change_rows(
        model, gradient, [&](std::span<float> weights, std::span<const float> slopes, std::size_t first) {
          kernels::adamw(
              kernels::instruction_set(),
              {weights.size(), weights.data(), slopes.data(), means_.row(first, weights.size()).data(),
               squares_.row(first, weights.size()).data()},
              factors);
        });
    ++steps_;
  }

  AdamWOptions options_;
  std::int64_t steps_ = 0;
  detail::WeightState means_;
  detail::WeightState squares_;
};

/// Stochastic gradient descent with momentum, for one embedding or one correction. `steps` and `velocity` are
/// all of its state.
class Sgd {
 public:
  /// As AdamW. Keeps one float for each weight.
  explicit Sgd(const KroneckerEmbedding<float>& embedding, SgdOptions options = {})
      : Sgd(ProjectionGradient::count_for(embedding), options) {}
  /// The same for `correction`.
  explicit Sgd(const HeadCorrection& correction, SgdOptions options = {})
      : Sgd(correction.sizes().count(), options) {}

  /// As AdamW::step.
  void step(KroneckerEmbedding<float>& embedding, const ProjectionGradient& gradient) {
    change(embedding, gradient);
  }
  /// As AdamW::step.
  void step(HeadCorrection& correction, const HeadCorrectionGradient& gradient) {
    change(correction, gradient);
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
  Sgd(std::size_t count, SgdOptions options) : options_(options), velocity_(count) {
    detail::check_learning_rate(options.learning_rate);
    detail::check_setting("momentum", options.momentum, 1);
    detail::check_setting("weight_decay", options.weight_decay, 3e38f);
  }

  template <class Model, class Gradient>
  void change(Model& model, const Gradient& gradient) {
    velocity_.check_gradient_size(gradient.all().size());
    const SgdOptions options = options_;  // copies, which writing to the state cannot change
    detail::change_rows(
        model, gradient, [&](std::span<float> weights, std::span<const float> slopes, std::size_t first) {
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

  SgdOptions options_;
  std::int64_t steps_ = 0;
  detail::WeightState velocity_;
};

}  // namespace KRONECKER_NAMESPACE
