#pragma once

/// The second half of an output head: the logits of tokens, each the sum of the products of its cells, times
/// a factor for its length, and what a correction adds.

#include <kronecker/cell.hpp>
#include <kronecker/embedding.hpp>
#include <kronecker/head_cells.hpp>
#include <kronecker/head_correction.hpp>
#include <kronecker/kernels/gather_sum.hpp>
#include <kronecker/kernels/instruction_set.hpp>
#include <kronecker/kernels/row_products.hpp>
#include <kronecker/kernels/row_type.hpp>
#include <kronecker/namespace.hpp>
#include <kronecker/token_blocks.hpp>
#include <kronecker/token_bytes.hpp>
#include <kronecker/token_sequence.hpp>
#include <kronecker/types.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

namespace KRONECKER_NAMESPACE::detail {

/// The tokens of a head, and what their sums are made of.
class HeadSums {
 public:
  /// Hidden states that are taken at a time.
  static constexpr std::size_t most_states = 64;

  template <class Scalar>
  HeadSums(const KroneckerEmbedding<Scalar>& embedding, float gain)
      : gain_(gain),
        tokens_(embedding.token_bytes()),
        cells_(embedding),
        scales_(embedding.encoder().scales(gain)) {}

  float gain() const noexcept { return gain_; }
  const TokenBytes& tokens() const noexcept { return tokens_; }
  const HeadCells& cells() const noexcept { return cells_; }
  std::span<const float> scales() const noexcept { return scales_; }

  /// As KroneckerHead::for_each_block_of_logits.
  template <class Visit>
  void for_each_block(const float* products, std::size_t count, const TokenSequence& tokens,
                      const CorrectionProducts& correction, Visit visit) const {
    constexpr std::size_t tokens_at_once = HeadCorrection::most_tokens;
    const std::size_t stride = kernels::product_stride(count);
    const auto pos_dim = static_cast<std::size_t>(tokens_.pos_dim());
    std::array<float, tokens_at_once * most_states> logits;
    const kernels::OwnRows own = cells_.own_products(products, stride, gain_);
    const float* const length_products = cells_.length_products(products, stride);
    const kernels::Rows rows{products, nullptr, stride, pos_dim, length_products};
    const auto visit_block = [&](kernels::Tokens block, std::size_t begin) {
      const TokenId* const ids = block.ids;
      const std::size_t end = begin + block.count;
      for (std::size_t first = begin; first < end; first += tokens_at_once) {
        block.ids = ids + (first - begin);
        block.count = (std::min)(tokens_at_once, end - first);
        if (count == 1)
          for (std::size_t i = 0; i < block.count; ++i)
            logits[i] = sum_of_products(products, length_products, block, i, pos_dim);
        else
          kernels::gather_sum<kernels::RowType::float32, kernels::RowType::float32>(
              kernels::instruction_set(), rows, block, {logits.data(), stride, false});
        if (correction.correction != nullptr)
          correction.correction->add_to_logits({block.ids, block.count}, correction.products.data(), count,
                                               logits.data());
        visit(std::as_const(block), first, logits.data());
      }
    };
    detail::for_each_block(tokens_, scales_.data(), tokens, visit_block,
                           cells_.own_count() > 0 ? &own : nullptr);
  }

  /// Calls `visit(first, n, logits)` with the logits of the tokens from position `first` on for hidden state
  /// n, until all were there.
  template <class Visit>
  void for_each_state(const float* products, std::size_t count, const TokenSequence& tokens,
                      const CorrectionProducts& correction, Visit visit) const {
    const std::size_t stride = kernels::product_stride(count);
    std::array<float, HeadCorrection::most_tokens> by_state;
    for_each_block(products, count, tokens, correction,
                   [&](const kernels::Tokens& block, std::size_t first, const float* logits) {
                     for (std::size_t n = 0; n < count; ++n) {
                       for (std::size_t i = 0; i < block.count; ++i) by_state[i] = logits[i * stride + n];
                       visit(first, n, std::span<const float>(by_state).first(block.count));
                     }
                   });
  }

 private:
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
  TokenBytes tokens_;
  HeadCells cells_;
  std::vector<float> scales_;
};

}  // namespace KRONECKER_NAMESPACE::detail
