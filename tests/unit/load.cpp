#include "gguf_bytes.hpp"
#include "golden.hpp"
#include "scratch.hpp"
#include "token_bytes.hpp"

#include <kronecker/vocabularies/load.hpp>

#include <algorithm>
#include <cstdlib>
#include <thread>

using kronecker::FileError;
using kronecker::load_vocabulary;
using kronecker::TokenId;
using kronecker::TokenText;
using kronecker::Vocabulary;
using test_support::bytes_in;
using test_support::write_content;

namespace {

const std::filesystem::path& scratch = test_support::scratch_path();
const auto any_file = scratch / "vocabulary";
const std::filesystem::path real_folder = std::filesystem::path(KRONECKER_DATA_DIR) / "vocab";

Vocabulary load_any_content(const std::string& content) {
  std::ofstream(any_file, std::ios::binary) << content;
  return load_vocabulary(any_file);
}

std::string any_message(const std::string& content) {
  const std::string what = message_of<FileError>([&] { load_any_content(content); });
  REQUIRE(what.starts_with(any_file.generic_string() + ": "));
  return what.substr(any_file.generic_string().size() + 2);
}

/// A real vocabulary, and the tokens that other tools find in it.
struct RealVocabulary {
  std::string file, truth;
  TokenText text = TokenText::raw;
  std::size_t tokens_left_out = 0;  // special ones at the end, which are not in the file
};

/// The file of a real vocabulary, unpacked; empty, with a warning, if it is not there or cannot be unpacked.
std::filesystem::path unpacked(const std::string& file) {
  const auto real = real_folder / file;
  if (!std::filesystem::exists(real)) {
    WARN("skipped: no " << real);
    return {};
  }
  if (real.extension() != ".gz") return real;
  const auto target = scratch / real.stem();
  const std::string command = "gzip -dc '" + real.generic_string() + "' > '" + target.generic_string() + "'";
  std::filesystem::remove(target);
  if (std::system(command.c_str()) == 0 && std::filesystem::exists(target)) return target;
  WARN("skipped: cannot unpack " << real);
  return {};
}

/// Number of tokens whose bytes differ.
std::size_t tokens_that_differ(const Vocabulary& vocabulary, const std::vector<std::string>& truth) {
  std::size_t count = 0;
  for (TokenId id = 0; id < vocabulary.size(); ++id)
    count += vocabulary.bytes(id) != truth[static_cast<std::size_t>(id)] ? 1 : 0;
  return count;
}

}  // namespace

TEST_CASE("every token of every real vocabulary has the bytes that other tools give it") {
  if (test_support::real_token_files().empty()) return;
  const auto reference = TokenText::reference;
  const auto real = GENERATE_COPY(values<RealVocabulary>({
      {"gpt2.tokenizer.json", "gpt2"},
      {"gpt2.gguf", "gpt2"},
      {"gpt2.encoder.json", "gpt2"},
      {"r50k_base.tiktoken", "gpt2", TokenText::raw, 1},
      {"cl100k_base.tiktoken", "cl100k_base", TokenText::raw, 21},
      {"llama2.sentencepiece.model", "llama2_spm"},
      {"llama2.gguf", "llama2_spm"},
      {"mistral_v1.sentencepiece.model", "mistral_v1_spm"},
      {"mistral_v1.tokenizer.json", "mistral_v1_spm"},
      {"falcon.gguf", "falcon"},
      {"mpt.gguf", "mpt"},
      {"llama3.tokenizer.json.gz", "llama3"},
      {"qwen2_5.tokenizer.json.gz", "qwen2_5"},
      {"gpt2.tokenizer.json", "gpt2.reference", reference},
      {"gpt2.gguf", "gpt2.reference", reference},
      {"gpt2.encoder.json", "gpt2.reference", reference},
      {"r50k_base.tiktoken", "gpt2.reference", reference, 1},
      {"mistral_v1.sentencepiece.model", "mistral_v1_spm.reference", reference},
      {"mistral_v1.tokenizer.json", "mistral_v1_spm.reference", reference},
      {"llama3.tokenizer.json.gz", "llama3.reference", reference},
      {"qwen2_5.tokenizer.json.gz", "qwen2_5.reference", reference},
  }));
  CAPTURE(real.file, real.truth);
  const auto file = unpacked(real.file);
  if (file.empty()) return;
  const Vocabulary vocabulary = load_vocabulary(file, real.text);
  const auto truth =
      test_support::read_token_file(real_folder.parent_path() / "truth" / (real.truth + ".tokens.bin"));
  REQUIRE(static_cast<std::size_t>(vocabulary.size()) + real.tokens_left_out == truth.size());
  CHECK(tokens_that_differ(vocabulary, truth) == 0);
}

TEST_CASE("real files that no truth is known of are read or refused") {
  if (const auto file = unpacked("o200k_base.tiktoken"); !file.empty())
    CHECK(load_vocabulary(file).size() == 199998);
  if (const auto file = unpacked("unigram_no_byte_fallback.sentencepiece.model"); !file.empty())
    CHECK(load_vocabulary(file).size() == 1000);
  if (const auto file = unpacked("wordpiece_bert.gguf"); !file.empty()) {
    CHECK(message_of<FileError>([&] { load_vocabulary(file); }).find("is 'bert' (WordPiece)") !=
          std::string::npos);
    const Vocabulary words = load_vocabulary(file, TokenText::words);
    CHECK(words.size() == 30522);
    CHECK(words.bytes(1996) == " the");  // BERT's "the", and "##s"
    CHECK(words.bytes(2015) == "s");
    CHECK(words.bytes(101) == "[CLS]");
    CHECK(words.is_special(101));
  }
}

TEST_CASE("a vocabulary's format is told by its content") {
  for (const std::string start : {"", "\xEF\xBB\xBF", " \r\n\t"}) {
    const std::string tokenizer =
        start + R"({"decoder": {"type": "ByteLevel"}, "x": {"model": {}}, "model": {"type": "BPE",)"
                R"( "vocab": {"\u0120a": 0}}})";
    CHECK(bytes_in(load_any_content(tokenizer), 0) == " a");
    CHECK(bytes_in(load_any_content(start + R"({"\u0120a": 0, "model": 1})"), 1) == "model");
  }
  CHECK(bytes_in(load_any_content("IGE= 0\n"), 0) == " a");
  CHECK(bytes_in(load_any_content("IGE= 0"), 0) == " a");
  CHECK(bytes_in(load_any_content("0 ' a' 2"), 0) == " a");
  CHECK(bytes_in(load_any_content(R"({"config": {"default_vocab_size": 1, "default_num_special_tokens": 0},)"
                                  R"( "vocab": [{"rank": 0, "token_bytes": "IGE=", "token_str": " a"}]})"),
                 0) == " a");
  const std::string pieces =
      "\x0A\x06\x0A\x04\xE2\x96\x81"
      "a";
  CHECK(bytes_in(load_any_content(pieces), 0) == " a");
}

TEST_CASE("a vocabulary's format has a name") {
  const auto name = [](const std::string& content) {
    std::ofstream(any_file, std::ios::binary) << content;
    return name_of(kronecker::vocabulary_format(any_file));
  };
  CHECK(name(R"({"model": {}})") == "Hugging Face tokenizer.json");
  CHECK(name(R"({"a": 0})") == "GPT-2 encoder.json");
  CHECK(name("IGE= 0\n") == "tiktoken ranks");
  CHECK(name("\x0A\x06\x0A\x04") == "SentencePiece model");
  CHECK(name("GGUF") == "GGUF");
  CHECK(name(R"({"config": {"default_num_special_tokens": 1}})") == "Mistral tekken.json");
  CHECK(name("1 'a' 1\n") == "RWKV vocabulary");
}

TEST_CASE("a file that is not a vocabulary is refused") {
  const std::string supported =
      "; supported are Hugging Face's tokenizer.json, GPT-2's encoder.json, Mistral's tekken.json, tiktoken "
      "ranks, SentencePiece models, GGUF and RWKV's vocabularies";
  CHECK(any_message("\x1F\x8B\x08") ==
        "expected a vocabulary, found a file compressed by gzip: unpack it first");
  CHECK(any_message("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n") ==
        "expected a vocabulary, found a git-lfs pointer: run git lfs pull");
  CHECK(any_message("<!DOCTYPE html>") ==
        "expected a vocabulary, found an HTML or XML page, as failed downloads leave it" + supported);
  CHECK(any_message("") == "expected a vocabulary, found an empty file" + supported);
  CHECK(any_message("#version: 0.2\n") ==
        "expected a vocabulary, found BPE merges, which belong to a vocab.json or encoder.json" + supported);
  CHECK(any_message(std::string(10000, 'A')) ==
        "expected a vocabulary, found no format that is known" + supported);
  CHECK(any_message(R"({"tokenizer_class": "X", "model_max_length": 1})") ==
        "expected a vocabulary, found a tokenizer_config.json" + supported);
  const std::string other_json =
      "expected a vocabulary, found JSON without an object 'model', and with other values than ids" +
      supported;
  CHECK(any_message(R"({"a": 0, "model": "gpt2"})") == other_json);
  CHECK(any_message(R"({"a": 0, "b": [0]})") == other_json);
  CHECK(any_message(R"({"a": 0, "b": null})") == other_json);
  CHECK(any_message("{}") == "the file has no tokens");
  CHECK(any_message("{\"a\": 1,").starts_with("not valid JSON: byte 9: "));
  CHECK(any_message("GGUF\3").starts_with("byte 4: expected 4 bytes more"));
  CHECK(message_of<FileError>([] {
          load_vocabulary(scratch / "none");
        }).starts_with((scratch / "none").generic_string() + ": cannot open the file: No such file"));
}

TEST_CASE("of a model's folder the tokenizer's file is read") {
  const test_support::ScratchFolder folder("model_folder");
  const auto load = [&] { return load_vocabulary(folder.path()); };
  const auto refused = [&] {
    return message_of<FileError>(load).substr(folder.path().generic_string().size());
  };
  CHECK(refused() ==
        ": the folder has no tokenizer's file: looked for tokenizer.json, tekken.json, vocab.json, "
        "encoder.json, "
        "tokenizer.model, spiece.model, spm.model, sentencepiece.bpe.model, and for one file *.tiktoken, "
        "*_vocab_v20230424.txt or *.gguf");

  using namespace test_support::gguf;
  const auto gguf_with = [](const std::string& token) {
    return file({entry("tokenizer.ggml.model", text, string("gpt2")),
                 entry("tokenizer.ggml.tokens", array, array_of(text, 1, string(token)))});
  };
  write_content(folder / "m-00001-of-00002.gguf", gguf_with("first"));
  write_content(folder / "m-00002-of-00002.gguf", "GGUF");
  CHECK(bytes_in(load(), 0) == "first");
  write_content(folder / "z.gguf", "GGUF");
  CHECK(refused() ==
        ": the folder has 2 files that end in .gguf, 'm-00001-of-00002.gguf' and 'z.gguf' among them: name "
        "one of them");
  std::filesystem::remove(folder / "z.gguf");
  write_content(folder / "a.gguf", gguf_with("gguf"));
  CHECK(refused() ==
        ": the folder has 3 files that end in .gguf, 'a.gguf' and 'm-00001-of-00002.gguf' among "
        "them: name one of them");
  write_content(folder / "rwkv_vocab_v20230424.txt", "0 'rwkv' 4\n");
  CHECK(bytes_in(load(), 0) == "rwkv");
  write_content(folder / "qwen.tiktoken", "cmFua3M= 0\n");
  CHECK(bytes_in(load(), 0) == "ranks");
  write_content(folder / "tokenizer.model", "c2Vjb25k 0\n");
  CHECK(bytes_in(load(), 0) == "second");
  write_content(folder / "tokenizer.json", "version https://git-lfs.github.com/spec/v1\n");
  CHECK(refused() == "/tokenizer.json: expected a vocabulary, found a git-lfs pointer: run git lfs pull");
}

TEST_CASE("special tokens are for a format without them") {
  std::ofstream(any_file, std::ios::binary) << "IGE= 0\n";
  const kronecker::VocabularyOptions options{TokenText::raw, {{"<|end|>", 2}}};
  const Vocabulary vocabulary = load_vocabulary(any_file, options);
  CHECK(vocabulary.bytes(2) == "<|end|>");
  CHECK(vocabulary.is_special(2));
  CHECK(vocabulary.notes() ==
        std::vector<std::string>{"ids without a token are read as empty ones: 1 of 3, from 1 to 1"});
  std::ofstream(any_file, std::ios::binary) << "0 ' a' 2";
  CHECK(message_of<std::invalid_argument>([&] {
          load_vocabulary(any_file, options);
        }).ends_with(": special tokens are given for tiktoken ranks, and this file is: RWKV vocabulary"));
}

#ifdef KRONECKER_HAS_MMAP
TEST_CASE("a vocabulary is read from a pipe, which can be read once") {
  const test_support::ScratchFolder folder("vocabulary_pipe");
  const auto pipe = folder / "pipe";
  for (const std::string content : {"IGE= 0\n", R"({"model": {"type": "BPE", "vocab": {"\u0120a": 0}},)"
                                                R"( "decoder": {"type": "ByteLevel"}})"}) {
    REQUIRE(::mkfifo(pipe.c_str(), 0600) == 0);
    std::thread writer([&] { write_content(pipe, content); });
    const kronecker::VocabularyFile file(pipe);
    writer.join();
    const Vocabulary vocabulary = file.vocabulary();
    CHECK(vocabulary.bytes(0) == " a");
    std::filesystem::remove(pipe);
  }
}
#endif
