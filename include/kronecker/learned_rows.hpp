#pragma once

/// All that an embedding learns, and how the vectors of tokens are made of it: sums of the rows that their
/// bytes light, the row of their length if codes are rounded, rows of their own, and a norm.

#include <kronecker/embedding_norm.hpp>
#include <kronecker/encoder.hpp>
#include <kronecker/error.hpp>
#include <kronecker/kernels/gather_norm.hpp>
#include <kronecker/kernels/gather_sum.hpp>
#include <kronecker/kernels/instruction_set.hpp>
#include <kronecker/kernels/rms_norm.hpp>
#include <kronecker/length_rows.hpp>
#include <kronecker/namespace.hpp>
#include <kronecker/out_of_line.hpp>
#include <kronecker/own_rows.hpp>
#include <kronecker/projection.hpp>
#include <kronecker/rows.hpp>
#include <kronecker/shared_array.hpp>
#include <kronecker/token_blocks.hpp>
#include <kronecker/token_bytes.hpp>
#include <kronecker/token_sequence.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>
#include <span>
#include <stdexcept>
#include <type_traits>
#include <utility>
#include <vector>

namespace KRONECKER_NAMESPACE::detail {

inline void check_code_dim(const DynamicEncoder& encoder, int code_dim) {
  if (code_dim != encoder.code_dim())
    fail<std::invalid_argument>("the projection's code_dim ", code_dim, " is not the encoder's ",
                                encoder.code_dim(), " (", encoder.char_dim(), " x ", encoder.pos_dim(), ")");
}

/// The rows of an embedding, and of its tokens' lengths, its own rows and its norm, if it has them. Copies
/// share everything.
template <class Scalar>
class LearnedRows {
 public:
  /// For the codes of `encoder`. Throws std::invalid_argument if code_dim is another, or if the rows are
  /// centered and the codes not exact and z-normalized, or the other way round. O(pos_dim), and O((D +
  /// pos_dim) * d_model) for rounded codes.
  LearnedRows(const DynamicEncoder& encoder, ProjectionRows<Scalar> rows)
      : pos_dim_(encoder.pos_dim()), rows_(std::move(rows)) {
    check_code_dim(encoder, rows_.code_dim());
    if (rows_.is_centered() != encoder.centers_rows())
      fail<std::invalid_argument>(rows_.is_centered()
                                      ? "centered rows are for codes that are z-normalized and not rounded"
                                      : "codes that are z-normalized and not rounded take centered rows");
    const std::vector<float> scales = encoder.scales();
    scales_ = SharedArray<float>::make(scales.size(), [&](std::span<float> shared) {
      std::copy(scales.begin(), scales.end(), shared.begin());
    });
    add_length_rows(encoder);
  }

  int d_model() const noexcept { return rows_.d_model(); }
  const ProjectionRows<Scalar>& rows() const noexcept { return rows_; }
  const SharedArray<float>& scales() const noexcept { return scales_; }
  /// (pos_dim + 1, d_model); empty if codes are not rounded.
  const SharedArray<float>& length_rows() const noexcept { return length_rows_; }
  const std::optional<OwnRows<Scalar>>& own_rows() const noexcept { return own_rows_; }
  const std::optional<EmbeddingNorm>& norm() const noexcept { return norm_; }

  void set_own_rows(std::optional<OwnRows<Scalar>> rows) { own_rows_ = std::move(rows); }
  /// Throws std::invalid_argument if the norm is of another d_model.
  void set_norm(std::optional<EmbeddingNorm> norm) {
    if (norm && norm->weight().size() != static_cast<std::size_t>(d_model()))
      fail<std::invalid_argument>("a norm of ", norm->weight().size(), " weights does not fit d_model ",
                                  d_model());
    norm_ = std::move(norm);
  }

  /// As ProjectionRows::update.
  template <class Change>
  void update(const DynamicEncoder& encoder, Change&& change) {
    rows_.update(std::forward<Change>(change));
    add_length_rows(encoder);
  }
  template <class Change>
  void update_own_rows(Change&& change) {
    if (own_rows_) own_rows_->update(std::forward<Change>(change));
  }
  template <class Change>
  void update_norm(Change&& change) {
    if (norm_) norm_->update(std::forward<Change>(change));
  }

  /// Writes the embeddings of a sequence, which was checked, times `gain`. Throws std::invalid_argument if
  /// that is not finite.
  template <class Out>
  void write(const TokenBytes& vocabulary, const TokenSequence& tokens, float gain,
             const kernels::Output& out) const {
    const TokenId* const ids = tokens.token_ids();
    if (ids != nullptr && gain == 1 && !own_rows_ && !norm_)  // what most callers need, and nothing else
      return sum<Out>(kernel_tokens(vocabulary, scales_.data(), ids, tokens.size()), out);
    write_with_all<Out>(vocabulary, tokens, gain, out);
  }

  /// The same for tokens as the kernels take them, whose scales do not matter.
  template <class Out>
  void write(kernels::Tokens tokens, float gain, const kernels::Output& out) const {
    tokens.scales = scales_.data();
    if (gain == 1) return write_block<Out>(tokens, gain, out);
    with_gain(gain, [&](const float* scales) {
      tokens.scales = scales;
      write_block<Out>(tokens, gain, out);
    });
  }

  /// The embeddings before the norm, of tokens as the kernels take them.
  template <class Out>
  void sum(const kernels::Tokens& tokens, const kernels::Output& out) const noexcept {
    kernels::gather_sum<ProjectionRows<Scalar>::type, row_type_of<Out>()>(kernels::instruction_set(), view(),
                                                                          tokens, out);
  }

 private:
  kernels::Rows view() const noexcept {
    kernels::Rows rows = rows_.view(pos_dim_);
    rows.length_rows = length_rows_.data();
    return rows;
  }

  void add_length_rows(const DynamicEncoder& encoder) {
    if (encoder.has_length_rows()) length_rows_ = detail::length_rows(encoder, rows_);
  }

  /// Calls `use` with a_L times the gain, for each length; without the gain if a norm follows, which takes
  /// it.
  template <class Use>
  KRONECKER_OUT_OF_LINE void with_gain(float gain, const Use& use) const {
    if (!is_finite(gain)) fail<std::invalid_argument>("the gain ", gain, " is not finite");
    if (norm_) return use(scales_.data());
    std::array<float, 256> scales;
    for (std::size_t length = 0; length < scales_.size(); ++length) scales[length] = scales_[length] * gain;
    use(scales.data());
  }

  template <class Out>
  KRONECKER_OUT_OF_LINE void write_with_all(const TokenBytes& vocabulary, const TokenSequence& tokens,
                                            float gain, const kernels::Output& out) const {
    if (gain == 1) return write_scaled<Out>(vocabulary, tokens, scales_.data(), gain, out);
    with_gain(gain, [&](const float* scales) { write_scaled<Out>(vocabulary, tokens, scales, gain, out); });
  }

  template <class Out>
  void write_scaled(const TokenBytes& vocabulary, const TokenSequence& tokens, const float* scales,
                    float gain, const kernels::Output& out) const {
    const kernels::OwnRows own = own_rows_ ? own_rows_->view(norm_ ? 1.0f : gain) : kernels::OwnRows{};
    for_each_block(
        vocabulary, scales, tokens,
        [&](const kernels::Tokens& block, std::size_t first) {
          Out* const values = static_cast<Out*>(out.values) + first * out.stride;
          write_block<Out>(block, gain, {values, out.stride, out.accumulate});
        },
        own_rows_ ? &own : nullptr);
  }

  template <class Out>
  void write_block(const kernels::Tokens& tokens, float gain, const kernels::Output& out) const {
    if (norm_) return write_normed<Out>(tokens, gain, out);
    sum<Out>(tokens, out);
  }

  /// In one sweep where that can be, else a few tokens at a time, which stay in the cache between their sum
  /// and their norm.
  template <class Out>
  KRONECKER_OUT_OF_LINE void write_normed(const kernels::Tokens& tokens, float gain,
                                          const kernels::Output& out) const {
    const auto width = static_cast<std::size_t>(d_model());
    std::array<float, 16384> on_stack;
    std::vector<float> on_heap(width > on_stack.size() ? width : 0);
    const std::span<float> sums = on_heap.empty() ? std::span<float>(on_stack) : std::span<float>(on_heap);
    const kernels::Rows rows = view();
    const kernels::NormWeights weights{norm_->weight().data(), norm_->epsilon()};
    if constexpr (std::is_same_v<Out, float>) {
      if (kernels::can_gather_norm(rows, out)) {
        return kernels::gather_norm<ProjectionRows<Scalar>::type>(kernels::instruction_set(), rows, tokens,
                                                                  weights, gain, sums.data(), out);
      }
    }
    const bool streams = kernels::pays_to_stream<row_type_of<Out>()>(rows, tokens, out);
    for (std::size_t first = 0; first < tokens.count; first += sums.size() / width) {
      kernels::Tokens some = tokens;
      some.ids += first;
      some.count = (std::min)(sums.size() / width, tokens.count - first);
      sum<float>(some, {sums.data(), width, false});
      Out* const values = static_cast<Out*>(out.values) + first * out.stride;
      kernels::rms_norm<row_type_of<Out>()>(kernels::instruction_set(), sums.data(), some.count, width,
                                            weights, gain, {values, out.stride, out.accumulate}, streams);
    }
  }

  int pos_dim_;
  ProjectionRows<Scalar> rows_;     // centered if codes are z-normalized and not rounded
  SharedArray<float> scales_;       // a_L for L = 0 .. pos_dim
  SharedArray<float> length_rows_;  // if codes are rounded
  std::optional<OwnRows<Scalar>> own_rows_;
  std::optional<EmbeddingNorm> norm_;
};

}  // namespace KRONECKER_NAMESPACE::detail
