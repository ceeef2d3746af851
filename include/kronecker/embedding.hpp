#pragma once

/// The embedding layer: what nn.Embedding is, without the table.

#include <kronecker/encoder.hpp>
#include <kronecker/error.hpp>
#include <kronecker/kernels/gather_sum.hpp>
#include <kronecker/kernels/instruction_set.hpp>
#include <kronecker/namespace.hpp>
#include <kronecker/projection.hpp>
#include <kronecker/rows.hpp>
#include <kronecker/shared_array.hpp>
#include <kronecker/token_bytes.hpp>
#include <kronecker/types.hpp>
#include <kronecker/vocabulary.hpp>

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <map>
#include <numeric>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace KRONECKER_NAMESPACE {

/// Maps token ids, and any other byte strings, to vectors of d_model floats.
///
/// Immutable, and cheap to copy: copies share the rows and the token bytes. Const member functions share no
/// mutable state, so any number of threads may call them on one embedding; to spread a batch over threads,
/// give each a part of the ids. Results have the same bits on every CPU and for every split of a batch.
///
/// `Scalar` is the type in which the rows are stored: float, Eigen::bfloat16, Eigen::half or std::int8_t. The
/// fewer bytes, the less memory and time; embeddings are floats, summed in float (int8 exactly), with each.
template <class Encoder = KroneckerEncoder<>, class Scalar = float>
class KroneckerEmbedding {
 public:
  /// The embedding of `vocabulary` under `encoder` and the learned `projection`. Throws std::invalid_argument
  /// if the projection's code_dim is not the encoder's, if one of its weights is NaN, infinite or beyond the
  /// range of Scalar, or if a token has a byte outside the encoder's alphabet. Tokens longer than pos_dim
  /// bytes are truncated, and counted by `truncated_tokens`. O(V * pos_dim + D * d_model).
  KroneckerEmbedding(Encoder encoder, const Vocabulary& vocabulary, const LearnedProjection& projection)
      : encoder_(std::move(encoder)),
        rows_(rows_for(encoder_, projection)),
        token_bytes_(vocabulary, encoder_),
        scales_(scales_of(encoder_)) {}

  /// An embedding from its parts, which it shares: `rows` as `rows()` gives them, centred already if
  /// z-normalising, and not looked at; `token_bytes` within the encoder's alphabet. For files that were
  /// written by an embedding. Throws std::invalid_argument if the sizes do not fit each other.
  static KroneckerEmbedding from_parts(Encoder encoder, TokenBytes token_bytes, ProjectionRows<Scalar> rows) {
    check_code_dim(encoder, rows.code_dim());
    if (token_bytes.pos_dim() != encoder.pos_dim())
      detail::fail<std::invalid_argument>("token bytes of pos_dim ", token_bytes.pos_dim(),
                                          " do not fit the encoder's ", encoder.pos_dim());
    return KroneckerEmbedding(std::move(encoder), std::move(token_bytes), std::move(rows));
  }

  TokenId vocab_size() const noexcept { return token_bytes_.size(); }      ///< Number of tokens, V.
  int d_model() const noexcept { return rows_.d_model(); }                 ///< Length of an embedding.
  const Encoder& encoder() const noexcept { return encoder_; }             ///< Decides the codes.
  const TokenBytes& token_bytes() const noexcept { return token_bytes_; }  ///< Copies share it.
  /// Centred if z-normalising. Copies share it.
  const ProjectionRows<Scalar>& rows() const noexcept { return rows_; }
  /// The same, for an optimiser to change: it keeps them finite, and centred if z-normalising. Copies of this
  /// embedding keep their rows. No other thread may use this embedding meanwhile.
  ProjectionRows<Scalar>& rows_to_change() noexcept { return rows_; }

  /// The embeddings of N tokens, (N, d_model); zeros for an empty token. Throws std::out_of_range if an id is
  /// negative or not less than V, naming it and its index. O(N * d_model * bytes per token).
  RowMajorMatrix<float> forward(std::span<const TokenId> ids) const {
    check_ids(ids);
    RowMajorMatrix<float> out(static_cast<Eigen::Index>(ids.size()), d_model());
    gather_sum(ids, out.data());
    return out;
  }
  /// The same for ids written in place: forward({464, 2068}).
  RowMajorMatrix<float> forward(std::initializer_list<TokenId> ids) const {
    return forward(std::span<const TokenId>(ids.begin(), ids.size()));
  }

  /// The same into `out`, row after row, without allocating. Throws std::invalid_argument if `out` is not
  /// N * d_model floats. On an error nothing is written.
  void forward(std::span<const TokenId> ids, std::span<float> out) const {
    check_ids(ids);
    if (out.size() / row_size() != ids.size() || out.size() % row_size() != 0)
      detail::fail<std::invalid_argument>("an output of ", out.size(), " floats does not fit ", ids.size(),
                                          " tokens of d_model ", d_model(), ": it takes ",
                                          ids.size() * row_size());
    gather_sum(ids, out.data());
  }

  /// The embeddings of one sequence in which some positions take other bytes than their token's: at position
  /// p stands embed(overrides[p]). The ids there must be in range all the same. Throws std::out_of_range if a
  /// position is not less than N or an id is out of range, std::invalid_argument if a byte is outside the
  /// alphabet.
  RowMajorMatrix<float> forward(std::span<const TokenId> ids,
                                const std::map<std::size_t, std::string>& overrides) const {
    for (const auto& [position, bytes] : overrides) {
      if (position >= ids.size())
        detail::fail<std::out_of_range>("override position ", position, " is past the end of the ",
                                        ids.size(), " tokens");
      detail::check_alphabet(encoder_.truncate(bytes), encoder_.char_dim(), "override at position ",
                             position);
    }
    RowMajorMatrix<float> out = forward(ids);
    for (const auto& [position, bytes] : overrides)
      embed_bytes(encoder_.truncate(bytes), out.row(static_cast<Eigen::Index>(position)).data());
    return out;
  }

  /// The embedding of any bytes, in the vocabulary or not, (d_model): the same bits as `forward` for a token
  /// with these bytes; zeros for none. Truncates like the encoder. Throws std::invalid_argument if a byte is
  /// outside the alphabet.
  Eigen::VectorXf embed(std::string_view bytes) const {
    bytes = encoder_.truncate(bytes);
    detail::check_alphabet(bytes, encoder_.char_dim());
    Eigen::VectorXf out(d_model());
    embed_bytes(bytes, out.data());
    return out;
  }

  /// The embeddings of all tokens, (V, d_model): the ordinary table that this replaces.
  RowMajorMatrix<float> table() const {
    std::vector<TokenId> ids(static_cast<std::size_t>(vocab_size()));
    std::iota(ids.begin(), ids.end(), TokenId{0});
    return forward(ids);
  }

  /// The rows as weights again: centred if z-normalising, as they were learned if not. An embedding that is
  /// built from them has the same rows, and so the same bits for the same tokens: a vocabulary grows that
  /// way.
  LearnedProjection projection() const {
    const LearnedProjection weights = rows_.to_projection();
    return encoder_.options().z_normalize ? weights.marked_centred() : weights;
  }

  /// The same embedding with rows of another type, to which they are rounded. Shares the token bytes, and the
  /// rows if the type is the same. Throws std::invalid_argument if a weight is beyond the range of Other. O(D
  /// * d_model).
  template <class Other>
  KroneckerEmbedding<Encoder, Other> cast() const {
    if constexpr (std::is_same_v<Other, Scalar>)
      return *this;
    else
      return KroneckerEmbedding<Encoder, Other>::from_parts(encoder_, token_bytes_,
                                                            ProjectionRows<Other>::round(projection()));
  }

  /// Throws std::out_of_range if an id is negative or not less than V, naming it and its index.
  void check_ids(std::span<const TokenId> ids) const {
    for (std::size_t i = 0; i < ids.size(); ++i)
      if (ids[i] < 0 || ids[i] >= vocab_size())
        detail::fail<std::out_of_range>("token id ", ids[i], " at index ", i,
                                        " is outside the vocabulary of ", vocab_size(), " tokens");
  }

  /// A sequence of tokens as the kernels take it; the ids are not checked. Valid as long as this and the ids.
  kernels::Tokens view(std::span<const TokenId> ids) const noexcept {
    return {token_bytes_.bytes().data(), token_bytes_.lengths().data(), scales_.data(), ids.data(),
            ids.size()};
  }

  /// Number of tokens longer than pos_dim bytes.
  TokenId truncated_tokens() const noexcept { return token_bytes_.truncated(); }

  /// Size in bytes of what replaces the table: V * (pos_dim + 1). It grows with V, the rows do not.
  std::size_t token_bytes_memory() const noexcept { return token_bytes_.memory(); }

 private:
  KroneckerEmbedding(Encoder encoder, TokenBytes token_bytes, ProjectionRows<Scalar> rows)
      : encoder_(std::move(encoder)),
        rows_(std::move(rows)),
        token_bytes_(std::move(token_bytes)),
        scales_(scales_of(encoder_)) {}

  static void check_code_dim(const Encoder& encoder, int code_dim) {
    if (code_dim != encoder.code_dim())
      detail::fail<std::invalid_argument>("the projection's code_dim ", code_dim, " is not the encoder's ",
                                          encoder.code_dim(), " (", encoder.char_dim(), " x ",
                                          encoder.pos_dim(), ")");
  }

  static ProjectionRows<Scalar> rows_for(const Encoder& encoder, const LearnedProjection& projection) {
    check_code_dim(encoder, projection.code_dim());
    detail::check_finite(projection, "projection weight");
    if (!encoder.options().z_normalize || projection.is_centred())
      return ProjectionRows<Scalar>::round(projection);
    const LearnedProjection centred = detail::centred(projection);
    detail::check_finite(centred, "after centring, projection weight");
    return ProjectionRows<Scalar>::round(centred);
  }

  static SharedArray<float> scales_of(const Encoder& encoder) {
    return SharedArray<float>::make(static_cast<std::size_t>(encoder.pos_dim()) + 1,
                                    [&](std::span<float> scales) {
                                      for (std::size_t length = 0; length < scales.size(); ++length)
                                        scales[length] = encoder.scale(static_cast<int>(length));
                                    });
  }

  std::size_t row_size() const noexcept { return static_cast<std::size_t>(d_model()); }

  void gather_sum(std::span<const TokenId> ids, float* out) const noexcept {
    gather_sum(
        {token_bytes_.bytes().data(), token_bytes_.lengths().data(), scales_.data(), ids.data(), ids.size()},
        out);
  }
  void embed_bytes(std::string_view bytes, float* out) const noexcept {
    const auto length = static_cast<std::uint8_t>(bytes.size());
    const TokenId first = 0;
    gather_sum({reinterpret_cast<const std::uint8_t*>(bytes.data()), &length, scales_.data(), &first, 1},
               out);
  }
  void gather_sum(const kernels::Tokens& tokens, float* out) const noexcept {
    kernels::gather_sum<ProjectionRows<Scalar>::type>(kernels::instruction_set(),
                                                      rows_.view(encoder_.pos_dim()), tokens, out);
  }

  Encoder encoder_;
  ProjectionRows<Scalar> rows_;  // centred if z-normalising
  TokenBytes token_bytes_;
  SharedArray<float> scales_;  // a_L for L = 0 .. pos_dim
};

}  // namespace KRONECKER_NAMESPACE
