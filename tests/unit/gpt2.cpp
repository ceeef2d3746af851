#include "catch.hpp"
#include "scratch.hpp"
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

const auto gpt2_file = test_support::scratch_path() / "gpt2.encoder.json";

Vocabulary load_gpt2_content(const std::string& content, TokenText text = TokenText::raw) {
  std::ofstream(gpt2_file, std::ios::binary) << content;
  return load_gpt2(gpt2_file, text);
}

std::string gpt2_message(const std::string& content) {
  const std::string what = message_of<FileError>([&] { load_gpt2_content(content); });
  REQUIRE(what.starts_with(gpt2_file.generic_string() + ": "));
  return what.substr(gpt2_file.generic_string().size() + 2);
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
  CHECK(load_gpt2_content(R"({"\u0120": 0, "a": 50256})").size() == 50257);
  CHECK(gpt2_message(R"({"a": 1, )") == "not valid JSON: byte 10: unexpected '1, '");
  CHECK(gpt2_message(std::string("{\"a\": 1}\0 garbage", 17)) == "not valid JSON: byte 9: unexpected NUL");
  CHECK(gpt2_message(R"({"a": 1} 2)") == "not valid JSON: byte 10: unexpected '2'");
  CHECK(gpt2_message("{\"\xFF\": 1}").starts_with("not valid JSON: byte 3: unexpected '"));
  CHECK(gpt2_message("") == "expected JSON, found an empty file");
}

TEST_CASE("a vocabulary that is not byte-level is refused") {
  CHECK(
      gpt2_message(R"({"a": 0, "\u2581the": 1})") ==
      "'\xE2\x96\x81the': the character U+2581 stands for no byte in GPT-2's byte map: the vocabulary is not "
      "byte-level, and its tokens' bytes are not known");
  CHECK(gpt2_message(R"({"a b": 0})").starts_with("'a b': the character U+0020 stands for no byte"));
  const std::string no_space =
      ": no token has U+0120, GPT-2's space: the vocabulary is not byte-level, and its tokens' bytes are not "
      "known";
  CHECK(gpt2_message(R"({"the": 0, "##the": 1})") ==
        "'##the' goes on with a word as WordPiece marks it" + no_space);
  CHECK(gpt2_message(R"({"<pad>": 0, "the": 2, "cat": 3, "caf\u00e9": 5})") == "a list of words" + no_space);
  CHECK(gpt2_message(R"({"a": 0, "b": 1, "\u00e9": 2})") == "a list of characters" + no_space);
  CHECK(gpt2_message(R"({"<|im_start|>": 151644, "<|im_end|>": 151645})") ==
        "ids from 151644 on look like an added_tokens.json, without the vocabulary that it adds to" +
            no_space);
  CHECK(bytes_in(load_gpt2_content(R"({"\u0120the": 0, "##": 1, "</w>": 2, "b</w>": 3})"), 3) == "b</w>");
}

TEST_CASE("other JSON files of a model's folder are refused by name") {
  const std::string expected = "expected an object of tokens and ids, found ";
  CHECK(gpt2_message(R"({"add_prefix_space": false, "tokenizer_class": "GPT2Tokenizer"})") ==
        expected + "a tokenizer_config.json");
  CHECK(gpt2_message(R"({"vocab_size": 50257, "architectures": ["GPT2LMHeadModel"]})") ==
        expected + "a config.json");
  CHECK(gpt2_message(R"({"bos_token": "<s>"})") == expected + "a special_tokens_map.json");
  CHECK(gpt2_message(R"({"eos_token_id": 2, "do_sample": true})") == expected + "a generation_config.json");
  CHECK(gpt2_message(R"({"metadata": {}, "weight_map": {}})") == expected + "a model.safetensors.index.json");
}

TEST_CASE("a vocabulary without some of the single bytes is read, and that is noted") {
  const Vocabulary vocabulary = load_gpt2_content(R"({"\u0120": 0, "a": 1, "\u0120a": 2})");
  REQUIRE(vocabulary.notes().size() == 1);
  CHECK(vocabulary.notes()[0] ==
        "single bytes that are no tokens: 254 of 256; the vocabulary is not a whole one, or not byte-level");
}

TEST_CASE("in CLIP's vocabulary the end of a word is a space") {
  // The first tokens of CLIP's vocab.json: 256 characters, the same at the end of a word, merges.
  const std::string content =
      R"({"!": 0, "\u0120": 1, "!</w>": 2, "\u0120</w>": 3, "the</w>": 4, "ca": 5, "<|endoftext|>": 6})";
  const Vocabulary vocabulary = load_gpt2_content(content);
  CHECK(vocabulary.bytes(0) == "!");
  CHECK(vocabulary.bytes(2) == "! ");
  CHECK(vocabulary.bytes(4) == "the ");
  CHECK(vocabulary.bytes(5) == "ca");
  CHECK(vocabulary.bytes(6) == "<|endoftext|>");
  REQUIRE(vocabulary.notes().size() == 2);
  CHECK(vocabulary.notes()[0].starts_with(
      "'</w>' at the end of a token is read as a space after it: which spaces"));
  CHECK(message_of<FileError>([&] { load_gpt2_content(content, TokenText::reference); })
            .ends_with("'!</w>' ends a word as CLIP marks it: what the reference's tokenizer makes of that "
                       "is not known, "
                       "give its tokenizer.json"));
}

TEST_CASE("added tokens come from a file that is named, or lies beside a vocab.json") {
  const auto folder = test_support::scratch_path() / "gpt2.folder";
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  const auto write = [&](const char* name, const std::string& content) {
    std::ofstream(folder / name, std::ios::binary) << content;
    return folder / name;
  };
  const auto vocabulary = write("vocab.json", R"({"a": 0, "\u0120a": 1, "b": 2})");
  CHECK(load_gpt2(vocabulary).size() == 3);

  const auto ids = write("added_tokens.json", R"({"<|im_start|>": 4, "\u00e9": 5})");
  const Vocabulary with_ids = load_gpt2(vocabulary);
  CHECK(with_ids.size() == 6);
  CHECK(with_ids.bytes(3).empty());
  CHECK(with_ids.bytes(4) == "<|im_start|>");
  CHECK(with_ids.bytes(5) == "\xC3\xA9");
  CHECK_FALSE(with_ids.is_special(4));
  CHECK(with_ids.notes().back() == "2 added tokens from " + ids.generic_string());
  CHECK(bytes_in(load_gpt2(vocabulary, TokenText::reference), 5) == "\xEF\xBF\xBD");

  write("tokenizer_config.json", R"({"model_max_length": 1024, "bos_token": "<s>"})");
  CHECK(load_gpt2(vocabulary).size() == 6);
  const auto settings = write("tokenizer_config.json", R"({"model_max_length": 1024, "added_tokens_decoder": {
      "3": {"content": "<s>", "special": true}, "2": {"content": "c", "special": false}}, "bos_token": "<s>"})");
  const Vocabulary with_settings = load_gpt2(vocabulary);
  CHECK(with_settings.size() == 4);
  CHECK(with_settings.bytes(3) == "<s>");
  CHECK(with_settings.is_special(3));
  CHECK(with_settings.bytes(2) == "c");
  CHECK(
      with_settings.notes().back().starts_with("added tokens take the place of 1 token of the vocabulary: "));

  CHECK(load_gpt2(vocabulary, ids).size() == 6);
  CHECK(load_gpt2(vocabulary, std::filesystem::path()).size() == 3);
  const auto other_name = folder / "gpt2.json";
  std::filesystem::copy_file(vocabulary, other_name);
  CHECK(load_gpt2(other_name).size() == 3);
  CHECK(load_gpt2(other_name, settings).size() == 4);
}
