#pragma once

/// What replaces the embedding table in memory: pos_dim bytes and a length for every token.

#include <kronecker/encoder.hpp>
#include <kronecker/error.hpp>
#include <kronecker/namespace.hpp>
#include <kronecker/shared_array.hpp>
#include <kronecker/types.hpp>
#include <kronecker/vocabulary.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string_view>
#include <utility>

namespace KRONECKER_NAMESPACE {

/// The first bytes of every token of a vocabulary, (V, pos_dim), padded with zeros, and their number, (V).
/// Immutable; copies share the arrays.
class TokenBytes {
 public:
  /// The tokens of `vocabulary` as `encoder` truncates them. Throws std::invalid_argument if a byte is
  /// outside the encoder's alphabet, naming the token's id. O(V * pos_dim).
  template <int CharDim, int PosDim>
  TokenBytes(const Vocabulary& vocabulary, const KroneckerEncoder<CharDim, PosDim>& encoder)
      : pos_dim_(encoder.pos_dim()) {
    const auto vocab_size = static_cast<std::size_t>(vocabulary.size());
    const auto pos_dim = static_cast<std::size_t>(pos_dim_);
    if (vocab_size > (std::numeric_limits<std::size_t>::max)() / pos_dim)
      detail::fail<std::invalid_argument>("the bytes of ", vocab_size, " tokens do not fit into memory");
    for (TokenId id = 0; id < vocabulary.size(); ++id) {
      detail::check_alphabet(encoder.truncate(vocabulary.bytes(id)), encoder.char_dim(), "token id ", id);
      if (vocabulary.bytes(id).size() > pos_dim) ++truncated_;
    }
    lengths_ = SharedArray<std::uint8_t>::make(vocab_size, [&](std::span<std::uint8_t> lengths) {
      for (TokenId id = 0; id < vocabulary.size(); ++id)
        lengths[static_cast<std::size_t>(id)] =
            static_cast<std::uint8_t>(encoder.truncate(vocabulary.bytes(id)).size());
    });
    bytes_ = SharedArray<std::uint8_t>::make(vocab_size * pos_dim, [&](std::span<std::uint8_t> bytes) {
      std::fill(bytes.begin(), bytes.end(), std::uint8_t{0});
      for (TokenId id = 0; id < vocabulary.size(); ++id) {
        const auto i = static_cast<std::size_t>(id);
        std::copy_n(vocabulary.bytes(id).begin(), lengths_[i],
                    bytes.begin() + static_cast<std::ptrdiff_t>(i * pos_dim));
      }
    });
  }

  /// The same from its two arrays, (V, pos_dim) and (V), as a file holds them. Throws std::invalid_argument
  /// if their sizes do not fit each other, or if a length is more than pos_dim. O(V).
  TokenBytes(SharedArray<std::uint8_t> bytes, SharedArray<std::uint8_t> lengths, int pos_dim,
             TokenId truncated)
      : pos_dim_(pos_dim), truncated_(truncated), bytes_(std::move(bytes)), lengths_(std::move(lengths)) {
    const auto width = static_cast<std::size_t>(pos_dim);
    if (bytes_.size() / width != lengths_.size() || bytes_.size() % width != 0)
      detail::fail<std::invalid_argument>(bytes_.size(), " token bytes do not fit ", lengths_.size(),
                                          " lengths at pos_dim ", pos_dim);
    for (std::size_t id = 0; id < lengths_.size(); ++id)
      if (lengths_[id] > width)
        detail::fail<std::invalid_argument>("token id ", id, " has a length of ", lengths_[id],
                                            " over pos_dim ", pos_dim);
  }

  TokenId size() const noexcept { return static_cast<TokenId>(lengths_.size()); }  ///< Number of tokens, V.
  int pos_dim() const noexcept { return pos_dim_; }                                ///< Bytes kept of a token.
  std::span<const std::uint8_t> bytes() const noexcept { return bytes_.span(); }   ///< (V, pos_dim)
  std::span<const std::uint8_t> lengths() const noexcept { return lengths_.span(); }  ///< (V)

  /// Number of tokens that are longer than pos_dim bytes in the vocabulary.
  TokenId truncated() const noexcept { return truncated_; }

  /// Size in bytes: V * (pos_dim + 1).
  std::size_t memory() const noexcept { return bytes_.size() + lengths_.size(); }

 private:
  int pos_dim_;
  TokenId truncated_ = 0;
  SharedArray<std::uint8_t> bytes_;
  SharedArray<std::uint8_t> lengths_;
};

}  // namespace KRONECKER_NAMESPACE
