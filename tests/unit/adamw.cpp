#include "catch.hpp"
#include "instruction_sets.hpp"
#include "matrices.hpp"

#include <kronecker/kernels/adamw.hpp>

#include <cmath>
#include <limits>
#include <random>
#include <vector>

namespace {

namespace kernels = kronecker::kernels;

// Each operation is rounded once where it is stored: the definition, one number after the other.
void step_by_definition(const kernels::AdamWRow& row, const kernels::AdamWFactors& factors) {
  for (std::size_t i = 0; i < row.count; ++i) {
    volatile float kept = factors.beta1 * row.means[i], added = (1 - factors.beta1) * row.slopes[i];
    volatile float mean = kept + added;
    kept = factors.beta2 * row.squares[i];
    added = (1 - factors.beta2) * row.slopes[i];
    added = added * row.slopes[i];
    volatile float square = kept + added;
    volatile float deviation = std::sqrt(square);
    deviation = deviation / factors.root_correction;
    deviation = deviation + factors.epsilon;
    kept = factors.kept * row.weights[i];
    added = factors.step_size * mean;
    added = added / deviation;
    row.weights[i] = kept - added;
    row.means[i] = std::fpclassify(mean) == FP_SUBNORMAL ? 0 : mean;
    row.squares[i] = std::fpclassify(square) == FP_SUBNORMAL ? 0 : square;
  }
}

struct AdamWNumbers {
  std::vector<float> weights, slopes, means, squares;

  kernels::AdamWRow row(std::size_t count) {
    return {count, weights.data(), slopes.data(), means.data(), squares.data()};
  }
};

}  // namespace

TEST_CASE("a step of AdamW is its definition, rounded after every operation, on every instruction set") {
  const kernels::AdamWFactors factors{0.9f, 0.999f, 0.9999f, 3e-3f, 0.07f, 1e-8f};
  constexpr std::size_t most = 133;
  std::mt19937 random(5);
  AdamWNumbers numbers{test_support::random_floats(most, random), test_support::random_floats(most, random),
                       test_support::random_floats(most, random), test_support::random_floats(most, random)};
  for (float& square : numbers.squares) square *= square;
  constexpr float least = (std::numeric_limits<float>::min)();
  for (const std::size_t i : {0u, 40u, 132u}) {  // what decays below the normal numbers, and never was above
    numbers.slopes[i] = 0;
    numbers.means[i] = -least;
    numbers.squares[i] = i == 40 ? 0 : least;
  }
  for (const std::size_t count : {0u, 1u, 7u, 16u, 17u, 64u, 133u}) {
    AdamWNumbers expected = numbers;
    step_by_definition(expected.row(count), factors);
    if (count > 0) {
      CHECK(expected.means[0] == 0);
      CHECK(expected.squares[0] == 0);
    }
    for (const kernels::InstructionSet set : test_support::instruction_sets()) {
      AdamWNumbers found = numbers;
      kernels::adamw(set, found.row(count), factors);
      INFO(count << " numbers, instruction set " << static_cast<int>(set));
      CHECK(found.weights == expected.weights);
      CHECK(found.means == expected.means);
      CHECK(found.squares == expected.squares);
    }
  }
}
