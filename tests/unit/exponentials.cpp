#include "catch.hpp"
#include "instruction_sets.hpp"

#include <kronecker/kernels/exponentials.hpp>

#include <cmath>
#include <vector>

TEST_CASE("exponentials of columns, and their sums, are those of the standard library in double") {
  for (const std::size_t columns : {1u, 5u, 16u, 37u})
    for (const auto set : test_support::instruction_sets()) {
      INFO(columns << " columns, instruction set " << static_cast<int>(set));
      constexpr std::size_t rows = 60;
      const std::size_t stride = columns + 3;
      std::vector<float> values(rows * stride, 42), shifts(columns), factors(columns), sums(columns, 1);
      std::vector<double> expected_sums(columns, 1);
      for (std::size_t n = 0; n < columns; ++n) {
        shifts[n] = static_cast<float>(n) * 3 - 20;
        factors[n] = 1 / static_cast<float>(n + 1);
      }
      const auto value_at = [&](std::size_t row, std::size_t n) {
        return shifts[n] - static_cast<float>(row * row) / 37;  // down to exp(-94)
      };
      for (std::size_t row = 0; row < rows; ++row)
        for (std::size_t n = 0; n < columns; ++n) values[row * stride + n] = value_at(row, n);
      kronecker::kernels::exponentials(
          set, {values.data(), rows, stride, columns, shifts.data(), factors.data(), sums.data()});
      for (std::size_t row = 0; row < rows; ++row) {
        for (std::size_t n = 0; n < columns; ++n) {
          const double power = static_cast<double>(value_at(row, n) - shifts[n]);
          const double expected = static_cast<double>(factors[n]) * (power > -87 ? std::exp(power) : 0);
          expected_sums[n] += expected;
          CHECK(std::abs(static_cast<double>(values[row * stride + n]) - expected) <=
                4e-7 * expected + 1e-44);
        }
        CHECK(values[row * stride + columns] == 42);
      }
      for (std::size_t n = 0; n < columns; ++n)
        CHECK(std::abs(static_cast<double>(sums[n]) - expected_sums[n]) <= 1e-6 * expected_sums[n]);
    }
}

TEST_CASE("a logit that is not a number is not lost in a sum of exponentials") {
  for (const auto set : test_support::instruction_sets()) {
    INFO("instruction set " << static_cast<int>(set));
    std::vector<float> values = {0, 1, std::nanf(""), -1}, sums = {0, 0};
    const std::vector<float> shifts = {0, 1}, factors = {1, 1};
    kronecker::kernels::exponentials(set,
                                     {values.data(), 2, 2, 2, shifts.data(), factors.data(), sums.data()});
    CHECK(std::isnan(sums[0]));
    CHECK(sums[1] > 1);
  }
}
