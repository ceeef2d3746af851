#pragma once

/// The tokens whose codes, or whose embeddings, are nearest to any byte string.
///
/// The cosine of two codes depends on nothing but their lengths and the number of positions at which their
/// bytes agree (`KroneckerEncoder::cosine`). A search over a whole vocabulary is therefore a byte compare and
/// a count over the V x pos_dim token bytes: no vector is computed or kept.

#include <kronecker/embedding.hpp>
#include <kronecker/encoder.hpp>
#include <kronecker/error.hpp>
#include <kronecker/namespace.hpp>
#include <kronecker/token_bytes.hpp>
#include <kronecker/types.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace KRONECKER_NAMESPACE {

/// A token and its cosine with the query.
struct Neighbor {
  TokenId id;    ///< The token.
  float cosine;  ///< Of its code, or its embedding, with the query's.

  bool operator==(const Neighbor&) const = default;  ///< Same token, same cosine.
};

/// The nearest tokens to a query, and how arbitrary the end of the list is.
struct Neighbors {
  std::vector<Neighbor> tokens;    ///< Best first; of equal cosines, the lowest id first.
  std::size_t tied_with_last = 0;  ///< Further tokens that are exactly as near as the last one listed.
};

namespace detail {

inline void check_neighbor_count(int k) {
  if (k < 1) detail::fail<std::invalid_argument>("a search for the ", k, " nearest tokens finds none");
}

/// The k best of `candidates`. O(N log k).
inline Neighbors best_of(std::vector<Neighbor> candidates, int k) {
  const auto listed = (std::min)(candidates.size(), static_cast<std::size_t>(k));
  const auto cut = candidates.begin() + static_cast<std::ptrdiff_t>(listed);
  std::partial_sort(candidates.begin(), cut, candidates.end(), [](const Neighbor& a, const Neighbor& b) {
    return a.cosine != b.cosine ? a.cosine > b.cosine : a.id < b.id;
  });
  Neighbors nearest;
  nearest.tokens.assign(candidates.begin(), cut);
  if (listed > 0)
    nearest.tied_with_last = static_cast<std::size_t>(std::count_if(
        cut, candidates.end(), [&](const Neighbor& n) { return n.cosine == nearest.tokens.back().cosine; }));
  return nearest;
}

/// A query laid out for comparison with token bytes, eight at a time.
class ByteQuery {
 public:
  ByteQuery(std::string_view bytes, int pos_dim) : lanes_((bytes.size() + lane_size - 1) / lane_size) {
    bytes_.resize(lanes_);
    if (lanes_ > 0) std::memcpy(bytes_.data(), bytes.data(), bytes.size());
    std::string high_bits(lanes_ * lane_size, '\0');
    for (std::size_t length = 0; length <= static_cast<std::size_t>(pos_dim); ++length) {
      if (length > 0 && length <= bytes.size()) high_bits[length - 1] = '\x80';
      compared_.resize(compared_.size() + lanes_);
      if (lanes_ > 0) std::memcpy(&compared_[length * lanes_], high_bits.data(), high_bits.size());
    }
  }

  /// Number of bytes from the start of a token that `matches` reads.
  std::size_t reach() const noexcept { return lanes_ * lane_size; }

  /// Number of positions at which `token`, of `length` bytes and readable for `reach()`, has the same byte.
  std::size_t matches(const std::uint8_t* token, std::size_t length) const noexcept {
    constexpr std::uint64_t low_bits = 0x7f7f7f7f7f7f7f7f;
    constexpr std::uint64_t ones = 0x0101010101010101;
    const std::uint64_t* compared = compared_.data() + length * lanes_;
    std::uint64_t counts = 0;  // eight, one in each byte; together at most 255
    for (std::size_t i = 0; i < lanes_; ++i) {
      std::uint64_t bytes;
      std::memcpy(&bytes, token + i * lane_size, lane_size);
      const std::uint64_t difference = bytes ^ bytes_[i];
      const std::uint64_t differs = ((difference & low_bits) + low_bits) | difference;  // in the high bits
      counts += (~differs & compared[i]) >> 7;
    }
    return static_cast<std::size_t>((counts * ones) >> 56);
  }

 private:
  static constexpr std::size_t lane_size = sizeof(std::uint64_t);

  std::size_t lanes_;
  std::vector<std::uint64_t> bytes_;     // (lanes) the query, padded
  std::vector<std::uint64_t> compared_;  // (pos_dim + 1, lanes) 0x80 where a token of that length has a byte
};

/// Calls `visit(id, length, matches)` for every token. What is read beyond a token's bytes is never counted;
/// only the last rows have to be copied to where there is something to read.
template <class Visit>
void for_each_match_count(const TokenBytes& token_bytes, const ByteQuery& query, Visit visit) {
  const std::span<const std::uint8_t> bytes = token_bytes.bytes();
  const std::span<const std::uint8_t> lengths = token_bytes.lengths();
  const auto pos_dim = static_cast<std::size_t>(token_bytes.pos_dim());
  std::size_t id = 0;
  for (; id < lengths.size() && id * pos_dim + query.reach() <= bytes.size(); ++id)
    visit(id, lengths[id], query.matches(bytes.data() + id * pos_dim, lengths[id]));
  for (; id < lengths.size(); ++id) {
    std::uint8_t row[256] = {};
    std::memcpy(row, bytes.data() + id * pos_dim, pos_dim);
    visit(id, lengths[id], query.matches(row, lengths[id]));
  }
}

/// The cosine of any two tokens of these lengths that agree at `matches` positions.
inline float cosine_of_lengths(const DynamicEncoder& encoder, std::size_t length_a, std::size_t length_b,
                               std::size_t matches) {
  return encoder.cosine(std::string(length_a, '\0'),
                        std::string(matches, '\0') + std::string(length_b - matches, '\1'));
}

}  // namespace detail

/// The k tokens whose codes have the largest cosine with the code of `query`, any byte string: exactly
/// `encoder.cosine(query, token)`. Fewer than k if there are not as many; tokens of which no byte is kept are
/// never among them. With an empty query every cosine is 0, and all tokens tie. `token_bytes` must come from
/// the same encoder. Throws std::invalid_argument if k < 1, if the pos_dim of the two differ, or if the query
/// has a byte outside the alphabet. O(V * bytes of the query).
inline Neighbors nearest_tokens(const TokenBytes& token_bytes, const DynamicEncoder& encoder,
                                std::string_view query, int k) {
  detail::check_neighbor_count(k);
  if (token_bytes.pos_dim() != encoder.pos_dim())
    detail::fail<std::invalid_argument>("the token bytes' pos_dim ", token_bytes.pos_dim(),
                                        " is not the encoder's ", encoder.pos_dim());
  query = encoder.truncate(query);
  detail::check_alphabet(query, encoder.char_dim());

  // A class is a pair of a token's length and its number of matches: one cosine for all its tokens.
  const std::size_t classes_per_length = query.size() + 1;
  std::vector<std::uint32_t> class_sizes((static_cast<std::size_t>(encoder.pos_dim()) + 1) *
                                         classes_per_length);
  std::vector<std::uint16_t> class_of(static_cast<std::size_t>(token_bytes.size()));
  detail::for_each_match_count(token_bytes, detail::ByteQuery(query, encoder.pos_dim()),
                               [&](std::size_t id, std::size_t length, std::size_t matches) {
                                 const std::size_t token_class = length * classes_per_length + matches;
                                 class_of[id] = static_cast<std::uint16_t>(token_class);
                                 ++class_sizes[token_class];
                               });

  constexpr float never = -(std::numeric_limits<float>::max)();
  std::vector<float> class_cosines(class_sizes.size(), never);
  std::vector<std::pair<float, std::uint32_t>> sizes_by_cosine;
  for (std::size_t i = classes_per_length; i < class_sizes.size(); ++i) {  // from length 1 on
    if (class_sizes[i] == 0) continue;
    class_cosines[i] =
        detail::cosine_of_lengths(encoder, query.size(), i / classes_per_length, i % classes_per_length);
    sizes_by_cosine.emplace_back(class_cosines[i], class_sizes[i]);
  }

  std::sort(sizes_by_cosine.begin(), sizes_by_cosine.end(), std::greater<>());
  float least = (std::numeric_limits<float>::max)();
  std::size_t found = 0;
  for (std::size_t i = 0; i < sizes_by_cosine.size() && found < static_cast<std::size_t>(k); ++i) {
    least = sizes_by_cosine[i].first;
    found += sizes_by_cosine[i].second;
  }
  std::vector<Neighbor> candidates;
  for (std::size_t id = 0; id < class_of.size(); ++id)
    if (class_cosines[class_of[id]] >= least)
      candidates.push_back({static_cast<TokenId>(id), class_cosines[class_of[id]]});
  return detail::best_of(std::move(candidates), k);
}

/// The k tokens whose embeddings have the largest cosine with the embedding of `query`, any byte string; 0 if
/// either is the zero vector. Otherwise as `nearest_tokens`. Every token is embedded, a block at a time.
/// Throws std::invalid_argument if k < 1 or if the query has a byte outside the alphabet. O(V * d_model *
/// bytes per token).
template <class Scalar>
Neighbors nearest_tokens_projected(const KroneckerEmbedding<Scalar>& embedding, std::string_view query,
                                   int k) {
  detail::check_neighbor_count(k);
  const Eigen::VectorXd wanted = embedding.embed(query).template cast<double>();
  const std::span<const std::uint8_t> lengths = embedding.token_bytes().lengths();

  constexpr TokenId block = 256;
  std::vector<TokenId> ids;
  RowMajorMatrix<float> embedded(block, embedding.d_model());
  std::vector<Neighbor> candidates;
  for (TokenId id = 0; id < embedding.vocab_size(); ++id) {
    if (lengths[static_cast<std::size_t>(id)] > 0) ids.push_back(id);
    if (ids.size() < static_cast<std::size_t>(block) && id + 1 < embedding.vocab_size()) continue;
    embedding.forward(ids,
                      std::span(embedded.data(), ids.size() * static_cast<std::size_t>(embedded.cols())));
    for (std::size_t i = 0; i < ids.size(); ++i) {
      const auto vector = embedded.row(static_cast<Eigen::Index>(i)).template cast<double>();
      const double norms = wanted.norm() * vector.norm();
      candidates.push_back({ids[i], norms > 0 ? static_cast<float>(vector.dot(wanted) / norms) : 0.0f});
    }
    ids.clear();
  }
  return detail::best_of(std::move(candidates), k);
}

}  // namespace KRONECKER_NAMESPACE
