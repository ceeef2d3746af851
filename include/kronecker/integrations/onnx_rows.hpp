#pragma once

/// The rows that an ONNX model gathers: the sums of what chunks of bytes light.

#include <kronecker/bit_cast.hpp>
#include <kronecker/cell.hpp>
#include <kronecker/integrations/onnx_chunks.hpp>
#include <kronecker/namespace.hpp>
#include <kronecker/rows.hpp>
#include <kronecker/types.hpp>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace KRONECKER_NAMESPACE::detail {

/// The greatest n for which the value, which is finite and not 0, is a multiple of 2^n.
inline int lowest_bit(float value) noexcept {
  const auto bits = bit_cast<std::uint32_t>(value);
  const std::uint32_t exponent = bits >> 23 & 0xFF, fraction = bits & 0x7FFFFF;
  const std::uint32_t significand = exponent == 0 ? fraction : fraction | 0x800000;
  return static_cast<int>((std::max)(exponent, std::uint32_t{1})) - 150 + std::countr_zero(significand);
}

/// The row of a byte at a position.
template <class Scalar>
std::span<const Scalar> row_of_byte(const ProjectionRows<Scalar>& rows, char byte, std::size_t position,
                                    std::size_t pos_dim) {
  const auto d_model = static_cast<std::size_t>(rows.d_model());
  const std::size_t cell = cell_of(static_cast<std::uint8_t>(byte), position, pos_dim);
  return rows.values().span().subspan(cell * d_model, d_model);
}

/// Whether float32 holds every sum of the rows that a token lights exactly, in any order and of any part: all
/// numbers of a column are multiples of a power of two, and not more than 2^24 of it in sum. So it is for
/// int8, and mostly for float16. O(chunks * d_model) for the `bytes` that tokens light, a chunk for each.
template <class Scalar>
bool sums_are_exact(const ProjectionRows<Scalar>& rows, const std::vector<Chunk>& bytes,
                    std::size_t pos_dim) {
  const auto d_model = static_cast<std::size_t>(rows.d_model());
  std::vector<int> lowest(d_model, 128);
  std::vector<float> greatest(pos_dim * d_model);
  for (const Chunk& byte : bytes) {
    const std::span<const Scalar> row = row_of_byte(rows, byte.bytes.front(), byte.first, pos_dim);
    for (std::size_t i = 0; i < d_model; ++i) {
      const float magnitude = std::abs(static_cast<float>(row[i]));
      if (magnitude == 0) continue;
      lowest[i] = (std::min)(lowest[i], lowest_bit(magnitude));
      float& greatest_here = greatest[byte.first * d_model + i];
      greatest_here = (std::max)(greatest_here, magnitude);
    }
  }
  for (std::size_t i = 0; i < d_model; ++i) {
    double most = 0;
    for (std::size_t position = 0; position < pos_dim; ++position) most += greatest[position * d_model + i];
    if (most > std::ldexp(1.0, lowest[i] + 24)) return false;
  }
  return true;
}

/// The row of each chunk, then one of zeros: sums in double, rounded once.
template <class Stored, class Scalar>
std::vector<Stored> chunk_rows(const ProjectionRows<Scalar>& rows, const std::vector<Chunk>& chunks,
                               std::size_t pos_dim) {
  const auto d_model = static_cast<std::size_t>(rows.d_model());
  std::vector<Stored> summed;
  summed.reserve((chunks.size() + 1) * d_model);
  std::vector<double> sum(d_model);
  for (const Chunk& chunk : chunks) {
    std::fill(sum.begin(), sum.end(), 0.0);
    for (std::size_t p = 0; p < chunk.bytes.size(); ++p) {
      const std::span<const Scalar> row = row_of_byte(rows, chunk.bytes[p], chunk.first + p, pos_dim);
      for (std::size_t i = 0; i < d_model; ++i) sum[i] += static_cast<float>(row[i]);
    }
    for (const double value : sum) summed.push_back(static_cast<Stored>(static_cast<float>(value)));
  }
  summed.resize(summed.size() + d_model, Stored(0));
  return summed;
}

}  // namespace KRONECKER_NAMESPACE::detail
