#pragma once

/// What replaces the embedding table in memory: pos_dim bytes and a length for every token.

#include <kronecker/cell.hpp>
#include <kronecker/encoder.hpp>
#include <kronecker/error.hpp>
#include <kronecker/namespace.hpp>
#include <kronecker/shared_array.hpp>
#include <kronecker/types.hpp>
#include <kronecker/vocabulary.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

namespace KRONECKER_NAMESPACE {

/// The first bytes of every token of a vocabulary, (V, pos_dim), padded with zeros, and their number, (V);
/// all within an alphabet of char_dim bytes. Immutable; copies share the arrays.
class TokenBytes {
 public:
  /// The tokens of `vocabulary` as `encoder` truncates them. Throws std::invalid_argument if a byte is
  /// outside the encoder's alphabet, naming the token's id. O(V * pos_dim).
  TokenBytes(const Vocabulary& vocabulary, const DynamicEncoder& encoder)
      : char_dim_(encoder.char_dim()), pos_dim_(encoder.pos_dim()) {
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
    fingerprint_ = fingerprint();
  }

  /// The same from its two arrays, (V, pos_dim) and (V), as a file holds them. Throws std::invalid_argument
  /// if char_dim is not 2 to 256 or pos_dim not 1 to 255, if the arrays do not fit each other, if a length is
  /// more than pos_dim or a byte outside the alphabet. O(V * pos_dim).
  TokenBytes(SharedArray<std::uint8_t> bytes, SharedArray<std::uint8_t> lengths, int char_dim, int pos_dim,
             TokenId truncated)
      : char_dim_(char_dim),
        pos_dim_(pos_dim),
        truncated_(truncated),
        bytes_(std::move(bytes)),
        lengths_(std::move(lengths)) {
    const KroneckerEncoder checked_sizes(char_dim, pos_dim);
    const auto width = static_cast<std::size_t>(pos_dim);
    constexpr auto most = static_cast<std::size_t>((std::numeric_limits<TokenId>::max)());
    if (lengths_.size() > most || bytes_.size() / width != lengths_.size() || bytes_.size() % width != 0)
      detail::fail<std::invalid_argument>(bytes_.size(), " token bytes do not fit ", lengths_.size(),
                                          " lengths at pos_dim ", pos_dim);
    for (std::size_t id = 0; id < lengths_.size(); ++id) {
      if (lengths_[id] > width)
        detail::fail<std::invalid_argument>("token id ", id, " has a length of ", lengths_[id],
                                            " over pos_dim ", pos_dim);
      detail::check_alphabet(bytes_of(id), char_dim, "token id ", id);
    }
    fingerprint_ = fingerprint();
  }

  TokenId size() const noexcept { return static_cast<TokenId>(lengths_.size()); }  ///< Number of tokens, V.
  int char_dim() const noexcept { return char_dim_; }                              ///< Size of the alphabet.
  int pos_dim() const noexcept { return pos_dim_; }                                ///< Bytes kept of a token.
  std::span<const std::uint8_t> bytes() const& noexcept { return bytes_.span(); }  ///< (V, pos_dim)
  std::span<const std::uint8_t> lengths() const& noexcept { return lengths_.span(); }  ///< (V)
  std::span<const std::uint8_t> bytes() const&& = delete;
  std::span<const std::uint8_t> lengths() const&& = delete;

  /// The bytes that are kept of token `id`, which is not checked.
  std::string_view bytes_of(std::size_t id) const& noexcept {
    return {reinterpret_cast<const char*>(bytes_.data()) + id * static_cast<std::size_t>(pos_dim_),
            lengths_[id]};
  }
  std::string_view bytes_of(std::size_t) const&& = delete;

  /// The cells that at least one token lights, ascending. O(V * pos_dim + D).
  std::vector<std::uint32_t> reached_cells() const {
    const auto pos_dim = static_cast<std::size_t>(pos_dim_);
    std::vector<bool> is_reached(static_cast<std::size_t>(char_dim_) * pos_dim);
    for (std::size_t id = 0; id < lengths_.size(); ++id)
      for (std::size_t p = 0; p < lengths_[id]; ++p)
        is_reached[cell_of(bytes_[id * pos_dim + p], p, pos_dim)] = true;
    std::vector<std::uint32_t> cells;
    for (std::size_t cell = 0; cell < is_reached.size(); ++cell)
      if (is_reached[cell]) cells.push_back(static_cast<std::uint32_t>(cell));
    return cells;
  }

  /// Whether the tokens of both have the same bytes. O(1) unless they do not.
  bool operator==(const TokenBytes& other) const noexcept {
    if (char_dim_ != other.char_dim_ || pos_dim_ != other.pos_dim_ || size() != other.size()) return false;
    if (fingerprint_ == other.fingerprint_) return true;
    for (std::size_t id = 0; id < lengths_.size(); ++id)  // padding may differ, in files of others
      if (bytes_of(id) != other.bytes_of(id)) return false;
    return true;
  }

  /// Number of tokens that are longer than pos_dim bytes in the vocabulary.
  TokenId truncated() const noexcept { return truncated_; }

  /// Size in bytes: V * (pos_dim + 1).
  std::size_t memory() const noexcept { return bytes_.size() + lengths_.size(); }

 private:
  /// 64 bits that other bytes have by a chance of 2^-64: eight bytes at a time, each spread over all bits.
  std::uint64_t fingerprint() const noexcept {
    std::uint64_t sum = lengths_.size();
    const auto add = [&](std::span<const std::uint8_t> values) {
      for (std::size_t i = 0; i < values.size(); i += sizeof sum) {
        std::uint64_t part = 0;
        std::memcpy(&part, values.data() + i, (std::min)(sizeof part, values.size() - i));
        sum = (sum ^ part) * 0x9E3779B97F4A7C15u;
        sum ^= sum >> 32;
      }
    };
    add(lengths_.span());
    add(bytes_.span());
    return sum;
  }

  int char_dim_;
  int pos_dim_;
  TokenId truncated_ = 0;
  SharedArray<std::uint8_t> bytes_;
  SharedArray<std::uint8_t> lengths_;
  std::uint64_t fingerprint_ = 0;
};

}  // namespace KRONECKER_NAMESPACE
