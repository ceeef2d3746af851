#pragma once

/// The gradient of a loss with respect to the projection, for embeddings and tied heads.
///
/// It is the mirror image of the forward pass: each token adds a_L times its output's gradient to the rows
/// that it lights. z-normalisation subtracts from a code its mean, so the gradient of the learned weights is
/// that minus the mean of all D rows. Subtracting commutes with adding: sums are kept as they come, and
/// centred when they are read.

#include <kronecker/embedding.hpp>
#include <kronecker/error.hpp>
#include <kronecker/head.hpp>
#include <kronecker/kernels/instruction_set.hpp>
#include <kronecker/kernels/row_products.hpp>
#include <kronecker/kernels/scatter_add.hpp>
#include <kronecker/namespace.hpp>
#include <kronecker/projection.hpp>
#include <kronecker/rows.hpp>
#include <kronecker/types.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <numeric>
#include <span>
#include <vector>

namespace KRONECKER_NAMESPACE {

/// Some of the d_model columns. A thread that takes one range of them, for all tokens, makes the same bits as
/// one that takes all; threads may take disjoint ranges of one gradient at the same time.
struct ColumnRange {
  int begin = 0;                                ///< The first column.
  int end = (std::numeric_limits<int>::max)();  ///< The one after the last; cut to d_model.
};

/// A sum of gradients with respect to a projection, in float32, (D, d_model).
class ProjectionGradient {
 public:
  /// Zeros, for a projection of these sizes; `is_centred` says whether codes are z-normalised. Throws
  /// std::invalid_argument if a size is not positive.
  ProjectionGradient(int d_model, int code_dim, bool is_centred)
      : d_model_(d_model), code_dim_(code_dim), is_centred_(is_centred) {
    if (d_model < 1 || code_dim < 1)
      detail::fail<std::invalid_argument>("a gradient of ", d_model, " x ", code_dim, " has no values");
    rows_.resize(static_cast<std::size_t>(d_model) * static_cast<std::size_t>(code_dim));
  }

  int d_model() const noexcept { return d_model_; }    ///< Length of a row.
  int code_dim() const noexcept { return code_dim_; }  ///< Number of rows, D.
  bool is_centred() const noexcept {
    return is_centred_;
  }  ///< Whether reading it subtracts the mean of all rows.

  /// The sums as they came, (D, d_model), before the mean is subtracted.
  std::span<float> rows() noexcept { return rows_; }
  std::span<const float> rows() const noexcept { return rows_; }  ///< The same, to read.

  /// Zeros again.
  void clear() noexcept { std::fill(rows_.begin(), rows_.end(), 0.0f); }

  /// Multiplies every value, for example to average micro-batches.
  void scale(float factor) noexcept {
    for (float& value : rows_) value *= factor;
  }

  /// The Euclidean norm of the gradient (centred, if it is). O(D * d_model).
  double norm() const {
    const auto mean = is_centred_ ? detail::mean_row(rows_, d_model_)
                                  : std::vector<double>(static_cast<std::size_t>(d_model_), 0.0);
    double sum = 0;
    for (std::size_t i = 0; i < rows_.size(); i += mean.size())
      for (std::size_t column = 0; column < mean.size(); ++column) {
        const double value = rows_[i + column] - mean[column];
        sum += value * value;
      }
    return std::sqrt(sum);
  }

  /// The gradient of W, (d_model, D), as PyTorch's autograd gives it. O(D * d_model).
  RowMajorMatrix<float> to_torch() const {
    const auto sums = LearnedProjection::make(d_model_, code_dim_, [this](std::span<float> rows) {
      std::copy(rows_.begin(), rows_.end(), rows.begin());
    });
    return (is_centred_ ? detail::centred(sums) : sums).to_torch();
  }

 private:
  int d_model_;
  int code_dim_;
  bool is_centred_;
  std::vector<float> rows_;
};

/// Zeros, one value for each weight of the projection of `embedding`.
template <class Encoder, class Scalar>
ProjectionGradient gradient(const KroneckerEmbedding<Encoder, Scalar>& embedding) {
  return {embedding.d_model(), embedding.encoder().code_dim(), embedding.encoder().options().z_normalize};
}

namespace detail {

template <class Encoder, class Scalar>
void check_gradient(const KroneckerEmbedding<Encoder, Scalar>& embedding,
                    const ProjectionGradient& gradient) {
  if (gradient.d_model() != embedding.d_model() || gradient.code_dim() != embedding.encoder().code_dim() ||
      gradient.is_centred() != embedding.encoder().options().z_normalize)
    fail<std::invalid_argument>("a gradient of ", gradient.d_model(), " x ", gradient.code_dim(),
                                gradient.is_centred() ? ", centred," : ", not centred,",
                                " does not fit the embedding of ", embedding.d_model(), " x ",
                                embedding.encoder().code_dim());
}

inline void check_float_count(std::string_view what, std::size_t found, std::size_t expected) {
  if (found != expected) fail<std::invalid_argument>(what, " has ", found, " floats instead of ", expected);
}

inline kernels::GradientRows gradient_rows(ProjectionGradient& gradient, int pos_dim, ColumnRange columns) {
  if (columns.begin < 0 || columns.begin > columns.end || columns.begin > gradient.d_model())
    fail<std::out_of_range>("columns ", columns.begin, " to ", columns.end, " are no range of d_model ",
                            gradient.d_model());
  return {gradient.rows().data(), static_cast<std::size_t>(gradient.d_model()),
          static_cast<std::size_t>(pos_dim), static_cast<std::size_t>(columns.begin),
          static_cast<std::size_t>((std::min)(columns.end, gradient.d_model()))};
}

}  // namespace detail

/// Adds to `gradient` what `forward(ids)` contributes, given the gradient of the loss with respect to its
/// output, `grad_out` of (N, d_model). The same bits on every CPU, and whichever way the columns are split
/// among threads. Throws std::out_of_range if an id or the columns are out of range, std::invalid_argument if
/// a size does not fit; nothing is added then. O(N * columns * bytes per token).
template <class Encoder, class Scalar>
void accumulate_gradient(const KroneckerEmbedding<Encoder, Scalar>& embedding, std::span<const TokenId> ids,
                         std::span<const float> grad_out, ProjectionGradient& gradient,
                         ColumnRange columns = {}) {
  detail::check_gradient(embedding, gradient);
  embedding.check_ids(ids);
  detail::check_float_count("the gradient of the output", grad_out.size(),
                            ids.size() * static_cast<std::size_t>(embedding.d_model()));
  kernels::scatter_add(kernels::instruction_set(), embedding.view(ids), grad_out.data(),
                       detail::gradient_rows(gradient, embedding.encoder().pos_dim(), columns));
}

/// Adds to `gradient` what `head.logits(hidden)` contributes, and to `grad_hidden`, (N, d_model), the
/// gradient of the hidden states, given the gradient of the loss with respect to the logits, `grad_logits` of
/// (N, V). The gradient of the gain is (hidden . grad_hidden) / gain. The same bits on the same machine and
/// build, whichever way the columns are split among threads. Throws std::invalid_argument if a size does not
/// fit, std::out_of_range if the columns do not; nothing is added then. O(N * (V * bytes per token + columns
/// * reached cells)).
template <class Encoder>
void accumulate_gradient(const KroneckerHead<Encoder, float>& head, std::span<const float> hidden,
                         std::span<const float> grad_logits, ProjectionGradient& gradient,
                         std::span<float> grad_hidden, ColumnRange columns = {}) {
  const auto& embedding = head.embedding();
  const auto width = static_cast<std::size_t>(head.d_model());
  const auto vocabulary = static_cast<std::size_t>(head.vocab_size());
  const std::size_t count = hidden.size() / width;
  detail::check_gradient(embedding, gradient);
  detail::check_float_count("the hidden states", hidden.size(), count * width);
  detail::check_float_count("the gradient of the logits", grad_logits.size(), count * vocabulary);
  detail::check_float_count("the gradient of the hidden states", grad_hidden.size(), hidden.size());
  const kernels::GradientRows rows = detail::gradient_rows(gradient, embedding.encoder().pos_dim(), columns);

  // The gradient of q, for some hidden states at a time: the same scatter, with hidden states as columns.
  constexpr std::size_t hidden_at_once = 64, tokens_at_once = 256;
  const std::span<const std::uint32_t> cells = head.cells();
  std::vector<float> of_all_cells, of_cells(cells.size() * hidden_at_once),
      by_token(tokens_at_once * hidden_at_once);
  std::vector<TokenId> ids(vocabulary);
  std::iota(ids.begin(), ids.end(), TokenId{0});
  kernels::Tokens tokens = embedding.view(ids);
  tokens.scales = head.scales().data();
  for (std::size_t first = 0; first < count; first += hidden_at_once) {
    const std::size_t states = (std::min)(hidden_at_once, count - first);
    of_all_cells.assign(static_cast<std::size_t>(gradient.code_dim()) * states, 0.0f);
    for (std::size_t token = 0; token < vocabulary; token += tokens_at_once) {
      tokens.ids = ids.data() + token;
      tokens.count = (std::min)(tokens_at_once, vocabulary - token);
      for (std::size_t n = 0; n < states; ++n)
        for (std::size_t i = 0; i < tokens.count; ++i)
          by_token[i * states + n] = grad_logits[(first + n) * vocabulary + token + i];
      kernels::scatter_add(kernels::instruction_set(), tokens, by_token.data(),
                           {of_all_cells.data(), states, rows.pos_dim, 0, states});
    }
    for (std::size_t i = 0; i < cells.size(); ++i)
      std::copy_n(of_all_cells.begin() + static_cast<std::ptrdiff_t>(cells[i] * states), states,
                  of_cells.begin() + static_cast<std::ptrdiff_t>(i * states));
    const float* states_hidden = hidden.data() + first * width;
    kernels::add_multiples(kernels::instruction_set(),
                           {rows.values, cells.data(), cells.size(), states_hidden, nullptr, states,
                            of_cells.data(), states, 1, width, rows.first_column, rows.end_column});
    kernels::add_multiples(
        kernels::instruction_set(),
        {grad_hidden.data() + first * width, nullptr, states, embedding.rows().values().data(), cells.data(),
         cells.size(), of_cells.data(), 1, states, width, rows.first_column, rows.end_column});
  }
}

}  // namespace KRONECKER_NAMESPACE
