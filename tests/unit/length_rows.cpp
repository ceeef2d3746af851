#include "catch.hpp"
#include "instruction_sets.hpp"
#include "matrices.hpp"

#include <kronecker/embedding.hpp>
#include <kronecker/kernels/gather_sum.hpp>
#include <kronecker/kernels/row_sums.hpp>
#include <kronecker/length_rows.hpp>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

namespace kernels = kronecker::kernels;
using kernels::InstructionSet;
using kernels::RowType;
using test_support::random_floats;

namespace {

template <class Scalar>
constexpr RowType number_type = kronecker::detail::row_type_of<Scalar>();

template <class Scalar>
std::vector<Scalar> random_numbers(std::size_t count, std::mt19937& random) {
  std::vector<Scalar> numbers;
  const float factor = std::is_same_v<Scalar, std::int8_t> ? 60.0f : 1.0f;
  for (const float number : random_floats(count, random))
    numbers.push_back(static_cast<Scalar>(number * factor));
  return numbers;
}

}  // namespace

TEMPLATE_TEST_CASE("sums of all rows are taken in double and in order, bit for bit, in any split of columns",
                   "", float, Eigen::bfloat16, Eigen::half) {
  constexpr std::size_t count = 77;
  std::mt19937 random(1);
  for (const std::size_t d_model : {1u, 5u, 16u, 33u, 100u, 1030u}) {
    std::vector<TestType> rows = random_numbers<TestType>(count * d_model, random);
    std::vector<std::uint8_t> lengths(count);
    for (auto& length : lengths) length = static_cast<std::uint8_t>(random() % 4 * 85);
    lengths[3] = 0;
    rows[3 * d_model] = std::numeric_limits<TestType>::quiet_NaN();
    const std::vector<float> scales = random_floats(256, random);
    const kernels::RowLengths row_lengths{lengths.data(), scales.data()};
    std::vector<double> expected(d_model), plain(d_model);
    for (std::size_t i = 0; i < count; ++i)
      for (std::size_t column = 0; column < d_model; ++column) {
        const auto number = static_cast<float>(rows[i * d_model + column]);
        plain[column] += static_cast<double>(number);
        const volatile float term = scales[lengths[i]] * number;
        if (lengths[i] > 0) expected[column] += lengths[i] * static_cast<double>(term);
      }
    for (const InstructionSet set : test_support::instruction_sets())
      for (const std::size_t split : {std::size_t{0}, d_model / 3}) {
        std::vector<double> sums(d_model), plain_sums(d_model);
        for (const kronecker::Range some : {kronecker::Range{0, split}, kronecker::Range{split, d_model}}) {
          const kernels::SummedRows part{rows.data(), count, d_model, some.begin, some.end};
          kernels::sum_rows<number_type<TestType>>(set, part, &row_lengths, sums.data() + some.begin);
          kernels::sum_rows<number_type<TestType>>(set, part, nullptr, plain_sums.data() + some.begin);
        }
        INFO("d_model " << d_model << ", instruction set " << static_cast<int>(set) << ", split " << split);
        CHECK(sums == expected);
        CHECK(std::isnan(plain_sums[0]));
        CHECK(std::equal(plain.begin() + 1, plain.end(), plain_sums.begin() + 1));
      }
  }
}

TEMPLATE_TEST_CASE("the row of a token's length is added last, bit for bit, with every instruction set", "",
                   (std::pair<float, float>), (std::pair<float, Eigen::bfloat16>),
                   (std::pair<float, Eigen::half>), (std::pair<Eigen::bfloat16, float>),
                   (std::pair<Eigen::bfloat16, Eigen::bfloat16>), (std::pair<Eigen::bfloat16, Eigen::half>),
                   (std::pair<Eigen::half, float>), (std::pair<Eigen::half, Eigen::bfloat16>),
                   (std::pair<Eigen::half, Eigen::half>), (std::pair<std::int8_t, float>),
                   (std::pair<std::int8_t, Eigen::bfloat16>), (std::pair<std::int8_t, Eigen::half>)) {
  using Scalar = typename TestType::first_type;
  using Out = typename TestType::second_type;
  constexpr std::size_t pos_dim = 5;
  const std::vector<std::uint8_t> bytes = {0, 1, 0, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0}, lengths = {5, 2, 0};
  const std::vector<std::int32_t> ids = {0, 1, 2, 0};
  std::mt19937 random(2);
  const std::vector<float> scales = random_floats(pos_dim + 1, random);
  for (const std::size_t d_model : {1u, 3u, 7u, 16u, 33u, 64u, 100u, 300u}) {
    const std::vector<Scalar> rows = random_numbers<Scalar>(2 * pos_dim * d_model, random);
    const std::vector<float> length_rows = random_floats((pos_dim + 1) * d_model, random);
    const std::vector<float> column_scales =
        std::is_same_v<Scalar, std::int8_t> ? random_floats(d_model, random) : std::vector(d_model, 1.0f);
    for (const bool accumulate : {false, true}) {
      const std::vector<Out> before = random_numbers<Out>(ids.size() * d_model, random);
      std::vector<Out> expected = before;
      for (std::size_t i = 0; i < ids.size(); ++i)
        for (std::size_t column = 0; column < d_model; ++column) {
          const auto id = static_cast<std::size_t>(ids[i]);
          float sum = 0;
          for (std::size_t p = 0; p < lengths[id]; ++p)
            sum += static_cast<float>(rows[(bytes[id * pos_dim + p] * pos_dim + p) * d_model + column]);
          if (lengths[id] > 0) sum += length_rows[lengths[id] * d_model + column];
          const volatile float factor = scales[lengths[id]] * column_scales[column];
          const volatile float product = lengths[id] > 0 ? factor * sum : 0;
          Out& number = expected[i * d_model + column];
          number = static_cast<Out>(accumulate ? static_cast<float>(number) + product : product);
        }
      for (const InstructionSet set : test_support::instruction_sets()) {
        std::vector<Out> out = before;
        kernels::gather_sum<number_type<Scalar>, number_type<Out>>(
            set, {rows.data(), column_scales.data(), d_model, pos_dim, length_rows.data()},
            {bytes.data(), lengths.data(), scales.data(), ids.data(), ids.size()},
            {out.data(), d_model, accumulate});
        INFO("d_model " << d_model << ", accumulate " << accumulate << ", instruction set "
                        << static_cast<int>(set));
        CHECK(std::memcmp(out.data(), expected.data(), out.size() * sizeof(Out)) == 0);
      }
    }
  }
}

TEMPLATE_TEST_CASE("weights as they lie make the embeddings of centered rows, to rounding", "", float,
                   Eigen::bfloat16, Eigen::half) {
  constexpr std::size_t pos_dim = 6, d_model = 40;
  const kronecker::KroneckerEncoder encoder(256, 6);
  const auto code_dim = static_cast<std::size_t>(encoder.code_dim());
  const kronecker::Vocabulary vocabulary({"", "a", " the", "unseen", "longer than"});
  std::mt19937 random(3);
  std::vector<TestType> rows = random_numbers<TestType>(code_dim * d_model, random);
  for (TestType& number : rows) number = static_cast<TestType>(static_cast<float>(number) + 0.5f);
  std::vector<float> weights;
  for (const TestType number : rows) weights.push_back(static_cast<float>(number));
  const auto projection = kronecker::LearnedProjection::make(
      d_model, encoder.code_dim(),
      [&](std::span<float> all) { std::copy(weights.begin(), weights.end(), all.begin()); });
  const kronecker::KroneckerEmbedding<float> embedding(encoder, vocabulary, projection);
  const kronecker::TokenBytes& tokens = embedding.token_bytes();

  const std::uint8_t lengths[] = {1, 4, 6};
  std::vector<float> length_rows((pos_dim + 1) * d_model, std::numeric_limits<float>::quiet_NaN());
  std::vector<double> sums(d_model);
  for (std::size_t i = 0; i < weights.size(); ++i) sums[i % d_model] += static_cast<double>(weights[i]);
  kronecker::detail::write_length_rows(sums, code_dim, lengths, length_rows.data());
  const std::vector<double> mean = kronecker::detail::mean_row(weights, d_model);
  for (const std::uint8_t length : lengths)
    for (std::size_t column = 0; column < d_model; ++column)
      CHECK(length_rows[length * d_model + column] == static_cast<float>(-length * mean[column]));

  const std::vector<std::int32_t> ids = {0, 1, 2, 3, 4};
  const std::vector<float> scales = encoder.scales();
  kronecker::RowMajorMatrix<float> out(5, d_model);
  kernels::gather_sum<number_type<TestType>, RowType::float32>(
      kernels::instruction_set(), {rows.data(), nullptr, d_model, pos_dim, length_rows.data()},
      {tokens.bytes().data(), tokens.lengths().data(), scales.data(), ids.data(), ids.size()},
      {out.data(), d_model, false});
  const kronecker::RowMajorMatrix<float> centered = embedding.forward(ids);
  const float largest = centered.cwiseAbs().maxCoeff();
  CHECK(test_support::max_difference(out, centered) <= 1e-6 * static_cast<double>(largest));
  CHECK(out.row(0).isZero(0));
  double error = 0;
  for (const std::int32_t id : ids) {
    const std::string_view bytes = tokens.bytes_of(static_cast<std::size_t>(id));
    for (std::size_t column = 0; column < d_model; ++column) {
      double sum = 0;
      for (std::size_t p = 0; p < bytes.size(); ++p)
        sum +=
            weights[(static_cast<unsigned char>(bytes[p]) * pos_dim + p) * d_model + column] - mean[column];
      const double exact = encoder.scale(static_cast<int>(bytes.size())) * sum;
      error = std::max(error, std::abs(out(id, static_cast<Eigen::Index>(column)) - exact));
    }
  }
  CHECK(error <= 5e-7 * static_cast<double>(largest));
}
