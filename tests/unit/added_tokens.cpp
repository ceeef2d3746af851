#include "catch.hpp"
#include "scratch.hpp"

#include <kronecker/vocabularies/added_tokens.hpp>

#include <filesystem>
#include <fstream>
#include <string>

using kronecker::FileError;
using kronecker::detail::read_added_tokens;

namespace {

auto added_tokens_in(const std::string& content) {
  const auto file = test_support::scratch_path() / "added_tokens.any.json";
  std::ofstream(file, std::ios::binary) << content;
  return read_added_tokens(file);
}

}  // namespace

TEST_CASE("an added_tokens.json has strings and ids") {
  const auto tokens = added_tokens_in(R"({"<s>": 7, "b": 9})");
  REQUIRE(tokens.size() == 2);
  CHECK(tokens[0].content == "<s>");
  CHECK(tokens[0].id == 7u);
  CHECK_FALSE(tokens[0].is_special);
  CHECK(added_tokens_in("{}").empty());
}

TEST_CASE("a tokenizer_config.json has added tokens by their ids, or none") {
  const auto tokens =
      added_tokens_in(R"({"a": {"3": 1}, "added_tokens_decoder": {"5": {"content": "x", "lstrip": false,
      "normalized": true, "special": false}, "6": {"special": true, "content": "y"}}, "model_max_length": 512})");
  REQUIRE(tokens.size() == 2);
  CHECK(tokens[0].id == 5u);
  CHECK(tokens[0].content == "x");
  CHECK(tokens[0].is_normalized);
  CHECK(tokens[1].is_special);
  CHECK(added_tokens_in(R"({"model_max_length": 512, "tokenizer_class": "GPT2Tokenizer"})").empty());
}

TEST_CASE("added tokens that are not of that form are refused with the place") {
  const auto ends_with = [](const std::string& content, const std::string& end) {
    return message_of<FileError>([&] { added_tokens_in(content); }).ends_with(end);
  };
  CHECK(ends_with("[]", ": expected an object, found ["));
  CHECK(ends_with(R"({"added_tokens_decoder": {"x": {}}})",
                  ": added_tokens_decoder: expected an id, found 'x'"));
  CHECK(
      ends_with(R"({"added_tokens_decoder": {"5": {}}})", ": added_tokens_decoder: token 5 has no content"));
}
