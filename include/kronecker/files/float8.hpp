#pragma once

/// Floats of 8 bits, as safetensors files may hold them: read, and not computed with.

#include <kronecker/bit_cast.hpp>
#include <kronecker/namespace.hpp>
#include <kronecker/types.hpp>

#include <cstdint>

namespace KRONECKER_NAMESPACE::detail {

/// F8_E4M3: a sign, 4 bits of exponent, 3 of the number; no infinity, and one NaN of each sign (the "fn" of
/// arXiv 2209.05433).
struct Float8E4M3 {
  std::uint8_t bits;

  explicit operator float() const noexcept {
    const int exponent = bits >> 3 & 15, number = bits & 7;
    const std::uint32_t sign = std::uint32_t{bits} >> 7 << 31;
    if (exponent == 15 && number == 7) return bit_cast<float>(sign | 0x7fc00000u);
    const float magnitude = exponent == 0 ? static_cast<float>(number) / 512  // of 2^-9
                                          : bit_cast<float>(static_cast<std::uint32_t>(exponent + 120) << 23 |
                                                            static_cast<std::uint32_t>(number) << 20);
    return bit_cast<float>(bit_cast<std::uint32_t>(magnitude) | sign);
  }
};

/// F8_E5M2: the upper half of a float of 16 bits.
struct Float8E5M2 {
  std::uint8_t bits;

  explicit operator float() const noexcept {
    return static_cast<float>(Eigen::numext::bit_cast<Eigen::half>(static_cast<std::uint16_t>(bits << 8)));
  }
};

}  // namespace KRONECKER_NAMESPACE::detail
