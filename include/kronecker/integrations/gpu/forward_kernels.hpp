#pragma once

/// The kernels of the forward pass, but for the norm, and of the additive output head.
///
/// A few threads side by side take a token's columns, each 16 bytes of 16-bit rows. A multiprocessor takes
/// few columns of many tokens, so that what it reads of the rows that many tokens light stays in its
/// first-level cache.

#include <kronecker/integrations/gpu/arrays.hpp>
#include <kronecker/integrations/gpu/machine.hpp>
#include <kronecker/integrations/gpu/sums.hpp>

#include <cstddef>
#include <cstdint>

namespace KRONECKER_NAMESPACE::gpu::detail {

/// How tokens and columns are spread over groups of threads: as many groups share the tokens of each tile of
/// columns, and those of a tile stand side by side.
struct Shares {
  std::uint32_t lanes;   ///< Threads of a group, a power of two up to 32.
  std::uint32_t tiles;   ///< Ranges of columns.
  std::uint32_t parts;   ///< Groups that share the tokens of a tile.
  std::size_t tokens;    ///< Of a group; one more of the first `longer` ones.
  std::uint32_t longer;  ///< How many.
  std::uint32_t staged;  ///< Tokens that a group looks up at a time.
  bool is_plain;         ///< There are no rows of lengths, no norm, and nothing is added to what is there.
  std::uint32_t bytes_of_token;  ///< In shared memory.
};

/// What a group has looked up of a token, in shared memory: this, and then the offsets of its rows.
struct alignas(16) StagedToken {
  const char* rows;      ///< Of all cells, or the one row of its own.
  float scale;           ///< a_L times the gain, or the gain.
  std::uint16_t length;  ///< How many are summed.
  std::uint16_t is_own;  ///< Whether it is a row of its own.

  static std::uint32_t bytes(std::int32_t pos_dim) {
    return static_cast<std::uint32_t>(sizeof(StagedToken)) + static_cast<std::uint32_t>(pos_dim + 3) / 4 * 16;
  }
  /// Offsets of the rows of the bytes, in multiples of the columns that are read at once.
  KRONECKER_DEVICE static Words<4>* offsets(char* token) {
    return reinterpret_cast<Words<4>*>(token + sizeof(StagedToken));
  }
};

/// Bytes of a token that are read at once.
inline constexpr std::int32_t bytes_at_once = 16;

/// Embeddings, or norms of embeddings, whose factors are known by then. No warp waits for another.
template <RowType type, RowType out_type, int columns, int pieces>
struct ForwardKernel {
  EmbeddingArrays arrays;  ///< The embedding.
  Forward call;            ///< With a stride.
  Shares shares;           ///< Which part is whose.
  const float* factors;    ///< (N): of the norm; null: there is none.

  static constexpr int phases = 2, most_threads = pieces == 1 ? 1024 : 768;  // as registers allow
  static constexpr bool warps_are_apart = true, takes_whole_warps = pieces > 1;
  static constexpr int columns_of_thread = columns * pieces;
  KRONECKER_DEVICE std::uint32_t rounds() const {
    return static_cast<std::uint32_t>((shares.tokens + (shares.longer > 0 ? 1 : 0) + shares.staged - 1) /
                                      shares.staged);
  }

  KRONECKER_DEVICE void run(int phase, std::uint32_t round, const Place& place, char* shared) const {
    const std::uint32_t lanes = pieces > 1 ? warp : shares.lanes;
    const std::uint32_t lane = place.thread % lanes, group_of_block = place.thread / lanes;
    const std::uint32_t group = place.block * (place.threads / lanes) + group_of_block;
    const std::uint32_t tile = group / shares.parts, part = group % shares.parts;
    if (tile >= shares.tiles) return;
    const bool is_longer = part < shares.longer;
    const std::size_t begin = part * shares.tokens + (is_longer ? part : shares.longer),
                      end = begin + shares.tokens + (is_longer ? 1 : 0),
                      first = begin + std::size_t{round} * shares.staged;
    if (first >= end) return;
    const auto count = static_cast<std::uint32_t>(end - first < shares.staged ? end - first : shares.staged);
    char* token = shared + group_of_block * shares.staged * shares.bytes_of_token;
    if (phase == 0) {
      for (std::uint32_t i = lane; i < count; i += lanes)
        stage(token + i * shares.bytes_of_token, first + i, tile == 0);
      return;
    }
    // The pieces of a thread are far enough apart for the threads beside it to lie between them.
    const std::size_t column = (std::size_t{tile} * pieces * lanes + lane) * columns;
    if (column >= static_cast<std::size_t>(arrays.d_model)) return;
    char* to = static_cast<char*>(call.out) + (first * call.stride + column) * bytes_of<out_type>;
    for (std::uint32_t i = 0; i < count; ++i) {
      write(token, first + i, column, to);
      token += shares.bytes_of_token, to += call.stride * bytes_of<out_type>;
    }
  }

 private:
  using Row = Stored<type, columns>;
  static constexpr std::size_t apart = pieces == 1 ? 0 : std::size_t{warp} * columns;

  KRONECKER_DEVICE void stage(char* token, std::size_t i, bool counts) const {
    const std::int32_t id = read_id(call.ids, arrays.vocab_size, i);
    if (id < 0 && counts && call.outside != nullptr) count_up(call.outside);
    const Lit lit = light(arrays, id, factors == nullptr ? call.gain : 1.0f);
    std::uint32_t bytes[bytes_at_once / 4];
    KRONECKER_UNROLL
    for (std::int32_t p = 0; p < bytes_at_once; p += 4) bytes[p / 4] = four_bytes(arrays, lit, p);
    at(reinterpret_cast<StagedToken*>(token), 0) = {rows_of<type>(arrays, lit), lit.scale,
                                                    static_cast<std::uint16_t>(lit.length),
                                                    static_cast<std::uint16_t>(lit.own_row >= 0 ? 1 : 0)};
    KRONECKER_UNROLL
    for (std::int32_t p = 0; p < bytes_at_once; p += 4)
      if (p < lit.length) stage_offsets(token, lit, bytes[p / 4], p);
    for (std::int32_t p = bytes_at_once; p < lit.length; p += 4)
      stage_offsets(token, lit, four_bytes(arrays, lit, p), p);
  }

  KRONECKER_DEVICE void stage_offsets(char* token, const Lit& lit, std::uint32_t bytes,
                                      std::int32_t first) const {
    const std::uint32_t row_length = static_cast<std::uint32_t>(arrays.d_model) / columns;
    Words<4> offsets;
    KRONECKER_UNROLL
    for (int p = 0; p < 4; ++p) offsets.word[p] = cell_of(arrays, lit, bytes, first, p) * row_length;
    at(StagedToken::offsets(token), static_cast<std::size_t>(first) / 4) = offsets;
  }

  /// Reads up to four rows, of as many as are `left`.
  KRONECKER_DEVICE static void read_rows(const char* rows, const Words<4>& offsets, std::int32_t left,
                                         Row (&stored)[4][pieces]) {
    KRONECKER_UNROLL
    for (int p = 0; p < 4; ++p) {
      if (p >= left) continue;
      const char* const row = rows + std::uint64_t{offsets.word[p]} * (columns * bytes_of<type>);
      KRONECKER_UNROLL
      for (std::size_t piece = 0; piece < pieces; ++piece)
        stored[p][piece] = read_stored<type, columns>(row, piece * apart);
    }
  }

  /// Adds those from `begin` on.
  template <int begin>
  KRONECKER_DEVICE static void add_rows(const Row (&stored)[4][pieces], std::int32_t left,
                                        ColumnSums<type, columns> (&sums)[pieces]) {
    KRONECKER_UNROLL
    for (int p = begin; p < 4; ++p) {
      if (p >= left) break;
      KRONECKER_UNROLL
      for (int piece = 0; piece < pieces; ++piece) sums[piece].add_row(stored[p][piece]);
    }
  }

  KRONECKER_DEVICE void write(char* token, std::size_t i, std::size_t column, char* to) const {
    const StagedToken lit = at(reinterpret_cast<const StagedToken*>(token), 0);
    float numbers[pieces][columns] = {};
    if (lit.length > 0)
      sum(lit, StagedToken::offsets(token), column, numbers);
    else if (call.accumulate && factors == nullptr)
      return;
    if (!shares.is_plain) {
      KRONECKER_UNROLL
      for (std::size_t piece = 0; piece < pieces; ++piece)
        finish(i, column + piece * apart, to + piece * apart * bytes_of<out_type>, numbers[piece]);
    }
    KRONECKER_UNROLL
    for (std::size_t piece = 0; piece < pieces; ++piece)
      write_rounded<out_type, columns>(to, piece * apart, numbers[piece]);
  }

  KRONECKER_DEVICE void sum(const StagedToken& lit, Words<4>* offsets, std::size_t column,
                            float (&numbers)[pieces][columns]) const {
    const char* const rows = as_it_is(lit.rows + column * bytes_of<type>);
    ColumnSums<type, columns> sums[pieces];
    Row stored[4][pieces];
    std::int32_t left = lit.length;
    read_rows(rows, at(offsets, 0), left, stored);
    KRONECKER_UNROLL
    for (int piece = 0; piece < pieces; ++piece) sums[piece].begin(stored[0][piece]);
    add_rows<1>(stored, left, sums);
    for (left -= 4; left > 0; left -= 4) {
      ++offsets;
      read_rows(rows, at(offsets, 0), left, stored);
      add_rows<0>(stored, left, sums);
    }
    KRONECKER_UNROLL
    for (int piece = 0; piece < pieces; ++piece) sums[piece].finish(lit.length, numbers[piece]);
    const bool is_own = lit.is_own != 0;
    if (!shares.is_plain && arrays.length_rows != nullptr && !is_own) {
      KRONECKER_UNROLL
      for (std::size_t piece = 0; piece < pieces; ++piece)
        add_length_row<columns>(arrays, lit.length, column + piece * apart, numbers[piece]);
    }
    KRONECKER_UNROLL
    for (std::size_t piece = 0; piece < pieces; ++piece)
      scale_sum<type, columns>(arrays, is_own, lit.scale, column + piece * apart, numbers[piece]);
  }

  /// The norm, and what is there.
  KRONECKER_DEVICE void finish(std::size_t i, std::size_t column, const char* to,
                               float (&numbers)[columns]) const {
    if (factors != nullptr) {
      const float factor = read(factors, i);
      const auto weight = read_stored<RowType::float32, columns>(arrays.norm_weight, column);
      KRONECKER_UNROLL
      for (int c = 0; c < columns; ++c)
        numbers[c] = multiply(multiply(factor, numbers[c]), number(weight, c));
    }
    if (call.accumulate) {
      const auto held = read_stored<out_type, columns>(to, 0);
      KRONECKER_UNROLL
      for (int c = 0; c < columns; ++c) numbers[c] = add(numbers[c], number(held, c));
    }
  }
};

/// Logits from the products of all cells with hidden states: of a token, the sum of those that it lights.
struct LogitsKernel {
  EmbeddingArrays arrays;       ///< The embedding, of which the rows are not read.
  const float* products;        ///< (states, cells): of the D cells, of the own rows, of the lengths.
  std::size_t cells;            ///< In a row of `products`.
  float gain;                   ///< Of every logit.
  float* logits;                ///< (states, V)
  std::size_t blocks_of_state;  ///< Blocks that share a hidden state.

  static constexpr int phases = 1, most_threads = 256;
  KRONECKER_DEVICE std::uint32_t rounds() const { return 1; }

  KRONECKER_DEVICE void run(int, std::uint32_t, const Place& place, char*) const {
    const std::size_t state = place.block / blocks_of_state;
    const std::size_t id = place.block % blocks_of_state * place.threads + place.thread;
    if (id >= static_cast<std::size_t>(arrays.vocab_size)) return;
    const float* const of_state = products + state * cells;
    const auto code_dim = static_cast<std::size_t>(arrays.code_dim);
    const Lit lit = light(arrays, static_cast<std::int32_t>(id), gain);
    float sum = 0;
    for (std::int32_t p = 0; p < lit.length; ++p) {
      const std::size_t cell =
          lit.own_row >= 0 ? code_dim + static_cast<std::size_t>(lit.own_row) : cell_of_byte(lit, p);
      sum = p == 0 ? read(of_state, cell) : add(sum, read(of_state, cell));
    }
    if (arrays.length_rows != nullptr && lit.own_row < 0 && lit.length > 0)
      sum = add(sum, read(of_state, code_dim + static_cast<std::size_t>(arrays.own_count + lit.length)));
    at(logits, state * static_cast<std::size_t>(arrays.vocab_size) + id) =
        lit.length == 0 ? 0.0f : multiply(lit.scale, sum);
  }

 private:
  KRONECKER_DEVICE std::size_t cell_of_byte(const Lit& lit, std::int32_t p) const {
    const std::int32_t byte = read(lit.bytes, static_cast<std::size_t>(p));
    return static_cast<std::size_t>(byte * arrays.pos_dim + p);
  }
};

}  // namespace KRONECKER_NAMESPACE::gpu::detail
