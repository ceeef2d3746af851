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

/// `count` tokens of a vocabulary as the kernels take them. `scales` are a_L for each length, `own` the rows
/// that some tokens have of their own, or null.
inline kernels::Tokens kernel_tokens(const TokenBytes& vocabulary, const float* scales, const TokenId* ids,
                                     std::size_t count, const kernels::OwnRows* own = nullptr) noexcept {
  return {vocabulary.bytes().data(), vocabulary.lengths().data(), scales, ids, count, own};
}

/// Number of byte strings that are taken at once.
inline constexpr std::size_t strings_at_once = 64;

/// Calls `visit` with `count` byte strings, at most strings_at_once, as if they were tokens of a vocabulary.
template <class Visit>
void visit_strings(int pos_dim, const float* scales, const TokenOrBytes* strings, std::size_t count,
                   const Visit& visit) {
  const auto most = static_cast<std::size_t>(pos_dim);
  std::array<TokenId, strings_at_once> ids;
  std::array<std::uint8_t, strings_at_once * 255> bytes;
  std::array<std::uint8_t, strings_at_once> lengths;
  for (std::size_t i = 0; i < count; ++i) {
    const std::string_view kept = utf8_safe_prefix(*std::get_if<std::string_view>(&strings[i]), most);
    std::copy(kept.begin(), kept.end(), bytes.data() + i * most);
    lengths[i] = static_cast<std::uint8_t>(kept.size());
    ids[i] = static_cast<TokenId>(i);
  }
  visit(kernels::Tokens{bytes.data(), lengths.data(), scales, ids.data(), count});
}

/// `for_each_block` for what is no sequence of TokenId.
template <class Visit>
KRONECKER_OUT_OF_LINE void for_each_copied_block(const TokenBytes& vocabulary, const float* scales,
                                                 const TokenSequence& tokens, const Visit& visit,
                                                 const kernels::OwnRows* own) {
  std::array<TokenId, 4096> ids;
  const TokenOrBytes* const mixed = tokens.mixed();
  if (mixed == nullptr) {
    for (std::size_t first = 0; first < tokens.size(); first += ids.size()) {
      const std::span<TokenId> block = std::span(ids).first((std::min)(ids.size(), tokens.size() - first));
      tokens.copy_ids(first, block);
      visit(kernel_tokens(vocabulary, scales, block.data(), block.size(), own), first);
    }
    return;
  }
  for (std::size_t first = 0, count = 0; first < tokens.size(); first += count) {
    const bool is_id = std::holds_alternative<TokenId>(mixed[first]);
    const std::size_t most = (std::min)(is_id ? ids.size() : strings_at_once, tokens.size() - first);
    for (count = 0; count < most; ++count) {  // as far as there is nothing of the other kind
      const TokenId* const id = std::get_if<TokenId>(&mixed[first + count]);
      if ((id != nullptr) != is_id) break;
      if (is_id) ids[count] = *id;
    }
    if (is_id)
      visit(kernel_tokens(vocabulary, scales, ids.data(), count, own), first);
    else
      visit_strings(vocabulary.pos_dim(), scales, mixed + first, count,
                    [&](const kernels::Tokens& strings) { visit(strings, first); });
  }
}

/// Calls `visit(kernels::Tokens, first)` with all of a sequence, which was checked, a block after the other;
/// a block starts at position `first`. `scales` are a_L for each length, `own` the rows that some tokens have
/// of their own, or null. Ids of 32 bits are one block, where they lie; others are copied to the stack, and
/// ids and byte strings are in blocks of their own.
template <class Visit>
void for_each_block(const TokenBytes& vocabulary, const float* scales, const TokenSequence& tokens,
                    const Visit& visit, const kernels::OwnRows* own = nullptr) {
  if (const TokenId* ids = tokens.token_ids())
    visit(kernel_tokens(vocabulary, scales, ids, tokens.size(), own), std::size_t{0});
  else
    for_each_copied_block(vocabulary, scales, tokens, visit, own);
}

}  // namespace detail
}  // namespace KRONECKER_NAMESPACE
