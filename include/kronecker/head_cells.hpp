#pragma once

/// The first half of an output head: which rows of an embedding its logits are made of, and their products
/// with hidden states.
///
/// They are the rows of the cells that tokens light, the rows of their own that tokens have, and, if codes
/// are rounded, those of the lengths. All are numbered as cells: own row i is cell D + i, and the row of
/// length L comes L after those.

#include <kronecker/cell.hpp>
#include <kronecker/embedding.hpp>
#include <kronecker/error.hpp>
#include <kronecker/kernels/instruction_set.hpp>
#include <kronecker/kernels/row_products.hpp>
#include <kronecker/kernels/row_type.hpp>
#include <kronecker/namespace.hpp>
#include <kronecker/own_rows.hpp>
#include <kronecker/rows.hpp>
#include <kronecker/token_bytes.hpp>
#include <kronecker/token_sequence.hpp>
#include <kronecker/types.hpp>
#include <kronecker/utf8.hpp>
#include <kronecker/views.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <optional>
#include <span>
#include <stdexcept>
#include <string_view>
#include <variant>
#include <vector>

namespace KRONECKER_NAMESPACE::detail {

/// What a vocabulary, and the ids that have rows of their own, decide of the products. Those of a cell with
/// `count` hidden states lie `stride` apart.
class HeadCells {
 public:
  /// O(V * pos_dim + D).
  template <class Scalar>
  explicit HeadCells(const KroneckerEmbedding<Scalar>& embedding)
      : pos_dim_(static_cast<std::size_t>(embedding.encoder().pos_dim())),
        code_dim_(static_cast<std::size_t>(embedding.encoder().code_dim())),
        cells_(embedding.token_bytes().reached_cells()),
        reached_count_(cells_.size()),
        length_count_(embedding.encoder().has_length_rows() ? pos_dim_ + 1 : 0) {
    if (embedding.own_rows()) own_ = embedding.own_rows()->tokens();
    cells_.resize(reached_count_ + own_count() + length_count_);
    std::iota(cells_.begin() + static_cast<std::ptrdiff_t>(reached_count_), cells_.end(),
              static_cast<std::uint32_t>(code_dim_));
  }

  std::size_t code_dim() const noexcept { return code_dim_; }  ///< D.
  /// Those that take part, ascending: all own rows and lengths, and of the D cells the ones that a token
  /// lights.
  std::span<const std::uint32_t> cells() const noexcept { return cells_; }
  /// Of all numbers, whether they take part or not.
  std::size_t count() const noexcept { return code_dim_ + own_count() + length_count_; }
  /// The tokens that have rows of their own.
  const std::optional<OwnTokens>& own_tokens() const noexcept { return own_; }
  std::size_t own_count() const noexcept { return own_ ? own_->size() : 0; }  ///< How many.

  bool has_own_row(std::size_t id) const noexcept { return own_ && own_->find(static_cast<TokenId>(id)); }

  /// Throws std::invalid_argument if a string of a sequence lights a cell that no token lights: there is no
  /// product of it. O(bytes of the strings * log cells).
  void check_reached(const TokenSequence& tokens) const {
    const auto reached = cells().first(reached_count_);
    for (std::size_t i = 0; tokens.mixed() != nullptr && i < tokens.size(); ++i) {
      const auto* const string = std::get_if<std::string_view>(&tokens.mixed()[i]);
      if (string == nullptr) continue;
      const std::string_view bytes = utf8_safe_prefix(*string, pos_dim_);
      for (std::size_t p = 0; p < bytes.size(); ++p) {
        const auto byte = static_cast<unsigned char>(bytes[p]);
        if (!std::binary_search(reached.begin(), reached.end(), cell_of(byte, p, pos_dim_)))
          fail<std::invalid_argument>("string at index ", i, ": no token has the byte ", byte,
                                      " at position ", p, ", so the head has no product for it");
      }
    }
  }

  /// Throws std::invalid_argument if other tokens of `embedding` have rows of their own.
  template <class Scalar>
  void check_own_tokens(const KroneckerEmbedding<Scalar>& embedding) const {
    const std::size_t found = embedding.own_rows() ? embedding.own_rows()->size() : 0;
    if (found != own_count() || (own_ && !(embedding.own_rows()->tokens() == *own_)))
      fail<std::invalid_argument>("the embedding's ", found,
                                  " rows of their own are not of the same tokens as the head's ",
                                  own_count());
  }

  /// The products of the rows of their own, as rows that their tokens light.
  kernels::OwnRows own_products(const float* products, std::size_t stride, float gain) const noexcept {
    return {own_ ? own_->found() : nullptr, products + code_dim_ * stride, nullptr, gain};
  }
  /// The products of the rows of the lengths; null if there are none.
  const float* length_products(const float* products, std::size_t stride) const noexcept {
    return length_count_ == 0 ? nullptr : products + (code_dim_ + own_count()) * stride;
  }

  /// Writes the products of some of `cells()` with `count` hidden states, (count, d_model). For int8 rows,
  /// the hidden states take the columns' scales: once, into `scaled`, or, if that is null, whenever they are
  /// read.
  template <class Scalar>
  void multiply(const KroneckerEmbedding<Scalar>& embedding, const float* hidden, std::size_t count,
                float* products, std::size_t stride, Range some, float* scaled) const noexcept {
    if (count == 0) return;
    const auto multiply_rows = [&](const ProjectionRows<Scalar>& of, std::size_t first_cell, Range part) {
      if (part.begin >= part.end) return;
      kernels::Rows rows = of.view(embedding.encoder().pos_dim());
      const float* vectors = hidden;
      if (scaled != nullptr && rows.column_scales != nullptr) {
        for (std::size_t i = 0; i < count * rows.d_model; ++i)
          scaled[i] = hidden[i] * rows.column_scales[i % rows.d_model];
        vectors = scaled;
        rows.column_scales = nullptr;
      }
      kernels::multiply_rows<ProjectionRows<Scalar>::type>(
          kernels::instruction_set(), rows,
          {cells_.data() + part.begin, part.size(), vectors, count, products, stride, first_cell});
    };
    const std::size_t lengths_begin = reached_count_ + own_count();
    multiply_rows(embedding.rows(), 0, {some.begin, (std::min)(some.end, reached_count_)});
    if (own_)
      multiply_rows(embedding.own_rows()->rows(), code_dim_,
                    {(std::max)(some.begin, reached_count_), (std::min)(some.end, lengths_begin)});
    for (std::size_t i = (std::max)(some.begin, lengths_begin); i < some.end; ++i)
      multiply_length_row(embedding, i - lengths_begin, hidden, count, products + cells_[i] * stride);
  }

 private:
  /// They are few, and plain loops will do.
  template <class Scalar>
  static void multiply_length_row(const KroneckerEmbedding<Scalar>& embedding, std::size_t length,
                                  const float* hidden, std::size_t count, float* products) noexcept {
    const auto width = static_cast<std::size_t>(embedding.d_model());
    const float* const row = embedding.length_rows().data() + length * width;
    const float* const scales = embedding.rows().column_scales().data();
    for (std::size_t n = 0; n < count; ++n) {
      double sum = 0;
      for (std::size_t column = 0; column < width; ++column) {
        const double weight = static_cast<double>(row[column]) *
                              (scales != nullptr ? static_cast<double>(scales[column]) : 1.0);
        sum += weight * static_cast<double>(hidden[n * width + column]);
      }
      products[n] = static_cast<float>(sum);
    }
  }

  std::size_t pos_dim_, code_dim_;
  std::vector<std::uint32_t> cells_;  // reached, then own rows, then lengths
  std::size_t reached_count_, length_count_;
  std::optional<OwnTokens> own_;
};

}  // namespace KRONECKER_NAMESPACE::detail
