#include "catch.hpp"

#include <kronecker/token_sequence.hpp>

#include <array>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

using kronecker::TokenId;
using kronecker::TokenOrBytes;
using kronecker::TokenSequence;

namespace {

std::vector<TokenId> ids_of(const TokenSequence& sequence) {
  std::vector<TokenId> ids(sequence.size());
  sequence.copy_ids(0, ids);
  return ids;
}

/// The ids that a vector of T gives, for the least and the largest T and one between them.
template <class T>
std::vector<TokenId> ids_from() {
  return ids_of(std::vector<T>{(std::numeric_limits<T>::min)(), 7, (std::numeric_limits<T>::max)()});
}

}  // namespace

TEST_CASE("ids of every integer type are read, and what is no id is -1") {
  CHECK(ids_from<std::int8_t>() == std::vector<TokenId>{-128, 7, 127});
  CHECK(ids_from<std::uint8_t>() == std::vector<TokenId>{0, 7, 255});
  CHECK(ids_from<std::int16_t>() == std::vector<TokenId>{-32768, 7, 32767});
  CHECK(ids_from<std::uint16_t>() == std::vector<TokenId>{0, 7, 65535});
  CHECK(ids_from<std::int32_t>() == std::vector<TokenId>{-2147483647 - 1, 7, 2147483647});
  CHECK(ids_from<std::uint32_t>() == std::vector<TokenId>{0, 7, -1});
  CHECK(ids_from<long>().size() == 3);
  CHECK(ids_from<unsigned long long>() == std::vector<TokenId>{0, 7, -1});
  CHECK(ids_from<std::int64_t>() == std::vector<TokenId>{-1, 7, -1});
}

TEST_CASE("an id is named as it was given") {
  const std::vector<std::uint64_t> ids = {7, 18446744073709551615u};
  CHECK(TokenSequence(ids).id_text(1) == "18446744073709551615");
  CHECK(TokenSequence(ids).part(1, 1).id_text(0) == "18446744073709551615");
  CHECK(TokenSequence({-3, 4}).id_text(0) == "-3");
  CHECK(TokenSequence::in_order(5, 9).id_text(2) == "7");
  CHECK(TokenSequence({1, "x", 8}).id_text(2) == "8");
}

TEST_CASE("only ids of 32 bits with a sign lie as the kernels take them") {
  const std::array<TokenId, 2> ids = {3, 4};
  CHECK(TokenSequence(ids).token_ids() == ids.data());
  CHECK(TokenSequence(ids).part(1, 1).token_ids() == ids.data() + 1);
  CHECK(TokenSequence(std::vector<std::uint32_t>{3}).token_ids() == nullptr);
  CHECK(TokenSequence::in_order(0, 2).token_ids() == nullptr);
  CHECK(TokenSequence({0, "x"}).token_ids() == nullptr);
}

TEST_CASE("a sequence becomes ids and strings, of which some can be replaced") {
  CHECK(TokenSequence(std::vector<std::int64_t>{0, 2, 3}).to_mixed() == std::vector<TokenOrBytes>{0, 2, 3});
  CHECK(TokenSequence({0, "x"}).to_mixed() == std::vector<TokenOrBytes>{0, "x"});
  CHECK(TokenSequence::in_order(2, 4).to_mixed() == std::vector<TokenOrBytes>{2, 3});
  CHECK(TokenSequence::in_order(4, 2).to_mixed().empty());
}
