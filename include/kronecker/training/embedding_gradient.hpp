#pragma once

/// The backward pass of an embedding: the mirror image of the forward pass. Each token adds a_L times its
/// output's gradient to the rows that it lights, or its output's gradient to its own row; of rounded codes,
/// the unlit cells take part too.

#include <kronecker/embedding.hpp>
#include <kronecker/encoder.hpp>
#include <kronecker/kernels/block_sums.hpp>
#include <kronecker/kernels/instruction_set.hpp>
#include <kronecker/kernels/rms_norm.hpp>
#include <kronecker/namespace.hpp>
#include <kronecker/token_bytes.hpp>
#include <kronecker/token_sequence.hpp>
#include <kronecker/training/projection_gradient.hpp>
#include <kronecker/training/sequence_block.hpp>
#include <kronecker/training/tokens_by_cell.hpp>
#include <kronecker/views.hpp>

#include <algorithm>
#include <cstddef>
#include <optional>
#include <span>
#include <vector>

namespace KRONECKER_NAMESPACE {

namespace detail {

/// The backward pass of the norm that may follow an embedding, for blocks of tokens.
template <class Scalar>
class NormGradient {
 public:
  /// For at most `most_tokens` at a time.
  NormGradient(const KroneckerEmbedding<Scalar>& embedding, std::size_t most_tokens)
      : norm_(embedding.norm()),
        before_norm_(embedding.with_norm(std::nullopt)),
        sums_(norm_ ? most_tokens * static_cast<std::size_t>(embedding.d_model()) : 0),
        grad_sums_(sums_.size()) {}

  /// The gradient of some columns of what goes into the norm, given that of what comes out of it, (N,
  /// d_model), for the tokens of a block; adds to that of its weight. Without a norm they are the same.
  const float* grad_sums(const TokenSequence& tokens, const float* grad_out, std::span<float> grad_weight,
                         Range columns) {
    if (!norm_) return grad_out;
    const auto width = static_cast<std::size_t>(before_norm_.d_model());
    const std::span<float> sums = std::span(sums_).first(tokens.size() * width);
    before_norm_.forward(tokens, sums);
    kernels::rms_norm_gradient(kernels::instruction_set(), sums.data(), grad_out, tokens.size(), width,
                               {norm_->weight().data(), norm_->epsilon()}, grad_sums_.data(),
                               grad_weight.data(), columns.begin, columns.end);
    return grad_sums_.data();
  }

 private:
  std::optional<EmbeddingNorm> norm_;
  KroneckerEmbedding<Scalar> before_norm_;
  std::vector<float> sums_, grad_sums_;
};

/// Adds what the unlit value of rounded codes gives to every row: that value times the output's gradient, of
/// each token in turn. The products are exact in double, so that nothing can be fused.
inline void add_unlit_terms(const DynamicEncoder& encoder, const SequenceBlock& block, const float* grad_sums,
                            Range columns, std::span<double> shared) {
  const kernels::Tokens tokens = block.tokens(nullptr);
  for (std::size_t i = 0; i < tokens.count; ++i, grad_sums += shared.size()) {
    const std::uint8_t length = tokens.lengths[static_cast<std::size_t>(tokens.ids[i])];
    if (length == 0 || block.has_own_row(i)) continue;
    const double unlit = static_cast<double>(encoder.unlit_value(length));
    for (std::size_t column = columns.begin; column < columns.end; ++column)
      shared[column] += unlit * static_cast<double>(grad_sums[column]);
  }
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
  gradient.check_fits(embedding);
  detail::check_tokens(vocabulary, tokens);
  detail::check_shape("the gradient of the output", grad_out.size(), tokens.size(), width);
  const Range some = columns.within(width, "columns");
  const std::size_t most = (std::min)(tokens.size(), kernels::tokens_in_block);
  const std::vector<float> scales = embedding.encoder().scales();
  const kernels::GradientColumns rows{gradient.all().data(), width, some.begin, some.end};
  const auto code_dim = static_cast<std::size_t>(embedding.encoder().code_dim());
  detail::NormGradient<Scalar> norm(embedding, most);
  detail::SequenceBlock block(vocabulary, embedding.own_rows() ? &embedding.own_rows()->tokens() : nullptr,
                              most, tokens.mixed() != nullptr);
  detail::TokensByCell by_cell(most, static_cast<std::size_t>(vocabulary.pos_dim()));
  for (std::size_t first = 0; first < tokens.size(); first += most) {
    const TokenSequence part = tokens.part(first, (std::min)(most, tokens.size() - first));
    const float* const grad_sums =
        norm.grad_sums(part, grad_out.data() + first * width, gradient.norm_weight(), some);
    block.assign(part);
    by_cell.assign(block.tokens(scales.data()), block.own_rows(), code_dim);
    kernels::add_block_sums<kernels::RowType::float32>(kernels::instruction_set(), by_cell.view(), grad_sums,
                                                       rows);
    if (!gradient.shared().empty())
      detail::add_unlit_terms(embedding.encoder(), block, grad_sums, some, gradient.shared());
  }
}

}  // namespace KRONECKER_NAMESPACE
