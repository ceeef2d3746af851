#pragma once

/// The numbers that ggml's quantized blocks stand for, with the bits that llama.cpp and gguf-py give them.
///
/// A block holds small multiples of a scale that its values share; in the K types, of one for each 16 or 32
/// of them, which are multiples of a scale in turn. The products that are not rounded last are exact in
/// float32, so no compiler can change a result by fusing them with what follows.

#include <kronecker/bit_cast.hpp>
#include <kronecker/files/little_endian.hpp>
#include <kronecker/namespace.hpp>
#include <kronecker/types.hpp>

#include <cstddef>
#include <cstdint>
#include <utility>

namespace KRONECKER_NAMESPACE::detail {

inline float half_at(const unsigned char* bytes) noexcept {
  const auto bits = little_endian_at<std::uint16_t>(bytes);
  return static_cast<float>(Eigen::numext::bit_cast<Eigen::half>(bits));
}

/// A block of one value, or of 32 or 256: `to` receives them.
using Dequantize = void (*)(const unsigned char* block, float* to) noexcept;

inline void from_f32(const unsigned char* block, float* to) noexcept {
  *to = bit_cast<float>(little_endian_at<std::uint32_t>(block));
}
inline void from_f16(const unsigned char* block, float* to) noexcept { *to = half_at(block); }
inline void from_bf16(const unsigned char* block, float* to) noexcept {
  *to = bit_cast<float>(std::uint32_t{little_endian_at<std::uint16_t>(block)} << 16);
}
inline void from_f64(const unsigned char* block, float* to) noexcept {
  *to = static_cast<float>(bit_cast<double>(little_endian_at<std::uint64_t>(block)));
}

/// A scale, then 32 numbers of 4 bits, the first 16 in the low halves; they are multiples, plus 8.
inline void from_q4_0(const unsigned char* block, float* to) noexcept {
  const float scale = half_at(block);
  for (int i = 0; i < 16; ++i) {
    to[i] = scale * static_cast<float>((block[2 + i] & 15) - 8);
    to[i + 16] = scale * static_cast<float>((block[2 + i] >> 4) - 8);
  }
}

/// The same with a fifth bit of each, 32 of them together; plus 16.
inline void from_q5_0(const unsigned char* block, float* to) noexcept {
  const float scale = half_at(block);
  const auto fifth_bits = little_endian_at<std::uint32_t>(block + 2);
  const auto multiple = [&](int low_bits, int i) {
    return static_cast<float>((low_bits | static_cast<int>(fifth_bits >> i & 1) << 4) - 16);
  };
  for (int i = 0; i < 16; ++i) {
    to[i] = scale * multiple(block[6 + i] & 15, i);
    to[i + 16] = scale * multiple(block[6 + i] >> 4, i + 16);
  }
}

/// A scale and 32 multiples.
inline void from_q8_0(const unsigned char* block, float* to) noexcept {
  const float scale = half_at(block);
  for (int i = 0; i < 32; ++i) to[i] = scale * static_cast<float>(static_cast<std::int8_t>(block[2 + i]));
}

/// What the values of each eighth of a block of Q4_K or Q5_K are multiplied by, and what is then taken off:
/// numbers of 6 bits, times the block's two scales. The first four eighths have them in a byte each; of the
/// others, the upper two bits are in those bytes.
inline std::pair<float, float> scale_and_offset(const unsigned char* block, int eighth) noexcept {
  const unsigned char* const packed = block + 4;
  const auto six_bits = [&](int at) {
    if (eighth < 4) return packed[at + eighth] & 63;
    const int low = at == 0 ? packed[eighth + 4] & 15 : packed[eighth + 4] >> 4;
    return low | packed[at + eighth - 4] >> 6 << 4;
  };
  return {half_at(block) * static_cast<float>(six_bits(0)),
          half_at(block + 2) * static_cast<float>(six_bits(4))};
}

/// 256 numbers of 4 bits, each 64 in 32 bytes, the first 32 in the low halves.
inline void from_q4_k(const unsigned char* block, float* to) noexcept {
  for (int eighth = 0; eighth < 8; ++eighth) {
    const auto [scale, offset] = scale_and_offset(block, eighth);
    const unsigned char* const bytes = block + 16 + eighth / 2 * 32;
    for (int i = 0; i < 32; ++i) *to++ = scale * static_cast<float>(bytes[i] >> eighth % 2 * 4 & 15) - offset;
  }
}

/// The same with a fifth bit: bit n of 32 bytes belongs to eighth n.
inline void from_q5_k(const unsigned char* block, float* to) noexcept {
  const unsigned char* const fifth_bits = block + 16;
  for (int eighth = 0; eighth < 8; ++eighth) {
    const auto [scale, offset] = scale_and_offset(block, eighth);
    const unsigned char* const bytes = block + 48 + eighth / 2 * 32;
    for (int i = 0; i < 32; ++i) {
      const int number = (bytes[i] >> eighth % 2 * 4 & 15) | (fifth_bits[i] >> eighth & 1) << 4;
      *to++ = scale * static_cast<float>(number) - offset;
    }
  }
}

/// 256 multiples of 6 bits, plus 32, and a scale for each 16, which is a multiple of the block's. Each half
/// of the block has its low four bits in 64 bytes, 32 values in the low halves of 32 bytes and so on, and its
/// upper two bits in 32 bytes.
inline void from_q6_k(const unsigned char* block, float* to) noexcept {
  const float whole_scale = half_at(block + 208);
  for (int i = 0; i < 256; ++i) {
    const int half = i / 128, quarter = i % 128 / 32, at = i % 32;
    const int low = block[half * 64 + quarter % 2 * 32 + at] >> quarter / 2 * 4 & 15;
    const int high = block[128 + half * 32 + at] >> quarter * 2 & 3;
    const float scale = whole_scale * static_cast<float>(static_cast<std::int8_t>(block[192 + i / 16]));
    to[i] = scale * static_cast<float>((low | high << 4) - 32);
  }
}

/// What reads a block of ggml's type of that number; null if it is not read.
inline Dequantize dequantize_of(std::uint32_t type) noexcept {
  switch (type) {
    case 0:
      return from_f32;
    case 1:
      return from_f16;
    case 2:
      return from_q4_0;
    case 6:
      return from_q5_0;
    case 8:
      return from_q8_0;
    case 12:
      return from_q4_k;
    case 13:
      return from_q5_k;
    case 14:
      return from_q6_k;
    case 28:
      return from_f64;
    case 30:
      return from_bf16;
    default:
      return nullptr;
  }
}

}  // namespace KRONECKER_NAMESPACE::detail
