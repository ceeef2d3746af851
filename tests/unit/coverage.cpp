#include "golden.hpp"

#include <kronecker/analysis/coverage.hpp>

#include <algorithm>

using kronecker::compare_pos_dims;
using kronecker::Coverage;
using kronecker::coverage;
using kronecker::KroneckerEncoder;
using kronecker::SharedCode;
using kronecker::SharedCodeReason;
using kronecker::TokenId;
using kronecker::Vocabulary;

namespace {

using Ids = std::vector<TokenId>;

}  // namespace

TEST_CASE("coverage names the tokens that share a code, and why") {
  const Vocabulary vocabulary({"abcdX", "b", "", "abcdY", "b", "abcd", "", "abc", "other"});
  const Coverage found = coverage(vocabulary, KroneckerEncoder<256, 4>());
  CHECK(found.vocab_size == 9);
  CHECK(found.truncated_tokens == 3);
  CHECK(found.empty_tokens == 2);
  CHECK(found.colliding_tokens == 7);
  REQUIRE(found.shared_codes.size() == 3);
  CHECK(found.shared_codes[0].ids == Ids{0, 3, 5});
  CHECK(found.shared_codes[0].reason == SharedCodeReason::truncation);
  CHECK(found.shared_codes[1].ids == Ids{1, 4});
  CHECK(found.shared_codes[1].reason == SharedCodeReason::same_bytes);
  CHECK(found.shared_codes[2].ids == Ids{2, 6});
  CHECK(found.shared_codes[2].reason == SharedCodeReason::same_bytes);
}

TEST_CASE("tokens that a larger pos_dim tells apart share a code by truncation, though some are the same") {
  const Coverage found = coverage(Vocabulary({"abX", "abX", "abY"}), KroneckerEncoder<256, 2>());
  REQUIRE(found.shared_codes.size() == 1);
  CHECK(found.shared_codes[0].ids == Ids{0, 1, 2});
  CHECK(found.shared_codes[0].reason == SharedCodeReason::truncation);
  const Coverage wider = coverage(Vocabulary({"abX", "abX", "abY"}), KroneckerEncoder<256, 3>());
  REQUIRE(wider.shared_codes.size() == 1);
  CHECK(wider.shared_codes[0].ids == Ids{0, 1});
  CHECK(wider.shared_codes[0].reason == SharedCodeReason::same_bytes);
}

TEST_CASE("a character that is not cut in two can make a token shorter and collide") {
  const Coverage found = coverage(Vocabulary({"abc", "abc\u00e9"}), KroneckerEncoder<256, 4>());
  CHECK(found.truncated_tokens == 1);
  CHECK(found.colliding_tokens == 2);
}

TEST_CASE("a token with a zero byte is not the token without it") {
  CHECK(coverage(Vocabulary({"a", std::string("a\0", 2)}), KroneckerEncoder<>()).shared_codes.empty());
}

TEST_CASE("a cell is reached if a token has its byte at its position, before the cut") {
  const Coverage found = coverage(Vocabulary({"ab", "ac", "b", "abc"}), KroneckerEncoder<256, 2>());
  CHECK(found.reached_cells == 4);  // a and b at 0, b and c at 1
  CHECK(found.code_dim == 512);
}

TEST_CASE("each pos_dim has its cost and its losses") {
  const Vocabulary vocabulary({"abcdX", "b", "", "abcdY", "b", "abcd"});
  const std::vector<int> pos_dims = {5, 4, 1};
  const auto choices = compare_pos_dims(vocabulary, 10, pos_dims);
  REQUIRE(choices.size() == 3);
  CHECK(choices[0].pos_dim == 5);
  CHECK(choices[0].parameters == 256u * 5u * 10u);
  CHECK(choices[0].token_bytes_memory == 6u * 6u);
  CHECK(choices[0].truncated_tokens == 0);
  CHECK(choices[0].colliding_tokens == 2);
  CHECK(choices[1].truncated_tokens == 2);
  CHECK(choices[1].colliding_tokens == 5);
  CHECK(choices[2].truncated_tokens == 3);
  CHECK(choices[2].colliding_tokens == 5);
  CHECK(compare_pos_dims(vocabulary, 10, pos_dims, 128)[0].parameters == 128u * 5u * 10u);
  CHECK(compare_pos_dims(vocabulary, 10).size() == kronecker::default_pos_dims.size());
}

TEST_CASE("sizes and bytes that do not fit are refused by name") {
  CHECK(message_of<std::invalid_argument>([] { compare_pos_dims(Vocabulary({"a"}), 0); }) ==
        "d_model 0 is not positive");
  CHECK(message_of<std::invalid_argument>([] {
          const std::vector<int> pos_dims = {4, 0};
          compare_pos_dims(Vocabulary({"a"}), 8, pos_dims);
        }) == "pos_dim 0 is outside 1 to 255");
  CHECK(message_of<std::invalid_argument>([] {
          coverage(Vocabulary({"ok", "a\xc8"}), KroneckerEncoder(128, 4));
        }) == "token id 1: byte 200 at position 1 is outside the alphabet of char_dim 128");
}

TEST_CASE("GPT-2's tokens are all told apart by their bytes, and 340 are not by the reference's strings") {
  const auto folder = std::filesystem::path(KRONECKER_DATA_DIR) / "truth";
  if (!std::filesystem::exists(folder / "gpt2.tokens.bin")) {
    WARN("skipped: no real vocabularies in " << folder);
    return;
  }
  const KroneckerEncoder<256, 255> whole_tokens;
  const Vocabulary true_bytes(test_support::read_token_file(folder / "gpt2.tokens.bin"));
  CHECK(coverage(true_bytes, whole_tokens).shared_codes.empty());

  const Vocabulary reference(test_support::read_token_file(folder / "gpt2.reference.tokens.bin"));
  const Coverage found = coverage(reference, whole_tokens);
  CHECK(found.colliding_tokens == 340);
  CHECK(found.same_bytes_tokens == 340);
  const auto largest =
      std::max_element(found.shared_codes.begin(), found.shared_codes.end(),
                       [](const SharedCode& a, const SharedCode& b) { return a.ids.size() < b.ids.size(); });
  REQUIRE(largest != found.shared_codes.end());
  CHECK(largest->ids.size() == 255);
  CHECK(reference.bytes(largest->ids.front()) == "\ufffd");
  CHECK(std::all_of(found.shared_codes.begin(), found.shared_codes.end(),
                    [](const SharedCode& shared) { return shared.reason == SharedCodeReason::same_bytes; }));
}

TEST_CASE("what a pos_dim costs and loses on GPT-2's vocabulary") {
  const auto file = std::filesystem::path(KRONECKER_DATA_DIR) / "truth" / "gpt2.tokens.bin";
  if (!std::filesystem::exists(file)) {
    WARN("skipped: no " << file);
    return;
  }
  const Vocabulary vocabulary(test_support::read_token_file(file));
  const Coverage found = coverage(vocabulary, KroneckerEncoder<256, 16>());
  CHECK(found.truncated_tokens == 72);
  CHECK(found.empty_tokens == 0);
  CHECK(found.colliding_tokens == 44);
  CHECK(found.same_bytes_tokens == 0);
  CHECK(found.shared_codes.size() == 14);
  CHECK(found.reached_cells == 1487);

  std::vector<std::array<int, 3>> losses;
  for (const auto& choice : compare_pos_dims(vocabulary, 768))
    losses.push_back({choice.pos_dim, choice.truncated_tokens, choice.colliding_tokens});
  CHECK(losses == std::vector<std::array<int, 3>>{{4, 35652, 36307},
                                                  {8, 10924, 7582},
                                                  {12, 1209, 682},
                                                  {16, 72, 44},
                                                  {24, 26, 22},
                                                  {32, 14, 17},
                                                  {48, 9, 5},
                                                  {64, 3, 2}});
}
