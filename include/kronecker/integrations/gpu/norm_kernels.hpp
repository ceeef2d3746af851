#pragma once

/// The kernels of a norm, forward and back: kernels::rms_norm and kernels::rms_norm_gradient.

#include <kronecker/integrations/gpu/arrays.hpp>
#include <kronecker/integrations/gpu/machine.hpp>
#include <kronecker/integrations/gpu/mean_kernels.hpp>
#include <kronecker/integrations/gpu/sums.hpp>

#include <cstddef>
#include <cstdint>

namespace KRONECKER_NAMESPACE::gpu::detail {

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

/// r and c of a token (kernels/rms_norm.hpp).
struct alignas(8) NormFactors {
  float inverse_root;  ///< r.
  float along_values;  ///< c.
};

/// r and c of each token.
template <RowType type, RowType grad_type>
struct NormFactorsKernel {
  EmbeddingArrays arrays;  ///< The embedding.
  Ids ids;                 ///< The tokens.
  const void* grad_out;    ///< (N, d_model)
  NormFactors* factors;    ///< (N)

  static constexpr int phases = 2, most_threads = 256;
  KRONECKER_DEVICE std::uint32_t rounds() const { return 1; }

  KRONECKER_DEVICE void run(int phase, std::uint32_t, const Place& place, char* shared) const {
    float* const squares = reinterpret_cast<float*>(shared);
    float* const products = squares + place.threads;
    const auto d_model = static_cast<std::size_t>(arrays.d_model);
    const std::size_t i = std::size_t{place.block} * (place.threads / norm_lanes) + place.thread / norm_lanes;
    if (place.thread / norm_lanes >= place.threads / norm_lanes || i >= ids.count) return;
    if (phase == 0) {
      const Lit lit = light(arrays, read_id(ids, arrays.vocab_size, i), 1.0f);
      float sum_of_squares = 0, sum_of_products = 0;
      for (std::size_t column = place.thread % norm_lanes; column < d_model; column += norm_lanes) {
        const float value = sum_rows<type>(arrays, lit, column);
        const float grad = number(read_stored<grad_type, 1>(grad_out, i * d_model + column), 0);
        sum_of_squares = add(sum_of_squares, multiply(value, value));
        sum_of_products =
            add(sum_of_products, multiply(value, multiply(read(arrays.norm_weight, column), grad)));
      }
      at(squares, place.thread) = sum_of_squares;
      at(products, place.thread) = sum_of_products;
    } else if (place.thread % norm_lanes == 0) {
      const double root =
          root_mean_square(total_of_sixteen(squares + place.thread), arrays.d_model, arrays.norm_epsilon);
      const double inverse = root == 0 ? 0 : 1 / root;
      const double cube = multiply(multiply(inverse, inverse), inverse);
      const double along = multiply(cube, static_cast<double>(total_of_sixteen(products + place.thread)));
      at(factors, i) = {static_cast<float>(inverse),
                        static_cast<float>(along / static_cast<double>(arrays.d_model))};
    }
  }
};

/// Of every token and column the step of the norm's weight, or the gradient of what goes into the norm.
template <RowType type, RowType grad_type>
struct NormGradientKernel {
  EmbeddingArrays arrays;       ///< The embedding.
  Ids ids;                      ///< The tokens.
  const void* grad_out;         ///< (N, d_model)
  const NormFactors* factors;   ///< (N)
  bool of_weight;               ///< Which of the two.
  float* out;                   ///< (N, d_model)
  std::size_t blocks_of_token;  ///< Blocks that share a token's columns.

  static constexpr int phases = 1, most_threads = 256;
  KRONECKER_DEVICE std::uint32_t rounds() const { return 1; }

  KRONECKER_DEVICE void run(int, std::uint32_t, const Place& place, char*) const {
    const auto d_model = static_cast<std::size_t>(arrays.d_model);
    const std::size_t i = place.block / blocks_of_token;
    const std::size_t column = place.block % blocks_of_token * place.threads + place.thread;
    if (column >= d_model) return;
    const std::int32_t id = read_id(ids, arrays.vocab_size, i);
    const float value = sum_rows<type>(arrays, light(arrays, id, 1.0f), column);
    const float grad = number(read_stored<grad_type, 1>(grad_out, i * d_model + column), 0);
    const float inverse_root = read(&factors->inverse_root, 2 * i),
                along_values = read(&factors->along_values, 2 * i);
    float result;
    if (of_weight)
      result = multiply(grad, multiply(inverse_root, value));
    else
      result = add(multiply(inverse_root, multiply(read(arrays.norm_weight, column), grad)),
                   multiply(-along_values, value));
    at(out, i * d_model + column) = id < 0 ? 0.0f : result;
  }
};

/// Adds the steps of all tokens to the gradient of the norm's weight, token by token.
struct NormWeightKernel {
  const float* steps;   ///< (count, d_model)
  std::size_t count;    ///< Tokens.
  std::size_t d_model;  ///< Columns.
  float* grad_weight;   ///< (d_model)

  static constexpr int phases = 1, most_threads = 256;
  KRONECKER_DEVICE std::uint32_t rounds() const { return 1; }

  KRONECKER_DEVICE void run(int, std::uint32_t, const Place& place, char*) const {
    const std::size_t column = std::size_t{place.block} * place.threads + place.thread;
    if (column >= d_model) return;
    float sum = at(grad_weight, column);
    for (std::size_t first = 0; first < count; first += rows_in_flight) {
      float numbers[rows_in_flight];
      KRONECKER_UNROLL
      for (std::size_t i = 0; i < rows_in_flight; ++i)
        if (first + i < count) numbers[i] = read(steps, (first + i) * d_model + column);
      KRONECKER_UNROLL
      for (std::size_t i = 0; i < rows_in_flight; ++i)
        if (first + i < count) sum = add(sum, numbers[i]);
    }
    at(grad_weight, column) = sum;
  }
};

}  // namespace KRONECKER_NAMESPACE::gpu::detail
