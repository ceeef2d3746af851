#pragma once

/// What an embedding embeds: token ids of any integer type, or ids and byte strings mixed.

#include <kronecker/namespace.hpp>
#include <kronecker/types.hpp>

#include <algorithm>
#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
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

}  // namespace KRONECKER_NAMESPACE
