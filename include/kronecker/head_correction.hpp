#pragma once

/// What an additive output head lacks: a bias and a few factors of each token's own.
///
/// A head that takes its logits from the tokens' bytes can say of a token only what the sum over its bytes
/// says. With
///
///     logit_v = additive_v(h) + bias_v + u_v . (C h)
///
/// there are k numbers more to tell tokens apart by, the factors u_v: (V, k) and C: (k, d_model) in place of
/// a dense head's (V, d_model). The head (head.hpp) takes a correction as it takes the embedding, with every
/// call.

#include <kronecker/error.hpp>
#include <kronecker/kernels/instruction_set.hpp>
#include <kronecker/kernels/row_products.hpp>
#include <kronecker/namespace.hpp>
#include <kronecker/random.hpp>
#include <kronecker/shared_array.hpp>
#include <kronecker/types.hpp>
#include <kronecker/views.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <numeric>
#include <span>
#include <stdexcept>
#include <utility>

namespace KRONECKER_NAMESPACE {

/// How large a correction is, and where its parts lie among all of its numbers: the biases first, then the
/// factors of the tokens, then those of the hidden states.
struct HeadCorrectionSizes {
  TokenId vocab_size;  ///< Number of tokens, V.
  int d_model;         ///< Length of a hidden state.
  int rank;            ///< Factors of each token, k; 0 for a bias alone.

  std::size_t tokens() const noexcept { return static_cast<std::size_t>(vocab_size); }  ///< V.
  std::size_t width() const noexcept { return static_cast<std::size_t>(d_model); }      ///< d_model.
  std::size_t factors() const noexcept { return static_cast<std::size_t>(rank); }       ///< k.
  /// Numbers in all.
  std::size_t count() const noexcept { return tokens() * (1 + factors()) + factors() * width(); }

  /// Those of `all` numbers that are biases, (V).
  template <class T>
  std::span<T> bias(std::span<T> all) const noexcept {
    return all.first(tokens());
  }
  /// The factors of the tokens, (V, k).
  template <class T>
  std::span<T> token_factors(std::span<T> all) const noexcept {
    return all.subspan(tokens(), tokens() * factors());
  }
  /// The factors of the hidden states, C of (k, d_model).
  template <class T>
  std::span<T> state_factors(std::span<T> all) const noexcept {
    return all.last(factors() * width());
  }

  /// Numbers in all. Throws std::invalid_argument if V or d_model is not positive, k is negative, or there
  /// are more numbers than memory has.
  std::size_t checked_count() const {
    if (vocab_size < 1 || d_model < 1 || rank < 0)
      detail::fail<std::invalid_argument>("a correction of rank ", rank, " for ", vocab_size,
                                          " tokens and d_model ", d_model, " has no numbers");
    const double all = static_cast<double>(vocab_size) * (1.0 + rank) + static_cast<double>(rank) * d_model;
    if (all * sizeof(float) > static_cast<double>((std::numeric_limits<std::ptrdiff_t>::max)()))
      detail::fail<std::invalid_argument>("a correction of rank ", rank, " for ", vocab_size,
                                          " tokens and d_model ", d_model, " is too large");
    return count();
  }

  bool operator==(const HeadCorrectionSizes&) const = default;  ///< Equal sizes.
};

/// The numbers that correct an output head, in float32. Copies share them; any number of threads may read.
class HeadCorrection {
 public:
  /// A correction to start training from: bias_v is the logarithm of token v's share of the counts, each
  /// plus `smoothing`; the factors of the tokens are 0, so that the logits are those of bias and head, and
  /// those of the hidden states are normal with deviation 1 / sqrt(d_model), the same numbers on every
  /// platform. One count for each token. Throws std::invalid_argument if a size does not fit or `smoothing`
  /// is not finite and positive.
  static HeadCorrection from_counts(std::span<const std::uint64_t> counts, int d_model, int rank,
                                    std::uint64_t seed, double smoothing = 1) {
    if (!(smoothing > 0 && smoothing < 1e300))
      detail::fail<std::invalid_argument>("smoothing ", smoothing, " is not finite and positive");
    if (counts.size() > static_cast<std::size_t>((std::numeric_limits<TokenId>::max)()))
      detail::fail<std::invalid_argument>(counts.size(), " counts are more than there are tokens");
    const HeadCorrectionSizes sizes{static_cast<TokenId>(counts.size()), d_model, rank};
    return make(sizes, [&](std::span<float> all) {
      double total = smoothing * static_cast<double>(counts.size());
      for (const std::uint64_t count : counts) total += static_cast<double>(count);
      for (std::size_t id = 0; id < counts.size(); ++id)
        all[id] =
            static_cast<float>(detail::portable_log((static_cast<double>(counts[id]) + smoothing) / total));
      const std::span<float> token_factors = sizes.token_factors(all);
      std::fill(token_factors.begin(), token_factors.end(), 0.0f);
      detail::RandomStream stream(seed);
      const double deviation = 1 / std::sqrt(static_cast<double>(d_model));
      for (float& factor : sizes.state_factors(all)) factor = static_cast<float>(deviation * stream.normal());
    });
  }

  /// A correction whose numbers `fill(std::span<float>)` writes, every one of them, in the order of
  /// HeadCorrectionSizes. Throws std::invalid_argument if a size does not fit or a number is not finite.
  template <class Fill>
  static HeadCorrection make(const HeadCorrectionSizes& sizes, Fill&& fill) {
    HeadCorrection made(sizes, SharedArray<float>::make(sizes.checked_count(), std::forward<Fill>(fill)));
    made.check_finite();
    return made;
  }

  const HeadCorrectionSizes& sizes() const noexcept { return sizes_; }          ///< V, d_model and k.
  std::span<const float> all() const& noexcept { return values_.span(); }       ///< All numbers, in order.
  std::span<const float> bias() const& noexcept { return sizes_.bias(all()); }  ///< (V)
  /// u, (V, k).
  std::span<const float> token_factors() const& noexcept { return sizes_.token_factors(all()); }
  /// C, (k, d_model).
  std::span<const float> state_factors() const& noexcept { return sizes_.state_factors(all()); }
  std::span<const float> all() const&& = delete;
  std::span<const float> bias() const&& = delete;
  std::span<const float> token_factors() const&& = delete;
  std::span<const float> state_factors() const&& = delete;

  /// Lets `change(std::span<float>)` write to all numbers. Copies them first if they are shared. Throws
  /// std::invalid_argument if a number is not finite then: they are what was written.
  template <class Change>
  void update(Change&& change) {
    std::forward<Change>(change)(values_.mutable_values());
    check_finite();
  }

  /// Number of floats that the products of `count` hidden states take.
  std::size_t products_size(std::size_t count) const noexcept {
    return sizes_.factors() * kernels::product_stride(count);
  }

  /// The products C h of N hidden states, (N, d_model), into `products` of products_size(N): those of a
  /// factor with all states one after the other. Throws std::invalid_argument if a size does not fit. O(N * k
  /// * d_model).
  void state_products(Inputs hidden, Outputs<float> products) const {
    const std::size_t count = hidden.size() / sizes_.width();
    if (hidden.size() % sizes_.width() != 0 || products.size() != products_size(count))
      detail::fail<std::invalid_argument>(products.size(), " floats do not fit the ", sizes_.rank,
                                          " products of hidden states of ", hidden.size(), " floats, of ",
                                          sizes_.d_model, " each");
    multiply(state_factors().data(), sizes_.factors(), sizes_.width(), hidden.data(), count, products.data());
  }

  /// Adds to the logits of some tokens of this vocabulary, at most most_tokens: those of token i for hidden
  /// state n at i * kernels::product_stride(N) + n. O(tokens * N * k).
  void add_to_logits(std::span<const TokenId> ids, const float* products, std::size_t count,
                     float* logits) const noexcept {
    const std::size_t stride = kernels::product_stride(count);
    for (std::size_t i = 0; i < ids.size(); ++i)
      for (std::size_t n = 0; n < count; ++n)
        logits[i * stride + n] += bias()[static_cast<std::size_t>(ids[i])];
    for (std::size_t begin = 0, end = 0; begin < ids.size(); begin = end) {  // runs of ids in order
      for (end = begin + 1; end < ids.size() && ids[end] == ids[end - 1] + 1;) ++end;
      add_run(static_cast<std::size_t>(ids[begin]), end - begin, products, count, logits + begin * stride);
    }
  }
  static constexpr std::size_t most_tokens = 64;  ///< That `add_to_logits` takes at a time.

  /// Throws std::invalid_argument if it is for another number of tokens.
  void check_vocabulary(TokenId vocab_size) const {
    if (sizes_.vocab_size != vocab_size)
      detail::fail<std::invalid_argument>("a correction for ", sizes_.vocab_size,
                                          " tokens does not fit a head of ", vocab_size);
  }
  /// Throws std::invalid_argument if it is for hidden states of another length.
  void check_width(int d_model) const {
    if (sizes_.d_model != d_model)
      detail::fail<std::invalid_argument>("a correction for hidden states of ", sizes_.d_model,
                                          " numbers does not fit d_model ", d_model);
  }

 private:
  HeadCorrection(const HeadCorrectionSizes& sizes, SharedArray<float> values)
      : sizes_(sizes), values_(std::move(values)) {}

  void check_finite() const {
    const std::size_t at = detail::first_not_finite(all());
    if (at == values_.size()) return;
    detail::fail<std::invalid_argument>("number ", at, " of a correction is ", values_[at],
                                        ": it must be finite");
  }

  /// The products of `row_count` rows of `width` with `count` vectors, (row_count, product_stride(count)).
  static void multiply(const float* rows, std::size_t row_count, std::size_t width, const float* vectors,
                       std::size_t count, float* out) noexcept {
    if (count == 0) return;
    const std::size_t stride = kernels::product_stride(count);
    std::array<std::uint32_t, most_tokens> which;
    std::iota(which.begin(), which.end(), 0u);
    for (std::size_t first = 0; first < row_count; first += which.size()) {
      kernels::multiply_rows<kernels::RowType::float32>(
          kernels::instruction_set(), {rows + first * width, nullptr, width, 1},
          {which.data(), (std::min)(which.size(), row_count - first), vectors, count, out + first * stride,
           stride});
    }
  }

  /// The same for `tokens` ids from `first` on, without the bias.
  void add_run(std::size_t first, std::size_t tokens, const float* products, std::size_t count,
               float* logits) const noexcept {
    const std::size_t rank = sizes_.factors();
    const float* const factors = token_factors().data() + first * rank;
    if (rank == 0) return;
    if (count == 1) {
      std::array<float, most_tokens> sums;
      multiply(factors, tokens, rank, products, 1, sums.data());
      for (std::size_t i = 0; i < tokens; ++i) logits[i] += sums[i];
      return;
    }
    kernels::add_multiples(kernels::instruction_set(),
                           {logits, nullptr, tokens, products, nullptr, rank, factors, rank, 1,
                            kernels::product_stride(count), 0, count});
  }

  HeadCorrectionSizes sizes_;
  SharedArray<float> values_;
};

/// A correction and its products with hidden states, which `HeadCorrection::state_products` makes; by default
/// no correction.
struct CorrectionProducts {
  const HeadCorrection* correction = nullptr;  ///< Null: none.
  std::span<const float> products = {};        ///< correction->products_size(N).
};

}  // namespace KRONECKER_NAMESPACE
