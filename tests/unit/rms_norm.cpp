#include "catch.hpp"
#include "instruction_sets.hpp"
#include "matrices.hpp"

#include <kronecker/kernels/rms_norm.hpp>

#include <Eigen/Core>
#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <utility>
#include <vector>

namespace kernels = kronecker::kernels;
using kernels::InstructionSet;
using kernels::RowType;
using test_support::random_floats;

namespace {

template <class Out>
constexpr RowType norm_output_type = std::is_same_v<Out, float>             ? RowType::float32
                                     : std::is_same_v<Out, Eigen::bfloat16> ? RowType::bfloat16
                                                                            : RowType::float16;

/// Some tokens' numbers, and a norm of them.
struct NormedTokens {
  std::size_t count, d_model;
  std::vector<float> values, weight, grad_out;
  float epsilon = 1e-3f;

  NormedTokens(std::size_t tokens, std::size_t columns, std::mt19937& random)
      : count(tokens),
        d_model(columns),
        values(random_floats(tokens * columns, random)),
        weight(random_floats(columns, random)),
        grad_out(random_floats(tokens * columns, random)) {}
  kernels::NormWeights weights() const { return {weight.data(), epsilon}; }
  const float* token(std::size_t i) const { return values.data() + i * d_model; }

  /// The sum of products of `a` and `b` in the order of the definition, one number at a time.
  float sum(const float* a, const float* b) const {
    std::array<float, 16> sums{};
    for (std::size_t column = 0; column < d_model; ++column) {
      const volatile float product = a[column] * b[column];
      sums[column % 16] += product;
    }
    for (std::size_t j = 0; j < 8; ++j) sums[j] += sums[j + 8];
    for (std::size_t j = 0; j < 4; ++j) sums[j] += sums[j + 4];
    return (sums[0] + sums[2]) + (sums[1] + sums[3]);
  }
  double root(std::size_t i) const {
    const double mean = static_cast<double>(sum(token(i), token(i))) / static_cast<double>(d_model);
    return std::sqrt(mean + static_cast<double>(epsilon));
  }

  /// The definition in double, for some numbers of a token and some weights.
  Eigen::VectorXd norm(const Eigen::VectorXd& numbers, const Eigen::VectorXd& with) const {
    const double mean = numbers.squaredNorm() / static_cast<double>(d_model);
    return numbers.cwiseProduct(with) / std::sqrt(mean + static_cast<double>(epsilon));
  }
  Eigen::VectorXd doubles(const float* from) const {
    return Eigen::Map<const Eigen::VectorXf>(from, static_cast<Eigen::Index>(d_model)).cast<double>();
  }
};

/// A rounding of float32, and the most that the sum of squares is off by, relative: one for the square, those
/// of a sixteenth of the additions, and four to make one sum of sixteen.
constexpr double float_rounding = 0x1p-24;
double error_of_sum(std::size_t d_model) { return (static_cast<double>(d_model / 16) + 5) * float_rounding; }

}  // namespace

TEMPLATE_TEST_CASE("norms have the bits of the definition with every instruction set", "", float,
                   Eigen::bfloat16, Eigen::half) {
  std::mt19937 random(1);
  for (const std::size_t d_model : {1u, 3u, 15u, 16u, 17u, 31u, 32u, 33u, 96u, 100u, 768u, 4096u})
    for (const std::size_t count : {1u, 3u, 6u})
      for (const std::size_t stride : {d_model, d_model + 3})
        for (const bool accumulate : {false, true}) {
          const NormedTokens tokens(count, d_model, random);
          constexpr float gain = 1.3f;
          std::vector<TestType> before;
          for (const float number : random_floats(count * stride + 2, random))
            before.push_back(static_cast<TestType>(number));
          std::vector<TestType> expected = before;
          for (std::size_t i = 0; i < count; ++i) {
            const auto factor = static_cast<float>(static_cast<double>(gain) / tokens.root(i));
            for (std::size_t column = 0; column < d_model; ++column) {
              TestType& number = expected[1 + i * stride + column];
              const volatile float product = tokens.token(i)[column] * factor * tokens.weight[column];
              number = static_cast<TestType>(accumulate ? static_cast<float>(number) + product : product);
            }
          }
          for (const InstructionSet set : test_support::instruction_sets()) {
            std::vector<TestType> out = before;
            kernels::rms_norm<norm_output_type<TestType>>(set, tokens.values.data(), count, d_model,
                                                          tokens.weights(), gain,
                                                          {out.data() + 1, stride, accumulate}, false);
            INFO("d_model " << d_model << ", count " << count << ", stride " << stride << ", accumulate "
                            << accumulate << ", instruction set " << static_cast<int>(set));
            CHECK(std::memcmp(out.data(), expected.data(), out.size() * sizeof(TestType)) == 0);
          }
        }
}

TEMPLATE_TEST_CASE("norms are those of double arithmetic, to rounding", "", float, Eigen::bfloat16,
                   Eigen::half) {
  constexpr double out_rounding = std::is_same_v<TestType, float>             ? 0
                                  : std::is_same_v<TestType, Eigen::bfloat16> ? 0x1p-8
                                                                              : 0x1p-11;
  std::mt19937 random(2);
  for (const std::size_t d_model : {1u, 3u, 15u, 16u, 17u, 96u, 768u, 4096u}) {
    const NormedTokens tokens(5, d_model, random);
    std::vector<TestType> out(tokens.values.size());
    kernels::rms_norm<norm_output_type<TestType>>(kernels::instruction_set(), tokens.values.data(), 5,
                                                  d_model, tokens.weights(), 1, {out.data(), d_model, false},
                                                  false);
    // Half the sum's error goes through the root; the factor and two products are rounded.
    const double error = error_of_sum(d_model) / 2 + 3 * float_rounding + out_rounding;
    for (std::size_t i = 0; i < 5; ++i) {
      const Eigen::VectorXd expected =
          tokens.norm(tokens.doubles(tokens.token(i)), tokens.doubles(tokens.weight.data()));
      double worst = 0;
      for (std::size_t column = 0; column < d_model; ++column) {
        const double exact = expected[static_cast<Eigen::Index>(column)];
        const double most = 1.001 * error * std::abs(exact) + 0x1p-25;  // where float16 is denormal
        const auto number = static_cast<float>(out[i * d_model + column]);
        worst = std::max(worst, std::abs(static_cast<double>(number) - exact) / most);
      }
      INFO("d_model " << d_model << ", token " << i);
      CHECK(worst <= 1);
    }
  }
}

TEST_CASE("norms may take the place of the numbers") {
  std::mt19937 random(3);
  for (const std::size_t d_model : {3u, 40u, 768u}) {
    const NormedTokens tokens(6, d_model, random);
    std::vector<float> apart(tokens.values.size());
    for (const InstructionSet set : test_support::instruction_sets()) {
      kernels::rms_norm<RowType::float32>(set, tokens.values.data(), 6, d_model, tokens.weights(), 1,
                                          {apart.data(), d_model, false}, false);
      std::vector<float> in_place = tokens.values;
      kernels::rms_norm<RowType::float32>(set, in_place.data(), 6, d_model, tokens.weights(), 1,
                                          {in_place.data(), d_model, false}, false);
      CHECK(in_place == apart);
    }
  }
}

TEMPLATE_TEST_CASE("norms are written around the caches as into them, wherever in a line they begin", "",
                   float, Eigen::bfloat16, Eigen::half) {
  std::mt19937 random(4);
  for (const std::size_t d_model : {32u, 96u, 1056u}) {
    const std::size_t stride = d_model + 8, count = 7;
    const NormedTokens tokens(count, d_model, random);
    const auto untouched = static_cast<TestType>(42.0f);
    std::vector<TestType> expected(count * stride, untouched);
    kernels::rms_norm<norm_output_type<TestType>>(InstructionSet::baseline, tokens.values.data(), count,
                                                  d_model, tokens.weights(), 1,
                                                  {expected.data(), stride, false}, false);
    for (const InstructionSet set : test_support::instruction_sets())
      for (const std::size_t offset : {16u, 32u, 48u, 64u}) {  // bytes from the beginning of a line
        std::vector<TestType> memory(expected.size() + 128 / sizeof(TestType), untouched);
        TestType* first_line = memory.data();
        while (reinterpret_cast<std::uintptr_t>(first_line) % 64 != 0) ++first_line;
        TestType* const out = first_line + offset / sizeof(TestType);
        kernels::rms_norm<norm_output_type<TestType>>(set, tokens.values.data(), count, d_model,
                                                      tokens.weights(), 1, {out, stride, false}, true);
        INFO("d_model " << d_model << ", offset " << offset << ", instruction set " << static_cast<int>(set));
        CHECK(std::memcmp(out, expected.data(), expected.size() * sizeof(TestType)) == 0);
        const auto is_untouched = [=](TestType value) { return value == untouched; };
        CHECK(std::all_of(memory.data(), out, is_untouched));
        CHECK(std::all_of(out + expected.size(), memory.data() + memory.size(), is_untouched));
      }
  }
}

TEST_CASE("the norm of zeros is zeros, forward and back, and what is not a number stays none") {
  std::mt19937 random(5);
  NormedTokens tokens(3, 40, random);
  tokens.epsilon = 0;
  std::fill_n(tokens.values.begin(), 40, 0.0f);
  tokens.values[2 * 40 + 7] = std::numeric_limits<float>::quiet_NaN();
  for (const InstructionSet set : test_support::instruction_sets()) {
    std::vector<float> out(120, 1), grad_values(120, 1), grad_weight(40, 0);
    kernels::rms_norm<RowType::float32>(set, tokens.values.data(), 3, 40, tokens.weights(), 1,
                                        {out.data(), 40, false}, false);
    CHECK(std::all_of(out.begin(), out.begin() + 40, [](float number) { return number == 0; }));
    CHECK(std::none_of(out.begin() + 40, out.begin() + 80, [](float number) { return std::isnan(number); }));
    CHECK(std::all_of(out.begin() + 80, out.end(), [](float number) { return std::isnan(number); }));
    kernels::rms_norm_gradient(set, tokens.values.data(), tokens.grad_out.data(), 1, 40, tokens.weights(),
                               grad_values.data(), grad_weight.data(), 0, 40);
    CHECK(
        std::all_of(grad_values.begin(), grad_values.begin() + 40, [](float number) { return number == 0; }));
    CHECK(grad_weight == std::vector<float>(40, 0.0f));
  }
}

TEST_CASE("the norm's gradient has the bits of the definition, in any split of columns, everywhere") {
  std::mt19937 random(6);
  for (const std::size_t d_model : {1u, 3u, 15u, 16u, 17u, 33u, 96u, 768u, 4096u})
    for (const std::size_t count : {1u, 2u, 6u}) {
      const NormedTokens tokens(count, d_model, random);
      const std::vector<float> weight_before = random_floats(d_model, random);
      std::vector<float> expected(count * d_model), expected_weight = weight_before, product(d_model);
      for (std::size_t i = 0; i < count; ++i) {
        const float *x = tokens.token(i), *g = tokens.grad_out.data() + i * d_model;
        for (std::size_t column = 0; column < d_model; ++column)
          product[column] = tokens.weight[column] * g[column];
        const double inverse = 1 / tokens.root(i);
        const auto r = static_cast<float>(inverse);
        const auto c = static_cast<float>(inverse * inverse * inverse *
                                          static_cast<double>(tokens.sum(x, product.data())) /
                                          static_cast<double>(d_model));
        for (std::size_t column = 0; column < d_model; ++column) {
          const volatile float across = r * product[column], along = x[column] * c;
          expected[i * d_model + column] = across - along;
          const volatile float normed = x[column] * r;
          const volatile float step = g[column] * normed;
          expected_weight[column] += step;
        }
      }
      for (const InstructionSet set : test_support::instruction_sets())
        for (const std::size_t split : {std::size_t{0}, d_model / 3, d_model - 1}) {
          std::vector<float> grad_values(count * d_model, 42.0f), grad_weight = weight_before;
          for (const auto& [begin, end] : {std::pair{std::size_t{0}, split}, std::pair{split, d_model}}) {
            kernels::rms_norm_gradient(set, tokens.values.data(), tokens.grad_out.data(), count, d_model,
                                       tokens.weights(), grad_values.data(), grad_weight.data(), begin, end);
            if (end < d_model) CHECK(grad_values[end] == 42);
          }
          INFO("d_model " << d_model << ", count " << count << ", split " << split << ", instruction set "
                          << static_cast<int>(set));
          CHECK(std::memcmp(grad_values.data(), expected.data(), expected.size() * sizeof(float)) == 0);
          CHECK(std::memcmp(grad_weight.data(), expected_weight.data(), d_model * sizeof(float)) == 0);
        }
    }
}

TEST_CASE("the norm's gradient is that of differences in double, to rounding") {
  std::mt19937 random(7);
  for (const std::size_t d_model : {1u, 3u, 15u, 16u, 17u, 96u, 768u, 4096u}) {
    const NormedTokens tokens(1, d_model, random);
    std::vector<float> grad_values(d_model), grad_weight(d_model);
    kernels::rms_norm_gradient(kernels::instruction_set(), tokens.values.data(), tokens.grad_out.data(), 1,
                               d_model, tokens.weights(), grad_values.data(), grad_weight.data(), 0, d_model);
    const Eigen::VectorXd x = tokens.doubles(tokens.values.data()), w = tokens.doubles(tokens.weight.data()),
                          g = tokens.doubles(tokens.grad_out.data());
    const double r =
        1 / std::sqrt(x.squaredNorm() / static_cast<double>(d_model) + static_cast<double>(tokens.epsilon));
    const double products = x.cwiseProduct(w).cwiseProduct(g).cwiseAbs().sum();
    const double error = error_of_sum(d_model);
    constexpr double step = 0x1p-12;
    for (Eigen::Index column = 0; column < x.size(); column += 1 + x.size() / 100) {
      // Four-point differences: their error is of the step's fourth power.
      const auto slope = [&](bool of_weight) {
        const auto loss = [&](double distance) {
          Eigen::VectorXd some_x = x, some_w = w;
          (of_weight ? some_w : some_x)[column] += distance;
          return g.dot(tokens.norm(some_x, some_w));
        };
        return (8 * (loss(step) - loss(-step)) - (loss(2 * step) - loss(-2 * step))) / (12 * step);
      };
      // Across: half the error of the sum, and r, two products and the difference. Along: three halves and
      // the whole of another sum of one rounding more, and c, a product and the difference.
      const double across = std::abs(r * w[column] * g[column]) * (error / 2 + 4 * float_rounding);
      const double along = std::abs(x[column]) * r * r * r * products / static_cast<double>(d_model) *
                           (2.5 * error + 4 * float_rounding);
      const double of_weight = std::abs(g[column] * x[column] * r) * (error / 2 + 3 * float_rounding);
      const double of_differences = 1e-9 * (1 + r * r);
      INFO("d_model " << d_model << ", column " << column);
      const auto at = static_cast<std::size_t>(column);
      CHECK(std::abs(static_cast<double>(grad_values[at]) - slope(false)) <=
            1.001 * (across + along) + of_differences);
      CHECK(std::abs(static_cast<double>(grad_weight[at]) - slope(true)) <=
            1.001 * of_weight + of_differences);
    }
  }
}
