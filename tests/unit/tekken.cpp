#include "catch.hpp"
#include "scratch.hpp"

#include <kronecker/vocabularies/tekken.hpp>

#include <filesystem>
#include <string>
#include <vector>

using kronecker::FileError;
using kronecker::load_tekken;
using kronecker::TokenText;
using kronecker::Vocabulary;

namespace {

const auto tekken_file = test_support::scratch_path() / "tekken.json";

Vocabulary load_tekken_content(const std::string& content, TokenText text = TokenText::raw) {
  test_support::write_content(tekken_file, content);
  return load_tekken(tekken_file, text);
}

std::string tekken_message(const std::string& content) {
  const std::string what = message_of<FileError>([&] { load_tekken_content(content); });
  REQUIRE(what.starts_with(tekken_file.generic_string() + ": "));
  return what.substr(tekken_file.generic_string().size() + 2);
}

/// A file of `size` tokens, `special` of them special, with other members after the configuration.
std::string tekken(int size, int special, const std::string& members) {
  return R"({"config": {"pattern": "[a-z]+", "num_vocab_tokens": 9, "default_vocab_size": )" +
         std::to_string(size) + R"(, "default_num_special_tokens": )" + std::to_string(special) +
         R"(, "version": "v3"}, )" + members + "}";
}

const std::string two_tokens = R"("vocab": [{"rank": 0, "token_bytes": "AA==", "token_str": "\u0000"},)"
                               R"( {"rank": 1, "token_bytes": "IOk=", "token_str": null}])";
const std::string two_specials =
    R"("special_tokens": [{"rank": 0, "token_str": "<unk>", "is_control": true},)"
    R"( {"rank": 1, "token_str": "<s>", "is_control": true}])";

}  // namespace

TEST_CASE("a tekken.json has its special tokens first") {
  for (const std::string& members : {two_tokens + ", " + two_specials, two_specials + ", " + two_tokens}) {
    const Vocabulary vocabulary = load_tekken_content(tekken(4, 2, members));
    CHECK(vocabulary.size() == 4);
    CHECK(vocabulary.bytes(0) == "<unk>");
    CHECK(vocabulary.bytes(1) == "<s>");
    CHECK(vocabulary.bytes(2) == std::string(1, '\0'));
    CHECK(vocabulary.bytes(3) == " \xE9");
    CHECK(vocabulary.is_special(1));
    CHECK_FALSE(vocabulary.is_special(2));
    CHECK(vocabulary.notes().empty());
  }
  const Vocabulary reference =
      load_tekken_content(tekken(4, 2, two_tokens + ", " + two_specials), TokenText::reference);
  CHECK(reference.bytes(3) == " \xEF\xBF\xBD");
}

TEST_CASE("a tekken.json has as many tokens as its configuration says") {
  const Vocabulary cut = load_tekken_content(tekken(3, 2, two_tokens + ", " + two_specials));
  CHECK(cut.size() == 3);
  CHECK(cut.bytes(2) == std::string(1, '\0'));
  CHECK(cut.notes().empty());

  const Vocabulary short_of_one = load_tekken_content(tekken(5, 2, two_tokens + ", " + two_specials));
  CHECK(short_of_one.size() == 4);
  CHECK(short_of_one.notes() == std::vector<std::string>{"the file says that it has 5 tokens, and has 4"});
}

// mistral-common 1.8 gives these tokens the same names.
TEST_CASE(
    "special tokens that a tekken.json does not name have the names that Mistral's tokenizer gives them") {
  const Vocabulary some = load_tekken_content(tekken(6, 4, two_tokens + ", " + two_specials));
  CHECK(some.bytes(1) == "<s>");
  CHECK(some.bytes(2) == "<SPECIAL_2>");
  CHECK(some.bytes(3) == "<SPECIAL_3>");
  CHECK(some.is_special(3));
  CHECK(some.bytes(5) == " \xE9");
  CHECK(some.notes() ==
        std::vector<std::string>{
            "special tokens without a name in the file: 2; they are called <SPECIAL_n> by their id n, as "
            "by Mistral's own tokenizer"});

  const Vocabulary none = load_tekken_content(tekken(24, 22, two_tokens));
  CHECK(none.bytes(0) == "<unk>");
  CHECK(none.bytes(11) == "<pad>");
  CHECK(none.bytes(19) == "[TOOL_CONTENT]");
  CHECK(none.bytes(20) == "<SPECIAL_20>");
  CHECK(none.bytes(23) == " \xE9");
  REQUIRE(none.notes().size() == 2);
  CHECK(none.notes()[0] ==
        "the file does not name its special tokens: those that Mistral's files up to version 7 share are "
        "taken");
}

TEST_CASE("a tekken.json that is not of that form is refused with the key") {
  const auto with_tokens = [](const std::string& tokens) {
    return tekken(9, 0, "\"vocab\": [" + tokens + "]");
  };
  const auto with_specials = [](const std::string& specials) {
    return tekken(9, 2, two_tokens + ", \"special_tokens\": [" + specials + "]");
  };
  CHECK(tekken_message("{" + two_tokens + "}") ==
        "expected numbers 'config.default_vocab_size' and 'config.default_num_special_tokens', found none");
  CHECK(tekken_message(tekken(1, 2, two_tokens)) == "config: 1 token, and 2 special ones");
  CHECK(tekken_message(tekken(500000, 300000, two_tokens)) ==
        "config.default_num_special_tokens: 300000 is over 262144, the limit for a file of this size");
  CHECK(tekken_message(with_tokens("")) == "the file has no tokens");
  CHECK(tekken_message(with_tokens("1")) == "vocab[0]: expected an object, found a number");
  CHECK(tekken_message(with_tokens("[]")) == "vocab[0]: expected an object, found an array");
  CHECK(tekken_message(with_tokens(R"({"rank": 0})")) == "vocab[0]: expected a rank and token_bytes");
  CHECK(tekken_message(with_tokens(R"({"token_bytes": "AA=="})")) ==
        "vocab[0]: expected a rank and token_bytes");
  CHECK(tekken_message(with_tokens(R"({"rank": 1, "token_bytes": "AA=="})")) ==
        "vocab[0]: expected the rank 0, found 1");
  CHECK(tekken_message(with_tokens(R"({"rank": 0, "token_bytes": "AB=="})")) ==
        "vocab[0].token_bytes: expected base64, found 'AB=='");
  CHECK(tekken_message(with_specials("null")) == "special_tokens[0]: expected an object, found null");
  CHECK(tekken_message(with_specials(R"({"rank": 0})")) ==
        "special_tokens[0]: expected a rank and a token_str");
  CHECK(tekken_message(with_specials(R"({"rank": 2, "token_str": "a"})")) ==
        "special_tokens[0]: the rank 2 is not below 2, the number of special tokens");
  CHECK(tekken_message(with_specials(R"({"rank": 0, "token_str": "a"}, {"rank": 0, "token_str": "b"})")) ==
        "special_tokens[1]: the id 0 is already that of 'a'");
  CHECK(tekken_message("{\"config\": ").starts_with("not valid JSON"));
  CHECK(tekken_message("GGUF") == "expected JSON, found a GGUF file");
}
