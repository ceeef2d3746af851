#include "catch.hpp"
#include "golden.hpp"
#include "instruction_sets.hpp"

#include <kronecker/embedding.hpp>
#include <kronecker/kernels/gather_sum.hpp>
#include <kronecker/kernels/scatter_add.hpp>
#include <kronecker/training/tokens_by_cell.hpp>

#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <random>
#include <utility>
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

/// The type that rows and outputs of these numbers have.
template <class Scalar>
constexpr RowType type_of = kronecker::ProjectionRows<Scalar>::type;

/// Tokens of several lengths, in a vocabulary of their own.
struct SomeTokens {
  std::size_t pos_dim;
  std::vector<std::uint8_t> bytes, lengths;
  std::vector<float> scales;
  std::vector<std::int32_t> ids;

  SomeTokens(std::size_t positions, std::mt19937& random) : pos_dim(positions), scales(positions + 1, 1.7f) {
    for (const std::size_t length : {0u, 1u, 2u, 5u, 32u, 255u}) {
      for (std::size_t p = 0; p < pos_dim; ++p) bytes.push_back(random() % 2);
      ids.push_back(static_cast<std::int32_t>(lengths.size()));
      lengths.push_back(static_cast<std::uint8_t>(length));
    }
  }
  kernels::Tokens view() const {
    return {bytes.data(), lengths.data(), scales.data(), ids.data(), ids.size()};
  }
  std::vector<std::uint8_t> token(std::size_t i) const {
    const auto begin = bytes.begin() + static_cast<std::ptrdiff_t>(i * pos_dim);
    return {begin, begin + lengths[i]};
  }
};

/// Sums of `rows` as numbers of type `Out`: replaced and added to, close together and apart, with every
/// instruction set. Numbers that do not belong to the output stay as they are.
template <class Out, class Scalar>
void check_outputs(const TypedRows<Scalar>& rows, const SomeTokens& tokens, std::mt19937& random) {
  for (const std::size_t stride : {rows.d_model, rows.d_model + 3})
    for (const bool accumulate : {false, true}) {
      std::uniform_real_distribution<float> numbers(-1, 1);
      std::vector<Out> before(tokens.ids.size() * stride + 2);
      for (Out& number : before) number = static_cast<Out>(numbers(random));
      std::vector<Out> expected = before;
      for (std::size_t i = 0; i < tokens.ids.size(); ++i)
        for (std::size_t column = 0; column < rows.d_model; ++column) {
          Out& number = expected[1 + i * stride + column];
          const float product = rows.sum(tokens.token(i), column, tokens.scales[0]);
          number = static_cast<Out>(accumulate ? static_cast<float>(number) + product : product);
        }
      for (const InstructionSet set : test_support::instruction_sets()) {
        std::vector<Out> out = before;
        kernels::gather_sum<type_of<Scalar>, type_of<Out>>(set, rows.view(), tokens.view(),
                                                           {out.data() + 1, stride, accumulate});
        INFO("d_model " << rows.d_model << ", stride " << stride << ", accumulate " << accumulate
                        << ", instruction set " << static_cast<int>(set));
        CHECK(std::memcmp(out.data(), expected.data(), out.size() * sizeof(Out)) == 0);
      }
    }
}

template <class Scalar>
void check_all(std::mt19937& random) {
  constexpr std::size_t pos_dim = 255;
  for (const std::size_t d_model :
       {1u, 3u, 4u, 7u, 8u, 31u, 32u, 33u, 63u, 64u, 65u, 100u, 129u, 140u, 256u, 300u}) {
    const TypedRows<Scalar> rows(d_model, pos_dim, random);
    const SomeTokens tokens(pos_dim, random);
    check_outputs<float>(rows, tokens, random);
    check_outputs<Eigen::bfloat16>(rows, tokens, random);
    check_outputs<Eigen::half>(rows, tokens, random);
  }
}

/// Numbers of float32 of every kind: every exponent, with mantissas that lie between two numbers of 16 bits,
/// nearly so, or anywhere.
std::vector<float> floats_of_every_kind(std::mt19937& random) {
  std::vector<float> numbers;
  for (std::uint32_t exponent = 0; exponent < 512; ++exponent)  // and sign
    for (std::uint32_t i = 0; i < 128; ++i) {
      const auto anything = static_cast<std::uint32_t>(random());
      const std::uint32_t kept = ~std::uint32_t{0} << (8 + i % 16);
      const std::uint32_t mantissa = (anything & kept) + (i % 3) - 1 + (i % 4 == 0 ? anything & 0xff : 0);
      numbers.push_back(kronecker::detail::bit_cast<float>(exponent << 23 | (mantissa & 0x7fffffu)));
    }
  return numbers;
}

}  // namespace

TEST_CASE("the kernel sums rows in byte order and multiplies last, bit for bit, with every instruction set") {
  std::mt19937 random(5);
  SECTION("float32") { check_all<float>(random); }
  SECTION("bfloat16") { check_all<Eigen::bfloat16>(random); }
  SECTION("float16") { check_all<Eigen::half>(random); }
  SECTION("int8") { check_all<std::int8_t>(random); }
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
    kernels::gather_sum<RowType::float16, RowType::float32>(set, {numbers.data(), nullptr, d_model, 1},
                                                            {&byte, &length, scales.data(), &id, 1},
                                                            {out.data(), d_model, false});
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

TEMPLATE_TEST_CASE("every float32 number becomes the nearest of 16 bits, and no number stays none", "",
                   Eigen::bfloat16, Eigen::half) {
  std::mt19937 random(7);
  const std::vector<float> numbers = floats_of_every_kind(random);
  const std::uint8_t byte = 0, length = 1;
  const std::vector<float> scales = {0, 1};
  const std::int32_t id = 0;
  std::vector<TestType> first_out;
  for (const InstructionSet set : test_support::instruction_sets()) {
    std::vector<TestType> out(numbers.size());
    kernels::gather_sum<RowType::float32, type_of<TestType>>(
        set, {numbers.data(), nullptr, numbers.size(), 1}, {&byte, &length, scales.data(), &id, 1},
        {out.data(), numbers.size(), false});
    std::size_t wrong = 0;
    for (std::size_t i = 0; i < numbers.size(); ++i) {
      const auto bits = Eigen::numext::bit_cast<std::uint16_t>(out[i]);
      const auto expected = Eigen::numext::bit_cast<std::uint16_t>(static_cast<TestType>(numbers[i]));
      constexpr std::uint16_t quiet_nan = type_of<TestType> == RowType::bfloat16 ? 0x7fc0 : 0x7e00;
      // Arithmetic on RISC-V makes what is no number positive.
      const bool is_right = std::isnan(numbers[i]) ? (bits & quiet_nan) == quiet_nan : bits == expected;
      if (!is_right) ++wrong;
    }
    INFO("instruction set " << static_cast<int>(set));
    CHECK(wrong == 0);
    if (first_out.empty()) first_out = out;
    CHECK(std::memcmp(out.data(), first_out.data(), out.size() * sizeof(TestType)) == 0);
  }
}

TEMPLATE_TEST_CASE("an output that is too large for the caches is written as any other, wherever it begins",
                   "", (std::pair<float, float>), (std::pair<Eigen::bfloat16, float>),
                   (std::pair<Eigen::half, float>), (std::pair<std::int8_t, float>),
                   (std::pair<float, Eigen::half>), (std::pair<Eigen::bfloat16, Eigen::bfloat16>),
                   (std::pair<std::int8_t, Eigen::bfloat16>)) {
  using Scalar = typename TestType::first_type;
  using Out = typename TestType::second_type;
  constexpr RowType type = type_of<Scalar>, out_type = type_of<Out>;
  std::mt19937 random(6);
  for (const std::size_t d_model : {1056u, 1000u, 128u, 32u}) {
    const std::size_t stride = d_model + (d_model == 128 ? 8 : 0);
    const std::size_t count = (5u << 20) / (d_model * sizeof(Out));
    const TypedRows<Scalar> rows(d_model, 3, random);
    const std::vector<std::uint8_t> bytes = {0, 1, 0, 1, 1, 1, 0, 0, 0}, lengths = {3, 2, 0};
    const std::vector<float> scales = {0, 1, 2, 3};
    std::vector<std::int32_t> ids(count);
    for (auto& id : ids) id = static_cast<std::int32_t>(random() % 3);
    const kernels::Tokens whole{bytes.data(), lengths.data(), scales.data(), ids.data(), count};
    const auto untouched = static_cast<Out>(42.0f);
    std::vector<Out> expected(count * stride, untouched);
    kernels::Tokens single = whole;
    single.count = 1;
    for (std::size_t i = 0; i < count; ++i, ++single.ids)
      kernels::gather_sum<type, out_type>(InstructionSet::baseline, rows.view(), single,
                                          {expected.data() + i * stride, stride, false});
    for (const InstructionSet set : test_support::instruction_sets())
      for (const std::size_t offset : {16u, 32u, 48u, 64u, 4u}) {  // bytes from the beginning of a line
        constexpr std::size_t line = 64 / sizeof(Out);
        std::vector<Out> memory(expected.size() + 3 * line, untouched);
        auto* first_line = memory.data();
        while (reinterpret_cast<std::uintptr_t>(first_line) % 64 != 0) ++first_line;
        Out* const out = first_line + offset / sizeof(Out);
        kernels::gather_sum<type, out_type>(set, rows.view(), whole, {out, stride, false});
        INFO("d_model " << d_model << ", offset " << offset << ", instruction set " << static_cast<int>(set));
        CHECK(std::memcmp(out, expected.data(), expected.size() * sizeof(Out)) == 0);
        const auto is_untouched = [=](Out value) { return value == untouched; };
        CHECK(std::all_of(memory.data(), out, is_untouched));
        CHECK(std::all_of(out + expected.size(), memory.data() + memory.size(), is_untouched));
      }
  }
}

TEMPLATE_TEST_CASE("every token of real vocabularies has the same bits with every instruction set", "", float,
                   Eigen::bfloat16, Eigen::half, std::int8_t) {
  for (const auto& path : test_support::real_token_files()) {
    if (!path.generic_string().ends_with("/gpt2.tokens.bin") &&
        !path.generic_string().ends_with("llama2_spm.tokens.bin"))
      continue;
    const kronecker::KroneckerEncoder<256, 16> encoder;
    const kronecker::KroneckerEmbedding<TestType> embedding(
        encoder, kronecker::Vocabulary(test_support::read_token_file(path)),
        kronecker::LearnedProjection::normal(200, encoder.code_dim(), 1));
    std::vector<std::int32_t> ids(static_cast<std::size_t>(embedding.vocab_size()));
    std::iota(ids.begin(), ids.end(), 0);
    const kronecker::RowMajorMatrix<float> table = embedding.table();
    const std::vector<float> scales = encoder.scales();
    const kronecker::TokenBytes& bytes = embedding.token_bytes();
    const kernels::Tokens tokens{bytes.bytes().data(), bytes.lengths().data(), scales.data(), ids.data(),
                                 ids.size()};
    std::vector<float> out(static_cast<std::size_t>(table.size()));
    std::vector<float> gradient, first_gradient;
    kronecker::detail::TokensByCell by_cell(kernels::tokens_in_block, 16);
    for (const InstructionSet set : test_support::instruction_sets()) {
      INFO(path << ", instruction set " << static_cast<int>(set));
      kernels::gather_sum<type_of<TestType>, RowType::float32>(set, embedding.rows().view(16), tokens,
                                                               {out.data(), 200, false});
      CHECK(std::memcmp(out.data(), table.data(), out.size() * sizeof(float)) == 0);
      gradient.assign(200 * static_cast<std::size_t>(encoder.code_dim()), 0.0f);
      kernels::scatter_add(set, tokens, table.data(), {gradient.data(), 200, 16, 0, 200});
      kernels::Tokens block = tokens;
      for (std::size_t first = 0; first < ids.size(); first += kernels::tokens_in_block) {
        block.ids = ids.data() + first;
        block.count = std::min(kernels::tokens_in_block, ids.size() - first);
        by_cell.assign(block);
        kernels::add_block_sums<RowType::float32>(set, by_cell.view(), table.data() + first * 200,
                                                  {gradient.data(), 200, 0, 200});
      }
      if (first_gradient.empty()) first_gradient = gradient;
      CHECK(std::memcmp(gradient.data(), first_gradient.data(), gradient.size() * sizeof(float)) == 0);
    }
  }
}
