#pragma once

/// The embedding and its gradient on arrays of someone else's: of a framework that holds the weights, and
/// changes them as it likes. Nothing is kept between calls that could be out of date.
///
/// Of a z-normalized code, what centering subtracts enters as a row for each length, forward
/// (length_rows.hpp), and as what every row of the gradient starts from, backward. How threads are had is an
/// argument: `parallel(count, work)` calls `work(part)` for each of `count` parts, at most `parallel.most`,
/// before it returns. Results have the same bits for any number.

#include <kronecker/encoder.hpp>
#include <kronecker/error.hpp>
#include <kronecker/kernels/block_sums.hpp>
#include <kronecker/kernels/gather_sum.hpp>
#include <kronecker/kernels/instruction_set.hpp>
#include <kronecker/kernels/row_sums.hpp>
#include <kronecker/length_rows.hpp>
#include <kronecker/namespace.hpp>
#include <kronecker/training/tokens_by_cell.hpp>
#include <kronecker/views.hpp>

#include <algorithm>
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

/// Columns that threads do not split: four cache lines of floats.
inline constexpr std::size_t columns_in_piece = 64;

/// Numbers that are read, added or written by a thread at least: about 50 microseconds, where starting and
/// joining one takes 20.
inline constexpr std::size_t least_numbers_of_thread = std::size_t{1} << 19;

inline std::size_t pieces_of(std::size_t columns) noexcept {
  return (columns + columns_in_piece - 1) / columns_in_piece;
}

/// Into how many parts to split work on so many numbers: at most `threads`, and at most `pieces`.
inline std::size_t part_count(std::size_t numbers, std::size_t threads, std::size_t pieces) noexcept {
  return std::clamp<std::size_t>((std::min)(numbers / least_numbers_of_thread, pieces), 1, threads);
}

/// One of the `count` parts into which `total` is split, in whole pieces.
inline Range part_of(std::size_t total, std::size_t piece, std::size_t part, std::size_t count) noexcept {
  const std::size_t pieces = (total + piece - 1) / piece;
  return {(std::min)(total, pieces * part / count * piece),
          (std::min)(total, pieces * (part + 1) / count * piece)};
}

/// The embeddings of a sequence into `out`, (N, width) numbers of `out_type`, by weights as they lie,
/// (D, width) numbers of `type`: with `subtracts_mean`, of codes that are z-normalized and rows that are not
/// centered. Takes 4 * (pos_dim + 1) * width bytes then. O(width * (bytes of the tokens + D)).
template <kernels::RowType type, kernels::RowType out_type, class Parallel>
void embed_arrays(const DynamicEncoder& encoder, bool subtracts_mean, const ArraySequence& sequence,
                  const void* values, std::size_t width, void* out, const Parallel& parallel) {
  const auto code_dim = static_cast<std::size_t>(encoder.code_dim());
  const auto pos_dim = static_cast<std::size_t>(encoder.pos_dim());
  const kernels::Rows rows{values, nullptr, width, pos_dim};
  const auto sum = [&](const auto& any_rows) {
    const std::size_t parts = part_count(sequence.byte_count() * width, parallel.most, sequence.count());
    parallel(parts, [&](std::size_t part) {
      const Range some = part_of(sequence.count(), 1, part, parts);
      auto* const to = static_cast<char*>(out) + some.begin * width * kernels::size_of(out_type);
      kernels::gather_sum<type, out_type>(kernels::instruction_set(), any_rows, sequence.part(some),
                                          {to, width, false});
    });
  };
  if (!subtracts_mean) return sum(rows);

  const std::vector<std::uint8_t> lengths = sequence.different_lengths();
  const std::unique_ptr<float[]> length_rows(new float[(pos_dim + 1) * width]);
  if (!lengths.empty()) {
    const std::size_t parts = part_count(code_dim * width, parallel.most, pieces_of(width));
    parallel(parts, [&](std::size_t part) {
      write_length_rows<type>(values, code_dim, width, lengths, part_of(width, columns_in_piece, part, parts),
                              length_rows.get());
    });
  }
  sum(kernels::RowsAndLengthRows{rows, length_rows.get()});
}

/// The gradient of some columns of the rows, and what it takes to compute it.
class ColumnsGradient {
 public:
  /// With `subtracts_mean` as in embed_arrays.
  ColumnsGradient(const DynamicEncoder& encoder, bool subtracts_mean, const ArraySequence& sequence,
                  std::size_t width, Range columns)
      : sequence_(sequence),
        code_dim_(static_cast<std::size_t>(encoder.code_dim())),
        is_centered_(subtracts_mean),
        width_(width),
        columns_(columns),
        by_cell_((std::min)(sequence.count(), kernels::tokens_in_block),
                 static_cast<std::size_t>(encoder.pos_dim())),
        mean_(width),
        is_lit_(code_dim_) {}

  /// Writes them to `grad_rows`, (D, width): rows that the first block lights with its sums, the others
  /// before.
  template <kernels::RowType type>
  void write(const void* grad_out, float* grad_rows) noexcept {
    if (is_centered_) subtract_mean<type>(grad_out);
    kernels::GradientColumns gradient{grad_rows, width_, columns_.begin, columns_.end, mean_.data()};
    for (std::size_t first = 0; first < sequence_.count() || first == 0; first += kernels::tokens_in_block) {
      const std::size_t end = (std::min)(first + kernels::tokens_in_block, sequence_.count());
      by_cell_.assign(sequence_.part({first, end}));
      const kernels::BlockByCell block = by_cell_.view();
      if (first == 0) {
        for (std::size_t i = 0; i < block.cell_count; ++i) is_lit_[block.cells[i].cell] = 1;
        kernels::write_unlit_rows(kernels::instruction_set(), is_lit_.data(), code_dim_, gradient);
      }
      kernels::add_block_sums<type>(
          kernels::instruction_set(), block,
          static_cast<const char*>(grad_out) + first * width_ * kernels::size_of(type), gradient);
      gradient.held = nullptr;
    }
  }

 private:
  /// Minus the mean of all rows of the gradient: a token adds L terms.
  template <kernels::RowType type>
  void subtract_mean(const void* grad_out) noexcept {
    const kernels::RowLengths lengths{sequence_.lengths(), sequence_.scales()};
    std::array<double, 2048> sums;
    for (std::size_t first = columns_.begin; first < columns_.end; first += sums.size()) {
      const std::size_t end = (std::min)(first + sums.size(), columns_.end);
      kernels::sum_rows<type>(kernels::instruction_set(), {grad_out, sequence_.count(), width_, first, end},
                              &lengths, sums.data());
      for (std::size_t i = 0; i < end - first; ++i)
        mean_[first + i] = static_cast<float>(0 - sums[i] / static_cast<double>(code_dim_));
    }
  }

  const ArraySequence& sequence_;
  std::size_t code_dim_;
  bool is_centered_;
  std::size_t width_;
  Range columns_;
  TokensByCell by_cell_;
  std::vector<float> mean_;  // minus it, of all columns; zeros if none is subtracted
  std::vector<std::uint8_t> is_lit_;
};

/// The gradient of the weights into `grad_rows`, (D, width), every number of which is written, given that of
/// the embeddings, `grad_out` of (N, width) numbers of `type`. Terms are summed as accumulate_gradient
/// (gradient.hpp) sums them. O(width * (bytes of the tokens + D)).
template <kernels::RowType type, class Parallel>
void scatter_arrays(const DynamicEncoder& encoder, bool subtracts_mean, const ArraySequence& sequence,
                    const void* grad_out, std::size_t width, float* grad_rows, const Parallel& parallel) {
  const std::size_t numbers =
      (static_cast<std::size_t>(encoder.code_dim()) + sequence.count() + sequence.byte_count()) * width;
  const std::size_t count = part_count(numbers, parallel.most, pieces_of(width));
  std::vector<ColumnsGradient> parts;
  for (std::size_t part = 0; part < count; ++part)
    parts.emplace_back(encoder, subtracts_mean, sequence, width,
                       part_of(width, columns_in_piece, part, count));
  parallel(count, [&](std::size_t part) { parts[part].template write<type>(grad_out, grad_rows); });
}

}  // namespace KRONECKER_NAMESPACE::detail
