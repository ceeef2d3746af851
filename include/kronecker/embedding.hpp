#pragma once

/// The embedding layer: what nn.Embedding is, without the table.

#include <kronecker/encoder.hpp>
#include <kronecker/error.hpp>
#include <kronecker/kernels/gather_sum.hpp>
#include <kronecker/kernels/instruction_set.hpp>
#include <kronecker/namespace.hpp>
#include <kronecker/out_of_line.hpp>
#include <kronecker/projection.hpp>
#include <kronecker/rows.hpp>
#include <kronecker/shared_array.hpp>
#include <kronecker/token_blocks.hpp>
#include <kronecker/token_bytes.hpp>
#include <kronecker/token_sequence.hpp>
#include <kronecker/types.hpp>
#include <kronecker/views.hpp>
#include <kronecker/vocabulary.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
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
  /// each other, or if the rows are centered and codes not z-normalized, or the other way round.
  KroneckerEmbedding(const DynamicEncoder& encoder, TokenBytes token_bytes, ProjectionRows<Scalar> rows)
      : encoder_(encoder),
        rows_(std::move(rows)),
        token_bytes_(std::move(token_bytes)),
        scales_(shared_scales(encoder)) {
    check_code_dim(encoder, rows_.code_dim());
    if (token_bytes_.pos_dim() != encoder.pos_dim() || token_bytes_.char_dim() != encoder.char_dim())
      detail::fail<std::invalid_argument>(
          "token bytes of char_dim ", token_bytes_.char_dim(), " and pos_dim ", token_bytes_.pos_dim(),
          " do not fit the encoder's ", encoder.char_dim(), " and ", encoder.pos_dim());
    if (rows_.is_centered() != encoder.options().z_normalize)
      detail::fail<std::invalid_argument>(rows_.is_centered()
                                              ? "centered rows are for codes that are z-normalized"
                                              : "codes that are z-normalized take centered rows");
  }

  TokenId vocab_size() const noexcept { return token_bytes_.size(); }       ///< Number of tokens, V.
  int d_model() const noexcept { return rows_.d_model(); }                  ///< Length of an embedding.
  const DynamicEncoder& encoder() const& noexcept { return encoder_; }      ///< Decides the codes.
  const TokenBytes& token_bytes() const& noexcept { return token_bytes_; }  ///< Copies share it.
  /// Centered if z-normalizing. Copies share it.
  const ProjectionRows<Scalar>& rows() const& noexcept { return rows_; }
  DynamicEncoder encoder() const&& noexcept { return encoder_; }      ///< A copy.
  TokenBytes token_bytes() const&& noexcept { return token_bytes_; }  ///< Shares it.
  ProjectionRows<Scalar> rows() const&& noexcept { return rows_; }    ///< Shares them.

  /// The embeddings of N tokens, (N, d_model); zeros for a token without bytes. Tokens are ids of any integer
  /// type, `forward({464, 2068})`, or byte strings among them, `forward({464, " unfox"})`: a string's
  /// embedding is that of `embed`. Throws std::out_of_range if an id is negative or not less than V, naming
  /// it and its index, std::invalid_argument if a string has a byte outside the alphabet. O(N * d_model *
  /// bytes per token).
  RowMajorMatrix<float> forward(TokenSequence tokens) const {
    detail::check_tokens(token_bytes_, tokens);
    RowMajorMatrix<float> out(static_cast<Eigen::Index>(tokens.size()), d_model());
    gather_sum<float>(tokens, scales_.data(), {out.data(), row_size(), false});
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
  /// with these bytes; zeros for none. Truncates like the encoder. Throws std::invalid_argument if a byte is
  /// outside the alphabet.
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

  /// The rows as weights again: centered if z-normalizing, as they were learned if not.
  LearnedProjection projection() const { return rows_.to_projection(); }

  /// The same embedding with rows of another type, to which they are rounded. Shares the token bytes, and the
  /// rows if the type is the same. Throws std::invalid_argument if a weight is beyond the range of Other. O(D
  /// * d_model).
  template <class Other>
  KroneckerEmbedding<Other> cast() const {
    return {encoder_, token_bytes_, rows_.template cast<Other>()};
  }

  /// The embedding of another vocabulary by the same rows, which it shares: the same bits for tokens with the
  /// same bytes. Throws std::invalid_argument if a token has a byte outside the alphabet. O(V * pos_dim).
  KroneckerEmbedding with_vocabulary(const Vocabulary& vocabulary) const {
    return {encoder_, TokenBytes(vocabulary, encoder_), rows_};
  }

  /// Lets `change(std::span<float>)` write to the rows, (D, d_model), as an optimizer does, and centers them
  /// again if z-normalizing. Copies of this embedding keep their rows: shared or mapped ones are copied
  /// first. No other thread may use this embedding meanwhile. Throws std::invalid_argument if a weight is not
  /// finite then, naming its cell: the rows hold what was written. O(D * d_model).
  template <class Change>
  void update_rows(Change&& change) {
    rows_.update(std::forward<Change>(change));
  }

  /// Number of tokens longer than pos_dim bytes.
  TokenId truncated_tokens() const noexcept { return token_bytes_.truncated(); }

  /// Size in bytes of what replaces the table: V * (pos_dim + 1). It grows with V, the rows do not.
  std::size_t token_bytes_memory() const noexcept { return token_bytes_.memory(); }

 private:
  static void check_code_dim(const DynamicEncoder& encoder, int code_dim) {
    if (code_dim != encoder.code_dim())
      detail::fail<std::invalid_argument>("the projection's code_dim ", code_dim, " is not the encoder's ",
                                          encoder.code_dim(), " (", encoder.char_dim(), " x ",
                                          encoder.pos_dim(), ")");
  }

  static ProjectionRows<Scalar> rows_for(const DynamicEncoder& encoder, const LearnedProjection& projection) {
    check_code_dim(encoder, projection.code_dim());
    return ProjectionRows<Scalar>(projection, encoder.options().z_normalize);
  }

  static SharedArray<float> shared_scales(const DynamicEncoder& encoder) {
    const std::vector<float> scales = encoder.scales();
    return SharedArray<float>::make(scales.size(), [&](std::span<float> shared) {
      std::copy(scales.begin(), scales.end(), shared.begin());
    });
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
    const kernels::Output output{out.data(), stride, options.accumulate};
    if (options.gain == 1) return gather_sum<Out>(tokens, scales_.data(), output);
    with_gain(options.gain, [&](const float* scales) { gather_sum<Out>(tokens, scales, output); });
  }

  template <class Out>
  void embed_into(std::string_view bytes, Outputs<Out> out, const ForwardOptions& options) const {
    bytes = encoder_.truncate(bytes);
    detail::check_alphabet(bytes, encoder_.char_dim());
    const std::size_t stride = checked_stride(out.size(), 1, options.stride);
    const kernels::Output output{out.data(), stride, options.accumulate};
    const auto length = static_cast<std::uint8_t>(bytes.size());
    const TokenId first = 0;
    kernels::Tokens token{reinterpret_cast<const std::uint8_t*>(bytes.data()), &length, scales_.data(),
                          &first, 1};
    if (options.gain == 1) return gather_sum<Out>(token, output);
    with_gain(options.gain, [&](const float* scales) {
      token.scales = scales;
      gather_sum<Out>(token, output);
    });
  }

  /// Calls `use` with a_L times the gain, for each length.
  template <class Use>
  KRONECKER_OUT_OF_LINE void with_gain(float gain, const Use& use) const {
    if (!detail::is_finite(gain)) detail::fail<std::invalid_argument>("the gain ", gain, " is not finite");
    std::array<float, 256> scales;
    for (std::size_t length = 0; length < scales_.size(); ++length) scales[length] = scales_[length] * gain;
    use(scales.data());
  }

  template <class Out>
  void gather_sum(const TokenSequence& tokens, const float* scales, const kernels::Output& out) const {
    detail::for_each_block(token_bytes_, scales, tokens,
                           [&](const kernels::Tokens& block, std::size_t first) {
                             Out* const values = static_cast<Out*>(out.values) + first * out.stride;
                             gather_sum<Out>(block, {values, out.stride, out.accumulate});
                           });
  }

  template <class Out>
  void gather_sum(const kernels::Tokens& tokens, const kernels::Output& out) const noexcept {
    kernels::gather_sum<ProjectionRows<Scalar>::type, detail::row_type_of<Out>()>(
        kernels::instruction_set(), rows_.view(encoder_.pos_dim()), tokens, out);
  }

  DynamicEncoder encoder_;
  ProjectionRows<Scalar> rows_;  // centered if z-normalizing
  TokenBytes token_bytes_;
  SharedArray<float> scales_;  // a_L for L = 0 .. pos_dim
};

/// Rows are floats, unless the type says otherwise.
KroneckerEmbedding(const DynamicEncoder&, const Vocabulary&, const LearnedProjection&)
    ->KroneckerEmbedding<float>;

}  // namespace KRONECKER_NAMESPACE
