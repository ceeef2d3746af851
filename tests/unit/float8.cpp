#include "catch.hpp"

#include <kronecker/files/float8.hpp>

#include <cmath>

namespace {

/// What the bits mean by IEEE 754's rule for numbers: sign, exponent with that bias, rest.
double float8_number(int bits, int number_bits, int bias) {
  const int exponent = (bits & 0x7f) >> number_bits, number = bits & ((1 << number_bits) - 1);
  const double magnitude = exponent == 0
                               ? std::ldexp(number, 1 - bias - number_bits)
                               : std::ldexp(number + (1 << number_bits), exponent - bias - number_bits);
  return bits & 0x80 ? -magnitude : magnitude;
}

template <class Float8>
double float8_of(int bits) {
  return static_cast<double>(static_cast<float>(Float8{static_cast<std::uint8_t>(bits)}));
}

}  // namespace

TEST_CASE("floats of 8 bits are the numbers that their bits mean") {
  using kronecker::detail::Float8E4M3;
  using kronecker::detail::Float8E5M2;
  for (int bits = 0; bits < 256; ++bits) {
    CAPTURE(bits);
    if ((bits & 0x7f) == 0x7f) {
      CHECK(std::isnan(float8_of<Float8E4M3>(bits)));
    } else {
      CHECK(float8_of<Float8E4M3>(bits) == float8_number(bits, 3, 7));
      CHECK(std::signbit(float8_of<Float8E4M3>(bits)) == (bits >= 128));
    }
    if ((bits & 0x7f) > 0x7c) {
      CHECK(std::isnan(float8_of<Float8E5M2>(bits)));
    } else {
      const double expected =
          (bits & 0x7f) == 0x7c ? (bits == 0x7c ? INFINITY : -INFINITY) : float8_number(bits, 2, 15);
      CHECK(float8_of<Float8E5M2>(bits) == expected);
      CHECK(std::signbit(float8_of<Float8E5M2>(bits)) == (bits >= 128));
    }
  }
  // The largest and the smallest numbers, as arXiv 2209.05433 lists them.
  CHECK(float8_of<Float8E4M3>(0x7e) == 448);
  CHECK(float8_of<Float8E5M2>(0x7b) == 57344);
  CHECK(float8_of<Float8E4M3>(1) == std::ldexp(1, -9));
  CHECK(float8_of<Float8E5M2>(1) == std::ldexp(1, -16));
}
