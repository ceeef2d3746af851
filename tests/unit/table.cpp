#include "catch.hpp"
#include "gguf_bytes.hpp"
#include "golden_embedding.hpp"

#include <kronecker/files/table.hpp>

#include <cmath>
#include <limits>
#include <sstream>

using kronecker::RowMajorMatrix;
using kronecker::detail::Q8_0;
using kronecker::detail::stored_rows;
using kronecker::detail::to_q8_0;
using kronecker::detail::write_table;

namespace {

Q8_0 block_of(float first, float others) {
  std::array<float, Q8_0::values> values;
  values.fill(others);
  values[0] = first;
  return to_q8_0(values);
}

template <class Stored>
std::string message_for(float value) {
  std::vector<float> rows(3 * 32, 1.0f);
  rows[2 * 32 + 5] = value;
  return message_of<std::invalid_argument>([&] { stored_rows<Stored>(rows, 32, 7); });
}

}  // namespace

TEST_CASE("a table is written as the embeddings of its tokens in turn") {
  const auto small = test_support::golden_embedding({});
  std::vector<std::string> tokens;
  for (int id = 0; id < 2500; ++id) tokens.push_back(std::to_string(id));
  const kronecker::KroneckerEmbedding large(test_support::GoldenEncoder(), kronecker::Vocabulary(tokens),
                                            small.projection());
  for (const auto& embedding : {small, large}) {
    const RowMajorMatrix<Eigen::bfloat16> table = embedding.table().cast<Eigen::bfloat16>();
    std::ostringstream written;
    write_table<Eigen::bfloat16>(written, embedding);
    REQUIRE(written.str().size() == static_cast<std::size_t>(table.size()) * 2);
    std::string expected;
    for (Eigen::Index i = 0; i < table.size(); ++i)
      expected += test_support::gguf::bytes(Eigen::numext::bit_cast<std::uint16_t>(table.data()[i]));
    CHECK(written.str() == expected);
  }
}

TEST_CASE("a block of Q8_0 holds a scale and the nearest multiples of it") {
  const Q8_0 block = block_of(-127, 1.5f);
  CHECK(static_cast<float>(block.scale) == 1);
  CHECK(block.multiples[0] == -127);
  CHECK(block.multiples[1] == 2);  // halves go away from zero
  CHECK(block_of(127, -0.5f).multiples[31] == -1);
  CHECK(block_of(127, 0.49f).multiples[31] == 0);

  const Q8_0 small = block_of(0.25f, 0.1f);
  CHECK(small.scale == static_cast<Eigen::half>(0.25f / 127));
  CHECK(small.multiples[0] == 127);
  CHECK(small.multiples[1] == 51);  // 0.1 / (0.25 / 127) = 50.8

  const Q8_0 zeros = block_of(0, 0);
  CHECK(static_cast<float>(zeros.scale) == 0);
  CHECK(zeros.multiples == std::array<std::int8_t, 32>{});
  const float least = std::numeric_limits<float>::denorm_min();
  CHECK(block_of(least, least).multiples == std::array<std::int8_t, 32>{});
}

TEST_CASE("a value beyond the range of a type is refused with its token") {
  CHECK(stored_rows<Eigen::half>(std::vector<float>(32, 65504.0f), 32, 0).size() == 32);
  CHECK(message_for<Eigen::half>(-70000.0f) ==
        "the embedding of token id 9 has the component 5 of -70000, beyond the range of F16");
  CHECK(message_for<Q8_0>(1e9f) ==
        "the embedding of token id 9 has the component 5 of 1e+09, beyond the range of Q8_0");
  const float nan = std::numeric_limits<float>::quiet_NaN(),
              infinity = std::numeric_limits<float>::infinity();
  for (const float value : {nan, infinity, -infinity}) {
    CHECK(message_for<Q8_0>(value).starts_with("the embedding of token id 9 has the component 5 of "));
    CHECK(message_for<Eigen::bfloat16>(value).ends_with("beyond the range of BF16"));
  }
  CHECK(message_for<float>(std::numeric_limits<float>::infinity()) ==
        "the embedding of token id 9 has the component 5 of inf, beyond the range of F32");
}
