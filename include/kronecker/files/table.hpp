#pragma once

/// The ordinary table of an embedding, (V, d_model), written in the types that files hold. It is never in
/// memory as a whole.

#include <kronecker/embedding.hpp>
#include <kronecker/error.hpp>
#include <kronecker/files/little_endian.hpp>
#include <kronecker/files/tensor_type.hpp>
#include <kronecker/namespace.hpp>
#include <kronecker/token_sequence.hpp>
#include <kronecker/types.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <ostream>
#include <span>
#include <stdexcept>
#include <string_view>
#include <type_traits>
#include <vector>

namespace KRONECKER_NAMESPACE::detail {

/// A block of ggml's type Q8_0: 32 values, which are small multiples of a scale that they share.
struct Q8_0 {
  static constexpr std::size_t values = 32;

  Eigen::half scale;
  std::array<std::int8_t, values> multiples;
};
static_assert(sizeof(Q8_0) == 34);

inline void reverse_bytes(Q8_0& block) noexcept { reverse_bytes(block.scale); }

/// The block nearest to the values, which are finite, with the bits that ggml gives it: the greatest
/// magnitude becomes 127.
inline Q8_0 to_q8_0(std::span<const float, Q8_0::values> values) noexcept {
  float greatest = 0;
  for (const float value : values) greatest = (std::max)(greatest, std::abs(value));
  const float scale = greatest / 127;
  const float inverse = scale > 0 && is_finite(1 / scale) ? 1 / scale : 0;
  Q8_0 block{static_cast<Eigen::half>(scale), {}};
  for (std::size_t i = 0; i < values.size(); ++i)
    block.multiples[i] = static_cast<std::int8_t>(std::round(values[i] * inverse));
  return block;
}

/// `values` as they are stored: each as a Stored, or 32 of them as a Q8_0. Throws std::invalid_argument,
/// naming the token, if one is beyond the range; they are rows of `d_model`, those of the tokens from `first`
/// on.
template <class Stored>
std::vector<Stored> stored_rows(std::span<const float> values, int d_model, TokenId first) {
  std::vector<Stored> stored;
  const auto check_range = [&](std::size_t i, float as_stored, std::string_view type) {
    const auto width = static_cast<std::size_t>(d_model);
    if (!is_finite(as_stored))
      fail<std::invalid_argument>("the embedding of token id ", first + static_cast<TokenId>(i / width),
                                  " has the component ", i % width, " of ", values[i],
                                  ", beyond the range of ", type);
  };
  if constexpr (std::is_same_v<Stored, Q8_0>) {
    stored.reserve(values.size() / Q8_0::values);
    for (std::size_t i = 0; i < values.size(); i += Q8_0::values) {
      for (std::size_t j = i; j < i + Q8_0::values; ++j)
        check_range(j, static_cast<float>(static_cast<Eigen::half>(values[j] / 127)), "Q8_0");
      stored.push_back(to_q8_0(values.subspan(i).template first<Q8_0::values>()));
    }
  } else {
    stored.reserve(values.size());
    for (std::size_t i = 0; i < values.size(); ++i) {
      stored.push_back(static_cast<Stored>(values[i]));
      check_range(i, static_cast<float>(stored.back()), tensor_type_name<Stored>());
    }
  }
  return stored;
}

/// Writes the embeddings of all tokens, one after the other, as `stored` makes them: a container of the bytes
/// or numbers of some rows, of their values and the id of the first. O(V * d_model).
template <class Embedding, class MakeStored>
void write_rows(std::ostream& file, const Embedding& embedding, const MakeStored& stored) {
  constexpr TokenId block = 1024;
  for (TokenId first = 0; first < embedding.vocab_size() && file; first += block) {
    const RowMajorMatrix<float> rows =
        embedding.forward(TokenSequence::in_order(first, (std::min)(first + block, embedding.vocab_size())));
    const auto values = stored(std::span(rows.data(), static_cast<std::size_t>(rows.size())), first);
    write_little_endian(file, std::span(values));
  }
}

/// Writes them as `stored_rows` has them.
template <class Stored, class Embedding>
void write_table(std::ostream& file, const Embedding& embedding) {
  write_rows(file, embedding, [&](std::span<const float> values, TokenId first) {
    return stored_rows<Stored>(values, embedding.d_model(), first);
  });
}

}  // namespace KRONECKER_NAMESPACE::detail
