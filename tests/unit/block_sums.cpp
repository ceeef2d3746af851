#include "catch.hpp"
#include "instruction_sets.hpp"
#include "matrices.hpp"

#include <kronecker/rows.hpp>
#include <kronecker/training/tokens_by_cell.hpp>

#include <algorithm>
#include <cstring>
#include <random>
#include <vector>

namespace kernels = kronecker::kernels;
using kernels::InstructionSet;
using kronecker::detail::TokensByCell;

using test_support::random_floats;

namespace {

/// Twelve tokens of at most five bytes, each 0 or 1, and a block of them.
struct Block {
  static constexpr std::size_t pos_dim = 5, vocab_size = 12, count = 40;
  std::vector<std::uint8_t> bytes, lengths;
  std::vector<float> scales;
  std::vector<std::int32_t> ids;

  explicit Block(std::mt19937& random)
      : bytes(vocab_size * pos_dim),
        lengths(vocab_size),
        scales(random_floats(pos_dim + 1, random)),
        ids(count) {
    for (auto& byte : bytes) byte = random() % 2;
    for (auto& length : lengths) length = static_cast<std::uint8_t>(random() % (pos_dim + 1));
    for (auto& id : ids) id = static_cast<std::int32_t>(random() % vocab_size);
  }
  kernels::Tokens tokens() const { return {bytes.data(), lengths.data(), scales.data(), ids.data(), count}; }
};

}  // namespace

TEMPLATE_TEST_CASE(
    "terms are rounded, summed for each cell in the order of the tokens, and added, bit for bit, in any "
    "split "
    "of columns",
    "", float, Eigen::bfloat16, Eigen::half) {
  std::mt19937 random(7);
  const Block block(random);
  constexpr std::size_t pos_dim = Block::pos_dim;
  TokensByCell by_cell(Block::count, pos_dim);
  by_cell.assign(block.tokens());
  for (const std::size_t d_model : {1u, 3u, 16u, 17u, 64u, 100u, 150u, 300u}) {
    std::vector<TestType> grad_out;
    for (const float number : random_floats(Block::count * d_model, random))
      grad_out.push_back(static_cast<TestType>(number));
    const std::vector<float> before = random_floats(2 * pos_dim * d_model, random);
    std::vector<float> sums(before.size()), expected(before.size());
    for (std::size_t i = 0; i < Block::count; ++i) {
      const auto id = static_cast<std::size_t>(block.ids[i]);
      for (std::size_t p = 0; p < block.lengths[id]; ++p)
        for (std::size_t column = 0; column < d_model; ++column) {
          const volatile float term =
              block.scales[block.lengths[id]] * static_cast<float>(grad_out[i * d_model + column]);
          sums[(block.bytes[id * pos_dim + p] * pos_dim + p) * d_model + column] += term;
        }
    }
    for (std::size_t i = 0; i < sums.size(); ++i) expected[i] = before[i] + sums[i];
    for (const InstructionSet set : test_support::instruction_sets())
      for (const std::size_t split : {std::size_t{0}, d_model / 3, d_model}) {
        std::vector<float> gradient = before;
        constexpr kernels::RowType type = kronecker::detail::row_type_of<TestType>();
        kernels::add_block_sums<type>(set, by_cell.view(), grad_out.data(),
                                      {gradient.data(), d_model, 0, split});
        kernels::add_block_sums<type>(set, by_cell.view(), grad_out.data(),
                                      {gradient.data(), d_model, split, d_model});
        INFO("d_model " << d_model << ", instruction set " << static_cast<int>(set) << ", split at "
                        << split);
        CHECK(std::memcmp(gradient.data(), expected.data(), expected.size() * sizeof(float)) == 0);

        // In place of what the lit rows hold; the others stay.
        const float* const held = before.data() + d_model;
        kernels::add_block_sums<type>(set, by_cell.view(), grad_out.data(),
                                      {gradient.data(), d_model, 0, split, held});
        kernels::add_block_sums<type>(set, by_cell.view(), grad_out.data(),
                                      {gradient.data(), d_model, split, d_model, held});
        std::vector<float> replaced = expected;
        const kernels::BlockByCell lit = by_cell.view();
        for (std::size_t i = 0; i < lit.cell_count; ++i)
          for (std::size_t column = 0; column < d_model; ++column) {
            const std::size_t place = lit.cells[i].cell * d_model + column;
            replaced[place] = held[column] + sums[place];
          }
        CHECK(gradient == replaced);
      }
  }
}

TEST_CASE("rows that no token lights are written with what they are to hold, and no others") {
  std::mt19937 random(8);
  for (const auto& [code_dim, row_bytes] :
       {std::pair<std::size_t, std::size_t>{7, 149}, {1100, 4002}, {1100, 4096}})
    for (const std::size_t offset : {0u, 2u, 16u, 48u}) {  // of 4 MB and more, also around the caches
      std::vector<std::uint8_t> is_lit(code_dim);
      for (auto& lit : is_lit) lit = random() % 2;
      std::vector<char> row(row_bytes);
      for (char& byte : row) byte = static_cast<char>(random() % 128);
      for (const InstructionSet set : test_support::instruction_sets()) {
        std::vector<char> memory(code_dim * row_bytes + 128, 'x'), expected = memory;
        for (const std::size_t begin : {std::size_t{0}, code_dim / 3})
          kernels::write_unlit_rows(set, {memory.data() + offset, row_bytes, row.data(), is_lit.data(),
                                          code_dim, begin, begin == 0 ? code_dim / 3 : code_dim - 1});
        for (std::size_t cell = 0; cell < code_dim - 1; ++cell)
          if (is_lit[cell] == 0)
            std::copy(row.begin(), row.end(),
                      expected.begin() + static_cast<std::ptrdiff_t>(offset + cell * row_bytes));
        INFO("rows of " << row_bytes << " bytes, offset " << offset << ", instruction set "
                        << static_cast<int>(set));
        CHECK(memory == expected);
      }
    }
}

TEST_CASE("the tokens of a block are sorted by position, then by byte, and stay in their order") {
  const std::uint8_t bytes[] = {7, 9, 0, 0, 9, 9}, lengths[] = {2, 0, 2};
  const float scales[] = {0, 1, 2};
  const std::int32_t ids[] = {2, 0, 1, 2};
  TokensByCell by_cell(4, 2);
  by_cell.assign({bytes, lengths, scales, ids, 1});
  by_cell.assign({bytes, lengths, scales, ids, 4});  // in place of it
  const kernels::BlockByCell block = by_cell.view();
  REQUIRE(block.cell_count == 3);
  const auto cell = [&](std::size_t i) { return std::pair(block.cells[i].cell, block.cells[i].end); };
  CHECK(cell(0) == std::pair(14u, 1u));
  CHECK(cell(1) == std::pair(18u, 3u));
  CHECK(cell(2) == std::pair(19u, 6u));
  CHECK(std::vector(block.tokens, block.tokens + 6) == std::vector<std::uint16_t>{1, 0, 3, 0, 1, 3});
  CHECK(block.token_count == 3);
  CHECK(std::vector(block.scales, block.scales + 4) == std::vector<float>{2, 2, 0, 2});
}
