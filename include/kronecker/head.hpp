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

#include <kronecker/cell.hpp>
#include <kronecker/embedding.hpp>
#include <kronecker/error.hpp>
#include <kronecker/head_cells.hpp>
#include <kronecker/kernels/gather_sum.hpp>
#include <kronecker/kernels/instruction_set.hpp>
#include <kronecker/namespace.hpp>
#include <kronecker/own_rows.hpp>
#include <kronecker/rows.hpp>
#include <kronecker/token_blocks.hpp>
#include <kronecker/token_bytes.hpp>
#include <kronecker/token_sequence.hpp>
#include <kronecker/types.hpp>
#include <kronecker/views.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <stdexcept>
#include <type_traits>
#include <utility>
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
  static constexpr std::size_t most_hidden_states = 64;
  /// A token and its logit.
  using TokenLogit = std::pair<TokenId, float>;

  /// The head of the vocabulary of `embedding`, whose token bytes it shares; `gain` multiplies every logit.
  /// Throws std::invalid_argument if the gain is not finite, or if a norm follows the embedding, which no sum
  /// of products has. O(V * pos_dim + D).
  template <class Scalar>
  explicit KroneckerHead(const KroneckerEmbedding<Scalar>& embedding, float gain = 1.0f)
      : gain_(gain),
        options_(embedding.encoder().options()),
        tokens_(embedding.token_bytes()),
        cells_(embedding),
        scales_(embedding.encoder().scales(gain)) {
    if (embedding.norm())
      detail::fail<std::invalid_argument>("an embedding with a norm cannot be an output head");
  }

  float gain() const noexcept { return gain_; }                   ///< Of every logit.
  TokenId vocab_size() const noexcept { return tokens_.size(); }  ///< Number of tokens, V.

  /// The cells that at least one token of the vocabulary lights, ascending; then, from D on, one for each row
  /// of its own that a token has, and, for rounded codes, one for each length from 0 to pos_dim.
  std::span<const std::uint32_t> cells() const& noexcept { return cells_.cells(); }
  /// a_L times the gain, for L = 0 to pos_dim.
  std::span<const float> scales() const& noexcept { return scales_; }
  /// The vocabulary.
  const TokenBytes& token_bytes() const& noexcept { return tokens_; }
  std::span<const std::uint32_t> cells() const&& = delete;
  std::span<const float> scales() const&& = delete;
  TokenBytes token_bytes() const&& noexcept { return tokens_; }  ///< Shares it.

  /// The logits of N hidden states, (N, d_model), by the rows of `embedding`, into `out`, (N, V); 0 for a
  /// token without bytes. Throws std::invalid_argument if the embedding is of another vocabulary or other
  /// code options than the head, if a size does not fit or a hidden state is not finite; nothing is written
  /// then. O(N * (d_model * reached cells + V * bytes per token)).
  template <class Scalar>
  void logits(const KroneckerEmbedding<Scalar>& embedding, Inputs hidden, Outputs<float> out) const {
    const std::size_t count = check_hidden(embedding, hidden);
    detail::check_shape("the output for logits", out.size(), count, vocabulary());
    const std::size_t width = row_size(embedding);
    const std::size_t at_once = (std::min)(count, most_hidden_states);
    std::vector<float> products(products_size(at_once)), scaled(scaled_size<Scalar>(at_once, width));
    for (std::size_t first = 0; first < count; first += most_hidden_states) {
      const std::size_t block = (std::min)(most_hidden_states, count - first);
      cells_.multiply(embedding, hidden.data() + first * width, block, products.data(), stride_of(block),
                      {0, cells_.cells().size()}, scaled.data());
      for_each_sum(products.data(), block, TokenSequence::in_order(0, vocab_size()),
                   [&](std::size_t token, std::size_t n, std::span<const float> sums) {
                     std::copy(sums.begin(), sums.end(), out.data() + (first + n) * vocabulary() + token);
                   });
    }
  }

  /// The k tokens with the largest logits for one hidden state, (d_model), best first; of equal logits, the
  /// lowest id first. Tokens without bytes and row are never among them. Fewer than k if there are not as
  /// many. The logits are never all in memory. Throws std::invalid_argument as `logits` does, and if k < 1.
  template <class Scalar>
  std::vector<TokenLogit> top(const KroneckerEmbedding<Scalar>& embedding, Inputs hidden, int k) const {
    if (k < 1) detail::fail<std::invalid_argument>("the top ", k, " tokens are none: k must be positive");
    if (hidden.size() != row_size(embedding))
      detail::fail<std::invalid_argument>("a hidden state of ", hidden.size(),
                                          " floats does not fit d_model ", embedding.d_model());
    check_hidden(embedding, hidden);
    std::vector<float> products(products_size(1)), scaled(scaled_size<Scalar>(1, hidden.size()));
    cells_.multiply(embedding, hidden.data(), 1, products.data(), stride_of(1), {0, cells_.cells().size()},
                    scaled.data());

    const auto is_better = [](const TokenLogit& a, const TokenLogit& b) {
      return a.second != b.second ? a.second > b.second : a.first < b.first;
    };
    const auto most = static_cast<std::size_t>(k);
    std::vector<TokenLogit> best;  // a heap with the least of them in front
    best.reserve((std::min)(most, vocabulary()));
    for_each_sum(products.data(), 1, TokenSequence::in_order(0, vocab_size()),
                 [&](std::size_t first, std::size_t, std::span<const float> sums) {
                   for (std::size_t i = 0; i < sums.size(); ++i) {
                     const TokenLogit found{static_cast<TokenId>(first + i), sums[i]};
                     if (tokens_.lengths()[first + i] == 0 && !cells_.has_own_row(first + i)) continue;
                     if (best.size() == most) {
                       if (!is_better(found, best.front())) continue;
                       std::pop_heap(best.begin(), best.end(), is_better);
                       best.pop_back();
                     }
                     best.push_back(found);
                     std::push_heap(best.begin(), best.end(), is_better);
                   }
                 });
    std::sort_heap(best.begin(), best.end(), is_better);
    return best;
  }

  /// Number of floats that the products of `count` hidden states take: cell_count() for one, else that times
  /// their number rounded up to a multiple of 8.
  std::size_t products_size(std::size_t count) const noexcept { return cell_count() * stride_of(count); }

  /// Number of cells, D, of own rows and of lengths together.
  std::size_t cell_count() const noexcept { return cells_.count(); }
  /// The tokens that have rows of their own, if there are any.
  const std::optional<OwnTokens>& own_tokens() const& noexcept { return cells_.own_tokens(); }
  std::optional<OwnTokens> own_tokens() const&& noexcept { return cells_.own_tokens(); }  ///< Shares them.

  /// The first half: the products of the rows of some of `cells()` with N hidden states, (N, d_model), at
  /// most most_hidden_states, into `products`, which holds products_size(N) floats, those of a cell at its
  /// own place. Allocates nothing. Throws std::invalid_argument as `logits` does and if N is too large,
  /// std::out_of_range if the range of cells begins behind their end. O(N * d_model * cells).
  template <class Scalar>
  void cell_products(const KroneckerEmbedding<Scalar>& embedding, Inputs hidden, Outputs<float> products,
                     Range cells = {}) const {
    const std::size_t count = check_hidden(embedding, hidden);
    check_products(count, products.size());
    cells_.multiply(embedding, hidden.data(), count, products.data(), stride_of(count),
                    cells.within(cells_.cells().size(), "cells"), nullptr);
  }

  /// The second half: the logits of some of the tokens from the products of all cells with N hidden states,
  /// into `out`, (N, number of tokens). Allocates nothing. Throws std::invalid_argument if a size does not
  /// fit, std::out_of_range if the range begins behind the end of the vocabulary. O(N * bytes of the tokens).
  void token_logits(Inputs products, Outputs<float> out, Range tokens = {}) const {
    const Range some = tokens.within(vocabulary(), "tokens");
    token_logits(products,
                 TokenSequence::in_order(static_cast<TokenId>(some.begin), static_cast<TokenId>(some.end)),
                 out);
  }
  /// The same for any tokens, in their order, and for byte strings among them. Throws what `forward` throws
  /// for the tokens, and std::invalid_argument if a string lights a cell that no token lights.
  void token_logits(Inputs products, TokenSequence tokens, Outputs<float> out) const {
    detail::check_tokens(tokens_, tokens);
    cells_.check_reached(tokens);
    const std::size_t count = tokens.size() == 0 ? 0 : out.size() / tokens.size();
    check_size("the logits of", tokens.size(), "tokens", out.size(), count * tokens.size());
    if (count == 0) return;
    check_products(count, products.size());
    for_each_sum(products.data(), count, tokens,
                 [&](std::size_t first, std::size_t n, std::span<const float> sums) {
                   std::copy(sums.begin(), sums.end(), out.data() + n * tokens.size() + first);
                 });
  }

  /// Throws std::invalid_argument if `embedding` is of another vocabulary, has other code options, or rows of
  /// their own for other tokens.
  template <class Scalar>
  void check_embedding(const KroneckerEmbedding<Scalar>& embedding) const {
    if (!(embedding.encoder().options() == options_))
      detail::fail<std::invalid_argument>("the embedding's code options are not those of the head");
    if (!(embedding.token_bytes() == tokens_))
      detail::fail<std::invalid_argument>("the embedding's vocabulary of ", embedding.vocab_size(),
                                          " tokens (pos_dim ", embedding.encoder().pos_dim(),
                                          ") is not that of the head, of ", vocab_size(), " tokens (pos_dim ",
                                          tokens_.pos_dim(), ")");
    cells_.check_own_tokens(embedding);
  }

 private:
  std::size_t vocabulary() const noexcept { return static_cast<std::size_t>(vocab_size()); }
  template <class Scalar>
  static std::size_t row_size(const KroneckerEmbedding<Scalar>& embedding) noexcept {
    return static_cast<std::size_t>(embedding.d_model());
  }

  static std::size_t stride_of(std::size_t count) noexcept {
    constexpr std::size_t least_vector = 8;  // rows this long are summed as vectors
    return count == 1 ? 1 : (count + least_vector - 1) / least_vector * least_vector;
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

  /// The number of hidden states.
  template <class Scalar>
  std::size_t check_hidden(const KroneckerEmbedding<Scalar>& embedding, Inputs hidden) const {
    check_embedding(embedding);
    const std::size_t width = row_size(embedding);
    if (hidden.size() % width != 0)
      detail::fail<std::invalid_argument>(hidden.size(),
                                          " floats are no whole number of hidden states of d_model ", width);
    const std::span<const float> values = hidden.span();
    if (const std::size_t at = detail::first_not_finite(values); at < values.size())
      detail::fail<std::invalid_argument>("hidden state ", at / width, " has the value ", values[at], " at ",
                                          at % width, ": it must be finite");
    return hidden.size() / width;
  }

  template <class Scalar>
  static std::size_t scaled_size(std::size_t count, std::size_t width) noexcept {
    return std::is_same_v<Scalar, std::int8_t> ? count * width : 0;
  }

  /// Calls `visit(first, n, logits)` with the logits of the tokens from position `first` on for hidden state
  /// n, until all were there.
  template <class Visit>
  void for_each_sum(const float* products, std::size_t count, const TokenSequence& tokens,
                    Visit visit) const {
    constexpr std::size_t tokens_at_once = 64;
    const std::size_t stride = stride_of(count);
    const auto pos_dim = static_cast<std::size_t>(tokens_.pos_dim());
    std::array<float, tokens_at_once * most_hidden_states> by_token;
    std::array<float, tokens_at_once> by_state;
    const kernels::OwnRows own = cells_.own_products(products, stride, gain_);
    const float* const length_products = cells_.length_products(products, stride);
    const kernels::Rows rows{products, nullptr, stride, pos_dim, length_products};
    const auto visit_block = [&](kernels::Tokens block, std::size_t begin) {
      const TokenId* const ids = block.ids;
      const std::size_t end = begin + block.count;
      for (std::size_t first = begin; first < end; first += tokens_at_once) {
        block.ids = ids + (first - begin);
        block.count = (std::min)(tokens_at_once, end - first);
        const std::span<float> logits = std::span(by_state).first(block.count);
        if (count == 1) {
          for (std::size_t i = 0; i < block.count; ++i)
            logits[i] = sum_of_products(products, length_products, block, i, pos_dim);
          visit(first, std::size_t{0}, std::span<const float>(logits));
          continue;
        }
        kernels::gather_sum<kernels::RowType::float32, kernels::RowType::float32>(
            kernels::instruction_set(), rows, block, {by_token.data(), stride, false});
        for (std::size_t n = 0; n < count; ++n) {
          for (std::size_t i = 0; i < block.count; ++i) logits[i] = by_token[i * stride + n];
          visit(first, n, std::span<const float>(logits));
        }
      }
    };
    detail::for_each_block(tokens_, scales_.data(), tokens, visit_block,
                           cells_.own_count() > 0 ? &own : nullptr);
  }

  static float sum_of_products(const float* products, const float* length_products,
                               const kernels::Tokens& tokens, std::size_t i, std::size_t pos_dim) noexcept {
    const auto id = static_cast<std::size_t>(tokens.ids[i]);
    if (tokens.own != nullptr)
      if (const std::uint32_t own = kernels::own_row_of(tokens.own->found, id); own != kernels::no_own_row)
        return tokens.own->scale * static_cast<const float*>(tokens.own->values)[own];
    const std::uint8_t* bytes = tokens.bytes + id * pos_dim;
    float sum = 0;
    for (std::size_t p = 0; p < tokens.lengths[id]; ++p) sum += products[cell_of(bytes[p], p, pos_dim)];
    if (length_products != nullptr) sum += length_products[tokens.lengths[id]];
    return tokens.scales[tokens.lengths[id]] * sum;
  }

  float gain_;
  CodeOptions options_;
  TokenBytes tokens_;
  detail::HeadCells cells_;
  std::vector<float> scales_;
};

}  // namespace KRONECKER_NAMESPACE
