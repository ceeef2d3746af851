#pragma once

/// The tokens of a call on arrays of someone else's (arrays.hpp), checked.

#include <kronecker/cell.hpp>
#include <kronecker/encoder.hpp>
#include <kronecker/error.hpp>
#include <kronecker/kernels/gather_sum.hpp>
#include <kronecker/namespace.hpp>
#include <kronecker/views.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <vector>

namespace KRONECKER_NAMESPACE::detail {

/// The tokens of a vocabulary as someone else holds them.
struct TokenArrays {
  const std::uint8_t* bytes;    ///< (vocab_size, pos_dim), padded with anything.
  const std::uint8_t* lengths;  ///< (vocab_size)
  std::int64_t vocab_size;      ///< V.
};

/// The tokens of a call, checked and copied: what other threads do to the arrays meanwhile cannot lead the
/// kernels out of theirs. Takes pos_dim + 5 bytes a token.
class ArraySequence {
 public:
  /// Throws std::out_of_range if one of `count` ids is outside the vocabulary, std::invalid_argument if there
  /// are more than 2^31 - 1, a token's length is over pos_dim or one of its bytes outside the alphabet.
  ArraySequence(const DynamicEncoder& encoder, const TokenArrays& tokens, const std::int64_t* ids,
                std::size_t count)
      : count_(count), pos_dim_(static_cast<std::size_t>(encoder.pos_dim())), scales_(encoder.scales()) {
    constexpr auto most = static_cast<std::size_t>((std::numeric_limits<std::int32_t>::max)());
    if (count > most) fail<std::invalid_argument>(count, " ids are more than ", most, " at a time");
    if (count > (std::numeric_limits<std::size_t>::max)() / pos_dim_)
      fail<std::invalid_argument>("the bytes of ", count, " ids do not fit into memory");
    places_.reset(new std::int32_t[count]);
    lengths_.reset(new std::uint8_t[count]);
    bytes_.reset(new std::uint8_t[count * pos_dim_]);
    for (std::size_t i = 0; i < count; ++i) {
      if (ids[i] < 0 || ids[i] >= tokens.vocab_size)
        fail<std::out_of_range>("token id ", ids[i], " at index ", i, " is outside the vocabulary of ",
                                tokens.vocab_size, " tokens");
      places_[i] = static_cast<std::int32_t>(i);
      copy_token(encoder, tokens, ids[i], i);
    }
  }

  std::size_t count() const noexcept { return count_; }                    ///< Number of tokens.
  std::size_t byte_count() const noexcept { return byte_count_; }          ///< Of all tokens.
  const std::uint8_t* lengths() const noexcept { return lengths_.get(); }  ///< Of each token.
  const float* scales() const noexcept { return scales_.data(); }          ///< a_L of each length.

  /// The tokens of a range.
  kernels::Tokens part(Range some) const noexcept {
    return {bytes_.get(), lengths_.get(), scales_.data(), places_.get() + some.begin, some.size()};
  }

  /// The lengths that its tokens have, but for 0.
  std::vector<std::uint8_t> different_lengths() const {
    std::array<bool, 256> has_length = {};
    for (std::size_t i = 0; i < count_; ++i) has_length[lengths_[i]] = true;
    std::vector<std::uint8_t> found;
    for (std::size_t length = 1; length <= pos_dim_; ++length)
      if (has_length[length]) found.push_back(static_cast<std::uint8_t>(length));
    return found;
  }

  /// Numbers the cells that some of its tokens light, from `next` on, in `place_of_cell`, (D), where they are
  /// `unlit`; returns the number after the last.
  std::size_t number_cells(Range some, std::size_t next,
                           std::vector<std::int32_t>& place_of_cell) const noexcept {
    for (std::size_t i = some.begin; i < some.end; ++i)
      for (std::size_t p = 0; p < lengths_[i]; ++p) {
        std::int32_t& place = place_of_cell[cell_of(bytes_[i * pos_dim_ + p], p, pos_dim_)];
        if (place == unlit) place = static_cast<std::int32_t>(next++);
      }
    return next;
  }
  static constexpr std::int32_t unlit = -1;  ///< The place of a cell that no token lights.

 private:
  void copy_token(const DynamicEncoder& encoder, const TokenArrays& tokens, std::int64_t id, std::size_t i) {
    const std::uint8_t length = tokens.lengths[id];
    if (length > pos_dim_)
      fail<std::invalid_argument>("token id ", id, " at index ", i, " has a length of ", length,
                                  " over pos_dim ", pos_dim_);
    std::uint8_t* const bytes = bytes_.get() + i * pos_dim_;
    std::memcpy(bytes, tokens.bytes + static_cast<std::size_t>(id) * pos_dim_, length);
    check_alphabet({reinterpret_cast<const char*>(bytes), length}, encoder.char_dim(), "token id ", id,
                   " at index ", i);
    lengths_[i] = length;
    byte_count_ += length;
  }

  std::size_t count_, pos_dim_, byte_count_ = 0;
  std::vector<float> scales_;
  std::unique_ptr<std::int32_t[]> places_;
  std::unique_ptr<std::uint8_t[]> lengths_, bytes_;
};

}  // namespace KRONECKER_NAMESPACE::detail
