#include "catch.hpp"
#include "token_file.hpp"

#include <kronecker/integrations/onnx_chunks.hpp>
#include <kronecker/integrations/onnx_rows.hpp>
#include <kronecker/utf8.hpp>

#include <cmath>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

using kronecker::LearnedProjection;
using kronecker::ProjectionRows;
using kronecker::detail::best_cuts;
using kronecker::detail::Chunk;
using kronecker::detail::ChunkCut;
using kronecker::detail::ChunkedTokens;

namespace {

/// What a token's chunks are, one after the other.
std::string joined_chunks(const ChunkedTokens& cut, const ChunkCut& by, std::size_t id) {
  std::string joined;
  for (std::size_t k = 0; k < by.ends.size(); ++k) {
    const std::uint32_t number = cut.of_tokens[id * by.ends.size() + k];
    if (number == cut.chunks.size()) continue;
    CHECK(cut.chunks[number].first == joined.size());
    joined += cut.chunks[number].bytes;
  }
  return joined;
}

}  // namespace

TEST_CASE("tokens are cut into the chunks that take the fewest rows") {
  // In two: t, a | he, hus, o. By bytes: t, a | h, o | e, u | s.
  const std::vector<std::string_view> tokens = {"the", "thus", "to", "", "a"};
  const std::vector<ChunkCut> cuts = best_cuts(tokens);
  REQUIRE(cuts.size() == 4);
  CHECK(cuts[0].ends == std::vector<std::size_t>{4});
  CHECK(cuts[0].rows == 4);
  CHECK(cuts[1].rows == 2 + 3);
  CHECK(cuts[3].ends == std::vector<std::size_t>{1, 2, 3, 4});
  CHECK(cuts[3].rows == 2 + 2 + 2 + 1);
  CHECK(cuts[3].is_by_bytes());
  for (const ChunkCut& by : cuts) {
    const ChunkedTokens cut = kronecker::detail::cut_tokens(tokens, by);
    CHECK(cut.chunks.size() == by.rows);
    for (std::size_t id = 0; id < tokens.size(); ++id) CHECK(joined_chunks(cut, by, id) == tokens[id]);
  }
}

TEST_CASE("tokens without bytes are cut too") {
  const std::vector<std::string_view> tokens = {"", ""};
  const std::vector<ChunkCut> cuts = best_cuts(tokens);
  REQUIRE(cuts.size() == 1);
  CHECK(cuts[0].rows == 0);
  CHECK(kronecker::detail::cut_tokens(tokens, cuts[0]).of_tokens == std::vector<std::uint32_t>{0, 0});
}

// Measured in Python, by sets of strings.
TEST_CASE("gpt2's tokens of at most 16 bytes have 6,237 chunks if there are five for a token") {
  const std::filesystem::path path = std::filesystem::path(KRONECKER_DATA_DIR) / "truth" / "gpt2.tokens.bin";
  if (!std::filesystem::exists(path)) return;
  const std::vector<std::string> bytes = test_support::read_token_file(path);
  std::vector<std::string_view> tokens;
  for (const std::string& token : bytes) tokens.push_back(kronecker::utf8_safe_prefix(token, 16));
  const std::vector<ChunkCut> cuts = best_cuts(tokens);
  REQUIRE(cuts.size() == 16);
  CHECK(cuts[4].ends == std::vector<std::size_t>{2, 4, 6, 8, 16});
  CHECK(cuts[4].rows == 6237);
  CHECK(cuts[15].rows == 1487);
}

TEST_CASE("a float's lowest bit") {
  CHECK(kronecker::detail::lowest_bit(1.0f) == 0);
  CHECK(kronecker::detail::lowest_bit(-1.5f) == -1);
  CHECK(kronecker::detail::lowest_bit(96.0f) == 5);
  CHECK(kronecker::detail::lowest_bit(1.0f + std::ldexp(1.0f, -23)) == -23);
  CHECK(kronecker::detail::lowest_bit(std::ldexp(1.0f, -149)) == -149);
}

TEST_CASE("sums are exact if float32 holds all multiples up to the greatest sum") {
  const std::vector<Chunk> bytes = {{0, {"\0", 1}}, {1, {"\0", 1}}};  // of pos_dim 2: rows 0 and 1
  const auto is_exact = [&](float first, float second) {
    const LearnedProjection weights = LearnedProjection::make(1, 4, [&](std::span<float> rows) {
      rows[0] = first, rows[1] = second,
      rows[2] = rows[3] = std::ldexp(1.0f, -60);  // the last two are not lit
    });
    return kronecker::detail::sums_are_exact(ProjectionRows<float>(weights, false), bytes, 2);
  };
  CHECK(is_exact(1.0f, std::ldexp(1.0f, -23)));
  CHECK_FALSE(is_exact(1.0f, std::ldexp(1.0f, -25)));  // lost beside 1
  CHECK(is_exact(0.0f, 0.1f));
  CHECK_FALSE(is_exact(0.1f, 3.0f));
}

TEST_CASE("a chunk's row is the sum of its bytes' rows, and the last row is of zeros") {
  const LearnedProjection weights = LearnedProjection::make(2, 8, [](std::span<float> rows) {
    for (std::size_t i = 0; i < rows.size(); ++i) rows[i] = static_cast<float>(i);
  });
  // Of pos_dim 4: byte 1 at position 2 is cell 6, numbers 12 and 13; byte 0 at 3 is cell 3, numbers 6 and 7.
  const std::vector<Chunk> chunks = {{2, {"\1\0", 2}}, {3, {"\0", 1}}};
  CHECK(kronecker::detail::chunk_rows<float>(ProjectionRows<float>(weights, false), chunks, 4) ==
        std::vector<float>{18, 20, 6, 7, 0, 0});
}
