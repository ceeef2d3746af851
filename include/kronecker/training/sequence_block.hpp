#pragma once

/// At most 1,024 tokens of a sequence at a time, ids and byte strings side by side, for the backward pass.

#include <kronecker/kernels/block_sums.hpp>
#include <kronecker/kernels/row_type.hpp>
#include <kronecker/namespace.hpp>
#include <kronecker/own_rows.hpp>
#include <kronecker/token_bytes.hpp>
#include <kronecker/token_sequence.hpp>
#include <kronecker/types.hpp>
#include <kronecker/utf8.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <variant>
#include <vector>

namespace KRONECKER_NAMESPACE::detail {

/// A block of a sequence, which was checked. Ids of 32 bits are taken where they lie, others are copied, and
/// so are the bytes of all tokens if there are strings among them.
class SequenceBlock {
 public:
  /// `own` are the tokens that have rows of their own, or null.
  SequenceBlock(const TokenBytes& vocabulary, const OwnTokens* own, std::size_t most_tokens, bool is_mixed)
      : vocabulary_(vocabulary),
        own_(own),
        bytes_(is_mixed ? most_tokens * static_cast<std::size_t>(vocabulary.pos_dim()) : 0) {}

  /// Takes the place of the block before; at most the most tokens.
  void assign(const TokenSequence& tokens) noexcept {
    count_ = tokens.size();
    mixed_ = tokens.mixed();
    ids_ = tokens.token_ids();
    if (mixed_ != nullptr)
      copy_bytes();
    else if (ids_ == nullptr)
      tokens.copy_ids(0, std::span(copied_).first(count_));
    if (ids_ == nullptr) ids_ = copied_.data();
    if (own_ != nullptr)
      for (std::size_t i = 0; i < count_; ++i) own_rows_[i] = own_row(i);
  }

  /// The tokens; `scales` are a_L for each length. Valid until the next block is assigned.
  kernels::Tokens tokens(const float* scales) const noexcept {
    if (mixed_ != nullptr) return {bytes_.data(), lengths_.data(), scales, ids_, count_};
    return {vocabulary_.bytes().data(), vocabulary_.lengths().data(), scales, ids_, count_};
  }
  /// The number of each token's own row, or kernels::no_own_row; empty if no token has one.
  std::span<const std::uint32_t> own_rows() const noexcept {
    return std::span(own_rows_).first(own_ != nullptr ? count_ : 0);
  }
  /// Whether the token at place i has a row of its own.
  bool has_own_row(std::size_t i) const noexcept {
    return own_ != nullptr && own_rows_[i] != kernels::no_own_row;
  }

 private:
  void copy_bytes() noexcept {
    const auto pos_dim = static_cast<std::size_t>(vocabulary_.pos_dim());
    for (std::size_t i = 0; i < count_; ++i) {
      const TokenId* id = std::get_if<TokenId>(&mixed_[i]);
      const std::string_view kept =
          id ? vocabulary_.bytes_of(static_cast<std::size_t>(*id))
             : utf8_safe_prefix(*std::get_if<std::string_view>(&mixed_[i]), pos_dim);
      std::copy(kept.begin(), kept.end(), bytes_.data() + i * pos_dim);
      lengths_[i] = static_cast<std::uint8_t>(kept.size());
      copied_[i] = static_cast<TokenId>(i);
    }
  }

  std::uint32_t own_row(std::size_t i) const noexcept {
    const TokenId* const id = mixed_ == nullptr ? &ids_[i] : std::get_if<TokenId>(&mixed_[i]);
    return id == nullptr ? kernels::no_own_row
                         : kernels::own_row_of(own_->found(), static_cast<std::size_t>(*id));
  }

  const TokenBytes& vocabulary_;
  const OwnTokens* own_;
  const TokenOrBytes* mixed_ = nullptr;
  const TokenId* ids_ = nullptr;
  std::size_t count_ = 0;
  std::vector<std::uint8_t> bytes_;
  std::array<std::uint8_t, kernels::tokens_in_block> lengths_;
  std::array<TokenId, kernels::tokens_in_block> copied_;
  std::array<std::uint32_t, kernels::tokens_in_block> own_rows_;
};

}  // namespace KRONECKER_NAMESPACE::detail
