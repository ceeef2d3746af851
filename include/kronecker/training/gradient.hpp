#pragma once

/// The gradient of a loss with respect to the projection, for embeddings and tied heads.
///
/// It is the mirror image of the forward pass: each token adds a_L times its output's gradient to the rows
/// that it lights. z-normalization subtracts from a code its mean, so the gradient of the learned weights is
/// that minus the mean of all D rows. Subtracting commutes with adding: sums are kept as they come, and
/// centered when they are read.

#include <kronecker/embedding.hpp>
#include <kronecker/error.hpp>
#include <kronecker/head.hpp>
#include <kronecker/kernels/block_sums.hpp>
#include <kronecker/kernels/instruction_set.hpp>
#include <kronecker/kernels/row_products.hpp>
#include <kronecker/kernels/scatter_add.hpp>
#include <kronecker/namespace.hpp>
#include <kronecker/projection.hpp>
#include <kronecker/rows.hpp>
#include <kronecker/token_blocks.hpp>
#include <kronecker/token_sequence.hpp>
#include <kronecker/training/tokens_by_cell.hpp>
#include <kronecker/types.hpp>
#include <kronecker/views.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <span>
#include <string_view>
#include <vector>

namespace KRONECKER_NAMESPACE {

/// A sum of gradients with respect to a projection, in float32, (D, d_model).
class ProjectionGradient {
 public:
  /// Zeros, one value for each weight of the projection of `embedding`.
  template <class Scalar>
  explicit ProjectionGradient(const KroneckerEmbedding<Scalar>& embedding)
      : ProjectionGradient(embedding.d_model(), embedding.encoder().code_dim(),
                           embedding.encoder().options().z_normalize) {}

  /// The same over the caller's memory of D * d_model floats, to which it adds. Throws std::invalid_argument
  /// if there are not as many.
  template <class Scalar>
  ProjectionGradient(const KroneckerEmbedding<Scalar>& embedding, Outputs<float> memory)
      : d_model_(embedding.d_model()),
        code_dim_(embedding.encoder().code_dim()),
        is_centered_(embedding.encoder().options().z_normalize),
        borrowed_(memory.span()) {
    LearnedProjection::check_weight_count(d_model_, code_dim_, memory.size());
  }

  /// Zeros, for a projection of these sizes; `is_centered` says whether codes are z-normalized. Throws
  /// std::invalid_argument if a size is not positive.
  ProjectionGradient(int d_model, int code_dim, bool is_centered)
      : d_model_(d_model), code_dim_(code_dim), is_centered_(is_centered) {
    if (d_model < 1 || code_dim < 1)
      detail::fail<std::invalid_argument>("a gradient of ", d_model, " x ", code_dim, " has no values");
    own_.resize(static_cast<std::size_t>(d_model) * static_cast<std::size_t>(code_dim));
  }

  int d_model() const noexcept { return d_model_; }    ///< Length of a row.
  int code_dim() const noexcept { return code_dim_; }  ///< Number of rows, D.
  /// Whether reading it subtracts the mean of all rows.
  bool is_centered() const noexcept { return is_centered_; }

  /// The sums as they came, (D, d_model), before the mean is subtracted.
  std::span<float> values() & noexcept { return own_.empty() ? borrowed_ : std::span(own_); }
  /// The same, to read.
  std::span<const float> values() const& noexcept {
    return own_.empty() ? std::span<const float>(borrowed_) : std::span(own_);
  }
  std::span<const float> values() const&& = delete;

  /// Zeros again.
  void clear() noexcept { std::fill(values().begin(), values().end(), 0.0f); }

  /// Multiplies every value, for example to average micro-batches.
  void scale(float factor) noexcept {
    for (float& value : values()) value *= factor;
  }

  /// The Euclidean norm of the gradient (centered, if it is). O(D * d_model).
  double norm() const {
    const std::span<const float> sums = values();
    const auto mean = is_centered_ ? detail::mean_row(sums, d_model_)
                                   : std::vector<double>(static_cast<std::size_t>(d_model_), 0.0);
    double sum = 0;
    for (std::size_t i = 0; i < sums.size(); i += mean.size())
      for (std::size_t column = 0; column < mean.size(); ++column) {
        const double value = sums[i + column] - mean[column];
        sum += value * value;
      }
    return std::sqrt(sum);
  }

  /// The gradient of W, (d_model, D), as PyTorch's autograd gives it. O(D * d_model).
  RowMajorMatrix<float> to_torch() const {
    const auto sums = LearnedProjection::make(d_model_, code_dim_, [this](std::span<float> rows) {
      std::copy(values().begin(), values().end(), rows.begin());
    });
    return (is_centered_ ? detail::centered(sums) : sums).to_torch();
  }

 private:
  int d_model_;
  int code_dim_;
  bool is_centered_;
  std::vector<float> own_;
  std::span<float> borrowed_;  // if there are none of its own
};

namespace detail {

template <class Scalar>
void check_gradient(const KroneckerEmbedding<Scalar>& embedding, const ProjectionGradient& gradient) {
  if (gradient.d_model() != embedding.d_model() || gradient.code_dim() != embedding.encoder().code_dim() ||
      gradient.is_centered() != embedding.encoder().options().z_normalize)
    fail<std::invalid_argument>("a gradient of ", gradient.d_model(), " x ", gradient.code_dim(),
                                gradient.is_centered() ? ", centered," : ", not centered,",
                                " does not fit the embedding of ", embedding.d_model(), " x ",
                                embedding.encoder().code_dim());
}

inline void check_float_count(std::string_view what, std::size_t found, std::size_t expected) {
  if (found != expected) fail<std::invalid_argument>(what, " has ", found, " floats instead of ", expected);
}

inline void check_state_count(std::size_t count) {
  if (count > KroneckerHead::most_hidden_states)
    fail<std::invalid_argument>(count, " hidden states are more than ", KroneckerHead::most_hidden_states,
                                " at a time");
}

}  // namespace detail

/// Adds to `gradient` what `forward(tokens)` contributes, given the gradient of the loss with respect to its
/// output, `grad_out` of (N, d_model): of each 1,024 tokens, what they add to a row is summed first, so that
/// the rounding error stays near a matrix product's in batches of any length. The same bits on every CPU, and
/// whichever way the columns are split among threads. Throws what `forward` throws for the tokens,
/// std::out_of_range if the columns are none, std::invalid_argument if a size does not fit; nothing is added
/// then. Takes memory to sort 1,024 tokens, at most 5 KB times pos_dim. O(N * columns * bytes per token).
template <class Scalar>
void accumulate_gradient(const KroneckerEmbedding<Scalar>& embedding, TokenSequence tokens, Inputs grad_out,
                         ProjectionGradient& gradient, Range columns = {}) {
  const auto width = static_cast<std::size_t>(embedding.d_model());
  const TokenBytes& vocabulary = embedding.token_bytes();
  detail::check_gradient(embedding, gradient);
  detail::check_tokens(vocabulary, tokens);
  detail::check_float_count("the gradient of the output", grad_out.size(), tokens.size() * width);
  const Range some = columns.within(width, "columns");
  const std::vector<float> scales = embedding.encoder().scales();
  const kernels::GradientColumns rows{gradient.values().data(), width, some.begin, some.end};
  const auto pos_dim = static_cast<std::size_t>(vocabulary.pos_dim());
  const std::size_t most = (std::min)(tokens.size(), kernels::tokens_in_block);
  std::array<TokenId, kernels::tokens_in_block> ids;
  std::vector<std::uint8_t> bytes(tokens.mixed() != nullptr ? most * pos_dim : 0);
  std::array<std::uint8_t, kernels::tokens_in_block> lengths;
  detail::TokensByCell by_cell(most, pos_dim);
  for (std::size_t first = 0; first < tokens.size(); first += most) {
    const TokenSequence block = tokens.part(first, (std::min)(most, tokens.size() - first));
    by_cell.assign(
        detail::kernel_tokens(vocabulary, scales.data(), block, {ids.data(), bytes.data(), lengths.data()}));
    kernels::add_block_sums<kernels::RowType::float32>(kernels::instruction_set(), by_cell.view(),
                                                       grad_out.data() + first * width, rows);
  }
}

/// Number of floats that `product_gradients` writes to for `count` hidden states: D * count.
inline std::size_t product_gradients_size(const KroneckerHead& head, std::size_t count) noexcept {
  return static_cast<std::size_t>(head.token_bytes().char_dim()) *
         static_cast<std::size_t>(head.token_bytes().pos_dim()) * count;
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
  const std::size_t count = grad_logits.size() / vocabulary;
  detail::check_float_count("the gradient of the logits", grad_logits.size(), count * vocabulary);
  detail::check_state_count(count);
  detail::check_float_count("the gradient of the products", out.size(), product_gradients_size(head, count));
  const Range some = states.within(count, "hidden states");
  if (some.size() == 0) return;
  for (std::size_t row = 0; row < out.size(); row += count)
    std::fill_n(out.data() + row + some.begin, some.size(), 0.0f);

  // A scatter like an embedding's, with hidden states as columns.
  constexpr std::size_t tokens_at_once = 64;
  std::array<float, tokens_at_once * KroneckerHead::most_hidden_states> by_token;
  const kernels::GradientRows rows{out.data(), count, static_cast<std::size_t>(head.token_bytes().pos_dim()),
                                   some.begin, some.end};
  detail::for_each_block(head.token_bytes(), head.scales().data(),
                         TokenSequence::in_order(0, head.vocab_size()),
                         [&](kernels::Tokens block, std::size_t begin) {
                           const TokenId* const ids = block.ids;
                           const std::size_t end = begin + block.count;
                           for (std::size_t first = begin; first < end; first += tokens_at_once) {
                             block.ids = ids + (first - begin);
                             block.count = (std::min)(tokens_at_once, end - first);
                             for (std::size_t n = some.begin; n < some.end; ++n)
                               for (std::size_t i = 0; i < block.count; ++i)
                                 by_token[i * count + n] = grad_logits.data()[n * vocabulary + first + i];
                             kernels::scatter_add(kernels::instruction_set(), block, by_token.data(), rows);
                           }
                         });
  const std::span<const std::uint32_t> cells = head.cells();
  for (std::size_t i = 0; i < cells.size(); ++i)  // a cell is never before its place among them
    for (std::size_t n = some.begin; n < some.end; ++n)
      out.data()[i * count + n] = out.data()[cells[i] * count + n];
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
  detail::check_gradient(embedding, gradient);
  detail::check_state_count(count);
  detail::check_float_count("the hidden states", hidden.size(), count * width);
  detail::check_float_count("the gradient of the products", product_gradients.size(),
                            product_gradients_size(head, count));
  detail::check_float_count("the gradient of the hidden states", grad_hidden.size(), hidden.size());
  const Range some = columns.within(width, "columns");
  const std::span<const std::uint32_t> cells = head.cells();
  kernels::add_multiples(kernels::instruction_set(),
                         {gradient.values().data(), cells.data(), cells.size(), hidden.data(), nullptr, count,
                          product_gradients.data(), count, 1, width, some.begin, some.end});
  kernels::add_multiples(kernels::instruction_set(),
                         {grad_hidden.data(), nullptr, count, embedding.rows().values().data(), cells.data(),
                          cells.size(), product_gradients.data(), 1, count, width, some.begin, some.end});
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
  detail::check_gradient(embedding, gradient);
  detail::check_float_count("the hidden states", hidden.size(), count * width);
  detail::check_float_count("the gradient of the logits", grad_logits.size(), count * vocabulary);
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
