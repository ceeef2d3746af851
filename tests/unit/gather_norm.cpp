#include "catch.hpp"
#include "instruction_sets.hpp"
#include "matrices.hpp"

#include <kronecker/embedding.hpp>
#include <kronecker/kernels/gather_norm.hpp>

#include <cstdint>
#include <cstring>
#include <random>
#include <vector>

namespace kernels = kronecker::kernels;
using test_support::random_floats;

TEMPLATE_TEST_CASE("a norm in one sweep has the bits of the sums' norm, with every instruction set", "",
                   float, Eigen::bfloat16, Eigen::half, std::int8_t) {
  constexpr auto type = kronecker::ProjectionRows<TestType>::type;
  constexpr std::size_t pos_dim = 4;
  std::mt19937 random(1);
  const std::vector<std::uint8_t> bytes = {0, 1, 0, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0},
                                  lengths = {4, 2, 1, 0};
  const std::vector<float> scales = random_floats(pos_dim + 1, random);
  for (const std::size_t d_model : {32u, 96u, 768u, 4096u})
    for (const std::size_t count : {std::size_t{1}, std::size_t{2}, std::size_t{7},
                                    (std::size_t{5} << 20) / 4 / d_model}) {  // the last is streamed
      std::vector<TestType> values;
      for (const float value : random_floats(2 * pos_dim * d_model, random))
        values.push_back(static_cast<TestType>(std::is_same_v<TestType, std::int8_t> ? 100 * value : value));
      const std::vector<float> column_scales = random_floats(d_model, random),
                               weight = random_floats(d_model, random),
                               length_rows = random_floats((pos_dim + 1) * d_model, random);
      const kernels::Rows rows{values.data(), column_scales.data(), d_model, pos_dim},
          with_length_rows{values.data(), column_scales.data(), d_model, pos_dim, length_rows.data()};
      std::vector<std::int32_t> ids(count);
      for (std::int32_t& id : ids) id = static_cast<std::int32_t>(random() % 4);
      const kernels::Tokens tokens{bytes.data(), lengths.data(), scales.data(), ids.data(), count};
      const kernels::NormWeights weights{weight.data(), 1e-6f};
      const std::size_t stride = d_model + 16;
      for (const auto set : test_support::instruction_sets()) {
        INFO("d_model " << d_model << ", " << count << " tokens, instruction set " << static_cast<int>(set));
        const auto check = [&](const kernels::Rows& any_rows) {
          std::vector<float> sums(count * d_model), expected(count * stride, 42.0f), found(expected),
              one_row(d_model, 1.0f);
          kernels::gather_sum<type, kernels::RowType::float32>(set, any_rows, tokens,
                                                               {sums.data(), d_model, false});
          kernels::rms_norm<kernels::RowType::float32>(set, sums.data(), count, d_model, weights, 3.0f,
                                                       {expected.data(), stride, false}, false);
          const kernels::Output out{found.data(), stride, false};
          REQUIRE(kernels::can_gather_norm(any_rows, out));
          kernels::gather_norm<type>(set, any_rows, tokens, weights, 3.0f, one_row.data(), out);
          CHECK(std::memcmp(found.data(), expected.data(), found.size() * sizeof(float)) == 0);
        };
        check(rows);
        check(with_length_rows);
      }
    }
}

TEST_CASE("a norm in one sweep is for whole vectors that are replaced") {
  const auto can = [](std::size_t d_model, bool accumulate) {
    return kernels::can_gather_norm({nullptr, nullptr, d_model, 1}, {nullptr, d_model, accumulate});
  };
  CHECK(can(32, false));
  CHECK_FALSE(can(48, false));
  CHECK_FALSE(can(32, true));
}
