#pragma once

/// How a sequence of tokens comes to the kernels: checked as a whole, then a block at a time.

#include <kronecker/encoder.hpp>
#include <kronecker/error.hpp>
#include <kronecker/kernels/row_type.hpp>
#include <kronecker/namespace.hpp>
#include <kronecker/out_of_line.hpp>
#include <kronecker/token_bytes.hpp>
#include <kronecker/token_sequence.hpp>
#include <kronecker/types.hpp>
#include <kronecker/utf8.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <string_view>
#include <variant>

namespace KRONECKER_NAMESPACE {
namespace detail {

/// Throws std::out_of_range if one of `ids`, those of the tokens from index `first` on, is negative or not
/// less than V.
inline void check_ids(const TokenBytes& vocabulary, const TokenSequence& tokens, std::size_t first,
                      std::span<const TokenId> ids) {
  const auto vocab_size = static_cast<std::uint32_t>(vocabulary.size());
  for (std::size_t i = 0; i < ids.size(); ++i)
    if (static_cast<std::uint32_t>(ids[i]) >= vocab_size)
      fail<std::out_of_range>("token id ", tokens.id_text(first + i), " at index ", first + i,
                              " is outside the vocabulary of ", vocab_size, " tokens");
}

/// `check_tokens` for what is no sequence of TokenId.
KRONECKER_OUT_OF_LINE inline void check_other_tokens(const TokenBytes& vocabulary,
                                                     const TokenSequence& tokens) {
  if (const TokenOrBytes* mixed = tokens.mixed()) {
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      if (const TokenId* id = std::get_if<TokenId>(&mixed[i]))
        check_ids(vocabulary, tokens, i, {id, 1});
      else
        check_alphabet(utf8_safe_prefix(std::get<std::string_view>(mixed[i]),
                                        static_cast<std::size_t>(vocabulary.pos_dim())),
                       vocabulary.char_dim(), "string at index ", i);
    }
    return;
  }
  std::array<TokenId, 1024> block;
  for (std::size_t first = 0; first < tokens.size(); first += block.size()) {
    const std::span<TokenId> ids = std::span(block).first((std::min)(block.size(), tokens.size() - first));
    tokens.copy_ids(first, ids);
    check_ids(vocabulary, tokens, first, ids);
  }
}

/// Throws std::out_of_range if an id is negative or not less than V, naming it and its index, and
/// std::invalid_argument if a byte string has a byte outside the alphabet. O(N).
inline void check_tokens(const TokenBytes& vocabulary, const TokenSequence& tokens) {
  if (const TokenId* ids = tokens.token_ids())
    check_ids(vocabulary, tokens, 0, {ids, tokens.size()});
  else
    check_other_tokens(vocabulary, tokens);
}

/// `count` tokens of a vocabulary as the kernels take them. `scales` are a_L for each length.
inline kernels::Tokens kernel_tokens(const TokenBytes& vocabulary, const float* scales, const TokenId* ids,
                                     std::size_t count) noexcept {
  return {vocabulary.bytes().data(), vocabulary.lengths().data(), scales, ids, count};
}

/// Memory for tokens that do not lie as the kernels take them: for as many ids as there are tokens, and for
/// mixed sequences besides pos_dim bytes and a length for each.
struct TokenSpace {
  TokenId* ids;
  std::uint8_t* bytes;
  std::uint8_t* lengths;
};

/// A sequence, which was checked, as the kernels take it. `scales` are a_L for each length. Ids of 32 bits
/// are taken where they lie; others are copied to `space`, byte strings with the bytes of the tokens between
/// them.
inline kernels::Tokens kernel_tokens(const TokenBytes& vocabulary, const float* scales,
                                     const TokenSequence& tokens, TokenSpace space) noexcept {
  if (const TokenId* ids = tokens.token_ids()) return kernel_tokens(vocabulary, scales, ids, tokens.size());
  const TokenOrBytes* mixed = tokens.mixed();
  if (mixed == nullptr) {
    tokens.copy_ids(0, {space.ids, tokens.size()});
    return kernel_tokens(vocabulary, scales, space.ids, tokens.size());
  }
  const auto pos_dim = static_cast<std::size_t>(vocabulary.pos_dim());
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    const TokenId* id = std::get_if<TokenId>(&mixed[i]);
    const std::string_view kept = id ? vocabulary.bytes_of(static_cast<std::size_t>(*id))
                                     : utf8_safe_prefix(*std::get_if<std::string_view>(&mixed[i]), pos_dim);
    std::copy(kept.begin(), kept.end(), space.bytes + i * pos_dim);
    space.lengths[i] = static_cast<std::uint8_t>(kept.size());
    space.ids[i] = static_cast<TokenId>(i);
  }
  return {space.bytes, space.lengths, scales, space.ids, tokens.size()};
}

/// `for_each_block` for what is no sequence of TokenId.
template <class Visit>
KRONECKER_OUT_OF_LINE void for_each_copied_block(const TokenBytes& vocabulary, const float* scales,
                                                 const TokenSequence& tokens, const Visit& visit) {
  const auto visit_blocks = [&](std::size_t most, TokenSpace space) {
    for (std::size_t first = 0; first < tokens.size(); first += most) {
      const TokenSequence block = tokens.part(first, (std::min)(most, tokens.size() - first));
      visit(kernel_tokens(vocabulary, scales, block, space), first);
    }
  };
  if (tokens.mixed() != nullptr) {
    constexpr std::size_t most = 64;
    std::array<TokenId, most> ids;
    std::array<std::uint8_t, most * 255> bytes;
    std::array<std::uint8_t, most> lengths;
    visit_blocks(most, {ids.data(), bytes.data(), lengths.data()});
  } else {
    std::array<TokenId, 4096> ids;
    visit_blocks(ids.size(), {ids.data(), nullptr, nullptr});
  }
}

/// Calls `visit(kernels::Tokens, first)` with all of a sequence, which was checked, a block after the other;
/// a block starts at position `first`. `scales` are a_L for each length. Ids of 32 bits are one block, where
/// they lie; others are copied to the stack.
template <class Visit>
void for_each_block(const TokenBytes& vocabulary, const float* scales, const TokenSequence& tokens,
                    const Visit& visit) {
  if (const TokenId* ids = tokens.token_ids())
    visit(kernel_tokens(vocabulary, scales, ids, tokens.size()), std::size_t{0});
  else
    for_each_copied_block(vocabulary, scales, tokens, visit);
}

}  // namespace detail
}  // namespace KRONECKER_NAMESPACE
