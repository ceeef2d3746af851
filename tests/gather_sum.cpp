#include "catch.hpp"
#include "golden.hpp"
#include "instruction_sets.hpp"

#include <kronecker/embedding.hpp>
#include <kronecker/kernels/gather_sum.hpp>
#include <kronecker/kernels/scatter_add.hpp>

#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <random>
#include <vector>

namespace kernels = kronecker::kernels;
using kernels::InstructionSet;
using kernels::RowType;

namespace {

template <class Scalar>
struct TypedRows {
  std::size_t d_model, pos_dim;
  std::vector<Scalar> values;
  std::vector<float> column_scales;

  TypedRows(std::size_t d, std::size_t positions, std::mt19937& random)
      : d_model(d), pos_dim(positions), values(2 * positions * d), column_scales(d) {
    std::uniform_real_distribution<float> numbers(-1, 1);
    constexpr bool is_int8 = std::is_same_v<Scalar, std::int8_t>;
    for (Scalar& value : values) value = static_cast<Scalar>(numbers(random) * (is_int8 ? 127.99f : 1.0f));
    for (float& scale : column_scales) scale = numbers(random);
  }
  kernels::Rows view() const { return {values.data(), column_scales.data(), d_model, pos_dim}; }

  /// The definition, one column at a time.
  float sum(const std::vector<std::uint8_t>& bytes, std::size_t column, float scale) const {
    if (bytes.empty()) return 0;
    const auto number = [&](std::size_t p) {
      return static_cast<float>(values[(bytes[p] * pos_dim + p) * d_model + column]);
    };
    float sum = number(0);
    for (std::size_t p = 1; p < bytes.size(); ++p) sum += number(p);
    if constexpr (std::is_same_v<Scalar, std::int8_t>) return sum * (scale * column_scales[column]);
    return scale * sum;
  }
};

template <class Scalar, RowType type>
void check_all(std::mt19937& random) {
  constexpr std::size_t pos_dim = 255;
  const float scale = 1.7f;
  for (const std::size_t d_model :
       {1u, 3u, 4u, 7u, 8u, 31u, 32u, 33u, 63u, 64u, 65u, 100u, 129u, 256u, 300u}) {
    const TypedRows<Scalar> rows(d_model, pos_dim, random);
    std::vector<std::uint8_t> lengths;
    std::vector<std::uint8_t> bytes;
    std::vector<float> scales(pos_dim + 1, scale), expected;
    std::vector<std::int32_t> ids;
    for (const std::size_t length : {0u, 1u, 2u, 5u, 32u, 255u}) {
      std::vector<std::uint8_t> token(length);
      for (auto& byte : token) byte = random() % 2;
      for (std::size_t column = 0; column < d_model; ++column)
        expected.push_back(rows.sum(token, column, scale));
      token.resize(pos_dim);
      bytes.insert(bytes.end(), token.begin(), token.end());
      ids.push_back(static_cast<std::int32_t>(lengths.size()));
      lengths.push_back(static_cast<std::uint8_t>(length));
    }
    const kernels::Tokens tokens{bytes.data(), lengths.data(), scales.data(), ids.data(), ids.size()};
    for (const InstructionSet set : test_support::instruction_sets()) {
      constexpr float untouched = 42;
      std::vector<float> out(expected.size() + 2, untouched);
      kernels::gather_sum<type>(set, rows.view(), tokens, out.data() + 1);
      INFO("d_model " << d_model << ", instruction set " << static_cast<int>(set));
      CHECK(std::memcmp(out.data() + 1, expected.data(), expected.size() * sizeof(float)) == 0);
      CHECK((out.front() == untouched && out.back() == untouched));
    }
  }
}

}  // namespace

TEST_CASE("the kernel sums rows in byte order and multiplies last, bit for bit, with every instruction set") {
  std::mt19937 random(5);
  SECTION("float32") { check_all<float, RowType::float32>(random); }
  SECTION("bfloat16") { check_all<Eigen::bfloat16, RowType::bfloat16>(random); }
  SECTION("float16") { check_all<Eigen::half, RowType::float16>(random); }
  SECTION("int8") { check_all<std::int8_t, RowType::int8>(random); }
}

TEST_CASE("every float16 number is read as what it is") {
  constexpr std::size_t d_model = 1u << 16;
  std::vector<std::uint16_t> numbers(d_model);
  for (std::size_t i = 0; i < d_model; ++i) numbers[i] = static_cast<std::uint16_t>(i);
  const std::uint8_t byte = 0, length = 1;
  const std::vector<float> scales = {0, 1};
  const std::int32_t id = 0;
  for (const InstructionSet set : test_support::instruction_sets()) {
    std::vector<float> out(d_model);
    kernels::gather_sum<RowType::float16>(set, {numbers.data(), nullptr, d_model, 1},
                                          {&byte, &length, scales.data(), &id, 1}, out.data());
    std::size_t wrong = 0;
    for (std::size_t i = 0; i < d_model; ++i) {
      const auto expected = static_cast<float>(Eigen::numext::bit_cast<Eigen::half>(numbers[i]));
      const bool is_same = std::isnan(expected) ? std::isnan(out[i]) : out[i] == expected;
      if (!is_same) ++wrong;
    }
    INFO("instruction set " << static_cast<int>(set));
    CHECK(wrong == 0);
  }
}

TEMPLATE_TEST_CASE("an output that is too large for the caches is written as any other, wherever it begins",
                   "", float, Eigen::bfloat16, Eigen::half, std::int8_t) {
  constexpr RowType type = kronecker::ProjectionRows<TestType>::type;
  std::mt19937 random(6);
  for (const std::size_t d_model : {1056u, 1000u, 128u, 32u}) {
    const std::size_t count = (9u << 20) / (d_model * sizeof(float));
    const TypedRows<TestType> rows(d_model, 3, random);
    const std::vector<std::uint8_t> bytes = {0, 1, 0, 1, 1, 1, 0, 0, 0}, lengths = {3, 2, 0};
    const std::vector<float> scales = {0, 1, 2, 3};
    std::vector<std::int32_t> ids(count);
    for (auto& id : ids) id = static_cast<std::int32_t>(random() % 3);
    const kernels::Tokens whole{bytes.data(), lengths.data(), scales.data(), ids.data(), count};
    std::vector<float> expected(count * d_model);
    kernels::Tokens single = whole;
    single.count = 1;
    for (std::size_t i = 0; i < count; ++i, ++single.ids)
      kernels::gather_sum<type>(InstructionSet::baseline, rows.view(), single, expected.data() + i * d_model);
    constexpr float untouched = 42;
    for (const InstructionSet set : test_support::instruction_sets())
      for (const std::size_t offset : {4u, 8u, 12u, 16u, 1u}) {
        constexpr std::size_t line = 16;
        std::vector<float> memory(expected.size() + 3 * line, untouched);
        auto* first_line = memory.data();
        while (reinterpret_cast<std::uintptr_t>(first_line) % (line * sizeof(float)) != 0) ++first_line;
        float* const out = first_line + offset;
        kernels::gather_sum<type>(set, rows.view(), whole, out);
        INFO("d_model " << d_model << ", offset " << offset << ", instruction set " << static_cast<int>(set));
        CHECK(std::memcmp(out, expected.data(), expected.size() * sizeof(float)) == 0);
        CHECK(std::all_of(memory.data(), out, [](float value) { return value == untouched; }));
        CHECK(std::all_of(out + expected.size(), memory.data() + memory.size(),
                          [](float value) { return value == untouched; }));
      }
  }
}

TEMPLATE_TEST_CASE("every token of real vocabularies has the same bits with every instruction set", "", float,
                   Eigen::bfloat16, Eigen::half, std::int8_t) {
  for (const auto& path : test_support::real_token_files()) {
    if (!path.string().ends_with("/gpt2.tokens.bin") && !path.string().ends_with("llama2_spm.tokens.bin"))
      continue;
    const kronecker::KroneckerEncoder<256, 16> encoder;
    const kronecker::KroneckerEmbedding<kronecker::KroneckerEncoder<256, 16>, TestType> embedding(
        encoder, kronecker::Vocabulary(test_support::read_token_file(path)),
        kronecker::LearnedProjection::normal(200, encoder.code_dim(), 1));
    std::vector<std::int32_t> ids(static_cast<std::size_t>(embedding.vocab_size()));
    std::iota(ids.begin(), ids.end(), 0);
    const kronecker::RowMajorMatrix<float> table = embedding.table();
    std::vector<float> out(static_cast<std::size_t>(table.size()));
    std::vector<float> gradient, first_gradient;
    for (const InstructionSet set : test_support::instruction_sets()) {
      INFO(path << ", instruction set " << static_cast<int>(set));
      kernels::gather_sum<kronecker::ProjectionRows<TestType>::type>(set, embedding.rows().view(16),
                                                                     embedding.view(ids), out.data());
      CHECK(std::memcmp(out.data(), table.data(), out.size() * sizeof(float)) == 0);
      gradient.assign(200 * static_cast<std::size_t>(encoder.code_dim()), 0.0f);
      kernels::scatter_add(set, embedding.view(ids), table.data(), {gradient.data(), 200, 16, 0, 200});
      if (first_gradient.empty()) first_gradient = gradient;
      CHECK(std::memcmp(gradient.data(), first_gradient.data(), gradient.size() * sizeof(float)) == 0);
    }
  }
}
