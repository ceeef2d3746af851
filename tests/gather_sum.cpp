#include "catch.hpp"

#include <kronecker/kernels/gather_sum.hpp>

#include <cstring>
#include <random>
#include <vector>

namespace kernels = kronecker::kernels;

TEST_CASE("the kernel sums rows in byte order and multiplies last, bit for bit, at any width and alignment") {
  constexpr std::size_t pos_dim = 255;
  std::mt19937 random(5);
  std::uniform_real_distribution<float> weights(-1, 1);
  for (const std::size_t d_model : {1u, 3u, 4u, 31u, 32u, 33u, 63u, 64u, 65u, 100u, 129u}) {
    std::vector<float> values(2 * pos_dim * d_model + 1);
    for (float& value : values) value = weights(random);
    for (const std::size_t length : {0u, 1u, 2u, 5u, 32u, 255u})
      for (const std::size_t offset : {0u, 1u}) {
        std::vector<std::uint8_t> bytes(length);
        for (auto& byte : bytes) byte = random() % 2;
        const float* rows = values.data() + offset;
        const float scale = 1.7f;

        std::vector<float> expected(d_model, 0.0f);
        for (std::size_t column = 0; length > 0 && column < d_model; ++column) {
          float sum = rows[(bytes[0] * pos_dim) * d_model + column];
          for (std::size_t p = 1; p < length; ++p) sum += rows[(bytes[p] * pos_dim + p) * d_model + column];
          expected[column] = scale * sum;
        }
        constexpr float untouched = 42;
        std::vector<float> out(d_model + 2, untouched);
        kernels::gather_sum({rows, d_model, pos_dim}, {bytes.data(), length, scale}, out.data() + 1);
        INFO("d_model " << d_model << ", length " << length << ", offset " << offset);
        CHECK(std::memcmp(out.data() + 1, expected.data(), d_model * sizeof(float)) == 0);
        CHECK((out.front() == untouched && out.back() == untouched));
      }
  }
}
