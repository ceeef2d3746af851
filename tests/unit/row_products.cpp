#include "catch.hpp"
#include "instruction_sets.hpp"
#include "matrices.hpp"

#include <kronecker/kernels/row_products.hpp>

#include <Eigen/Core>
#include <random>
#include <vector>

namespace kernels = kronecker::kernels;
using kernels::InstructionSet;
using kernels::RowType;

using test_support::random_floats;

namespace {

constexpr std::size_t cell_count = 7;

template <class Scalar, RowType type>
void check_products(std::mt19937& random) {
  for (const std::size_t d_model : {1u, 5u, 16u, 33u, 70u})
    for (const std::size_t count : {1u, 2u, 4u, 5u, 9u}) {
      std::vector<Scalar> rows;
      const float range = type == RowType::int8 ? 127.0f : 1.0f;
      for (const float value : random_floats(cell_count * d_model, random))
        rows.push_back(static_cast<Scalar>(range * value));
      const std::vector<float> vectors = random_floats(count * d_model, random);
      const std::vector<std::uint32_t> cells = {0, 2, 5};  // an odd number
      const std::size_t stride = count == 1 ? 1 : (count + 3) / 4 * 4;
      for (const InstructionSet set : test_support::instruction_sets()) {
        constexpr float untouched = 42;
        std::vector<float> products(cell_count * stride, untouched);
        kernels::multiply_rows<type>(
            set, {rows.data(), nullptr, d_model, 1},
            {cells.data(), cells.size(), vectors.data(), count, products.data(), stride});
        INFO("d_model " << d_model << ", " << count << " vectors, instruction set " << static_cast<int>(set));
        for (const std::uint32_t cell : cells)
          for (std::size_t n = 0; n < count; ++n) {
            double expected = 0;
            for (std::size_t column = 0; column < d_model; ++column)
              expected += static_cast<double>(static_cast<float>(rows[cell * d_model + column])) *
                          static_cast<double>(vectors[n * d_model + column]);
            // One rounding of 6e-8 for each of d_model sums of at most d_model * range.
            CHECK(std::abs(static_cast<double>(products[cell * stride + n]) - expected) <=
                  6e-8 * static_cast<double>(d_model * d_model) * static_cast<double>(range));
          }
        CHECK(products[1 * stride] == untouched);
      }
    }
}

}  // namespace

TEST_CASE("some of the rows are multiplied with vectors") {
  std::mt19937 random(9);
  SECTION("float32") { check_products<float, RowType::float32>(random); }
  SECTION("bfloat16") { check_products<Eigen::bfloat16, RowType::bfloat16>(random); }
  SECTION("float16") { check_products<Eigen::half, RowType::float16>(random); }
  SECTION("int8") { check_products<std::int8_t, RowType::int8>(random); }
}

TEST_CASE("multiples of rows are added to rows, the same in any split of columns") {
  std::mt19937 random(10);
  const std::vector<std::uint32_t> sum_rows = {6, 0, 3, 2, 5}, addend_rows = {1, 4, 0};
  for (const std::size_t d_model : {1u, 6u, 32u, 75u}) {
    const std::vector<float> before = random_floats(cell_count * d_model, random);
    const std::vector<float> addends = random_floats(cell_count * d_model, random);
    const std::vector<float> factors = random_floats(sum_rows.size() * addend_rows.size(), random);
    for (const InstructionSet set : test_support::instruction_sets()) {
      const auto add_in_two = [&](std::size_t split) {
        std::vector<float> sums = before;
        kernels::RowMultiples multiples{sums.data(),
                                        sum_rows.data(),
                                        sum_rows.size(),
                                        addends.data(),
                                        addend_rows.data(),
                                        addend_rows.size(),
                                        factors.data(),
                                        addend_rows.size(),
                                        1,
                                        d_model,
                                        0,
                                        split};
        kernels::add_multiples(set, multiples);
        multiples.first_column = split;
        multiples.end_column = d_model;
        kernels::add_multiples(set, multiples);
        return sums;
      };
      const std::vector<float> sums = add_in_two(d_model);
      INFO("d_model " << d_model << ", instruction set " << static_cast<int>(set));
      CHECK(add_in_two(d_model / 3) == sums);
      for (std::size_t row = 0; row < cell_count; ++row)
        for (std::size_t column = 0; column < d_model; ++column) {
          double expected = static_cast<double>(before[row * d_model + column]);
          for (std::size_t i = 0; i < sum_rows.size(); ++i)
            for (std::size_t k = 0; row == sum_rows[i] && k < addend_rows.size(); ++k)
              expected += static_cast<double>(factors[i * addend_rows.size() + k]) *
                          static_cast<double>(addends[addend_rows[k] * d_model + column]);
          CHECK(std::abs(static_cast<double>(sums[row * d_model + column]) - expected) <= 6e-8 * 4 * 4);
        }
    }
  }
}
