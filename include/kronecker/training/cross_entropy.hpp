#pragma once

/// The loss of a language model without its logits: the cross-entropy of hidden states over the whole
/// vocabulary, and its gradients, by a head that is additive, with a correction or without.
///
///     loss = mean over n of ( log sum_v exp(logit_nv) - logit_n,target )
///
/// 64 hidden states at a time, their products with the cells are computed once. The logits of 64 tokens are
/// then cheap, and are made and used while they are in the first-level cache: once to sum their exponentials,
/// and, for the gradients, once more. No matrix of (N, V) is ever in memory.

#include <kronecker/embedding.hpp>
#include <kronecker/error.hpp>
#include <kronecker/head.hpp>
#include <kronecker/head_correction.hpp>
#include <kronecker/kernels/exponentials.hpp>
#include <kronecker/kernels/instruction_set.hpp>
#include <kronecker/kernels/row_products.hpp>
#include <kronecker/kernels/row_type.hpp>
#include <kronecker/namespace.hpp>
#include <kronecker/token_blocks.hpp>
#include <kronecker/token_sequence.hpp>
#include <kronecker/training/head_correction_gradient.hpp>
#include <kronecker/training/head_gradient.hpp>
#include <kronecker/training/projection_gradient.hpp>
#include <kronecker/types.hpp>
#include <kronecker/views.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <limits>
#include <optional>
#include <span>
#include <stdexcept>
#include <vector>

namespace KRONECKER_NAMESPACE {

/// An output head and the weights that it takes.
struct HeadWeights {
  const KroneckerHead& head;                   ///< Of the embedding's vocabulary.
  const KroneckerEmbedding<float>& embedding;  ///< Its rows; not of rounded codes, for gradients.
  const HeadCorrection* correction = nullptr;  ///< Null: none.
};

/// Where the gradients of a loss are added.
struct HeadGradients {
  ProjectionGradient& projection;                ///< Of the embedding.
  Outputs<float> hidden;                         ///< Of the hidden states, (N, d_model).
  HeadCorrectionGradient* correction = nullptr;  ///< Of the correction, if there is one.
};

namespace detail {

/// The loss of some hidden states, at most KroneckerHead::most_hidden_states.
class CrossEntropy {
 public:
  CrossEntropy(const HeadWeights& of, Inputs hidden, std::span<const TokenId> targets)
      : of_(of),
        hidden_(hidden),
        targets_(targets),
        stride_(kernels::product_stride(targets.size())),
        products_(of.head.products_size(targets.size())) {
    of.head.cell_products(of.embedding, hidden, products_);
    if (of.correction != nullptr) {
      factors_.resize(of.correction->products_size(targets.size()));
      of.correction->state_products(hidden, factors_);
    }
    sum_exponentials();
  }

  /// The sum of the losses.
  double sum() const noexcept {
    double losses = 0;
    for (std::size_t n = 0; n < targets_.size(); ++n)
      losses += log_sums_[n] - static_cast<double>(target_logits_[n]);
    return losses;
  }

  /// Adds the gradients of `factor` times the sum; `hidden` of `to` is that of these states.
  void add_gradients(const HeadGradients& to, float factor) {
    const std::size_t count = targets_.size();
    States shifts{}, factors, sums{};
    for (std::size_t n = 0; n < count; ++n) shifts[n] = static_cast<float>(log_sums_[n]);
    factors.fill(factor);
    std::vector<float> grad_products(of_.head.cell_count() * stride_);
    ProductGradientRows rows(of_.head, grad_products.data(), stride_, {0, count});
    std::optional<CorrectionBackward> correction;
    if (of_.correction != nullptr) correction.emplace(*of_.correction, factors_, count, *to.correction);
    for_each_block([&](const kernels::Tokens& block, std::size_t first, float* logits) {
      exponentials(logits, block.count, shifts, factors, sums);
      for_each_target(first, block.count, [&](std::size_t, std::size_t at) { logits[at] -= factor; });
      rows.add(block, logits);
      if (correction) correction->add(first, block.count, logits, stride_);
    });
    rows.move_to_front(count);
    accumulate_product_gradients(of_.head, of_.embedding, hidden_,
                                 {grad_products.data(), product_gradients_size(of_.head, count)},
                                 to.projection, to.hidden);
    if (correction) correction->finish(hidden_.data(), to.hidden.data());
  }

 private:
  using States = std::array<float, KroneckerHead::most_hidden_states>;  // one number for each

  template <class Visit>
  void for_each_block(Visit visit) const {
    of_.head.for_each_block_of_logits(products_.data(), targets_.size(),
                                      TokenSequence::in_order(0, of_.head.vocab_size()),
                                      {of_.correction, factors_}, visit);
  }

  /// Calls `visit(n, at)` for each state whose target is one of `tokens` from `first` on; its logit is at
  /// that place.
  template <class Visit>
  void for_each_target(std::size_t first, std::size_t tokens, Visit visit) const {
    for (std::size_t n = 0; n < targets_.size(); ++n)
      if (const std::size_t i = static_cast<std::size_t>(targets_[n]) - first; i < tokens)
        visit(n, i * stride_ + n);
  }

  void exponentials(float* logits, std::size_t tokens, const States& shifts, const States& factors,
                    States& sums) const noexcept {
    kernels::exponentials(kernels::instruction_set(), {logits, tokens, stride_, targets_.size(),
                                                       shifts.data(), factors.data(), sums.data()});
  }

  /// The exponentials are relative to the largest logit so far: what was summed before is scaled when a
  /// larger one comes.
  void sum_exponentials() {
    const std::size_t count = targets_.size();
    States largest, factors;
    largest.fill(std::numeric_limits<float>::lowest());
    factors.fill(1);
    std::array<double, KroneckerHead::most_hidden_states> totals{};
    for_each_block([&](const kernels::Tokens& block, std::size_t first, float* logits) {
      for_each_target(first, block.count,
                      [&](std::size_t n, std::size_t at) { target_logits_[n] = logits[at]; });
      const States before = largest;
      for (std::size_t i = 0; i < block.count; ++i)
        for (std::size_t n = 0; n < count; ++n) largest[n] = (std::max)(largest[n], logits[i * stride_ + n]);
      States sums{};
      exponentials(logits, block.count, largest, factors, sums);
      for (std::size_t n = 0; n < count; ++n) {
        if (largest[n] > before[n])
          totals[n] *= std::exp(static_cast<double>(before[n]) - static_cast<double>(largest[n]));
        totals[n] += static_cast<double>(sums[n]);
      }
    });
    for (std::size_t n = 0; n < count; ++n)
      log_sums_[n] = static_cast<double>(largest[n]) + std::log(totals[n]);
  }

  HeadWeights of_;
  Inputs hidden_;
  std::span<const TokenId> targets_;
  std::size_t stride_;
  std::vector<float> products_, factors_;
  States target_logits_{};
  std::array<double, KroneckerHead::most_hidden_states> log_sums_{};
};

/// Checks what a loss takes, and calls `visit(some, first)` with the loss of some hidden states at a time,
/// those from number `first` on. Returns the number of all.
template <class Visit>
std::size_t for_each_cross_entropy(const HeadWeights& of, Inputs hidden, const TokenSequence& targets,
                                   Visit visit) {
  const auto width = static_cast<std::size_t>(of.embedding.d_model());
  of.head.check_embedding(of.embedding);
  if (of.correction != nullptr) {
    of.correction->check_vocabulary(of.head.vocab_size());
    of.correction->check_width(of.embedding.d_model());
  }
  check_shape("the hidden states", hidden.size(), targets.size(), width);
  if (targets.mixed() != nullptr) fail<std::invalid_argument>("the targets of a loss are token ids");
  check_tokens(of.head.token_bytes(), targets);
  if (const std::size_t at = first_not_finite(hidden.span()); at < hidden.size())
    fail<std::invalid_argument>("hidden state ", at / width, " has the value ", hidden.data()[at], " at ",
                                at % width, ": it must be finite");
  std::array<TokenId, KroneckerHead::most_hidden_states> ids;
  for (std::size_t first = 0; first < targets.size(); first += ids.size()) {
    const std::span<TokenId> some = std::span(ids).first((std::min)(ids.size(), targets.size() - first));
    targets.copy_ids(first, some);
    CrossEntropy loss(of, {hidden.data() + first * width, some.size() * width}, some);
    visit(loss, first, some.size());
  }
  return targets.size();
}

}  // namespace detail

/// The mean cross-entropy, in nats, of N hidden states, (N, d_model), whose next tokens are `targets`; 0 for
/// none. The same bits on the same machine and build. Throws std::invalid_argument if a size does not fit or
/// a hidden state is not finite, std::out_of_range if a target is no token. O(N * (d_model * reached cells +
/// V * (bytes per token + rank))), and memory for the products of 64 hidden states.
inline double cross_entropy(const HeadWeights& of, Inputs hidden, TokenSequence targets) {
  double sum = 0;
  const std::size_t count = detail::for_each_cross_entropy(
      of, hidden, targets,
      [&](const detail::CrossEntropy& some, std::size_t, std::size_t) { sum += some.sum(); });
  return count == 0 ? 0 : sum / static_cast<double>(count);
}

/// The same, and adds to `gradients` those of `factor` times it: of a part of a batch its share, of a scaled
/// loss the scale. Throws also if a gradient does not fit; nothing is added if it throws.
inline double accumulate_cross_entropy(const HeadWeights& of, Inputs hidden, TokenSequence targets,
                                       const HeadGradients& gradients, float factor = 1) {
  gradients.projection.check_fits(of.embedding);
  detail::check_has_gradient(of.embedding);
  if ((of.correction == nullptr) != (gradients.correction == nullptr))
    detail::fail<std::invalid_argument>("a head ", of.correction == nullptr ? "without" : "with",
                                        " a correction, and a gradient ",
                                        of.correction == nullptr ? "for one" : "for none");
  if (of.correction != nullptr) gradients.correction->check_fits(*of.correction);
  detail::check_float_count("the gradient of the hidden states", gradients.hidden.size(), hidden.size());
  const auto width = static_cast<std::size_t>(of.embedding.d_model());
  const float share = factor / static_cast<float>(targets.size());
  double sum = 0;
  const std::size_t count = detail::for_each_cross_entropy(
      of, hidden, targets, [&](detail::CrossEntropy& some, std::size_t first, std::size_t states) {
        sum += some.sum();
        some.add_gradients({gradients.projection,
                            {gradients.hidden.data() + first * width, states * width},
                            gradients.correction},
                           share);
      });
  return count == 0 ? 0 : sum / static_cast<double>(count);
}

}  // namespace KRONECKER_NAMESPACE
