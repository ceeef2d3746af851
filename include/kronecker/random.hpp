#pragma once

/// Random numbers that are the same on every platform, for reproducible initial weights.
///
/// The standard library's distributions, and log and cos, may differ between platforms in the last bit or
/// altogether. Here every step is an integer operation or one of + - * / and the square root, which IEEE 754
/// rounds exactly, and no product is ever added to anything but another exact product, so that a compiler
/// that fuses multiplications with additions changes nothing.

#include <kronecker/bit_cast.hpp>
#include <kronecker/namespace.hpp>

#include <cmath>
#include <cstdint>

namespace KRONECKER_NAMESPACE::detail {

/// Natural logarithm of a normal positive number, to about 1e-14: a continued fraction of the inverse
/// hyperbolic tangent, ln m = 2 atanh((m - 1) / (m + 1)), with m in (0.75, 1.5] after splitting off a power
/// of 2.
inline double portable_log(double x) noexcept {
  constexpr double log2_of_e = 1.4426950408889634;
  const auto bits = bit_cast<std::uint64_t>(x);
  auto exponent = static_cast<int>(bits >> 52) - 1023;
  auto mantissa = bit_cast<double>((bits & 0xFFFFFFFFFFFFFull) | 0x3FF0000000000000ull);
  if (mantissa > 1.5) {
    mantissa /= 2;
    ++exponent;
  }
  const double z = (mantissa - 1) / (mantissa + 1);
  const double z_squared = z * z;
  double fraction = 13;
  for (int k = 6; k >= 1; --k) fraction = (2 * k - 1) - (k * k) * z_squared / fraction;
  return exponent / log2_of_e + 2 * (z / fraction);
}

/// A stream of random numbers that its seed decides: the SplitMix64 generator (Steele, Lea and Flood 2014).
class RandomStream {
 public:
  explicit RandomStream(std::uint64_t seed) noexcept : state_(seed) {}

  /// Uniform on [-1, 1): a multiple of 2^-25, so that its square is exact in double.
  double uniform() noexcept {
    const auto bits = static_cast<std::int64_t>(next() >> 38);
    return static_cast<double>(bits - (std::int64_t{1} << 25)) / (std::int64_t{1} << 25);
  }

  /// Normal with mean 0 and deviation 1: Marsaglia's polar method, which makes two at a time.
  double normal() noexcept {
    if (has_spare_) {
      has_spare_ = false;
      return spare_;
    }
    for (;;) {
      const double u = uniform();
      const double v = uniform();
      const double radius_squared = u * u + v * v;
      if (radius_squared == 0 || radius_squared >= 1) continue;
      const double factor = std::sqrt(-2 * portable_log(radius_squared) / radius_squared);
      spare_ = v * factor;
      has_spare_ = true;
      return u * factor;
    }
  }

 private:
  std::uint64_t next() noexcept {
    state_ += 0x9E3779B97F4A7C15u;
    std::uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
  }

  std::uint64_t state_;
  double spare_ = 0;
  bool has_spare_ = false;
};

}  // namespace KRONECKER_NAMESPACE::detail
