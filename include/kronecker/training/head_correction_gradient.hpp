#pragma once

/// The backward pass of what corrects an output head.
///
/// Logits are sums of what the head and its correction say, so each has its gradient alone, and both add to
/// that of the hidden states. With g of (N, V) the gradient of a loss with respect to the logits, and C h_n
/// the products of hidden state n:
///
///     bias_v += sum_n g_nv        u_v += sum_n g_nv C h_n        C += sum_n (sum_v g_nv u_v) h_n
///     h_n += C^T (sum_v g_nv u_v)

#include <kronecker/error.hpp>
#include <kronecker/head_correction.hpp>
#include <kronecker/kernels/instruction_set.hpp>
#include <kronecker/kernels/row_products.hpp>
#include <kronecker/namespace.hpp>
#include <kronecker/views.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <span>
#include <stdexcept>
#include <vector>

namespace KRONECKER_NAMESPACE {

/// A sum of gradients with respect to all numbers of a correction, in float32 and in its order.
class HeadCorrectionGradient {
 public:
  /// Zeros.
  explicit HeadCorrectionGradient(const HeadCorrection& correction)
      : sizes_(correction.sizes()), values_(sizes_.count(), 0.0f) {}

  const HeadCorrectionSizes& sizes() const noexcept { return sizes_; }          ///< Of the correction.
  std::span<float> all() & noexcept { return values_; }                         ///< All numbers.
  std::span<const float> all() const& noexcept { return values_; }              ///< To read.
  std::span<float> bias() & noexcept { return sizes_.bias(all()); }             ///< Of the biases, (V).
  std::span<const float> bias() const& noexcept { return sizes_.bias(all()); }  ///< To read.
  std::span<float> token_factors() & noexcept { return sizes_.token_factors(all()); }  ///< Of u, (V, k).
  std::span<const float> token_factors() const& noexcept {
    return sizes_.token_factors(all());
  }  ///< To read.
  std::span<float> state_factors() & noexcept {
    return sizes_.state_factors(all());
  }  ///< Of C, (k, d_model).
  std::span<const float> state_factors() const& noexcept {
    return sizes_.state_factors(all());
  }  ///< To read.
  std::span<const float> all() const&& = delete;
  std::span<const float> bias() const&& = delete;
  std::span<const float> token_factors() const&& = delete;
  std::span<const float> state_factors() const&& = delete;

  /// Zeros again.
  void clear() noexcept { std::fill(values_.begin(), values_.end(), 0.0f); }
  /// Multiplies every number.
  void scale(float factor) noexcept {
    for (float& value : values_) value *= factor;
  }
  /// The Euclidean norm.
  double norm() const noexcept {
    double sum = 0;
    for (const float value : values_) sum += static_cast<double>(value) * static_cast<double>(value);
    return std::sqrt(sum);
  }

  /// Throws std::invalid_argument if it is not for `correction`.
  void check_fits(const HeadCorrection& correction) const {
    if (!(sizes_ == correction.sizes()))
      detail::fail<std::invalid_argument>("a gradient for ", sizes_.vocab_size, " tokens, d_model ",
                                          sizes_.d_model, " and rank ", sizes_.rank,
                                          " does not fit a correction for ", correction.sizes().vocab_size,
                                          ", ", correction.sizes().d_model, " and ", correction.sizes().rank);
  }

 private:
  HeadCorrectionSizes sizes_;
  std::vector<float> values_;
};

namespace detail {

/// The backward pass for some hidden states, some tokens at a time: `add` for each block of tokens, then
/// `finish`.
class CorrectionBackward {
 public:
  /// `products` are those that HeadCorrection::state_products makes of the `count` hidden states.
  CorrectionBackward(const HeadCorrection& correction, std::span<const float> products, std::size_t count,
                     HeadCorrectionGradient& gradient)
      : correction_(correction),
        gradient_(gradient),
        rank_(correction.sizes().factors()),
        count_(count),
        products_(count * rank_),
        grad_products_(count * rank_, 0.0f) {
    const std::size_t stride = kernels::product_stride(count);
    for (std::size_t n = 0; n < count; ++n)
      for (std::size_t k = 0; k < rank_; ++k) products_[n * rank_ + k] = products[k * stride + n];
  }

  /// Given the gradient of the logits of `tokens` ids from `first` on, that of token i for hidden state n at
  /// i * stride + n.
  void add(std::size_t first, std::size_t tokens, const float* grad_logits, std::size_t stride) noexcept {
    for (std::size_t i = 0; i < tokens; ++i) {
      float sum = 0;
      for (std::size_t n = 0; n < count_; ++n) sum += grad_logits[i * stride + n];
      gradient_.bias()[first + i] += sum;
    }
    if (rank_ == 0) return;
    const std::size_t at = first * rank_;
    const auto set = kernels::instruction_set();
    kernels::add_multiples(set, {gradient_.token_factors().data() + at, nullptr, tokens, products_.data(),
                                 nullptr, count_, grad_logits, stride, 1, rank_, 0, rank_});
    kernels::add_multiples(
        set, {grad_products_.data(), nullptr, count_, correction_.token_factors().data() + at, nullptr,
              tokens, grad_logits, 1, stride, rank_, 0, rank_});
  }

  /// `hidden` and `grad_hidden` are (count, d_model).
  void finish(const float* hidden, float* grad_hidden) noexcept {
    if (rank_ == 0) return;
    const std::size_t width = correction_.sizes().width();
    const auto set = kernels::instruction_set();
    kernels::add_multiples(set, {gradient_.state_factors().data(), nullptr, rank_, hidden, nullptr, count_,
                                 grad_products_.data(), 1, rank_, width, 0, width});
    kernels::add_multiples(set, {grad_hidden, nullptr, count_, correction_.state_factors().data(), nullptr,
                                 rank_, grad_products_.data(), rank_, 1, width, 0, width});
  }

 private:
  const HeadCorrection& correction_;
  HeadCorrectionGradient& gradient_;
  std::size_t rank_, count_;
  std::vector<float> products_, grad_products_;  // (count, k)
};

}  // namespace detail

/// Adds to `gradient` what the correction's part of the logits of N hidden states, (N, d_model), contributes,
/// and to `grad_hidden`, (N, d_model), what it contributes to theirs, given the gradient of the loss with
/// respect to the logits, `grad_logits` of (N, V). The head's part is that of head_gradient.hpp. The same
/// bits on the same machine and build. Throws std::invalid_argument if a size does not fit; nothing is added
/// then. O(N * k * (V + d_model)).
inline void accumulate_gradient(const HeadCorrection& correction, Inputs hidden, Inputs grad_logits,
                                HeadCorrectionGradient& gradient, Outputs<float> grad_hidden) {
  constexpr std::size_t states_at_once = 64, tokens_at_once = HeadCorrection::most_tokens;
  const std::size_t width = correction.sizes().width(), vocabulary = correction.sizes().tokens();
  const std::size_t count = hidden.size() / width;
  gradient.check_fits(correction);
  detail::check_shape("the hidden states", hidden.size(), count, width);
  detail::check_shape("the gradient of the logits", grad_logits.size(), count, vocabulary);
  detail::check_shape("the gradient of the hidden states", grad_hidden.size(), count, width);
  std::array<float, tokens_at_once * states_at_once> by_token;
  std::vector<float> products;
  for (std::size_t first = 0; first < count; first += states_at_once) {
    const std::size_t states = (std::min)(states_at_once, count - first);
    const Inputs some(hidden.data() + first * width, states * width);
    products.resize(correction.products_size(states));
    correction.state_products(some, products);
    detail::CorrectionBackward backward(correction, products, states, gradient);
    for (std::size_t token = 0; token < vocabulary; token += tokens_at_once) {
      const std::size_t tokens = (std::min)(tokens_at_once, vocabulary - token);
      for (std::size_t n = 0; n < states; ++n)
        for (std::size_t i = 0; i < tokens; ++i)
          by_token[i * states + n] = grad_logits.data()[(first + n) * vocabulary + token + i];
      backward.add(token, tokens, by_token.data(), states);
    }
    backward.finish(some.data(), grad_hidden.data() + first * width);
  }
}

}  // namespace KRONECKER_NAMESPACE
