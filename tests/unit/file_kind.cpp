#include "catch.hpp"

#include <kronecker/files/file_kind.hpp>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>

using kronecker::FileKind;
using kronecker::kind_of_content;

using namespace std::string_view_literals;

// The first bytes are those that the formats' own documents give, or that their programs write.
TEST_CASE("a file's kind is told by its first bytes") {
  struct Case {
    std::string_view head;
    FileKind kind;
  };
  const Case cases[] = {
      {"", FileKind::empty},
      {"\0\0\0\0"sv, FileKind::unknown},
      {"some text", FileKind::unknown},
      {"\x80\x02\0\0\0\0\0\0{\"a\""sv, FileKind::safetensors},  // its length looks like a pickle
      {"\x1F\x8B\0\0\0\0\0\0{"sv, FileKind::safetensors},       // and here like gzip
      {"\x1F\x8B\0\0\0\0\0\1{"sv, FileKind::gzip},              // no header is so long
      {"GGUF\3\0\0\0"sv, FileKind::gguf},
      {"lmgg", FileKind::old_ggml},
      {"fmgg\1\0\0\0"sv, FileKind::old_ggml},
      {"tjgg\3\0\0\0"sv, FileKind::old_ggml},
      {"algg\1\0\0\0"sv, FileKind::old_ggml},
      {"\x93NUMPY\1\0v\0{'descr'"sv, FileKind::npy},
      {"PK\3\4\x14\0\0\0\0\0\0\0!\0\0\0\0\0\0\0\0\0\0\0\0\0\5\0\0\0a.npy"sv, FileKind::npz},
      {"PK\3\4\0\0\x08\x08\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x10\0\x12\0archive/data.pklFB"sv,
       FileKind::torch_zip},
      {"PK\3\4\x14\0\0\0\0\0\0\0!\0\0\0\0\0\0\0\0\0\0\0\0\0\5\0\0\0a.txt"sv, FileKind::zip},
      {"PK\3\4", FileKind::zip},
      {"PK\5\6\0\0"sv, FileKind::zip},
      {"\x80\x02\x8A\nl\xFC\x9C\x46\xF9 j\xA8P\x19."sv, FileKind::pickle},  // torch.save before 1.6
      {"\x80\4\x95\x0B\0\0\0\0\0\0\0]"sv, FileKind::pickle},
      {"\x89HDF\r\n\x1A\n"sv, FileKind::hdf5},
      {"\x08\x07\x12\x07pytorch"sv, FileKind::onnx},
      {"\x08\x09:\xBE\x01\n"sv, FileKind::onnx},
      {"\xBA\x16\x4F\x2F\x0C\0\0\0"sv, FileKind::fasttext},
      {"\x1F\x8B\x08\0\0\0\0\0\0\3"sv, FileKind::gzip},
      {"\xFD"
       "7zXZ\0"sv,
       FileKind::xz},
      {"\x28\xB5\x2F\xFD", FileKind::zstd},
      {"BZh91AY", FileKind::bzip2},
      {"version https://git-lfs.github.com/spec/v1\noid sha256:", FileKind::git_lfs_pointer},
      {"<!DOCTYPE html>\n", FileKind::html},
      {"\r\n <html lang=\"en\">", FileKind::html},
      {"<?xml version=\"1.0\"?><Error>", FileKind::html},
      {"<unk> 0.1", FileKind::unknown},
      {"{", FileKind::json},
      {"\xEF\xBB\xBF {\"a\": 0}", FileKind::json},
      {"[\n  {\"a\": 0}]", FileKind::json},
      {"[]", FileKind::json},
      {"[PAD]\n[UNK]\n", FileKind::unknown},         // WordPiece's vocab.txt
      {"[token]=5\n[name]=6\n", FileKind::unknown},  // a list of special tokens
      {"[true, null]", FileKind::json},
      {"\x0A\x0E\x0A\x05<unk>", FileKind::sentencepiece},
      {"\x0A\x0E\x0A\x05<unk>\x15\0\0\0\0\x18\2"sv, FileKind::sentencepiece},
      {"\n{\n  \"model\": {\n    \"type\": \"BPE\"\n  }\n}\n", FileKind::json},  // begins with the same bytes
      {"#version: 0.2\n\xC4\xA0 t\n", FileKind::merges},
      {"IQ== 0\nIg== 1\n", FileKind::tiktoken},
      {"IQ== 0", FileKind::tiktoken},
      {"= 50256\r\n", FileKind::tiktoken},
      {"1 '\\x00' 1\n2 '\\x01' 1\n", FileKind::rwkv},
      {"1 b'\\xe4\\xb8' 2\r\n", FileKind::rwkv},
      {"9 \"' '\" 3\n", FileKind::rwkv},
      {"the 0.418 0.24968 -0.41242\n", FileKind::word_vectors},         // GloVe
      {"400000 300\n</s> 0.001 -1e-5 0.2 \n", FileKind::word_vectors},  // fastText's .vec
      {"3000000 300\n</s> \xFF\x12"sv, FileKind::word_vectors},         // word2vec's .bin
      {"4000 300\nIg== 1\n", FileKind::tiktoken},                       // also base64 and a rank
      {"4000 300\nthe 0.1 0.2\n", FileKind::word_vectors},
  };
  for (const auto& [head, kind] : cases) {
    CAPTURE(head);
    CHECK(name_of(kind_of_content(head)) == name_of(kind));
    CHECK(kind_of_content(head) == kind);
  }
  CHECK(kind_of_content("the" + std::string(5000, ' ')) == FileKind::unknown);
  CHECK(kind_of_content(std::string(5000, 'a')) == FileKind::unknown);
}

TEST_CASE("what begins with a kind's first bytes and ends there is of no other kind") {
  for (const std::string_view whole : {"\x93NUMPY"sv, "GGUF"sv, "PK\3\4"sv, "version https://git-lfs"sv,
                                       "IQ== 0"sv, "1 'a' 1"sv, "\x0A\x03\x0A"sv})
    for (std::size_t size = 1; size < whole.size(); ++size)
      CHECK(kind_of_content(whole.substr(0, size)) == FileKind::unknown);
}

TEST_CASE("a file's kind has a name") {
  CHECK(name_of(kind_of_content("")) == "an empty file");
  CHECK(name_of(kind_of_content("text")) == "no format that is known");
  CHECK(name_of(kind_of_content("GGUF")) == "a GGUF file");
}

TEST_CASE("the kinds of real files are known") {
  const auto folder = std::filesystem::path(KRONECKER_DATA_DIR);
  const auto kind_of = [&](const std::string& name) {
    std::ifstream file(folder / name, std::ios::binary);
    const std::string content{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
    return kind_of_content(content);
  };
  if (!std::filesystem::exists(folder / "vocab")) {
    WARN("skipped: no " << folder);
    return;
  }
  CHECK(kind_of("vocab/gpt2.gguf") == FileKind::gguf);
  CHECK(kind_of("vocab/gpt2.tokenizer.json") == FileKind::json);
  CHECK(kind_of("vocab/gpt2.vocab.bpe") == FileKind::merges);
  CHECK(kind_of("vocab/o200k_base.tiktoken") == FileKind::tiktoken);
  CHECK(kind_of("vocab/llama2.sentencepiece.model") == FileKind::sentencepiece);
  CHECK(kind_of("vocab/llama3.tokenizer.json.gz") == FileKind::gzip);
  CHECK(kind_of("text/se_valid.txt.xz") == FileKind::xz);
}
