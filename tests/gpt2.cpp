#include "catch.hpp"
#include "token_bytes.hpp"

#include <kronecker/vocabularies/gpt2.hpp>

#include <filesystem>
#include <fstream>
#include <string>

using kronecker::FileError;
using kronecker::load_gpt2;
using kronecker::TokenText;
using kronecker::Vocabulary;
using test_support::bytes_in;

namespace {

const auto gpt2_file = std::filesystem::path(KRONECKER_SCRATCH_DIR) / "gpt2.encoder.json";

Vocabulary load_gpt2_content(const std::string& content, TokenText text = TokenText::raw) {
  std::ofstream(gpt2_file, std::ios::binary) << content;
  return load_gpt2(gpt2_file, text);
}

std::string gpt2_message(const std::string& content) {
  const std::string what = message_of<FileError>([&] { load_gpt2_content(content); });
  REQUIRE(what.starts_with(gpt2_file.string() + ": "));
  return what.substr(gpt2_file.string().size() + 2);
}

}  // namespace

TEST_CASE("an encoder.json gives the bytes of each id") {
  const std::string content = R"({"\u0120the": 1, "a": 4, "\u00c3": 0, "<|endoftext|>": 2})";
  const Vocabulary vocabulary = load_gpt2_content(content);
  CHECK(vocabulary.size() == 5);
  CHECK(vocabulary.bytes(0) == "\xC3");
  CHECK(vocabulary.bytes(1) == " the");
  CHECK(vocabulary.bytes(2) == "<|endoftext|>");
  CHECK(vocabulary.bytes(3).empty());
  CHECK(vocabulary.bytes(4) == "a");
  CHECK_FALSE(vocabulary.is_special(2));
  CHECK(bytes_in(load_gpt2_content(content, TokenText::reference), 0) == "\xEF\xBF\xBD");
}

TEST_CASE("a file that is not an encoder.json is refused with the place") {
  CHECK(gpt2_message("[1]") == "expected an object of tokens and ids, found [");
  CHECK(gpt2_message("7") == "expected an object of tokens and ids, found 7");
  CHECK(gpt2_message("{}") == "the file has no tokens");
  CHECK(gpt2_message(R"({"a": -1})") == "'a': expected an id, found -1");
  CHECK(gpt2_message(R"({"a": 1.5})") == "'a': expected an id, found 1.5");
  CHECK(gpt2_message(R"({"a": null})") == "'a': expected an id, found null");
  CHECK(gpt2_message(R"({"a": true})") == "'a': expected an id, found true");
  CHECK(gpt2_message(R"({"a": "b"})") == "'a': expected an id, found b");
  CHECK(gpt2_message(R"({"a": {}})") == "'a': expected an id, found {");
  CHECK(gpt2_message(R"({"a": 0, "b": 0})") == "'b': the id 0 is already that of 'a'");
  CHECK(gpt2_message(R"({"a": 262144})") ==
        "'a': the id 262144 is not below 262144, the limit for a file of this size");
  CHECK(load_gpt2_content(R"({"a": 50256})").size() == 50257);
  CHECK(gpt2_message(R"({"a": 1, )") == "not valid JSON: byte 10: unexpected '1, '");
  CHECK(gpt2_message(R"({"a": 1} 2)") == "not valid JSON: byte 10: unexpected '2'");
  CHECK(gpt2_message("{\"\xFF\": 1}").starts_with("not valid JSON: byte 3: unexpected '"));
  CHECK(gpt2_message("").starts_with("not valid JSON: byte 1"));
}

TEST_CASE("a vocabulary that is not byte-level is refused") {
  CHECK(
      gpt2_message(R"({"a": 0, "\u2581the": 1})") ==
      "'\xE2\x96\x81the': the character U+2581 stands for no byte in GPT-2's byte map: the vocabulary is not "
      "byte-level, and its tokens' bytes are not known");
  CHECK(gpt2_message(R"({"a b": 0})").starts_with("'a b': the character U+0020 stands for no byte"));
  const std::string no_space =
      ", and no token has U+0120, GPT-2's space: the vocabulary is not byte-level, and "
      "its tokens' bytes are not known";
  CHECK(gpt2_message(R"({"the": 0, "the</w>": 1})") == "'the</w>' ends a word as CLIP marks it" + no_space);
  CHECK(gpt2_message(R"({"the": 0, "##the": 1})") ==
        "'##the' goes on with a word as WordPiece marks it" + no_space);
  CHECK(bytes_in(load_gpt2_content(R"({"\u0120the": 0, "##": 1, "</w>": 2})"), 1) == "##");
}
