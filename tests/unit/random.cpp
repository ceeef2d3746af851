#include "catch.hpp"

#include <kronecker/random.hpp>

#include <cmath>

using kronecker::detail::portable_log;
using kronecker::detail::RandomStream;

TEST_CASE("the portable logarithm is a logarithm") {
  for (double x = 1e-300; x < 1e300; x *= 1.003)
    CHECK(std::abs(portable_log(x) - std::log(x)) <= 1e-13 * std::max(1.0, std::abs(std::log(x))));
  for (double x = 0.5; x < 2; x += 1e-3) CHECK(std::abs(portable_log(x) - std::log(x)) <= 1e-14);
  CHECK(portable_log(1) == 0);
}

TEST_CASE("a seed decides the numbers, on every platform") {
  RandomStream stream(1234567);
  // The published first outputs of SplitMix64 for this seed, of which 26 bits are used.
  for (const std::uint64_t output : {6457827717110365317u, 3203168211198807973u, 9817491932198370423u})
    CHECK(stream.uniform() == static_cast<double>(output >> 38) / 33554432 - 1);
  CHECK(RandomStream(1).normal() == RandomStream(1).normal());
  CHECK(RandomStream(1).normal() != RandomStream(2).normal());
}

TEST_CASE("normal numbers have a normal's moments and tails") {
  RandomStream stream(3);
  constexpr int n = 1000000;
  double sum = 0, squares = 0, fourths = 0, neighbors = 0, previous = 0;
  int beyond[5] = {};
  for (int i = 0; i < n; ++i) {
    const double x = stream.normal();
    sum += x;
    squares += x * x;
    fourths += x * x * x * x;
    neighbors += x * previous;
    previous = x;
    for (int sigma = 1; sigma <= 4; ++sigma) beyond[sigma] += std::abs(x) > sigma ? 1 : 0;
  }
  // Five standard errors each.
  CHECK(std::abs(sum / n) < 5e-3);
  CHECK(std::abs(squares / n - 1) < 5 * std::sqrt(2.0 / n));
  CHECK(std::abs(fourths / n - 3) < 5 * std::sqrt(96.0 / n));
  CHECK(std::abs(neighbors / n) < 5e-3);
  for (int sigma = 1; sigma <= 4; ++sigma) {
    const double expected = std::erfc(sigma / std::sqrt(2.0)) * n;
    CHECK(std::abs(beyond[sigma] - expected) < 5 * std::sqrt(expected));
  }
}

TEST_CASE("uniform numbers fill [-1, 1)") {
  RandomStream stream(4);
  double least = 1, most = -1, sum = 0, squares = 0;
  constexpr int n = 1000000;
  for (int i = 0; i < n; ++i) {
    const double x = stream.uniform();
    least = std::min(least, x);
    most = std::max(most, x);
    sum += x;
    squares += x * x;
  }
  CHECK((least >= -1 && least < -0.9999));
  CHECK((most < 1 && most > 0.9999));
  CHECK(std::abs(sum / n) < 5 * std::sqrt(1.0 / 3 / n));
  CHECK(std::abs(squares / n - 1.0 / 3) < 5 * std::sqrt(4.0 / 45 / n));
}
