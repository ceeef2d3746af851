#include "catch.hpp"
#include "gguf_bytes.hpp"
#include "scratch.hpp"
#include "token_bytes.hpp"

#include <kronecker/vocabularies/gguf.hpp>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

using kronecker::FileError;
using kronecker::GgufMetadata;
using kronecker::load_gguf;
using kronecker::parse_gguf_metadata;
using kronecker::TokenText;
using kronecker::Vocabulary;

using namespace test_support::gguf;
using test_support::bytes_in;

namespace {

const auto gguf_file = test_support::scratch_path() / "vocabulary.gguf";

std::string parse_message(const std::string& content) {
  const std::string what = message_of<FileError>([&] { parse_gguf_metadata("file", content); });
  REQUIRE(what.starts_with("file: "));
  return what.substr(6);
}

std::string model(const std::string& name) { return entry("tokenizer.ggml.model", text, string(name)); }

std::string tokens(const std::vector<std::string>& strings) {
  std::string all;
  for (const std::string& one : strings) all += string(one);
  return entry("tokenizer.ggml.tokens", array, array_of(text, strings.size(), all));
}

std::string token_types(const std::vector<std::int32_t>& types, Type type = i32) {
  std::string all;
  for (const std::int32_t one : types) all += bytes(one);
  return entry("tokenizer.ggml.token_type", array, array_of(type, types.size(), all));
}

Vocabulary load_gguf_content(const std::string& content, TokenText text = TokenText::raw) {
  std::ofstream(gguf_file, std::ios::binary) << content;
  return load_gguf(gguf_file, text);
}

std::string load_message(const std::string& content) {
  const std::string what = message_of<FileError>([&] { load_gguf_content(content); });
  REQUIRE(what.starts_with(gguf_file.generic_string() + ": "));
  return what.substr(gguf_file.generic_string().size() + 2);
}

const std::string piece_space = "\xE2\x96\x81";

}  // namespace

TEST_CASE("values of every type are read") {
  for (const std::uint32_t version : {2u, 3u}) {
    const GgufMetadata metadata = parse_gguf_metadata(
        "file", file({entry("u8", u8, "\xFF"), entry("i8", i8, "\xFF"), entry("u16", u16, "\xFE\xFF"),
                      entry("i16", i16, "\xFE\xFF"), entry("u32", u32, bytes(4000000000u)),
                      entry("i32", i32, bytes(-5)),
                      entry("f32", f32, bytes(kronecker::detail::bit_cast<std::uint32_t>(1.5f))),
                      entry("true", boolean, "\1"), entry("text", text, string("a")),
                      entry("u64", u64, bytes(~std::uint64_t{0})), entry("i64", i64, bytes(std::int64_t{-6})),
                      entry("f64", f64, bytes(kronecker::detail::bit_cast<std::uint64_t>(0.1))),
                      entry("u16s", array, array_of(u16, 2, "\1\2\3\4")),
                      entry("i8s", array, array_of(i8, 1, "\x80")),
                      entry("truths", array, array_of(boolean, 2, std::string("\1\0", 2))),
                      entry("texts", array, array_of(text, 2, string("b") + string(""))),
                      entry("f32s", array, array_of(f32, 0, ""))},
                     version));
    CHECK(metadata.values.size() == 17);
    CHECK(*metadata.find<std::uint64_t>("u8") == 255);
    CHECK(*metadata.find<std::int64_t>("i8") == -1);
    CHECK(*metadata.find<std::uint64_t>("u16") == 65534);
    CHECK(*metadata.find<std::int64_t>("i16") == -2);
    CHECK(*metadata.find<std::uint64_t>("u32") == 4000000000u);
    CHECK(*metadata.find<std::int64_t>("i32") == -5);
    CHECK(*metadata.find<double>("f32") == 1.5);
    CHECK(*metadata.find<bool>("true"));
    CHECK(*metadata.find<std::string>("text") == "a");
    CHECK(*metadata.find<std::uint64_t>("u64") == ~std::uint64_t{0});
    CHECK(*metadata.find<std::int64_t>("i64") == -6);
    CHECK(*metadata.find<double>("f64") == 0.1);
    CHECK(*metadata.find<std::vector<std::uint64_t>>("u16s") == std::vector<std::uint64_t>{0x201, 0x403});
    CHECK(*metadata.find<std::vector<std::int64_t>>("i8s") == std::vector<std::int64_t>{-128});
    CHECK(*metadata.find<std::vector<bool>>("truths") == std::vector<bool>{true, false});
    CHECK(*metadata.find<std::vector<std::string>>("texts") == std::vector<std::string>{"b", ""});
    CHECK(metadata.find<std::vector<double>>("f32s")->empty());
    CHECK(metadata.find<std::string>("u8") == nullptr);
    CHECK(metadata.find<std::string>("none") == nullptr);
  }
}

TEST_CASE("metadata that ends anywhere is refused") {
  const std::string whole = file({model("llama"), tokens({"a", "b"}), token_types({1, 1})});
  for (std::size_t size = 0; size < whole.size(); ++size)
    CHECK_THROWS_AS(parse_gguf_metadata("file", whole.substr(0, size)), FileError);
  CHECK(parse_gguf_metadata("file", whole + "tensors").values.size() == 3);
}

TEST_CASE("a damaged GGUF file is refused with the place") {
  const std::uint64_t huge = std::uint64_t{1} << 63;
  CHECK(parse_message("GGML") == "byte 0: expected the magic string GGUF");
  CHECK(parse_message("") == "expected a GGUF file, found an empty file");
  CHECK(parse_message("GGUF\3") == "byte 4: expected 4 bytes more, found 1");
  CHECK(parse_message(file({}, 1)) ==
        "byte 8: GGUF version 1; versions 2 and 3, little-endian, are supported");
  for (const std::uint32_t version : {0x2000000u, 0x3000000u})
    CHECK(parse_message(file({}, version)) ==
          "byte 8: a big-endian GGUF file; little-endian ones are supported: convert it with "
          "gguf-convert-endian, which comes with gguf-py");
  CHECK(parse_message(file({}, 0x4000000)).starts_with("byte 8: GGUF version 67108864; versions 2 and 3"));
  CHECK(parse_message(file({bytes(huge) + "key"})) ==
        "byte 32: expected 9223372036854775808 bytes more, found 3");
  const std::string in_k = "in the value of 'k': ";
  CHECK(parse_message(file({entry("k", static_cast<Type>(13), "")})) ==
        "byte 37, " + in_k + "a value of the unknown type 13");
  CHECK(parse_message(file({entry("k", text, bytes(huge))})) ==
        "byte 45, " + in_k + "expected 9223372036854775808 bytes more, found 0");
  CHECK(parse_message(file({entry("k", u32, "ab")})) ==
        "byte 37, " + in_k + "expected 4 bytes more, found 2");
  CHECK(parse_message(file({entry("k", boolean, "\2")})) == "byte 38, " + in_k + "a truth value of 2");
  CHECK(parse_message(file({entry("k", array, array_of(array, huge, array_of(u8, 1, "a")))})) ==
        "byte 62, " + in_k + "expected 4 bytes more, found 0");
  CHECK(parse_message(file({entry("k", array, array_of(u32, huge, "abcd"))})) ==
        "byte 49, " + in_k + "an array of 9223372036854775808 values in 4 bytes");
  CHECK(parse_message(file({entry("k", array, array_of(text, 2, string("abc")))})) ==
        "byte 49, " + in_k + "an array of 2 values in 11 bytes");
  CHECK(parse_message(file({entry("it's", u8, "")})) ==
        "byte 40, in the value of 'it\\'s': expected 1 byte more, found 0");
  CHECK(parse_message(file({entry("k", u8, "a"), entry("k", u8, "b")})) ==
        "byte 52, " + in_k + "the key is there twice");
}

TEST_CASE("an array of arrays is read over") {
  const std::string pair = array_of(u8, 2, "ab"), none = array_of(text, 0, "");
  const std::string nested = array_of(array, 2, array_of(array, 1, pair) + array_of(array, 0, ""));
  const GgufMetadata metadata = parse_gguf_metadata(
      "file", file({entry("pairs", array, array_of(array, 3, pair + none + pair)), entry("a", u8, "\1"),
                    entry("nested", array, nested), entry("b", u8, "\2")}));
  CHECK(metadata.values.size() == 2);
  CHECK(*metadata.find<std::uint64_t>("a") == 1);
  CHECK(*metadata.find<std::uint64_t>("b") == 2);

  std::string deep;
  for (int i = 0; i < 100000; ++i) deep += array_of(array, 1, "");
  CHECK(parse_message(file({entry("k", array, deep)})).ends_with("arrays are nested deeper than 8"));
}

TEST_CASE("what follows the metadata is not looked at") {
  std::ofstream(gguf_file, std::ios::binary) << file({model("llama")}) << "tensors";
  CHECK(*kronecker::read_gguf_metadata(gguf_file).find<std::string>("tokenizer.ggml.model") == "llama");
  std::filesystem::remove(gguf_file);
  CHECK(message_of<FileError>([] {
          kronecker::read_gguf_metadata(gguf_file);
        }).ends_with("cannot open the file: No such file or directory"));
  CHECK(message_of<FileError>([] {
          kronecker::read_gguf_metadata(gguf_file.parent_path());
        }).ends_with("not a regular file"));
}

TEST_CASE("a byte-level GGUF vocabulary gives the bytes of each id") {
  const std::string a = "\xC4\xA0the", hidden = "\xC3\xA9";
  const auto all = {a, hidden, hidden, hidden, hidden, hidden};
  const Vocabulary loaded =
      load_gguf_content(file({model("gpt2"), tokens(all), token_types({1, 1, 2, 3, 4, 5})}));
  CHECK(loaded.bytes(0) == " the");
  CHECK(loaded.bytes(1) == "\xE9");
  for (const kronecker::TokenId id : {2, 3, 4}) {
    CHECK(loaded.bytes(id) == hidden);
    CHECK(loaded.is_special(id) == (id < 4));
  }
  CHECK(loaded.bytes(5).empty());
  CHECK(loaded.kind(5) == kronecker::TokenKind::unused);
  CHECK(bytes_in(load_gguf_content(file({tokens(all), model("gpt2")})), 5) == "\xE9");
  CHECK(bytes_in(load_gguf_content(file({tokens(all), model("gpt2")}), TokenText::reference), 5) ==
        "\xEF\xBF\xBD");
}

TEST_CASE("a SentencePiece GGUF vocabulary gives the bytes of each id") {
  const auto all = {piece_space + "a", piece_space + "<unk>", piece_space + "<s>",  piece_space + "b",
                    piece_space,       std::string("<0x0A>"), std::string("<0x0A>")};
  for (const std::string name : {"llama", "t5"}) {
    for (const Type type : {i32, u32}) {
      const Vocabulary loaded =
          load_gguf_content(file({model(name), tokens(all), token_types({0, 2, 3, 4, 5, 6, 1}, type)}));
      CHECK(loaded.bytes(0) == " a");
      CHECK(loaded.bytes(1) == piece_space + "<unk>");
      CHECK(loaded.bytes(2) == piece_space + "<s>");
      CHECK(loaded.bytes(3) == " b");
      CHECK(loaded.bytes(4).empty());
      CHECK(loaded.bytes(5) == "\n");
      CHECK(loaded.bytes(6) == "<0x0A>");
      for (kronecker::TokenId id = 0; id < loaded.size(); ++id)
        CHECK(loaded.is_special(id) == (id == 1 || id == 2));
    }
    CHECK(bytes_in(load_gguf_content(file({model(name), tokens(all)})), 6) == "\n");
    if (name == "llama")
      CHECK(bytes_in(load_gguf_content(file({model(name), tokens(all)}), TokenText::reference), 0) == "a");
    else
      CHECK_THROWS_AS(load_gguf_content(file({model(name), tokens(all)}), TokenText::reference), FileError);
    const auto adds_no_space = entry("tokenizer.ggml.add_space_prefix", boolean, std::string(1, '\0'));
    if (name == "llama")
      CHECK(bytes_in(load_gguf_content(file({model(name), adds_no_space, tokens(all)}), TokenText::reference),
                     0) == " a");
  }
}

TEST_CASE("a GGUF file without a vocabulary that can be read is refused with the key") {
  const std::string supported =
      "; 'gpt2' and 'hybriddna' (byte-level BPE), 'llama', 't5' and 'gemma4' (SentencePiece), 'rwkv' and "
      "'plamo2' are "
      "supported, and 'bert' as words (TokenText::words; kron --words)";
  CHECK(load_message(file({})) == "no text 'tokenizer.ggml.model': the file has no vocabulary");
  CHECK(
      load_message(file({model("bert"), tokens({"##a"})})) ==
      "'tokenizer.ggml.model' is 'bert' (WordPiece), whose strings do not say what bytes a token stands for: "
      "spaces and case are lost" +
          supported);
  CHECK(load_message(file({model("test"), tokens({"a"})})) == "'tokenizer.ggml.model' is 'test'" + supported);
  CHECK(load_message(file({model("whitespace"), tokens({"a"})})) ==
        "'tokenizer.ggml.model' is 'whitespace', whose strings do not say what bytes a token stands for: "
        "spaces "
        "are lost" +
            supported);
  for (const std::string none : {"none", "no_vocab"})
    CHECK(load_message(file({model(none)})) ==
          "'tokenizer.ggml.model' is '" + none +
              "': the file has no vocabulary; give the tokenizer's own file");
  CHECK(load_message(file({model("rwkv"), tokens({"\\q"})})) ==
        "token 0: expected bytes with Python's escapes, found '\\\\q'");
  CHECK(load_message(file({model("gpt2")})) == "no array of texts 'tokenizer.ggml.tokens'");
  CHECK(load_message(file({model("gpt2"), tokens({})})) == "the file has no tokens");
  CHECK(load_message(file({model("gpt2"), tokens({"a", "b"}), token_types({1})})) ==
        "'tokenizer.ggml.token_type' has 1 value for 2 tokens");
  CHECK(load_message(file({model("gpt2"), tokens({"a"}), token_types({7})})) ==
        "'tokenizer.ggml.token_type': token 0 is of the unknown type 7");
  CHECK(load_message(file({model("gpt2"), tokens({"a"}), token_types({-1}, u32)})) ==
        "'tokenizer.ggml.token_type': token 0 is of the unknown type 4294967295");
  CHECK(load_message(file({model("gpt2"), tokens({"a"}), entry("tokenizer.ggml.token_type", u8, "\1")})) ==
        "'tokenizer.ggml.token_type' is not an array of whole numbers");
  CHECK(load_message(file({model("llama"), tokens({"a"}), token_types({6})})) ==
        "token 0: expected a byte such as <0x0A>, found 'a'");
  CHECK(load_message(file({model("llama"), tokens({"\xFF"})})) == "token 0: expected UTF-8, found '\\xFF'");
}

// The expected bytes are those that llama.cpp's token_to_piece makes of these strings (llama-vocab.cpp).
TEST_CASE("a GGUF vocabulary's pre-tokenizer says how its tokens are written") {
  const std::vector<std::string> strings{"<bos>", piece_space + "the", "\xC3\xA9", "caf\xC3\xA9", "<0x0A>"};
  const std::string types = token_types({3, 1, 1, 1, 6});
  const auto pre = [](const std::string& name) { return entry("tokenizer.ggml.pre", text, string(name)); };
  using Names = std::pair<std::string, std::string>;
  for (const auto& metadata : {Names("gpt2", "granite-embed-multi-311m"), Names("gpt2", "sarvam-moe"),
                               Names("gpt2", "gemma4"), Names("gemma4", "gemma4")}) {
    const Vocabulary loaded =
        load_gguf_content(file({model(metadata.first), pre(metadata.second), tokens(strings), types}));
    CHECK(loaded.is_special(0));
    CHECK(loaded.bytes(0) == "<bos>");
    CHECK(loaded.bytes(1) == " the");
    CHECK(loaded.bytes(2) == "\xC3\xA9");
    CHECK(loaded.bytes(3) == "caf\xC3\xA9");
    CHECK(loaded.bytes(4) == "\n");
  }
  for (const std::string other : {"a-later-one", ""})
    CHECK(load_message(file({model("gpt2"), pre(other), tokens(strings), types})) ==
          "the tokens are said to be in GPT-2's byte map, but at the front of 1 of them is U+2581, "
          "SentencePiece's space, and at that of 0 a space of that kind; such as token 1, '" +
              piece_space + "the'");
}

// So llama.cpp reads it (llama-vocab.cpp): the mark is its dna_kmer_marker.
TEST_CASE(
    "the k-mers of a hybrid DNA vocabulary in GGUF are without the mark that tells them from other tokens") {
  const std::string mark = "\xEE\x80\x80", space = "\xC4\xA0";
  const Vocabulary loaded = load_gguf_content(
      file({model("hybriddna"),
            tokens({space + "the", "CCCCCC", "a" + mark, "<dna>", "<oov>", "CCCCCC" + mark, mark}),
            token_types({1, 1, 4, 3, 3, 1, 1})}));
  CHECK(loaded.bytes(0) == " the");
  CHECK(loaded.bytes(1) == "CCCCCC");
  CHECK(loaded.bytes(2) == "a" + mark);
  CHECK(loaded.is_special(4));
  CHECK(loaded.bytes(5) == "CCCCCC");
  CHECK(loaded.bytes(6) == mark);
  CHECK(bytes_in(load_gguf_content(file({model("gpt2"), tokens({"<oov>", "C" + mark, space + "a"})})), 1) ==
        "C" + mark);
}

TEST_CASE("an RWKV vocabulary in GGUF has Python's escapes, and PLaMo's is text") {
  const Vocabulary rwkv = load_gguf_content(
      file({model("rwkv"), tokens({"<s>", "\\x00", "\\t\\n\\r\\\\\\'", " the", "\\xe4\\xb8", "[PAD5]"}),
            token_types({3, 1, 1, 1, 1, 5})}));
  CHECK(rwkv.bytes(0) == "<s>");
  CHECK(rwkv.is_special(0));
  CHECK(rwkv.bytes(1) == std::string(1, '\0'));
  CHECK(rwkv.bytes(2) == "\t\n\r\\'");
  CHECK(rwkv.bytes(3) == " the");
  CHECK(rwkv.bytes(4) == "\xE4\xB8");
  CHECK(rwkv.bytes(5).empty());

  const Vocabulary plamo = load_gguf_content(
      file({model("plamo2"), tokens({"<|plamo:bos|>", "<0xE4>", " the", "\\n"}), token_types({3, 6, 1, 1})}));
  CHECK(plamo.is_special(0));
  CHECK(plamo.bytes(1) == "\xE4");
  CHECK(plamo.bytes(2) == " the");
  CHECK(plamo.bytes(3) == "\\n");
}

TEST_CASE("WordPiece in GGUF is read as words where that is asked for") {
  const std::string content =
      file({model("bert"), tokens({"[CLS]", piece_space + "the", "ing", piece_space + "!"}),
            token_types({3, 1, 1, 1})});
  const Vocabulary loaded = load_gguf_content(content, TokenText::words);
  CHECK(loaded.is_special(0));
  CHECK(loaded.bytes(1) == " the");
  CHECK(loaded.bytes(2) == "ing");
  CHECK(loaded.bytes(3) == " !");
  REQUIRE(loaded.notes().size() == 1);
  CHECK(loaded.notes()[0].starts_with("WordPiece: "));
}
