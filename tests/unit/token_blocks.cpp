#include "catch.hpp"

#include <kronecker/token_blocks.hpp>

#include <cstdint>
#include <string>
#include <vector>

using kronecker::TokenBytes;
using kronecker::TokenId;
using kronecker::TokenOrBytes;
using kronecker::TokenSequence;

namespace {

const TokenBytes some_token_bytes(kronecker::Vocabulary({"a", "", "bcdef", "xy"}),
                                  kronecker::KroneckerEncoder(128, 4));

/// The bytes of every token of a sequence, as the kernels get them; blocks end in '|'.
std::string bytes_of_blocks(const TokenSequence& sequence) {
  std::string bytes;
  std::size_t expected_first = 0;
  kronecker::detail::check_tokens(some_token_bytes, sequence);
  kronecker::detail::for_each_block(
      some_token_bytes, nullptr, sequence, [&](const kronecker::kernels::Tokens& block, std::size_t first) {
        CHECK(first == expected_first);
        expected_first += block.count;
        for (std::size_t i = 0; i < block.count; ++i) {
          const auto id = static_cast<std::size_t>(block.ids[i]);
          bytes.append(reinterpret_cast<const char*>(block.bytes) + id * 4, block.lengths[id]);
        }
        bytes += '|';
      });
  CHECK(expected_first == sequence.size());
  return bytes;
}

}  // namespace

TEST_CASE("a sequence is ids, or ids and strings, and comes in blocks of one kind") {
  CHECK(bytes_of_blocks({}) == "");
  CHECK(bytes_of_blocks({0, 2, 3}) == "abcdexy|");
  CHECK(bytes_of_blocks({std::uint16_t{3}, std::uint16_t{0}}) == "xya|");
  CHECK(bytes_of_blocks({0, "longer", 3, "", std::string("z")}) == "a|long|xy|z|");
  CHECK(bytes_of_blocks({"only", "strings"}) == "onlystri|");
  CHECK(bytes_of_blocks(TokenSequence::in_order(2, 4)) == "bcdexy|");
  CHECK(bytes_of_blocks(std::vector<TokenOrBytes>(130, "q")) ==
        std::string(64, 'q') + '|' + std::string(64, 'q') + "|qq|");
  CHECK(bytes_of_blocks(std::vector<std::int64_t>(4097, 0)) == std::string(4096, 'a') + "|a|");
}

TEST_CASE("a part of a sequence is the tokens from one position on") {
  const std::vector<std::int64_t> ids = {0, 2, 3};
  CHECK(bytes_of_blocks(TokenSequence(ids).part(1, 2)) == "bcdexy|");
  CHECK(bytes_of_blocks(TokenSequence::in_order(0, 4).part(2, 1)) == "bcde|");
  const std::vector<TokenOrBytes> mixed = {0, "z", 3};
  CHECK(bytes_of_blocks(TokenSequence(mixed).part(1, 2)) == "z|xy|");
}

TEST_CASE("a string outside the alphabet is named with its place") {
  CHECK(message_of<std::invalid_argument>([] {
          bytes_of_blocks({0, "ab\xC3\xA9"});
        }) == "string at index 1: byte 195 at position 2 is outside the alphabet of char_dim 128");
  CHECK_NOTHROW(bytes_of_blocks({0, "abcd\xC3\xA9"}));  // not kept
}
