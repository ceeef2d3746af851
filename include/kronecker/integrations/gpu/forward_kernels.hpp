#pragma once

/// The kernels of the forward pass and of the additive output head.
///
/// A block writes a range of columns of many tokens, so that the parts of the rows that many tokens light
/// stay in its first-level cache; a few threads side by side take a token, each 16 bytes of 16-bit rows.

#include <kronecker/integrations/gpu/arrays.hpp>
#include <kronecker/integrations/gpu/machine.hpp>
#include <kronecker/integrations/gpu/sums.hpp>

#include <cstddef>
#include <cstdint>

namespace KRONECKER_NAMESPACE::gpu::detail {

/// How tokens and columns are spread over blocks.
struct Tiles {
  std::uint32_t lanes;   ///< Threads that take a token's columns of a block.
  std::size_t parts;     ///< Blocks that share the tokens of a range of columns.
  std::size_t tokens;    ///< Of a part.
  std::uint32_t staged;  ///< Tokens that a block looks up at a time.
};

/// What a block has looked up of some tokens, in its shared memory.
struct StagedTokens {
  LitRows* lit;      ///< (staged)
  FourCells* cells;  ///< (staged, fours): the cells of each token.
  std::size_t fours;

  KRONECKER_DEVICE StagedTokens(char* shared, std::uint32_t staged, std::int32_t pos_dim)
      : lit(reinterpret_cast<LitRows*>(shared)),
        cells(reinterpret_cast<FourCells*>(shared + staged * sizeof(LitRows))),
        fours((static_cast<std::size_t>(pos_dim) + 3) / 4) {}
  static std::size_t bytes(std::uint32_t staged, std::int32_t pos_dim) {
    return staged * (sizeof(LitRows) + (static_cast<std::size_t>(pos_dim) + 3) / 4 * sizeof(FourCells));
  }
};

/// Threads that take a token, if each takes two pieces of its columns: those of a warp, which then has one
/// length.
inline constexpr std::uint32_t lanes_of_pieces = 32;

/// Embeddings, or norms of embeddings, whose factors are known by then.
template <RowType type, RowType out_type, int columns, int pieces>
struct ForwardKernel {
  EmbeddingArrays arrays;  ///< The embedding.
  Forward call;            ///< With a stride.
  Tiles tiles;             ///< Which part is whose.
  const float* factors;    ///< (N): of the norm; null: there is none.

  static constexpr int phases = 2, most_threads = 256;
  KRONECKER_DEVICE std::uint32_t rounds() const {
    return static_cast<std::uint32_t>((tiles.tokens + tiles.staged - 1) / tiles.staged);
  }

  KRONECKER_DEVICE void run(int phase, std::uint32_t round, const Place& place, char* shared) const {
    const auto parts = static_cast<std::uint32_t>(tiles.parts);
    const std::uint32_t tile = place.block / parts, part = place.block % parts;
    const std::size_t first = part * tiles.tokens + std::size_t{round} * tiles.staged;
    const std::size_t part_end = (part + std::size_t{1}) * tiles.tokens;
    const std::size_t end = part_end < call.ids.count ? part_end : call.ids.count;
    if (first >= end) return;
    const auto count = static_cast<std::uint32_t>(end - first < tiles.staged ? end - first : tiles.staged);
    const StagedTokens staged(shared, tiles.staged, arrays.pos_dim);
    if (phase == 0) {
      for (std::uint32_t i = place.thread; i < count; i += place.threads)
        stage(staged, first + i, i, tile == 0);
      return;
    }
    const std::uint32_t lane = place.thread % tiles.lanes, at_once = place.threads / tiles.lanes;
    // The pieces of a thread are far enough apart for the threads beside it to lie between them.
    const std::size_t column = (std::size_t{tile} * pieces * tiles.lanes + lane) * columns;
    if (place.thread / tiles.lanes >= at_once || column >= static_cast<std::size_t>(arrays.d_model)) return;
    for (std::uint32_t i = place.thread / tiles.lanes; i < count; i += at_once)
      write(staged, first + i, i, column);
  }

 private:
  KRONECKER_DEVICE void stage(const StagedTokens& staged, std::size_t token, std::uint32_t i,
                              bool counts) const {
    const std::int32_t id = read_id(call.ids, arrays.vocab_size, token);
    if (id < 0 && counts && call.outside != nullptr) count_up(call.outside);
    const Lit lit = light(arrays, id, factors == nullptr ? call.gain : 1.0f);
    at(staged.lit, i) = rows_of(arrays, lit, bytes_of<type>);
    for (std::int32_t p = 0; p < lit.length; p += rows_at_once)
      at(staged.cells, i * staged.fours + static_cast<std::size_t>(p / rows_at_once)) =
          four_cells(arrays, lit, p);
  }

  KRONECKER_DEVICE void write(const StagedTokens& staged, std::size_t token, std::uint32_t i,
                              std::size_t column) const {
    const LitRows lit = at(staged.lit, i);
    if (call.accumulate && lit.length == 0 && factors == nullptr) return;
    const std::size_t apart = pieces == 1 ? 0 : std::size_t{lanes_of_pieces} * columns;
    std::size_t first_columns[pieces];
    KRONECKER_UNROLL
    for (int piece = 0; piece < pieces; ++piece)
      first_columns[piece] = column + static_cast<std::size_t>(piece) * apart;
    float numbers[pieces][columns];
    sum_rows<type, columns, pieces>(
        arrays, lit,
        [&](std::int32_t p) {
          return at(staged.cells, i * staged.fours + static_cast<std::size_t>(p / rows_at_once));
        },
        first_columns, numbers);
    KRONECKER_UNROLL
    for (int piece = 0; piece < pieces; ++piece) write_piece(token, first_columns[piece], numbers[piece]);
  }

  KRONECKER_DEVICE void write_piece(std::size_t token, std::size_t column, float (&numbers)[columns]) const {
    if (factors != nullptr) {
      const float factor = read(factors, token);
      const auto weight = read_stored<RowType::float32, columns>(arrays.norm_weight, column);
      KRONECKER_UNROLL
      for (int c = 0; c < columns; ++c)
        numbers[c] = multiply(multiply(factor, numbers[c]), number(weight, c));
    }
    const std::size_t to = token * call.stride + column;
    if (call.accumulate) {
      const auto held = read_stored<out_type, columns>(call.out, to);
      KRONECKER_UNROLL
      for (int c = 0; c < columns; ++c) numbers[c] = add(numbers[c], number(held, c));
    }
    write_rounded<out_type, columns>(call.out, to, numbers);
  }
};

/// Sixteen threads take a token: each sums the terms of every sixteenth column, and the first of them those
/// sums, as kernels::rms_norm does.
inline constexpr std::uint32_t norm_lanes = 16;

template <int half>
KRONECKER_DEVICE void add_second_half(float (&sums)[norm_lanes]) {
  KRONECKER_UNROLL
  for (int i = 0; i < half; ++i) sums[i] = add(sums[i], sums[i + half]);
}

/// The total of sixteen sums that lie in shared memory.
KRONECKER_DEVICE float total_of_sixteen(float* shared) {
  float sums[norm_lanes];
  KRONECKER_UNROLL
  for (int i = 0; i < static_cast<int>(norm_lanes); ++i) sums[i] = at(shared, static_cast<std::size_t>(i));
  add_second_half<8>(sums), add_second_half<4>(sums), add_second_half<2>(sums), add_second_half<1>(sums);
  return sums[0];
}

/// sqrt(sum_of_squares / d_model + epsilon), as kernels::root_mean_square.
KRONECKER_DEVICE double root_mean_square(float sum_of_squares, std::int32_t d_model, float epsilon) {
  return square_root(add(static_cast<double>(sum_of_squares) / d_model, static_cast<double>(epsilon)));
}

/// The factor of each token's norm: gain / root mean square.
template <RowType type>
struct NormFactorKernel {
  EmbeddingArrays arrays;  ///< The embedding.
  Ids ids;                 ///< The tokens.
  float gain;              ///< Of the norm.
  float* factors;          ///< (N)

  static constexpr int phases = 2, most_threads = 256;
  KRONECKER_DEVICE std::uint32_t rounds() const { return 1; }

  KRONECKER_DEVICE void run(int phase, std::uint32_t, const Place& place, char* shared) const {
    float* const sums = reinterpret_cast<float*>(shared);
    const std::size_t i = std::size_t{place.block} * (place.threads / norm_lanes) + place.thread / norm_lanes;
    if (place.thread / norm_lanes >= place.threads / norm_lanes || i >= ids.count) return;
    if (phase == 0) {
      const Lit lit = light(arrays, read_id(ids, arrays.vocab_size, i), 1.0f);
      float sum = 0;
      for (std::size_t column = place.thread % norm_lanes; column < static_cast<std::size_t>(arrays.d_model);
           column += norm_lanes) {
        const float number = sum_rows<type>(arrays, lit, column);
        sum = add(sum, multiply(number, number));
      }
      at(sums, place.thread) = sum;
    } else if (place.thread % norm_lanes == 0) {
      const double root =
          root_mean_square(total_of_sixteen(sums + place.thread), arrays.d_model, arrays.norm_epsilon);
      at(factors, i) = root == 0 ? 0.0f : static_cast<float>(static_cast<double>(gain) / root);
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
