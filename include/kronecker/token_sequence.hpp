#pragma once

/// What an embedding embeds: token ids of any integer type, or ids and byte strings mixed; and how such a
/// sequence comes to the kernels, a block at a time.

#include <kronecker/encoder.hpp>
#include <kronecker/error.hpp>
#include <kronecker/kernels/row_type.hpp>
#include <kronecker/namespace.hpp>
#include <kronecker/token_bytes.hpp>
#include <kronecker/types.hpp>
#include <kronecker/utf8.hpp>

#include <algorithm>
#include <array>
#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <numeric>
#include <ranges>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace KRONECKER_NAMESPACE {

/// What stands at one position of a sequence: a token of the vocabulary, or any bytes in place of one.
using TokenOrBytes = std::variant<TokenId, std::string_view>;

namespace detail {

template <class T>
concept IdInteger =
    std::integral<T> && !std::same_as<T, bool> && !std::same_as<T, char> && !std::same_as<T, wchar_t> &&
    !std::same_as<T, char8_t> && !std::same_as<T, char16_t> && !std::same_as<T, char32_t>;

template <class R>
concept IdRange = std::ranges::contiguous_range<R> && std::ranges::sized_range<R> &&
    (IdInteger<std::ranges::range_value_t<R>> || std::same_as<std::ranges::range_value_t<R>, TokenOrBytes>);

}  // namespace detail

/// A view of the tokens of a sequence: of ids, from a span, vector or array of integers, or of
/// `TokenOrBytes`. In place, `{464, 2068}` is a sequence of ids and `{464, " unfox"}` a mixed one.
class TokenSequence {
 public:
  /// No tokens.
  TokenSequence() noexcept = default;
  /// Ids written in place.
  TokenSequence(std::initializer_list<TokenId> ids) noexcept : TokenSequence(std::data(ids), ids.size()) {}
  /// The same, of another integer type.
  template <detail::IdInteger T>
  TokenSequence(std::initializer_list<T> ids) noexcept : TokenSequence(std::data(ids), ids.size()) {}
  /// Ids and byte strings written in place.
  template <class = void>
  TokenSequence(std::initializer_list<TokenOrBytes> tokens) noexcept
      : TokenSequence(std::data(tokens), tokens.size()) {}
  /// The elements of a span, vector or array.
  template <detail::IdRange R>
  TokenSequence(const R& tokens) noexcept
      : TokenSequence(std::ranges::data(tokens), std::ranges::size(tokens)) {}
  /// `size` ids, or ids and byte strings, from `tokens` on.
  template <class T>
  requires detail::IdInteger<T> || std::same_as<T, TokenOrBytes> TokenSequence(const T* tokens,
                                                                               std::size_t size)
  noexcept : tokens_(tokens), size_(size), element_(element_of<T>()) {}

  /// The ids from `begin` on, up to `end`, in order. Takes no memory.
  static TokenSequence in_order(TokenId begin, TokenId end) noexcept {
    TokenSequence sequence;
    sequence.first_ = begin;
    sequence.size_ = static_cast<std::size_t>((std::max)(end - begin, 0));
    return sequence;
  }

  std::size_t size() const noexcept { return size_; }  ///< Number of tokens, N.

  /// `count` of the tokens, from position `first` on, which the sequence must have.
  TokenSequence part(std::size_t first, std::size_t count) const noexcept {
    TokenSequence some = *this;
    some.size_ = count;
    if (element_ == Element::in_order)
      some.first_ += static_cast<TokenId>(first);
    else
      some.tokens_ = static_cast<const char*>(tokens_) + first * size_of_element();
    return some;
  }

  /// The ids as they lie in memory, if they are of TokenId; null if not.
  const TokenId* token_ids() const noexcept {
    return element_ == Element::int32 ? static_cast<const TokenId*>(tokens_) : nullptr;
  }
  /// The elements as they lie in memory, if they are ids and byte strings; null if not.
  const TokenOrBytes* mixed() const noexcept {
    return element_ == Element::mixed ? static_cast<const TokenOrBytes*>(tokens_) : nullptr;
  }

  /// Writes the ids of as many tokens from position `first` on; -1 for a number that is no TokenId. Not for
  /// mixed sequences.
  void copy_ids(std::size_t first, std::span<TokenId> ids) const noexcept {
    visit_ids([&](const auto* values) {
      using T = std::remove_cvref_t<decltype(*values)>;
      for (std::size_t i = 0; i < ids.size(); ++i) {
        const T id = values[first + i];
        ids[i] = std::in_range<TokenId>(id) ? static_cast<TokenId>(id) : -1;
      }
    });
    if (element_ == Element::in_order)
      std::iota(ids.begin(), ids.end(), first_ + static_cast<TokenId>(first));
  }

  /// The tokens as ids and byte strings.
  std::vector<TokenOrBytes> to_mixed() const {
    if (mixed() != nullptr) return {mixed(), mixed() + size_};
    std::vector<TokenId> ids(size_);
    copy_ids(0, ids);
    return {ids.begin(), ids.end()};
  }

  /// The id at position i as it was given, for messages.
  std::string id_text(std::size_t i) const {
    if (mixed() != nullptr) return std::to_string(std::get<TokenId>(mixed()[i]));
    std::string text = std::to_string(first_ + static_cast<TokenId>(i));
    visit_ids([&](const auto* values) { text = std::to_string(values[i]); });
    return text;
  }

 private:
  enum class Element : unsigned char {
    in_order,
    mixed,
    int8,
    uint8,
    int16,
    uint16,
    int32,
    uint32,
    int64,
    uint64
  };

  template <class T>
  static constexpr Element element_of() noexcept {
    if constexpr (std::same_as<T, TokenOrBytes>) {
      return Element::mixed;
    } else {
      constexpr Element signed_elements[] = {Element::int8, Element::int16, Element::int32, Element::int64};
      constexpr Element unsigned_elements[] = {Element::uint8, Element::uint16, Element::uint32,
                                               Element::uint64};
      return (std::signed_integral<T> ? signed_elements : unsigned_elements)[std::bit_width(sizeof(T)) - 1];
    }
  }

  std::size_t size_of_element() const noexcept {
    std::size_t size = sizeof(TokenOrBytes);
    visit_ids([&](const auto* values) { size = sizeof *values; });
    return size;
  }

  /// Calls `visit` with the first id, if ids lie in memory. long and long long may be two types of one size,
  /// which are read alike.
  template <class Visit>
  void visit_ids(Visit visit) const {
    switch (element_) {
      case Element::in_order:
      case Element::mixed:
        return;
      case Element::int8:
        return visit(static_cast<const std::int8_t*>(tokens_));
      case Element::uint8:
        return visit(static_cast<const std::uint8_t*>(tokens_));
      case Element::int16:
        return visit(static_cast<const std::int16_t*>(tokens_));
      case Element::uint16:
        return visit(static_cast<const std::uint16_t*>(tokens_));
      case Element::int32:
        return visit(static_cast<const std::int32_t*>(tokens_));
      case Element::uint32:
        return visit(static_cast<const std::uint32_t*>(tokens_));
      case Element::int64:
        return visit(static_cast<const Int64*>(tokens_));
      case Element::uint64:
        return visit(static_cast<const UInt64*>(tokens_));
    }
  }

  // Of 64 bits, and allowed to read any type of them.
#ifdef __GNUC__
  using Int64 [[gnu::may_alias]] = std::int64_t;
  using UInt64 [[gnu::may_alias]] = std::uint64_t;
#else
  using Int64 = std::int64_t;
  using UInt64 = std::uint64_t;
#endif

  const void* tokens_ = nullptr;
  std::size_t size_ = 0;
  TokenId first_ = 0;
  Element element_ = Element::in_order;
};

namespace detail {

/// Throws std::out_of_range if an id is negative or not less than V, naming it and its index, and
/// std::invalid_argument if a byte string has a byte outside the alphabet. O(N).
inline void check_tokens(const TokenBytes& vocabulary, const TokenSequence& tokens) {
  const auto vocab_size = static_cast<std::uint32_t>(vocabulary.size());
  const auto check_ids = [&](std::span<const TokenId> ids, std::size_t first) {
    for (std::size_t i = 0; i < ids.size(); ++i)
      if (static_cast<std::uint32_t>(ids[i]) >= vocab_size)
        fail<std::out_of_range>("token id ", tokens.id_text(first + i), " at index ", first + i,
                                " is outside the vocabulary of ", vocab_size, " tokens");
  };
  if (const TokenId* ids = tokens.token_ids()) return check_ids({ids, tokens.size()}, 0);
  if (const TokenOrBytes* mixed = tokens.mixed()) {
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      if (const TokenId* id = std::get_if<TokenId>(&mixed[i]))
        check_ids({id, 1}, i);
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
    check_ids(ids, first);
  }
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
  const std::uint8_t* bytes = vocabulary.bytes().data();
  const std::uint8_t* lengths = vocabulary.lengths().data();
  if (const TokenId* ids = tokens.token_ids()) return {bytes, lengths, scales, ids, tokens.size()};
  const TokenOrBytes* mixed = tokens.mixed();
  if (mixed == nullptr) {
    tokens.copy_ids(0, {space.ids, tokens.size()});
    return {bytes, lengths, scales, space.ids, tokens.size()};
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

/// Calls `visit(kernels::Tokens, first)` with all of a sequence, which was checked, a block after the other;
/// a block starts at position `first`. `scales` are a_L for each length. Ids of 32 bits are one block, where
/// they lie; others are copied to the stack.
template <class Visit>
void for_each_block(const TokenBytes& vocabulary, const float* scales, const TokenSequence& tokens,
                    Visit visit) {
  const auto visit_blocks = [&](std::size_t most, TokenSpace space) {
    for (std::size_t first = 0; first < tokens.size(); first += most) {
      const TokenSequence block = tokens.part(first, (std::min)(most, tokens.size() - first));
      visit(kernel_tokens(vocabulary, scales, block, space), first);
    }
  };
  if (tokens.token_ids() != nullptr) {
    visit(kernel_tokens(vocabulary, scales, tokens, {}), std::size_t{0});
  } else if (tokens.mixed() != nullptr) {
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

}  // namespace detail
}  // namespace KRONECKER_NAMESPACE
