#pragma once

/// The embedding's projection as a tied output head.
///
/// The logit of token v for a hidden state h is h . e_v, and e_v is a sum of L rows times a_L. So with one
/// number for each cell, q = W~ h (W~: the rows, (D, d_model)),
///
///     logit_v = gain * a_{L_v} * sum_p q[cell_p]
///
/// which is the product with the materialised table: a product with D rows, of which only those count that
/// some token lights, and L additions for each token, instead of V * d_model multiplications.

#include <kronecker/embedding.hpp>
#include <kronecker/error.hpp>
#include <kronecker/kernels/gather_sum.hpp>
#include <kronecker/kernels/instruction_set.hpp>
#include <kronecker/kernels/row_products.hpp>
#include <kronecker/namespace.hpp>
#include <kronecker/rows.hpp>
#include <kronecker/shared_array.hpp>
#include <kronecker/types.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

namespace KRONECKER_NAMESPACE {

/// A token and its logit.
struct TokenLogit {
  TokenId id;   ///< The token.
  float logit;  ///< gain * (hidden state . embedding of the token).

  bool operator==(const TokenLogit&) const = default;  ///< Same token, same logit.
};

/// Logits of every token for hidden states, by the rows and token bytes of an embedding, which it shares.
///
/// Immutable; any number of threads may call it. The same input gives the same bits on the same machine and
/// build.
template <class Encoder, class Scalar>
class KroneckerHead {
 public:
  /// The head that is tied to `embedding`; `gain` multiplies every logit. Throws std::invalid_argument if the
  /// gain is not finite. O(V * pos_dim + D).
  explicit KroneckerHead(KroneckerEmbedding<Encoder, Scalar> embedding, float gain = 1.0f)
      : embedding_(std::move(embedding)),
        gain_(gain),
        cells_(reached_cells(embedding_)),
        scales_(scales_of(embedding_.encoder(), gain)) {}

  const KroneckerEmbedding<Encoder, Scalar>& embedding() const noexcept {
    return embedding_;
  }                                                                        ///< What it is tied to.
  float gain() const noexcept { return gain_; }                            ///< Of every logit.
  TokenId vocab_size() const noexcept { return embedding_.vocab_size(); }  ///< Number of tokens, V.
  int d_model() const noexcept { return embedding_.d_model(); }            ///< Length of a hidden state.

  /// The cells that at least one token of the vocabulary lights, ascending.
  std::span<const std::uint32_t> cells() const noexcept { return cells_.span(); }

  /// The logits of N hidden states, (N, d_model), into `out`, (N, V); 0 for a token without bytes. Throws
  /// std::invalid_argument if a size does not fit or a hidden state is not finite; nothing is written then.
  /// O(N * (d_model * reached cells + V * bytes per token)).
  void logits(std::span<const float> hidden, std::span<float> out) const {
    const std::size_t count = check_hidden(hidden);
    if (out.size() != count * vocabulary())
      detail::fail<std::invalid_argument>("an output of ", out.size(), " floats does not fit ", count,
                                          " hidden states and ", vocab_size(), " tokens: it takes ",
                                          count * vocabulary());
    for (std::size_t first = 0; first < count; first += hidden_at_once) {
      const std::size_t block = (std::min)(hidden_at_once, count - first);
      const std::vector<float> products =
          cell_products(hidden.subspan(first * width(), block * width()), block);
      for_each_token_block(
          products, block, [&](std::size_t token, std::size_t n, std::span<const float> column) {
            std::copy(column.begin(), column.end(),
                      out.begin() + static_cast<std::ptrdiff_t>((first + n) * vocabulary() + token));
          });
    }
  }

  /// The k tokens with the largest logits for one hidden state, (d_model), best first; of equal logits, the
  /// lowest id first. Tokens without bytes are never among them. Fewer than k if there are not as many. The
  /// logits are never all in memory. Throws std::invalid_argument if k < 1, if the size does not fit or the
  /// state is not finite.
  std::vector<TokenLogit> top(std::span<const float> hidden, int k) const {
    if (k < 1) detail::fail<std::invalid_argument>("the top ", k, " tokens are none: k must be positive");
    if (hidden.size() != width())
      detail::fail<std::invalid_argument>("a hidden state of ", hidden.size(),
                                          " floats does not fit d_model ", d_model());
    check_hidden(hidden);
    const auto is_better = [](const TokenLogit& a, const TokenLogit& b) {
      return a.logit != b.logit ? a.logit > b.logit : a.id < b.id;
    };
    std::vector<TokenLogit> best;  // a heap with the least of them in front
    best.reserve((std::min)(static_cast<std::size_t>(k), vocabulary()));
    const std::span<const std::uint8_t> lengths = embedding_.token_bytes().lengths();
    for_each_token_block(cell_products(hidden, 1), 1,
                         [&](std::size_t first, std::size_t, std::span<const float> column) {
                           for (std::size_t i = 0; i < column.size(); ++i) {
                             const TokenLogit found{static_cast<TokenId>(first + i), column[i]};
                             if (lengths[first + i] == 0) continue;
                             if (best.size() == static_cast<std::size_t>(k)) {
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

  /// a_L times the gain, for L = 0 to pos_dim.
  std::span<const float> scales() const noexcept { return scales_.span(); }

 private:
  static constexpr std::size_t hidden_at_once =
      64;  // their products with all cells stay in the second-level cache
  static constexpr std::size_t tokens_at_once = 256;

  std::size_t vocabulary() const noexcept { return static_cast<std::size_t>(vocab_size()); }
  std::size_t width() const noexcept { return static_cast<std::size_t>(d_model()); }

  static std::size_t stride_of(std::size_t hidden_count) noexcept {
    constexpr std::size_t least_vector = 8;  // rows this long are summed as vectors
    return hidden_count == 1 ? 1 : (hidden_count + least_vector - 1) / least_vector * least_vector;
  }

  /// The number of hidden states.
  std::size_t check_hidden(std::span<const float> hidden) const {
    if (hidden.size() % width() != 0)
      detail::fail<std::invalid_argument>(
          hidden.size(), " floats are no whole number of hidden states of d_model ", d_model());
    const auto bad = std::find_if_not(hidden.begin(), hidden.end(), detail::is_finite);
    if (bad == hidden.end()) return hidden.size() / width();
    const auto at = static_cast<std::size_t>(bad - hidden.begin());
    detail::fail<std::invalid_argument>("hidden state ", at / width(), " has the value ", *bad, " at ",
                                        at % width(), ": it must be finite");
  }

  /// q for every hidden state, (D, stride): the products of the rows of cells that are reached.
  std::vector<float> cell_products(std::span<const float> hidden, std::size_t count) const {
    const ProjectionRows<Scalar>& rows = embedding_.rows();
    const std::size_t stride = stride_of(count);
    std::vector<float> products(static_cast<std::size_t>(rows.code_dim()) * stride);
    if (cells_.size() == 0) return products;
    std::vector<float> scaled;  // for int8: each column's scale is taken by the hidden states
    if constexpr (std::is_same_v<Scalar, std::int8_t>) {
      scaled.assign(hidden.begin(), hidden.end());
      for (std::size_t i = 0; i < scaled.size(); ++i) scaled[i] *= rows.column_scales()[i % width()];
      hidden = scaled;
    }
    kernels::multiply_rows<ProjectionRows<Scalar>::type>(
        kernels::instruction_set(), rows.view(embedding_.encoder().pos_dim()),
        {cells_.data(), cells_.size(), hidden.data(), count, products.data(), stride});
    return products;
  }

  /// Calls `visit(first_token, n, logits)` with the logits of some tokens for hidden state n, until all were
  /// there.
  template <class Visit>
  void for_each_token_block(const std::vector<float>& products, std::size_t count, Visit visit) const {
    const std::size_t stride = stride_of(count);
    const auto pos_dim = static_cast<std::size_t>(embedding_.encoder().pos_dim());
    std::array<TokenId, tokens_at_once> ids;
    std::iota(ids.begin(), ids.end(), TokenId{0});
    std::vector<float> by_token(tokens_at_once * stride);
    std::array<float, tokens_at_once> by_state;
    for (std::size_t first = 0; first < vocabulary(); first += tokens_at_once) {
      const std::size_t block = (std::min)(tokens_at_once, vocabulary() - first);
      const std::uint8_t* bytes = embedding_.token_bytes().bytes().data() + first * pos_dim;
      const std::uint8_t* lengths = embedding_.token_bytes().lengths().data() + first;
      if (count == 1) {
        for (std::size_t i = 0; i < block; ++i)
          by_state[i] = sum_of_products(products.data(), bytes + i * pos_dim, lengths[i]);
        visit(first, 0, std::span<const float>(by_state).first(block));
        continue;
      }
      kernels::gather_sum<kernels::RowType::float32>(
          kernels::instruction_set(), {products.data(), nullptr, stride, pos_dim},
          {bytes, lengths, scales_.data(), ids.data(), block}, by_token.data());
      for (std::size_t n = 0; n < count; ++n) {
        for (std::size_t i = 0; i < block; ++i) by_state[i] = by_token[i * stride + n];
        visit(first, n, std::span<const float>(by_state).first(block));
      }
    }
  }

  float sum_of_products(const float* products, const std::uint8_t* bytes, std::size_t length) const noexcept {
    const auto pos_dim = static_cast<std::size_t>(embedding_.encoder().pos_dim());
    float sum = 0;
    for (std::size_t p = 0; p < length; ++p) sum += products[bytes[p] * pos_dim + p];
    return scales_[length] * sum;
  }

  static SharedArray<std::uint32_t> reached_cells(const KroneckerEmbedding<Encoder, Scalar>& embedding) {
    const TokenBytes& tokens = embedding.token_bytes();
    const auto pos_dim = static_cast<std::size_t>(tokens.pos_dim());
    std::vector<bool> is_reached(static_cast<std::size_t>(embedding.encoder().code_dim()));
    for (std::size_t id = 0; id < tokens.lengths().size(); ++id)
      for (std::size_t p = 0; p < tokens.lengths()[id]; ++p)
        is_reached[tokens.bytes()[id * pos_dim + p] * pos_dim + p] = true;
    const auto count = static_cast<std::size_t>(std::count(is_reached.begin(), is_reached.end(), true));
    return SharedArray<std::uint32_t>::make(count, [&](std::span<std::uint32_t> cells) {
      std::size_t next = 0;
      for (std::size_t cell = 0; cell < is_reached.size(); ++cell)
        if (is_reached[cell]) cells[next++] = static_cast<std::uint32_t>(cell);
    });
  }

  static SharedArray<float> scales_of(const Encoder& encoder, float gain) {
    if (!detail::is_finite(gain)) detail::fail<std::invalid_argument>("the gain ", gain, " is not finite");
    return SharedArray<float>::make(static_cast<std::size_t>(encoder.pos_dim()) + 1,
                                    [&](std::span<float> scales) {
                                      for (std::size_t length = 0; length < scales.size(); ++length)
                                        scales[length] = gain * encoder.scale(static_cast<int>(length));
                                    });
  }

  KroneckerEmbedding<Encoder, Scalar> embedding_;
  float gain_;
  SharedArray<std::uint32_t> cells_;
  SharedArray<float> scales_;
};

}  // namespace KRONECKER_NAMESPACE
