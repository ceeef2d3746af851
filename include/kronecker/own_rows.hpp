#pragma once

/// Rows of their own: learned vectors for some tokens, which take the place of what their bytes would give.
///
/// Special tokens mean something that their bytes do not say, and the most frequent tokens are worth more
/// numbers than their share of a projection. All other tokens, and all strings, go by the code.

#include <kronecker/error.hpp>
#include <kronecker/kernels/row_type.hpp>
#include <kronecker/namespace.hpp>
#include <kronecker/projection.hpp>
#include <kronecker/rows.hpp>
#include <kronecker/shared_array.hpp>
#include <kronecker/token_bytes.hpp>
#include <kronecker/token_sequence.hpp>
#include <kronecker/types.hpp>
#include <kronecker/views.hpp>

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <optional>
#include <span>
#include <stdexcept>
#include <type_traits>
#include <utility>
#include <vector>

namespace KRONECKER_NAMESPACE {

/// Which tokens of a vocabulary have rows of their own, and in which order the rows lie: that of the ids.
/// Immutable; copies share the ids. Takes a quarter of a byte for each token of the vocabulary, and 4 bytes
/// for each of these.
class OwnTokens {
 public:
  /// The tokens `ids`, ascending, of a vocabulary of `vocab_size`. Throws std::out_of_range if an id is
  /// negative or not less than that, std::invalid_argument if one is not greater than the one before, naming
  /// it and its index. O(V / 64 + ids).
  OwnTokens(TokenId vocab_size, SharedArray<TokenId> ids) : vocab_size_(vocab_size), ids_(std::move(ids)) {
    for (std::size_t i = 0; i < ids_.size(); ++i) {
      if (ids_[i] < 0 || ids_[i] >= vocab_size)
        detail::fail<std::out_of_range>("own row ", i, " is for token id ", ids_[i],
                                        ", outside the vocabulary of ", vocab_size, " tokens");
      if (i > 0 && ids_[i] <= ids_[i - 1])
        detail::fail<std::invalid_argument>("own rows ", i - 1, " and ", i, " are for token ids ",
                                            ids_[i - 1], " and ", ids_[i], ", which do not ascend");
    }
    const std::size_t words = static_cast<std::size_t>(vocab_size) / 64 + 1;
    found_ = SharedArray<kernels::OwnRowsOf64>::make(words, [&](std::span<kernels::OwnRowsOf64> found) {
      std::fill(found.begin(), found.end(), kernels::OwnRowsOf64{});
      for (const TokenId id : ids_.span())
        found[static_cast<std::size_t>(id) / 64].bits |= std::uint64_t{1} << id % 64;
      std::uint32_t before = 0;
      for (kernels::OwnRowsOf64& of_64 : found) {
        of_64.before = before;
        before += static_cast<std::uint32_t>(std::popcount(of_64.bits));
      }
    });
  }

  TokenId vocab_size() const noexcept { return vocab_size_; }             ///< Of the whole vocabulary, V.
  std::size_t size() const noexcept { return ids_.size(); }               ///< How many.
  std::span<const TokenId> ids() const& noexcept { return ids_.span(); }  ///< Which, ascending.
  std::span<const TokenId> ids() const&& = delete;

  /// The same ids. Copies share them.
  const SharedArray<TokenId>& shared_ids() const& noexcept { return ids_; }
  SharedArray<TokenId> shared_ids() const&& noexcept { return ids_; }  ///< Shares them.

  /// The number of the row of token `id`, which must be of the vocabulary; nothing if it has none. O(1).
  std::optional<std::size_t> find(TokenId id) const noexcept {
    const std::uint32_t row = kernels::own_row_of(found_.data(), static_cast<std::size_t>(id));
    if (row == kernels::no_own_row) return std::nullopt;
    return row;
  }

  /// As the kernels look them up. Valid as long as this.
  const kernels::OwnRowsOf64* found() const& noexcept { return found_.data(); }
  const kernels::OwnRowsOf64* found() const&& = delete;

  /// Whether both are the same ids.
  bool operator==(const OwnTokens& other) const noexcept {
    const std::span<const TokenId> ids = ids_.span(), others = other.ids_.span();
    return ids.data() == others.data() || std::equal(ids.begin(), ids.end(), others.begin(), others.end());
  }

 private:
  TokenId vocab_size_;
  SharedArray<TokenId> ids_;
  SharedArray<kernels::OwnRowsOf64> found_;
};

/// The rows of some tokens, (tokens, d_model), stored as a projection's rows are; int8 rows have scales of
/// columns of their own. Copies share them.
template <class Scalar>
class OwnRows {
 public:
  /// Rounds `values`, row i that of token `tokens.ids()[i]`, to Scalar. Throws std::invalid_argument if there
  /// is no token, if there are not as many rows, or if a number is NaN, infinite or beyond the range of
  /// Scalar. O(rows * d_model).
  OwnRows(OwnTokens tokens, const LearnedProjection& values)
      : OwnRows(std::move(tokens), ProjectionRows<Scalar>(values, false)) {}

  /// Shares rows that are as they are stored. Throws std::invalid_argument if there are not as many as
  /// tokens.
  OwnRows(OwnTokens tokens, ProjectionRows<Scalar> rows)
      : tokens_(std::move(tokens)), rows_(std::move(rows)) {
    if (static_cast<std::size_t>(rows_.code_dim()) != tokens_.size())
      detail::fail<std::invalid_argument>(rows_.code_dim(), " own rows do not fit ", tokens_.size(),
                                          " tokens");
  }

  std::size_t size() const noexcept { return tokens_.size(); }            ///< How many.
  int d_model() const noexcept { return rows_.d_model(); }                ///< Length of a row.
  const OwnTokens& tokens() const& noexcept { return tokens_; }           ///< Whose they are.
  const ProjectionRows<Scalar>& rows() const& noexcept { return rows_; }  ///< (tokens, d_model)
  OwnTokens tokens() const&& noexcept { return tokens_; }                 ///< A copy.
  ProjectionRows<Scalar> rows() const&& noexcept { return rows_; }        ///< Shares them.

  /// The same rows, rounded to another type.
  template <class Other>
  OwnRows<Other> cast() const {
    return {tokens_, rows_.template cast<Other>()};
  }

  /// As ProjectionRows::update; nothing is centered.
  template <class Change>
  void update(Change&& change) requires std::is_same_v<Scalar, float> {
    rows_.update(std::forward<Change>(change));
  }

  /// As the kernels take them, times `gain`. Valid as long as this.
  kernels::OwnRows view(float gain) const noexcept {
    return {tokens_.found(), rows_.values().data(), rows_.column_scales().data(), gain};
  }

 private:
  OwnTokens tokens_;
  ProjectionRows<Scalar> rows_;
};

namespace detail {

/// Refuses ids and values that are no rows of their own.
inline void check_own_ids(const TokenSequence& ids, std::size_t values, int d_model) {
  if (ids.mixed() != nullptr)
    fail<std::invalid_argument>("rows of their own are for token ids, not for byte strings");
  const auto columns = static_cast<std::size_t>(d_model);
  if (values % columns != 0 || values / columns != ids.size())
    fail<std::invalid_argument>(values, " numbers are not ", ids.size(), " own rows of d_model ", d_model);
}

/// Throws std::invalid_argument if rows are of a vocabulary of another size or of another d_model.
template <class Scalar>
void check_own_rows(const OwnRows<Scalar>& rows, TokenId vocab_size, int d_model) {
  if (rows.d_model() != d_model)
    fail<std::invalid_argument>("own rows of d_model ", rows.d_model(), " do not fit an embedding of ",
                                d_model);
  if (rows.tokens().vocab_size() != vocab_size)
    fail<std::invalid_argument>("own rows for a vocabulary of ", rows.tokens().vocab_size(),
                                " tokens do not fit an embedding of ", vocab_size);
}

/// Throws std::invalid_argument if a token has other bytes in `after` than in `before`.
inline void check_same_tokens(const OwnTokens& tokens, const TokenBytes& before, const TokenBytes& after) {
  for (const TokenId id : tokens.ids()) {
    const auto i = static_cast<std::size_t>(id);
    if (id >= after.size() || before.bytes_of(i) != after.bytes_of(i))
      fail<std::invalid_argument>("token id ", id,
                                  " has a row of its own, and other bytes or none in the new ",
                                  "vocabulary of ", after.size(), " tokens");
  }
}

/// The rows `values` of `ids`, which were checked, in the order of the ids.
template <class Scalar>
OwnRows<Scalar> own_rows(TokenId vocab_size, const TokenSequence& ids, Inputs values, int d_model) {
  std::vector<TokenId> given(ids.size());
  ids.copy_ids(0, given);
  std::vector<std::size_t> order(given.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return given[a] < given[b]; });
  for (std::size_t i = 0; i < order.size(); ++i) {
    const TokenId id = given[order[i]];
    if (id < 0 || id >= vocab_size)
      fail<std::out_of_range>("token id ", ids.id_text(order[i]), " at index ", order[i],
                              " is outside the vocabulary of ", vocab_size, " tokens");
    if (i > 0 && id == given[order[i - 1]])
      fail<std::invalid_argument>("token id ", id, " is given two rows of its own, at indexes ", order[i - 1],
                                  " and ", order[i]);
  }
  const auto columns = static_cast<std::size_t>(d_model);
  const std::span<const float> numbers = values.span();
  if (const std::size_t at = first_not_finite(numbers); at < numbers.size())
    fail<std::invalid_argument>("the own row of token id ", given[at / columns], " has the value ",
                                numbers[at], " at ", at % columns, ": it must be finite");
  const auto sorted = SharedArray<TokenId>::make(order.size(), [&](std::span<TokenId> ascending) {
    for (std::size_t i = 0; i < order.size(); ++i) ascending[i] = given[order[i]];
  });
  const auto rows =
      LearnedProjection::make(d_model, static_cast<int>(order.size()), [&](std::span<float> floats) {
        for (std::size_t i = 0; i < order.size(); ++i)
          std::copy_n(numbers.data() + order[i] * columns, columns, floats.data() + i * columns);
      });
  return {OwnTokens(vocab_size, sorted), rows};
}

}  // namespace detail
}  // namespace KRONECKER_NAMESPACE
