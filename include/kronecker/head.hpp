#pragma once

/// The embedding's projection as a tied output head.
///
/// The logit of token v for a hidden state h is h . e_v, and e_v is a sum of L rows times a_L. So with one
/// product for each cell, q = W~ h (W~: the rows, (D, d_model)),
///
///     logit_v = gain * a_{L_v} * sum_p q[cell_p]
///
/// which is the product with the materialized table: a product with D rows, of which only those count that
/// some token lights, and L additions for each token, instead of V * d_model multiplications. The row of its
/// own that a token may have counts as one more cell, which it alone lights.

#include <kronecker/embedding.hpp>
#include <kronecker/error.hpp>
#include <kronecker/head_cells.hpp>
#include <kronecker/head_correction.hpp>
#include <kronecker/head_sums.hpp>
#include <kronecker/kernels/row_products.hpp>
#include <kronecker/namespace.hpp>
#include <kronecker/own_rows.hpp>
#include <kronecker/rows.hpp>
#include <kronecker/token_blocks.hpp>
#include <kronecker/token_bytes.hpp>
#include <kronecker/token_sequence.hpp>
#include <kronecker/top_tokens.hpp>
#include <kronecker/types.hpp>
#include <kronecker/views.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <stdexcept>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace KRONECKER_NAMESPACE {

/// What a vocabulary decides of an output head: which cells its tokens reach, and the factor of each length.
/// The weights are an argument of every call, so the head has those of this moment, and training copies none.
///
/// `logits` and `top` do all at once. Their two halves, `cell_products` and `token_logits`, take some of the
/// cells or tokens each and write into the caller's memory: one hidden state is spread over threads that way,
/// and some of the tokens are scored alone.
///
/// An embedding with other weights and the same vocabulary makes it an untied head. Immutable, any number of
/// threads may call it. The same input gives the same bits on the same machine and build.
class KroneckerHead {
 public:
  /// Hidden states that the two halves take at a time: their products stay in the second-level cache.
  static constexpr std::size_t most_hidden_states = detail::HeadSums::most_states;
  /// A token and its logit.
  using TokenLogit = std::pair<TokenId, float>;

  /// The head of the vocabulary of `embedding`, whose token bytes it shares; `gain` multiplies every logit.
  /// Throws std::invalid_argument if the gain is not finite, or if a norm follows the embedding, which no sum
  /// of products has. O(V * pos_dim + D).
  template <class Scalar>
  explicit KroneckerHead(const KroneckerEmbedding<Scalar>& embedding, float gain = 1.0f)
      : options_(embedding.encoder().options()), sums_(embedding, gain) {
    if (embedding.norm())
      detail::fail<std::invalid_argument>("an embedding with a norm cannot be an output head");
  }

  float gain() const noexcept { return sums_.gain(); }                   ///< Of every logit.
  TokenId vocab_size() const noexcept { return sums_.tokens().size(); }  ///< Number of tokens, V.

  /// The cells that at least one token of the vocabulary lights, ascending; then, from D on, one for each row
  /// of its own that a token has, and, for rounded codes, one for each length from 0 to pos_dim.
  std::span<const std::uint32_t> cells() const& noexcept { return sums_.cells().cells(); }
  /// a_L times the gain, for L = 0 to pos_dim.
  std::span<const float> scales() const& noexcept { return sums_.scales(); }
  /// The vocabulary.
  const TokenBytes& token_bytes() const& noexcept { return sums_.tokens(); }
  std::span<const std::uint32_t> cells() const&& = delete;
  std::span<const float> scales() const&& = delete;
  TokenBytes token_bytes() const&& noexcept { return sums_.tokens(); }  ///< Shares it.

  /// The logits of N hidden states, (N, d_model), by the rows of `embedding`, into `out`, (N, V); without a
  /// correction, 0 for a token without bytes. Throws std::invalid_argument if the embedding is of another
  /// vocabulary or other code options than the head, if a size does not fit or a hidden state is not finite;
  /// nothing is written then. O(N * (d_model * reached cells + V * (bytes per token + rank))).
  template <class Scalar>
  void logits(const KroneckerEmbedding<Scalar>& embedding, Inputs hidden, Outputs<float> out,
              const HeadCorrection* correction = nullptr) const {
    const std::size_t count = check_hidden(embedding, hidden, correction);
    detail::check_shape("the output for logits", out.size(), count, vocabulary());
    const std::size_t width = row_size(embedding);
    for (std::size_t first = 0; first < count; first += most_hidden_states) {
      const std::size_t block = (std::min)(most_hidden_states, count - first);
      const StateProducts products(*this, embedding, {hidden.data() + first * width, block * width},
                                   correction);
      sums_.for_each_state(products.cells.data(), block, TokenSequence::in_order(0, vocab_size()),
                           products.corrected_by(correction),
                           [&](std::size_t token, std::size_t n, std::span<const float> sums) {
                             std::copy(sums.begin(), sums.end(),
                                       out.data() + (first + n) * vocabulary() + token);
                           });
    }
  }

  /// The k tokens with the largest logits for one hidden state, (d_model), best first; of equal logits, the
  /// lowest id first. Tokens without bytes and row are among them only with a correction. Fewer than k if
  /// there are not as many. The logits are never all in memory. Throws std::invalid_argument as `logits`
  /// does, and if k < 1.
  template <class Scalar>
  std::vector<TokenLogit> top(const KroneckerEmbedding<Scalar>& embedding, Inputs hidden, int k,
                              const HeadCorrection* correction = nullptr) const {
    if (k < 1) detail::fail<std::invalid_argument>("the top ", k, " tokens are none: k must be positive");
    if (hidden.size() != row_size(embedding))
      detail::fail<std::invalid_argument>("a hidden state of ", hidden.size(),
                                          " floats does not fit d_model ", embedding.d_model());
    check_hidden(embedding, hidden, correction);
    const StateProducts products(*this, embedding, hidden, correction);
    detail::TopTokens best(static_cast<std::size_t>(k), vocabulary());
    sums_.for_each_state(products.cells.data(), 1, TokenSequence::in_order(0, vocab_size()),
                         products.corrected_by(correction),
                         [&](std::size_t first, std::size_t, std::span<const float> sums) {
                           for (std::size_t i = 0; i < sums.size(); ++i)
                             if (correction != nullptr || has_additive_logit(first + i))
                               best.offer(static_cast<TokenId>(first + i), sums[i]);
                         });
    return best.take();
  }

  /// Number of floats that the products of `count` hidden states take: cell_count() for one, else that times
  /// their number rounded up to a multiple of 8.
  std::size_t products_size(std::size_t count) const noexcept {
    return cell_count() * kernels::product_stride(count);
  }

  /// Number of cells, D, of own rows and of lengths together.
  std::size_t cell_count() const noexcept { return sums_.cells().count(); }
  /// The tokens that have rows of their own, if there are any.
  const std::optional<OwnTokens>& own_tokens() const& noexcept { return sums_.cells().own_tokens(); }
  std::optional<OwnTokens> own_tokens() const&& noexcept {
    return sums_.cells().own_tokens();
  }  ///< Shares them.

  /// The first half: the products of the rows of some of `cells()` with N hidden states, (N, d_model), at
  /// most most_hidden_states, into `products`, which holds products_size(N) floats, those of a cell at its
  /// own place. Allocates nothing. Throws std::invalid_argument as `logits` does and if N is too large,
  /// std::out_of_range if the range of cells begins behind their end. O(N * d_model * cells).
  template <class Scalar>
  void cell_products(const KroneckerEmbedding<Scalar>& embedding, Inputs hidden, Outputs<float> products,
                     Range cells = {}) const {
    const std::size_t count = check_hidden(embedding, hidden);
    check_products(count, products.size());
    sums_.cells().multiply(embedding, hidden.data(), count, products.data(), kernels::product_stride(count),
                           cells.within(sums_.cells().cells().size(), "cells"), nullptr);
  }

  /// The second half: the logits of some of the tokens from the products of all cells, and of the correction
  /// if there is one, with N hidden states, into `out`, (N, number of tokens). Allocates nothing. Throws
  /// std::invalid_argument if a size does not fit, std::out_of_range if the range begins behind the end of
  /// the vocabulary. O(N * tokens * (bytes per token + rank)).
  void token_logits(Inputs products, Outputs<float> out, Range tokens = {},
                    const CorrectionProducts& correction = {}) const {
    const Range some = tokens.within(vocabulary(), "tokens");
    token_logits(products,
                 TokenSequence::in_order(static_cast<TokenId>(some.begin), static_cast<TokenId>(some.end)),
                 out, correction);
  }
  /// The same for any tokens, in their order, and, without a correction, for byte strings among them. Throws
  /// what `forward` throws for the tokens, and std::invalid_argument if a string lights a cell that no token
  /// lights, or if there are both strings and a correction, which knows tokens alone.
  void token_logits(Inputs products, TokenSequence tokens, Outputs<float> out,
                    const CorrectionProducts& correction = {}) const {
    detail::check_tokens(sums_.tokens(), tokens);
    sums_.cells().check_reached(tokens);
    const std::size_t count = tokens.size() == 0 ? 0 : out.size() / tokens.size();
    check_size("the logits of", tokens.size(), "tokens", out.size(), count * tokens.size());
    if (count == 0) return;
    check_products(count, products.size());
    check_correction(tokens, count, correction);
    sums_.for_each_state(products.data(), count, tokens, correction,
                         [&](std::size_t first, std::size_t n, std::span<const float> sums) {
                           std::copy(sums.begin(), sums.end(), out.data() + n * tokens.size() + first);
                         });
  }

  /// The second half for those who do more with logits than keep them: calls `visit(block, first, logits)`
  /// for at most 64 tokens at a time, those from position `first` of the sequence on, until all were there.
  /// Logits of token i of the block for hidden state n are at i * kernels::product_stride(count) + n, for
  /// `visit` to read and change. What `token_logits` checks must be so.
  template <class Visit>
  void for_each_block_of_logits(const float* products, std::size_t count, const TokenSequence& tokens,
                                const CorrectionProducts& correction, Visit visit) const {
    sums_.for_each_block(products, count, tokens, correction, visit);
  }

  /// Throws std::invalid_argument if `embedding` is of another vocabulary, has other code options, or rows of
  /// their own for other tokens.
  template <class Scalar>
  void check_embedding(const KroneckerEmbedding<Scalar>& embedding) const {
    if (!(embedding.encoder().options() == options_))
      detail::fail<std::invalid_argument>("the embedding's code options are not those of the head");
    if (!(embedding.token_bytes() == sums_.tokens()))
      detail::fail<std::invalid_argument>("the embedding's vocabulary of ", embedding.vocab_size(),
                                          " tokens (pos_dim ", embedding.encoder().pos_dim(),
                                          ") is not that of the head, of ", vocab_size(), " tokens (pos_dim ",
                                          sums_.tokens().pos_dim(), ")");
    sums_.cells().check_own_tokens(embedding);
  }

 private:
  std::size_t vocabulary() const noexcept { return static_cast<std::size_t>(vocab_size()); }
  template <class Scalar>
  static std::size_t row_size(const KroneckerEmbedding<Scalar>& embedding) noexcept {
    return static_cast<std::size_t>(embedding.d_model());
  }

  static void check_size(const char* what, std::size_t count, const char* of_what, std::size_t found,
                         std::size_t expected) {
    if (found != expected)
      detail::fail<std::invalid_argument>(what, " ", count, " ", of_what, " take ", expected, " floats, not ",
                                          found);
  }

  void check_products(std::size_t count, std::size_t size) const {
    if (count > most_hidden_states)
      detail::fail<std::invalid_argument>(count, " hidden states are more than ", most_hidden_states,
                                          " at a time");
    check_size("the products of", count, "hidden states", size, products_size(count));
  }

  /// What is computed once for some hidden states, at most most_hidden_states.
  struct StateProducts {
    std::vector<float> cells, factors;

    template <class Scalar>
    StateProducts(const KroneckerHead& head, const KroneckerEmbedding<Scalar>& embedding, Inputs hidden,
                  const HeadCorrection* correction)
        : cells(head.products_size(hidden.size() / row_size(embedding))) {
      const std::size_t count = hidden.size() / row_size(embedding);
      std::vector<float> scaled(std::is_same_v<Scalar, std::int8_t> ? hidden.size() : 0);
      head.sums_.cells().multiply(embedding, hidden.data(), count, cells.data(),
                                  kernels::product_stride(count), {0, head.sums_.cells().cells().size()},
                                  scaled.data());
      if (correction == nullptr) return;
      factors.resize(correction->products_size(count));
      correction->state_products(hidden, factors);
    }
    CorrectionProducts corrected_by(const HeadCorrection* correction) const { return {correction, factors}; }
  };

  bool has_additive_logit(std::size_t id) const noexcept {
    return sums_.tokens().lengths()[id] != 0 || sums_.cells().has_own_row(id);
  }

  void check_correction(const TokenSequence& tokens, std::size_t count, const CorrectionProducts& of) const {
    if (of.correction == nullptr) return;
    of.correction->check_vocabulary(vocab_size());
    check_size("the factors of", count, "hidden states", of.products.size(),
               of.correction->products_size(count));
    for (std::size_t i = 0; tokens.mixed() != nullptr && i < tokens.size(); ++i)
      if (!std::holds_alternative<TokenId>(tokens.mixed()[i]))
        detail::fail<std::invalid_argument>("string at index ", i, ": a corrected head has logits of tokens");
  }

  /// The number of hidden states.
  template <class Scalar>
  std::size_t check_hidden(const KroneckerEmbedding<Scalar>& embedding, Inputs hidden,
                           const HeadCorrection* correction = nullptr) const {
    check_embedding(embedding);
    const std::size_t width = row_size(embedding);
    if (correction != nullptr) {
      correction->check_vocabulary(vocab_size());
      correction->check_width(embedding.d_model());
    }
    if (hidden.size() % width != 0)
      detail::fail<std::invalid_argument>(hidden.size(),
                                          " floats are no whole number of hidden states of d_model ", width);
    const std::span<const float> values = hidden.span();
    if (const std::size_t at = detail::first_not_finite(values); at < values.size())
      detail::fail<std::invalid_argument>("hidden state ", at / width, " has the value ", values[at], " at ",
                                          at % width, ": it must be finite");
    return hidden.size() / width;
  }

  CodeOptions options_;
  detail::HeadSums sums_;
};

}  // namespace KRONECKER_NAMESPACE
