/// The functions of the C interface that work on the caller's arrays.

#include "on_threads.hpp"
#include "status.hpp"

#include <kronecker/encoder.hpp>
#include <kronecker/kernels/block_sums.hpp>
#include <kronecker/kernels/gather_sum.hpp>
#include <kronecker/kernels/instruction_set.hpp>
#include <kronecker/kernels/row_sums.hpp>
#include <kronecker/length_rows.hpp>
#include <kronecker/training/tokens_by_cell.hpp>
#include <kronecker/views.hpp>

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <memory>
#include <numeric>
#include <span>
#include <string_view>
#include <type_traits>
#include <vector>

namespace {

namespace kernels = kronecker::kernels;
using kernels::RowType;
using kronecker::Range;
using kronecker::detail::fail;
using kronecker_c::check_pointer;

/// Memory for numbers that are all written before they are read.
template <class T>
std::unique_ptr<T[]> uninitialized(std::size_t count) {
  return std::unique_ptr<T[]>(new T[count]);
}

kronecker::DynamicEncoder encoder_of(const kronecker_code* code) {
  check_pointer("code", code);
  return {
      code->char_dim, code->pos_dim, {code->length_normalize != 0, code->z_normalize != 0, code->epsilon}};
}

/// Whether the rows' mean is to be subtracted: they lie as they were learned, not centered.
bool subtracts_mean(const kronecker_code& code) { return code.z_normalize != 0 && code.z_normalize != 2; }

std::size_t checked_width(std::int64_t d_model) {
  if (d_model < 1 || d_model > std::numeric_limits<std::int32_t>::max())
    fail<std::invalid_argument>("d_model ", d_model, " is outside 1 to ",
                                std::numeric_limits<std::int32_t>::max());
  return static_cast<std::size_t>(d_model);
}

std::size_t checked_threads(std::int32_t threads) {
  if (threads < 1) fail<std::invalid_argument>("threads ", threads, " is below 1");
  return static_cast<std::size_t>(threads);
}

/// Calls `work` with the type as a constant.
template <class Work>
void with_type(const char* name, kronecker_type type, Work work) {
  switch (type) {
    case KRONECKER_FLOAT32:
      return work(std::integral_constant<RowType, RowType::float32>());
    case KRONECKER_BFLOAT16:
      return work(std::integral_constant<RowType, RowType::bfloat16>());
    case KRONECKER_FLOAT16:
      return work(std::integral_constant<RowType, RowType::float16>());
  }
  fail<std::invalid_argument>(name, " ", static_cast<int>(type), " is none of kronecker_type");
}

/// The tokens of a call, checked and copied: what the caller's other threads do to its arrays meanwhile
/// cannot lead the kernels out of theirs.
class Sequence {
 public:
  Sequence(const kronecker::DynamicEncoder& encoder, const kronecker_tokens* tokens, const std::int64_t* ids,
           std::size_t count)
      : count_(count), pos_dim_(static_cast<std::size_t>(encoder.pos_dim())), scales_(encoder.scales()) {
    check_pointer("tokens", tokens);
    check_pointer("ids", ids, count);
    check_pointer("tokens->bytes", tokens->bytes, count);
    check_pointer("tokens->lengths", tokens->lengths, count);
    constexpr auto most = static_cast<std::size_t>(std::numeric_limits<std::int32_t>::max());
    if (count > most) fail<std::invalid_argument>(count, " ids are more than ", most, " at a time");
    places_ = uninitialized<std::int32_t>(count);
    lengths_ = uninitialized<std::uint8_t>(count);
    bytes_ = uninitialized<std::uint8_t>(count * pos_dim_);
    for (std::size_t i = 0; i < count; ++i) {
      const std::int64_t id = ids[i];
      if (id < 0 || id >= tokens->vocab_size)
        fail<std::out_of_range>("token id ", id, " at index ", i, " is outside the vocabulary of ",
                                tokens->vocab_size, " tokens");
      places_[i] = static_cast<std::int32_t>(i);
      copy_token(encoder, *tokens, id, i);
    }
  }

  std::size_t count() const noexcept { return count_; }
  std::size_t byte_count() const noexcept { return byte_count_; }  ///< Of all its tokens.
  const std::uint8_t* lengths() const noexcept { return lengths_.get(); }
  const float* scales() const noexcept { return scales_.data(); }

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
  void copy_token(const kronecker::DynamicEncoder& encoder, const kronecker_tokens& tokens, std::int64_t id,
                  std::size_t i) {
    const std::uint8_t length = tokens.lengths[id];
    if (length > pos_dim_)
      fail<std::invalid_argument>("token id ", id, " at index ", i, " has a length of ", length,
                                  " over pos_dim ", pos_dim_);
    std::uint8_t* const bytes = bytes_.get() + i * pos_dim_;
    std::memcpy(bytes, tokens.bytes + static_cast<std::size_t>(id) * pos_dim_, length);
    kronecker::detail::check_alphabet({reinterpret_cast<const char*>(bytes), length}, encoder.char_dim(),
                                      "token id ", id, " at index ", i);
    lengths_[i] = length;
    byte_count_ += length;
  }

  std::size_t count_, pos_dim_, byte_count_ = 0;
  std::vector<float> scales_;
  std::unique_ptr<std::int32_t[]> places_;
  std::unique_ptr<std::uint8_t[]> lengths_, bytes_;
};

/// Columns that threads do not split: four cache lines of floats.
constexpr std::size_t columns_in_piece = 64;

std::size_t pieces_of(std::size_t columns) { return (columns + columns_in_piece - 1) / columns_in_piece; }

/// One of the `count` parts into which `total` is split, in whole pieces.
Range part_of(std::size_t total, std::size_t piece, std::size_t part, std::size_t count) {
  const std::size_t pieces = (total + piece - 1) / piece;
  return {std::min(total, pieces * part / count * piece),
          std::min(total, pieces * (part + 1) / count * piece)};
}

void check_size(std::size_t count, std::size_t width) {
  if (count > std::numeric_limits<std::size_t>::max() / sizeof(float) / width)
    fail<std::invalid_argument>(count, " embeddings of d_model ", width, " do not fit into memory");
}

template <RowType type, RowType out_type>
void forward(const kronecker::DynamicEncoder& encoder, bool subtracts_mean, const Sequence& sequence,
             const void* values, std::size_t width, void* out, std::size_t threads) {
  const auto code_dim = static_cast<std::size_t>(encoder.code_dim());
  const auto pos_dim = static_cast<std::size_t>(encoder.pos_dim());
  const kernels::Rows rows{values, nullptr, width, pos_dim};
  const auto sum = [&](const auto& any_rows) {
    const std::size_t parts =
        kronecker_c::part_count(sequence.byte_count() * width, threads, sequence.count());
    kronecker_c::on_threads(parts, [&](std::size_t part) {
      const Range some = part_of(sequence.count(), 1, part, parts);
      auto* const to = static_cast<char*>(out) + some.begin * width * kernels::size_of(out_type);
      kernels::gather_sum<type, out_type>(kernels::instruction_set(), any_rows, sequence.part(some),
                                          {to, width, false});
    });
  };
  if (!subtracts_mean) return sum(rows);

  const std::vector<std::uint8_t> lengths = sequence.different_lengths();
  const auto length_rows = uninitialized<float>((pos_dim + 1) * width);
  if (!lengths.empty()) {
    const std::size_t parts = kronecker_c::part_count(code_dim * width, threads, pieces_of(width));
    kronecker_c::on_threads(parts, [&](std::size_t part) {
      kronecker::detail::write_length_rows<type>(
          values, code_dim, width, lengths, part_of(width, columns_in_piece, part, parts), length_rows.get());
    });
  }
  sum(kernels::RowsAndLengthRows{rows, length_rows.get()});
}

/// The gradient of some columns of the rows, and what it takes to compute it.
class ColumnsGradient {
 public:
  ColumnsGradient(const kronecker::DynamicEncoder& encoder, bool subtracts_mean, const Sequence& sequence,
                  std::size_t width, Range columns)
      : sequence_(sequence),
        code_dim_(static_cast<std::size_t>(encoder.code_dim())),
        is_centered_(subtracts_mean),
        width_(width),
        columns_(columns),
        by_cell_(std::min(sequence.count(), kernels::tokens_in_block),
                 static_cast<std::size_t>(encoder.pos_dim())),
        mean_(width),
        is_lit_(code_dim_) {}

  /// Writes them: rows that the first block lights with its sums, the others before.
  template <RowType type>
  void write(const void* grad_out, float* grad_rows) noexcept {
    if (is_centered_) subtract_mean<type>(grad_out);
    kernels::GradientColumns gradient{grad_rows, width_, columns_.begin, columns_.end, mean_.data()};
    for (std::size_t first = 0; first < sequence_.count() || first == 0; first += kernels::tokens_in_block) {
      const std::size_t end = std::min(first + kernels::tokens_in_block, sequence_.count());
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
  template <RowType type>
  void subtract_mean(const void* grad_out) noexcept {
    const kernels::RowLengths lengths{sequence_.lengths(), sequence_.scales()};
    std::array<double, 2048> sums;
    for (std::size_t first = columns_.begin; first < columns_.end; first += sums.size()) {
      const std::size_t end = std::min(first + sums.size(), columns_.end);
      kernels::sum_rows<type>(kernels::instruction_set(), {grad_out, sequence_.count(), width_, first, end},
                              &lengths, sums.data());
      for (std::size_t i = 0; i < end - first; ++i)
        mean_[first + i] = static_cast<float>(0 - sums[i] / static_cast<double>(code_dim_));
    }
  }

  const Sequence& sequence_;
  std::size_t code_dim_;
  bool is_centered_;
  std::size_t width_;
  Range columns_;
  kronecker::detail::TokensByCell by_cell_;
  std::vector<float> mean_;  // minus it, of all columns; zeros if codes are not z-normalized
  std::vector<std::uint8_t> is_lit_;
};

}  // namespace

kronecker_status kronecker_forward(const kronecker_code* code, const kronecker_tokens* tokens,
                                   const void* rows, kronecker_type row_type, int64_t d_model,
                                   const int64_t* ids, size_t count, void* out, kronecker_type out_type,
                                   int32_t threads) {
  return kronecker_c::guarded([&] {
    const kronecker::DynamicEncoder encoder = encoder_of(code);
    const std::size_t width = checked_width(d_model), most_threads = checked_threads(threads);
    check_pointer("rows", rows, count);
    check_pointer("out", out, count);
    check_size(count, width);
    const Sequence sequence(encoder, tokens, ids, count);
    with_type("row_type", row_type, [&](auto type) {
      with_type("out_type", out_type, [&](auto to_type) {
        forward<type, to_type>(encoder, subtracts_mean(*code), sequence, rows, width, out, most_threads);
      });
    });
  });
}

kronecker_status kronecker_backward(const kronecker_code* code, const kronecker_tokens* tokens,
                                    int64_t d_model, const int64_t* ids, size_t count, const void* grad_out,
                                    kronecker_type grad_type, float* grad_rows, int32_t threads) {
  return kronecker_c::guarded([&] {
    const kronecker::DynamicEncoder encoder = encoder_of(code);
    const std::size_t width = checked_width(d_model), most_threads = checked_threads(threads);
    check_pointer("grad_out", grad_out, count);
    check_pointer("grad_rows", grad_rows);
    check_size(count, width);
    const Sequence sequence(encoder, tokens, ids, count);
    with_type("grad_type", grad_type, [&](auto type) {
      const std::size_t numbers =
          (static_cast<std::size_t>(encoder.code_dim()) + count + sequence.byte_count()) * width;
      const std::size_t part_count = kronecker_c::part_count(numbers, most_threads, pieces_of(width));
      std::vector<ColumnsGradient> parts;
      for (std::size_t part = 0; part < part_count; ++part)
        parts.emplace_back(encoder, subtracts_mean(*code), sequence, width,
                           part_of(width, columns_in_piece, part, part_count));
      kronecker_c::on_threads(
          part_count, [&](std::size_t part) { parts[part].template write<type>(grad_out, grad_rows); });
    });
  });
}
