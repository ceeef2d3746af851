#pragma once

/// The backward pass of a tied head: the gradients of the projection and of the hidden states.

#include <kronecker/embedding.hpp>
#include <kronecker/error.hpp>
#include <kronecker/head.hpp>
#include <kronecker/kernels/instruction_set.hpp>
#include <kronecker/kernels/row_products.hpp>
#include <kronecker/kernels/scatter_add.hpp>
#include <kronecker/namespace.hpp>
#include <kronecker/own_rows.hpp>
#include <kronecker/token_blocks.hpp>
#include <kronecker/token_sequence.hpp>
#include <kronecker/training/projection_gradient.hpp>
#include <kronecker/types.hpp>
#include <kronecker/views.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <stdexcept>
#include <vector>

namespace KRONECKER_NAMESPACE {

namespace detail {

inline void check_state_count(std::size_t count) {
  if (count > KroneckerHead::most_hidden_states)
    fail<std::invalid_argument>(count, " hidden states are more than ", KroneckerHead::most_hidden_states,
                                " at a time");
}

inline void check_has_gradient(const KroneckerEmbedding<float>& embedding) {
  if (embedding.encoder().has_length_rows())
    fail<std::invalid_argument>("the gradient of a head is not known for rounded codes");
}

/// The gradient of the products of a head's cells with some hidden states, to which tokens add. Those of a
/// cell lie `stride` apart.
class ProductGradientRows {
 public:
  /// Over the caller's memory, head.cell_count() * stride floats, in which the columns of `states` become
  /// zero.
  ProductGradientRows(const KroneckerHead& head, float* values, std::size_t stride, Range states) noexcept
      : head_(head), values_(values), stride_(stride), states_(states) {
    for (std::size_t cell = 0; cell < head.cell_count(); ++cell)
      std::fill_n(values + cell * stride + states.begin, states.size(), 0.0f);
  }

  /// Adds a block of tokens, as the head makes it, given the gradient of the logits: that of token i for
  /// hidden state n at i * stride + n. A scatter like an embedding's, with hidden states as columns.
  void add(const kernels::Tokens& block, const float* grad_logits) noexcept {
    const auto pos_dim = static_cast<std::size_t>(head_.token_bytes().pos_dim());
    const std::size_t code_dim = static_cast<std::size_t>(head_.token_bytes().char_dim()) * pos_dim;
    kernels::scatter_add(
        kernels::instruction_set(), block, grad_logits,
        {values_, stride_, pos_dim, states_.begin, states_.end, values_ + code_dim * stride_});
  }

  /// Moves those of head.cells() to the front, `count` apart.
  void move_to_front(std::size_t count) noexcept {
    const std::span<const std::uint32_t> cells = head_.cells();
    for (std::size_t i = 0; i < cells.size(); ++i)  // a cell is never before its place among them
      for (std::size_t n = states_.begin; n < states_.end; ++n)
        values_[i * count + n] = values_[cells[i] * stride_ + n];
  }

 private:
  const KroneckerHead& head_;
  float* values_;
  std::size_t stride_;
  Range states_;
};

}  // namespace detail

/// Number of floats that `product_gradients` writes to for `count` hidden states: D and the number of own
/// rows, times count.
inline std::size_t product_gradients_size(const KroneckerHead& head, std::size_t count) noexcept {
  return head.cell_count() * count;
}

/// The first half of a head's gradient: that of the products of its cells with N hidden states, at most
/// KroneckerHead::most_hidden_states, given the gradient of the loss with respect to their logits, (N, V). It
/// goes to the front of `out`, (number of head.cells(), N), which holds product_gradients_size(head, N)
/// floats for the work; threads may take some of the hidden states each, and write to their columns alone.
/// Allocates nothing. Throws std::invalid_argument if a size does not fit, std::out_of_range if the range
/// begins behind N; nothing is written then. O(states * V * bytes per token).
inline void product_gradients(const KroneckerHead& head, Inputs grad_logits, Outputs<float> out,
                              Range states = {}) {
  const auto vocabulary = static_cast<std::size_t>(head.vocab_size());
  const std::size_t count = vocabulary == 0 ? 0 : grad_logits.size() / vocabulary;
  detail::check_shape("the gradient of the logits", grad_logits.size(), count, vocabulary);
  detail::check_state_count(count);
  detail::check_float_count("the gradient of the products", out.size(), product_gradients_size(head, count));
  const Range some = states.within(count, "hidden states");
  if (some.size() == 0) return;
  detail::ProductGradientRows rows(head, out.data(), count, some);

  constexpr std::size_t tokens_at_once = 64;
  std::array<float, tokens_at_once * KroneckerHead::most_hidden_states> by_token;
  const std::optional<OwnTokens>& own_tokens = head.own_tokens();
  const kernels::OwnRows own{own_tokens ? own_tokens->found() : nullptr, nullptr, nullptr, head.gain()};
  detail::for_each_block(
      head.token_bytes(), head.scales().data(), TokenSequence::in_order(0, head.vocab_size()),
      [&](kernels::Tokens block, std::size_t begin) {
        const TokenId* const ids = block.ids;
        const std::size_t end = begin + block.count;
        for (std::size_t first = begin; first < end; first += tokens_at_once) {
          block.ids = ids + (first - begin);
          block.count = (std::min)(tokens_at_once, end - first);
          for (std::size_t n = some.begin; n < some.end; ++n)
            for (std::size_t i = 0; i < block.count; ++i)
              by_token[i * count + n] = grad_logits.data()[n * vocabulary + first + i];
          rows.add(block, by_token.data());
        }
      },
      own_tokens ? &own : nullptr);
  rows.move_to_front(count);
}

/// The second half: adds to `gradient` what the logits of N hidden states contribute, and to `grad_hidden`,
/// (N, d_model), their own gradient, given that of the products. `product_gradients` holds it at the front.
/// The same bits on the same machine and build, whichever way the columns are split among threads. Throws
/// std::invalid_argument if a size does not fit, std::out_of_range if the columns do not; nothing is added
/// then. Allocates nothing. O(N * columns * reached cells).
inline void accumulate_product_gradients(const KroneckerHead& head,
                                         const KroneckerEmbedding<float>& embedding, Inputs hidden,
                                         Inputs product_gradients, ProjectionGradient& gradient,
                                         Outputs<float> grad_hidden, Range columns = {}) {
  const auto width = static_cast<std::size_t>(embedding.d_model());
  const std::size_t count = hidden.size() / width;
  head.check_embedding(embedding);
  gradient.check_fits(embedding);
  detail::check_has_gradient(embedding);
  detail::check_state_count(count);
  detail::check_shape("the hidden states", hidden.size(), count, width);
  detail::check_float_count("the gradient of the products", product_gradients.size(),
                            product_gradients_size(head, count));
  detail::check_float_count("the gradient of the hidden states", grad_hidden.size(), hidden.size());
  const Range some = columns.within(width, "columns");
  const std::span<const std::uint32_t> cells = head.cells();
  kernels::add_multiples(kernels::instruction_set(),
                         {gradient.all().data(), cells.data(), cells.size(), hidden.data(), nullptr, count,
                          product_gradients.data(), count, 1, width, some.begin, some.end});
  const std::size_t own = embedding.own_rows() ? embedding.own_rows()->size() : 0, lit = cells.size() - own;
  kernels::add_multiples(kernels::instruction_set(),
                         {grad_hidden.data(), nullptr, count, embedding.rows().values().data(), cells.data(),
                          lit, product_gradients.data(), 1, count, width, some.begin, some.end});
  if (own > 0)
    kernels::add_multiples(
        kernels::instruction_set(),
        {grad_hidden.data(), nullptr, count, embedding.own_rows()->rows().values().data(), nullptr, own,
         product_gradients.data() + lit * count, 1, count, width, some.begin, some.end});
}

/// Adds to `gradient` what `head.logits(embedding, hidden)` contributes, and to `grad_hidden`, (N, d_model),
/// the gradient of the hidden states, given the gradient of the loss with respect to the logits,
/// `grad_logits` of (N, V): both halves, for all hidden states. The gradient of the gain is (hidden .
/// grad_hidden) / gain. Throws std::invalid_argument as they do; nothing is added then. O(N * (V * bytes per
/// token + d_model * reached cells)).
inline void accumulate_gradient(const KroneckerHead& head, const KroneckerEmbedding<float>& embedding,
                                Inputs hidden, Inputs grad_logits, ProjectionGradient& gradient,
                                Outputs<float> grad_hidden) {
  const auto width = static_cast<std::size_t>(embedding.d_model());
  const auto vocabulary = static_cast<std::size_t>(head.vocab_size());
  const std::size_t count = hidden.size() / width;
  head.check_embedding(embedding);
  gradient.check_fits(embedding);
  detail::check_has_gradient(embedding);
  detail::check_shape("the hidden states", hidden.size(), count, width);
  detail::check_shape("the gradient of the logits", grad_logits.size(), count, vocabulary);
  detail::check_float_count("the gradient of the hidden states", grad_hidden.size(), hidden.size());
  std::vector<float> products;
  for (std::size_t first = 0; first < count; first += KroneckerHead::most_hidden_states) {
    const std::size_t states = (std::min)(KroneckerHead::most_hidden_states, count - first);
    products.resize(product_gradients_size(head, states));
    product_gradients(head, {grad_logits.data() + first * vocabulary, states * vocabulary}, products);
    accumulate_product_gradients(head, embedding, {hidden.data() + first * width, states * width}, products,
                                 gradient, {grad_hidden.data() + first * width, states * width});
  }
}

}  // namespace KRONECKER_NAMESPACE
