#include "catch.hpp"
#include "matrices.hpp"

#include <kronecker/training/sums_in_parts.hpp>

#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

namespace {

/// Does the parts one after the other, the last one first, and remembers how many threads it may have.
struct LastFirst {
  std::size_t most, least_numbers;
  mutable std::size_t threads = 0, count = 0;
  template <class Work>
  void operator()(std::size_t parts, std::size_t most_threads, const Work& work) const {
    threads = most_threads;
    count = parts;
    for (std::size_t part = parts; part-- > 0;) work(part);
  }
};

}  // namespace

TEST_CASE(
    "sums of rows in parts are those in order to rounding in double, and the same bits for any threads") {
  constexpr std::size_t width = 5;
  std::mt19937 random(3);
  const std::vector<float> scales = test_support::random_floats(256, random);
  for (const std::size_t count : {0u, 1u, 256u, 257u, 3000u, 5000u}) {
    const std::vector<float> rows = test_support::random_floats(count * width, random);
    std::vector<std::uint8_t> lengths(count);
    for (auto& length : lengths) length = static_cast<std::uint8_t>(random() % 3);
    const kronecker::kernels::RowLengths row_lengths{lengths.data(), scales.data()};
    for (const bool has_lengths : {false, true}) {
      const auto sums = [&](std::size_t threads) {
        return kronecker::detail::sum_in_parts<kronecker::kernels::RowType::float32>(
            rows.data(), count, width, has_lengths ? &row_lengths : nullptr, LastFirst{threads, 1});
      };
      const std::vector<double> found = sums(1);
      CHECK(sums(5) == found);
      REQUIRE(found.size() == width);
      std::vector<double> expected(width);
      for (std::size_t i = 0; i < count * width; ++i) {
        const std::uint8_t length = lengths[i / width];
        const float term = has_lengths ? scales[length] * rows[i] : rows[i];
        expected[i % width] += (has_lengths ? length : 1) * static_cast<double>(term);
      }
      for (std::size_t column = 0; column < width; ++column)
        CHECK(std::abs(found[column] - expected[column]) < 1e-9);
    }
  }
}

TEST_CASE("no thread works on less than is worth it") {
  const std::vector<float> rows(1000 * 4);
  const auto threads = [&](std::size_t least_numbers) {
    const LastFirst parallel{3, least_numbers};
    kronecker::detail::sum_in_parts<kronecker::kernels::RowType::float32>(rows.data(), 1000, 4, nullptr,
                                                                          parallel);
    CHECK(parallel.count == 4);
    return parallel.threads;
  };
  CHECK(threads(4001) == 1);
  CHECK(threads(2000) == 2);
  CHECK(threads(1) == 3);
}
