#pragma once

/// The embedding layer: what nn.Embedding is, without the table.

#include <kronecker/embedding_norm.hpp>
#include <kronecker/encoder.hpp>
#include <kronecker/error.hpp>
#include <kronecker/kernels/row_type.hpp>
#include <kronecker/learned_rows.hpp>
#include <kronecker/namespace.hpp>
#include <kronecker/own_rows.hpp>
#include <kronecker/projection.hpp>
#include <kronecker/rows.hpp>
#include <kronecker/shared_array.hpp>
#include <kronecker/token_bytes.hpp>
#include <kronecker/token_sequence.hpp>
#include <kronecker/types.hpp>
#include <kronecker/views.hpp>
#include <kronecker/vocabulary.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace KRONECKER_NAMESPACE {

/// How a forward pass writes its output.
struct ForwardOptions {
  std::size_t stride = 0;   ///< Numbers from the start of one embedding to that of the next; 0: d_model.
  float gain = 1.0f;        ///< Multiplies all embeddings, as sqrt(d_model) does in Gemma; finite.
  bool accumulate = false;  ///< Adds to what is there instead of overwriting it.
};

/// Maps token ids, and any other byte strings, to vectors of d_model floats.
///
/// Cheap to copy: copies share the rows and the token bytes. Const member functions share no mutable state,
/// so any number of threads may call them on one embedding; to spread a batch over threads, give each a part
/// of the ids. Results have the same bits on every CPU and for every split of a batch.
///
/// `Scalar` is the type in which the rows are stored: float, Eigen::bfloat16, Eigen::half or std::int8_t. The
/// fewer bytes, the less memory and time; embeddings are summed in float (int8 exactly), with each.
template <class Scalar = float>
class KroneckerEmbedding {
 public:
  /// The embedding of `vocabulary` under `encoder` and the learned `projection`. Throws std::invalid_argument
  /// if the projection's code_dim is not the encoder's, if one of its weights is NaN, infinite or beyond the
  /// range of Scalar, or if a token has a byte outside the encoder's alphabet. Tokens longer than pos_dim
  /// bytes are truncated, and counted by `truncated_tokens`. O(V * pos_dim + D * d_model).
  KroneckerEmbedding(const DynamicEncoder& encoder, const Vocabulary& vocabulary,
                     const LearnedProjection& projection)
      : KroneckerEmbedding(encoder, TokenBytes(vocabulary, encoder), rows_for(encoder, projection)) {}

  /// An embedding from its parts, which it shares. Throws std::invalid_argument if their sizes do not fit
  /// each other, or if the rows are centered and codes not z-normalized, or rounded, or the other way round.
  KroneckerEmbedding(const DynamicEncoder& encoder, TokenBytes token_bytes, ProjectionRows<Scalar> rows)
      : encoder_(encoder), token_bytes_(std::move(token_bytes)), learned_(encoder, std::move(rows)) {
    if (token_bytes_.pos_dim() != encoder.pos_dim() || token_bytes_.char_dim() != encoder.char_dim())
      detail::fail<std::invalid_argument>(
          "token bytes of char_dim ", token_bytes_.char_dim(), " and pos_dim ", token_bytes_.pos_dim(),
          " do not fit the encoder's ", encoder.char_dim(), " and ", encoder.pos_dim());
  }

  TokenId vocab_size() const noexcept { return token_bytes_.size(); }       ///< Number of tokens, V.
  int d_model() const noexcept { return learned_.d_model(); }               ///< Length of an embedding.
  const DynamicEncoder& encoder() const& noexcept { return encoder_; }      ///< Decides the codes.
  const TokenBytes& token_bytes() const& noexcept { return token_bytes_; }  ///< Copies share it.
  /// Centered if z-normalizing. Copies share it.
  const ProjectionRows<Scalar>& rows() const& noexcept { return learned_.rows(); }
  /// The rows that some tokens have of their own, if there are any. Copies share them.
  const std::optional<OwnRows<Scalar>>& own_rows() const& noexcept { return learned_.own_rows(); }
  /// Of rounded codes, one row for each length, (pos_dim + 1, d_model), which takes the place of the code's
  /// mean (length_rows.hpp); of others, empty.
  const SharedArray<float>& length_rows() const& noexcept { return learned_.length_rows(); }
  SharedArray<float> length_rows() const&& noexcept { return learned_.length_rows(); }  ///< Shares them.
  /// The norm that follows, if there is one. Copies share its weight.
  const std::optional<EmbeddingNorm>& norm() const& noexcept { return learned_.norm(); }
  DynamicEncoder encoder() const&& noexcept { return encoder_; }                    ///< A copy.
  std::optional<EmbeddingNorm> norm() const&& noexcept { return learned_.norm(); }  ///< Shares it.
  std::optional<OwnRows<Scalar>> own_rows() const&& noexcept {
    return learned_.own_rows();
  }                                                                           ///< Shares them.
  TokenBytes token_bytes() const&& noexcept { return token_bytes_; }          ///< Shares it.
  ProjectionRows<Scalar> rows() const&& noexcept { return learned_.rows(); }  ///< Shares them.

  /// The embeddings of N tokens, (N, d_model); zeros for a token without bytes, its own row for a token that
  /// has one. Tokens are ids of any integer type, `forward({464, 2068})`, or byte strings among them,
  /// `forward({464, " unfox"})`: a string's embedding is that of `embed`. Throws std::out_of_range if an id
  /// is negative or not less than V, naming it and its index, std::invalid_argument if a string has a byte
  /// outside the alphabet. O(N * d_model * bytes per token).
  RowMajorMatrix<float> forward(TokenSequence tokens) const {
    detail::check_tokens(token_bytes_, tokens);
    RowMajorMatrix<float> out(static_cast<Eigen::Index>(tokens.size()), d_model());
    learned_.template write<float>(token_bytes_, tokens, 1, {out.data(), row_size(), false});
    return out;
  }

  /// The same into `out`, without allocating, rounded to its type, to nearest even. Throws
  /// std::invalid_argument besides if `out` does not hold (N - 1) * stride + d_model numbers (without a
  /// stride: exactly N * d_model), if the stride is below d_model or the gain not finite. On an error nothing
  /// is written.
  void forward(TokenSequence tokens, Outputs<float> out, ForwardOptions options = {}) const {
    forward_into(tokens, out, options);
  }
  void forward(TokenSequence tokens, Outputs<Eigen::bfloat16> out, ForwardOptions options = {}) const {
    forward_into(tokens, out, options);
  }  ///< To bfloat16.
  void forward(TokenSequence tokens, Outputs<Eigen::half> out, ForwardOptions options = {}) const {
    forward_into(tokens, out, options);
  }  ///< To float16.

  /// The embeddings of one sequence in which some positions take other bytes than their token's: at position
  /// p stands embed(overrides[p]). The ids there must be in range all the same. Throws std::out_of_range if a
  /// position is not less than N besides what `forward` throws.
  RowMajorMatrix<float> forward(TokenSequence tokens,
                                const std::map<std::size_t, std::string>& overrides) const {
    detail::check_tokens(token_bytes_, tokens);
    std::vector<TokenOrBytes> sequence = tokens.to_mixed();
    for (const auto& [position, bytes] : overrides) {
      if (position >= sequence.size())
        detail::fail<std::out_of_range>("override position ", position, " is past the end of the ",
                                        sequence.size(), " tokens");
      sequence[position] = bytes;
    }
    return forward(sequence);
  }

  /// The embedding of any bytes, in the vocabulary or not, (d_model): the same bits as `forward` for a token
  /// with these bytes and without a row of its own; zeros for none. Truncates like the encoder. Throws
  /// std::invalid_argument if a byte is outside the alphabet.
  Eigen::VectorXf embed(std::string_view bytes) const {
    Eigen::VectorXf out(d_model());
    embed(bytes, out);
    return out;
  }

  /// The same into `out`, as `forward` does for one token.
  void embed(std::string_view bytes, Outputs<float> out, ForwardOptions options = {}) const {
    embed_into(bytes, out, options);
  }
  void embed(std::string_view bytes, Outputs<Eigen::bfloat16> out, ForwardOptions options = {}) const {
    embed_into(bytes, out, options);
  }  ///< To bfloat16.
  void embed(std::string_view bytes, Outputs<Eigen::half> out, ForwardOptions options = {}) const {
    embed_into(bytes, out, options);
  }  ///< To float16.

  /// The embeddings of all tokens, (V, d_model): the ordinary table that this replaces.
  RowMajorMatrix<float> table() const { return forward(TokenSequence::in_order(0, vocab_size())); }

  /// The rows of the cells as weights again: centered if z-normalizing, as they were learned if not.
  LearnedProjection projection() const { return rows().to_projection(); }

  /// The same embedding with rows of another type, to which they are rounded. Shares the token bytes, and the
  /// rows if the type is the same. Throws std::invalid_argument if a weight is beyond the range of Other. O(D
  /// * d_model).
  template <class Other>
  KroneckerEmbedding<Other> cast() const {
    KroneckerEmbedding<Other> other(encoder_, token_bytes_, rows().template cast<Other>());
    if (own_rows()) other.learned_.set_own_rows(own_rows()->template cast<Other>());
    other.learned_.set_norm(norm());
    return other;
  }

  /// The same embedding with rows of their own for some tokens, in the place of those that it had: of
  /// `values`, (ids, d_model), rounded to Scalar, row i becomes the embedding of ids[i]. All other tokens,
  /// and all strings, go by their bytes. No ids take all own rows away. Throws std::out_of_range if an id is
  /// outside the vocabulary, std::invalid_argument if one is there twice, if a string is among them, if there
  /// are not as many rows, or if a number is NaN, infinite or beyond the range of Scalar.
  /// O(V / 64 + ids * d_model).
  KroneckerEmbedding with_own_rows(TokenSequence ids, Inputs values) const {
    detail::check_own_ids(ids, values.size(), d_model());
    std::optional<OwnRows<Scalar>> rows;
    if (ids.size() > 0) rows.emplace(detail::own_rows<Scalar>(vocab_size(), ids, values, d_model()));
    return with_own_rows(std::move(rows));
  }
  /// The same, with rows as they are stored, which it shares. Throws std::invalid_argument if they are of
  /// another d_model, or made for a vocabulary of another size.
  KroneckerEmbedding with_own_rows(std::optional<OwnRows<Scalar>> rows) const {
    if (rows) detail::check_own_rows(*rows, vocab_size(), d_model());
    KroneckerEmbedding other = *this;
    other.learned_.set_own_rows(std::move(rows));
    return other;
  }

  /// The same embedding followed by a norm with the learned `weight`, (d_model), in the place of the one that
  /// it had: out = e / sqrt(mean(e^2) + epsilon) * weight, for every token and string, rows of their own too.
  /// Throws std::invalid_argument if the weight is of another size, if a number is not finite or epsilon
  /// negative.
  KroneckerEmbedding with_norm(Inputs weight, float epsilon) const {
    return with_norm(EmbeddingNorm(weight, epsilon));
  }
  /// The same, with a norm that it shares, or none.
  KroneckerEmbedding with_norm(std::optional<EmbeddingNorm> norm) const {
    KroneckerEmbedding other = *this;
    other.learned_.set_norm(std::move(norm));
    return other;
  }

  /// The embedding of another vocabulary by the same rows, which it shares: the same bits for tokens with the
  /// same bytes. Tokens keep their own rows. Throws std::invalid_argument if a token has a byte outside the
  /// alphabet, or if an id that has a row of its own has other bytes there or none. O(V * pos_dim).
  KroneckerEmbedding with_vocabulary(const Vocabulary& vocabulary) const {
    KroneckerEmbedding other = *this;
    other.token_bytes_ = TokenBytes(vocabulary, encoder_);
    if (!own_rows()) return other;
    detail::check_same_tokens(own_rows()->tokens(), token_bytes_, other.token_bytes_);
    const OwnTokens tokens(other.vocab_size(), own_rows()->tokens().shared_ids());
    return other.with_own_rows(OwnRows<Scalar>(tokens, own_rows()->rows()));
  }

  /// Lets `change(std::span<float>)` write to the rows, (D, d_model), as an optimizer does, and centers them
  /// again if z-normalizing. Copies of this embedding keep their rows: shared or mapped ones are copied
  /// first. No other thread may use this embedding meanwhile. Throws std::invalid_argument if a weight is not
  /// finite then, naming its cell: the rows hold what was written. O(D * d_model).
  template <class Change>
  void update_rows(Change&& change) {
    learned_.update(encoder_, std::forward<Change>(change));
  }

  /// The same for the rows of their own, (own rows, d_model), which nothing centers; does nothing if there
  /// are none.
  template <class Change>
  void update_own_rows(Change&& change) {
    learned_.update_own_rows(std::forward<Change>(change));
  }
  /// The same for the norm's weight, (d_model); does nothing if there is no norm.
  template <class Change>
  void update_norm(Change&& change) {
    learned_.update_norm(std::forward<Change>(change));
  }

  /// Number of tokens longer than pos_dim bytes.
  TokenId truncated_tokens() const noexcept { return token_bytes_.truncated(); }

  /// Size in bytes of what replaces the table: V * (pos_dim + 1). It grows with V, the rows do not.
  std::size_t token_bytes_memory() const noexcept { return token_bytes_.memory(); }

 private:
  template <class>
  friend class KroneckerEmbedding;

  static ProjectionRows<Scalar> rows_for(const DynamicEncoder& encoder, const LearnedProjection& projection) {
    detail::check_code_dim(encoder, projection.code_dim());
    return ProjectionRows<Scalar>(projection, encoder.centers_rows());
  }

  std::size_t row_size() const noexcept { return static_cast<std::size_t>(d_model()); }

  /// The stride of an output of `size` numbers for `count` tokens.
  std::size_t checked_stride(std::size_t size, std::size_t count, std::size_t stride) const {
    const bool has_gaps = stride != 0;
    if (!has_gaps) stride = row_size();
    if (stride < row_size())
      detail::fail<std::invalid_argument>("a stride of ", stride, " is below d_model ", d_model());
    const bool fits = has_gaps
                          ? count == 0 || (size >= row_size() && (size - row_size()) / stride >= count - 1)
                          : size / row_size() == count && size % row_size() == 0;
    if (!fits)
      detail::fail<std::invalid_argument>("an output of ", size, " numbers does not fit ", count,
                                          " tokens of d_model ", d_model(), ": it takes ",
                                          count == 0 ? 0 : (count - 1) * stride + row_size());
    return stride;
  }

  template <class Out>
  void forward_into(const TokenSequence& tokens, Outputs<Out> out, const ForwardOptions& options) const {
    detail::check_tokens(token_bytes_, tokens);
    const std::size_t stride = checked_stride(out.size(), tokens.size(), options.stride);
    learned_.template write<Out>(token_bytes_, tokens, options.gain,
                                 {out.data(), stride, options.accumulate});
  }

  template <class Out>
  void embed_into(std::string_view bytes, Outputs<Out> out, const ForwardOptions& options) const {
    bytes = encoder_.truncate(bytes);
    detail::check_alphabet(bytes, encoder_.char_dim());
    const std::size_t stride = checked_stride(out.size(), 1, options.stride);
    const auto length = static_cast<std::uint8_t>(bytes.size());
    const TokenId first = 0;
    const kernels::Tokens token{reinterpret_cast<const std::uint8_t*>(bytes.data()), &length, nullptr, &first,
                                1};
    learned_.template write<Out>(token, options.gain, {out.data(), stride, options.accumulate});
  }

  DynamicEncoder encoder_;
  TokenBytes token_bytes_;
  detail::LearnedRows<Scalar> learned_;
};

/// Rows are floats, unless the type says otherwise.
KroneckerEmbedding(const DynamicEncoder&, const Vocabulary&, const LearnedProjection&)
    ->KroneckerEmbedding<float>;

}  // namespace KRONECKER_NAMESPACE
