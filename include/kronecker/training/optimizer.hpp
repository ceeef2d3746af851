#pragma once

/// Steps that change an embedding's projection by its gradient: AdamW and SGD.
///
/// With z-normalisation the mean of all rows never matters, so every step ends by subtracting it. The
/// embeddings after the step are those of an optimiser that works on the weights as they were learned:
/// gradients are centred, decay keeps what is centred centred, and what else a step adds to all rows alike is
/// taken out again.

#include <kronecker/embedding.hpp>
#include <kronecker/error.hpp>
#include <kronecker/namespace.hpp>
#include <kronecker/rows.hpp>
#include <kronecker/training/gradient.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace KRONECKER_NAMESPACE {

/// Settings of AdamW (Loshchilov and Hutter 2019), with PyTorch's names and meanings.
struct AdamWOptions {
  float learning_rate = 1e-3f;  ///< Size of a step; finite and >= 0.
  float beta1 = 0.9f;           ///< Decay of the mean of gradients, in [0, 1).
  float beta2 = 0.999f;         ///< Decay of the mean of their squares, in [0, 1).
  float epsilon = 1e-8f;        ///< Added to the root of that mean; finite and >= 0.
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

/// What the optimisers share: the gradient is checked and centred, and the rows are centred after the step.
/// `step(weight, gradient, i)` changes weight i.
template <class Encoder, class Step>
void change_rows(KroneckerEmbedding<Encoder, float>& embedding, const ProjectionGradient& gradient,
                 Step step) {
  check_gradient(embedding, gradient);
  const auto columns = static_cast<std::size_t>(gradient.d_model());
  const std::span<const float> sums = gradient.rows();
  for (std::size_t i = 0; i < sums.size(); ++i)
    if (!is_finite(sums[i]))
      fail<std::invalid_argument>("gradient (", i % columns, ", ", i / columns, ") is ", sums[i],
                                  ": it must be finite");
  const std::vector<double> mean =
      gradient.is_centred() ? mean_row(sums, gradient.d_model()) : std::vector<double>(columns, 0.0);
  const std::span<float> weights = embedding.rows_to_change().values_to_change();
  for (std::size_t i = 0; i < weights.size(); i += columns)
    for (std::size_t column = 0; column < columns; ++column)
      step(weights[i + column], static_cast<float>(sums[i + column] - mean[column]), i + column);
  if (gradient.is_centred()) centre(weights, gradient.d_model());
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

/// AdamW with decoupled weight decay, for one embedding.
class AdamW {
 public:
  /// An optimiser for `embedding`, before its first step. Throws std::invalid_argument if an option is out of
  /// its range. Keeps two floats for each weight.
  template <class Encoder>
  explicit AdamW(const KroneckerEmbedding<Encoder, float>& embedding, AdamWOptions options = {})
      : options_(options), means_(embedding.rows().values().size()), squares_(means_.size()) {
    constexpr float largest = 3e38f;
    detail::check_setting("learning_rate", options.learning_rate, largest);
    detail::check_setting("beta1", options.beta1, 1);
    detail::check_setting("beta2", options.beta2, 1);
    detail::check_setting("epsilon", options.epsilon, largest);
    detail::check_setting("weight_decay", options.weight_decay, largest);
  }

  /// Changes the rows of `embedding`, which are copied first if they are shared or mapped. The gradient
  /// stays: clear it before the next batch. Throws std::invalid_argument if the gradient does not fit or is
  /// not finite; nothing is changed then. O(D * d_model).
  template <class Encoder>
  void step(KroneckerEmbedding<Encoder, float>& embedding, const ProjectionGradient& gradient) {
    if (means_.size() != gradient.rows().size())
      detail::fail<std::invalid_argument>("an optimiser of ", means_.size(),
                                          " weights does not fit a gradient of ", gradient.rows().size());
    const double steps = static_cast<double>(steps_ + 1);
    const auto step_size = static_cast<float>(options_.learning_rate / (1 - std::pow(options_.beta1, steps)));
    const auto root_correction = static_cast<float>(std::sqrt(1 - std::pow(options_.beta2, steps)));
    const float kept = 1 - options_.learning_rate * options_.weight_decay;
    detail::change_rows(embedding, gradient, [&](float& weight, float slope, std::size_t i) {
      means_[i] = options_.beta1 * means_[i] + (1 - options_.beta1) * slope;
      squares_[i] = options_.beta2 * squares_[i] + (1 - options_.beta2) * slope * slope;
      const float deviation = std::sqrt(squares_[i]) / root_correction + options_.epsilon;
      weight = kept * weight - step_size * means_[i] / deviation;
    });
    ++steps_;
  }

  std::int64_t steps() const noexcept { return steps_; }             ///< Steps made.
  const AdamWOptions& options() const noexcept { return options_; }  ///< As given, or last set.
  void set_learning_rate(float rate) {  ///< For a schedule; checked as at the start.
    detail::check_setting("learning_rate", rate, 3e38f);
    options_.learning_rate = rate;
  }

 private:
  AdamWOptions options_;
  std::int64_t steps_ = 0;
  std::vector<float> means_;    // of the gradients
  std::vector<float> squares_;  // mean of their squares
};

/// Stochastic gradient descent with momentum, for one embedding.
class Sgd {
 public:
  /// As AdamW. Keeps one float for each weight.
  template <class Encoder>
  explicit Sgd(const KroneckerEmbedding<Encoder, float>& embedding, SgdOptions options = {})
      : options_(options), velocity_(embedding.rows().values().size()) {
    constexpr float largest = 3e38f;
    detail::check_setting("learning_rate", options.learning_rate, largest);
    detail::check_setting("momentum", options.momentum, 1);
    detail::check_setting("weight_decay", options.weight_decay, largest);
  }

  /// As AdamW::step.
  template <class Encoder>
  void step(KroneckerEmbedding<Encoder, float>& embedding, const ProjectionGradient& gradient) {
    if (velocity_.size() != gradient.rows().size())
      detail::fail<std::invalid_argument>("an optimiser of ", velocity_.size(),
                                          " weights does not fit a gradient of ", gradient.rows().size());
    detail::change_rows(embedding, gradient, [&](float& weight, float slope, std::size_t i) {
      velocity_[i] = options_.momentum * velocity_[i] + slope + options_.weight_decay * weight;
      weight -= options_.learning_rate * velocity_[i];
    });
  }

 private:
  SgdOptions options_;
  std::vector<float> velocity_;
};

}  // namespace KRONECKER_NAMESPACE
