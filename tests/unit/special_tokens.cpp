#include "catch.hpp"
#include "scratch.hpp"

#include <kronecker/vocabularies/special_tokens.hpp>

#include <filesystem>
#include <map>
#include <string>
#include <utility>

using kronecker::FileError;
using kronecker::load_special_tokens;
using kronecker::parse_special_token;
using kronecker::TokenId;

namespace {

const auto special_tokens_file = test_support::scratch_path() / "specials";

std::map<std::string, TokenId> specials_in(const std::string& content) {
  test_support::write_content(special_tokens_file, content);
  return load_special_tokens(special_tokens_file);
}

std::string specials_message(const std::string& content) {
  return message_of<FileError>([&] { specials_in(content); })
      .substr(special_tokens_file.generic_string().size());
}

}  // namespace

TEST_CASE("a special token and its id are separated by the last equals sign") {
  CHECK(parse_special_token("<|eot_id|>=128009") == std::pair(std::string("<|eot_id|>"), TokenId{128009}));
  CHECK(parse_special_token("a=b= =0") == std::pair(std::string("a=b= "), TokenId{0}));
  for (const std::string text : {"", "=", "=1", "a", "a=", "a= 1", "a=1 ", "a=-1", "a=1x", "a=2147483648"})
    CHECK(message_of<std::invalid_argument>([&] { parse_special_token(text); }) ==
          "expected a special token and its id, such as <|end|>=128009, found '" + text + "'");
}

TEST_CASE("a file of special tokens has a line for each, or is a JSON object") {
  const std::map<std::string, TokenId> two{{"<|begin|>", 10}, {"<|end|>", 11}};
  CHECK(specials_in("<|begin|>=10\n<|end|>=11\n") == two);
  CHECK(specials_in("<|begin|>=10\r\n\r\n<|end|>=11") == two);
  CHECK(specials_in(R"({"<|begin|>": 10, "<|end|>": 11})") == two);
  CHECK(specials_in("[token]=10\n[name]=11\n").size() == 2);
  CHECK(specials_in("").empty());
  CHECK(specials_in("{}").empty());

  CHECK(specials_message("a=1\nb\n") ==
        ": line 2: expected a special token and its id, such as <|end|>=128009, found 'b'");
  CHECK(specials_message("a=1\na=2\n") == ": line 2: 'a=2' is there twice");
  CHECK(specials_message(R"({"a": 1, "a": 2})") == ": 'a' is there twice");
  for (const std::string value : {"\"b\"", "-1", "2147483648", "null", "[1]", "{}", "1.5"})
    CHECK(specials_message("{\"a\": " + value + "}")
              .starts_with(": 'a': expected the id of a special token, found "));
  CHECK(specials_message("[]") == ": '': expected the id of a special token, found [");
}
