#include "catch.hpp"
#include "scratch.hpp"
#include "token_bytes.hpp"

#include <kronecker/vocabularies/sentencepiece.hpp>

#include <filesystem>
#include <fstream>
#include <string>

using kronecker::FileError;
using kronecker::load_sentencepiece;
using kronecker::TokenText;
using kronecker::Vocabulary;
using test_support::bytes_in;

namespace {

const auto sentencepiece_file = test_support::scratch_path() / "sentencepiece.model";

Vocabulary load_sentencepiece_content(const std::string& content, TokenText text = TokenText::raw) {
  std::ofstream(sentencepiece_file, std::ios::binary) << content;
  return load_sentencepiece(sentencepiece_file, text);
}

std::string sentencepiece_message(const std::string& content) {
  const std::string what = message_of<FileError>([&] { load_sentencepiece_content(content); });
  REQUIRE(what.starts_with(sentencepiece_file.generic_string() + ": "));
  return what.substr(sentencepiece_file.generic_string().size() + 2);
}

/// A length-delimited field of less than 128 bytes.
std::string field(int number, const std::string& bytes) {
  return std::string{static_cast<char>(number << 3 | 2), static_cast<char>(bytes.size())} + bytes;
}

/// A piece with a score; without a type it is a normal one.
std::string piece(const std::string& text, int type = 0) {
  const std::string score = std::string("\x15\0\0\x80\x3F", 5);
  return field(1, field(1, text) + score + (type == 0 ? "" : std::string{3 << 3, static_cast<char>(type)}));
}

}  // namespace

TEST_CASE("a SentencePiece model gives the bytes of each id") {
  const std::string space = "\xE2\x96\x81";
  const std::string trainer = field(2, "\x18\x02\x98\x02\x01");  // BPE, with byte fallback
  const std::string content = piece("<unk>", 2) + piece("<s>", 3) + piece("<0x0A>", 6) + trainer +
                              piece(space + "the") + piece(space + space, 4) + piece("<0x0A>", 1) +
                              piece("x", 5);
  const Vocabulary vocabulary = load_sentencepiece_content(content);
  CHECK(vocabulary.size() == 7);
  CHECK(vocabulary.bytes(0) == "<unk>");
  CHECK(vocabulary.bytes(1) == "<s>");
  CHECK(vocabulary.bytes(2) == "\n");
  CHECK(vocabulary.bytes(3) == " the");
  CHECK(vocabulary.bytes(4) == "  ");
  CHECK(vocabulary.bytes(5) == "<0x0A>");
  CHECK(vocabulary.bytes(6) == "x");
  for (kronecker::TokenId id = 0; id < vocabulary.size(); ++id) CHECK(vocabulary.is_special(id) == (id < 2));
}

TEST_CASE("a SentencePiece model has the reference's strings where it is Llama's kind of model, or Gemma's") {
  const std::string space = "\xE2\x96\x81";
  const std::string pieces = piece(space + "the") + piece(space + space, 4) + piece("<0x0A>", 6);
  const std::string model_type = "\x18\x02", fallback = "\x98\x02\x01";
  const Vocabulary llama =
      load_sentencepiece_content(pieces + field(2, model_type + fallback), TokenText::reference);
  CHECK(llama.bytes(0) == "the");
  CHECK(llama.bytes(1) == " ");
  CHECK(llama.bytes(2) == "\n");
  CHECK(llama.notes().size() == 1);
  const std::string adds_no_space = field(3, std::string("\x18\0", 2));
  const Vocabulary gemma = load_sentencepiece_content(
      pieces + field(2, model_type + fallback) + adds_no_space, TokenText::reference);
  CHECK(gemma.bytes(0) == " the");
  CHECK(gemma.bytes(1) == "  ");
  CHECK(gemma.notes().size() == 1);
  for (const std::string& trainer : {std::string(), field(2, model_type), field(2, fallback)})
    CHECK(message_of<FileError>([&] {
            load_sentencepiece_content(pieces + trainer, TokenText::reference);
          }).ends_with("so the reference's strings are not known: give its tokenizer.json"));
}

TEST_CASE("unknown fields of every wire type are passed over") {
  const std::string unknown = std::string("\x90\x01\x96\x01", 4) + std::string("\x91\x01") + "12345678" +
                              std::string("\x95\x01") + "1234" + field(15, "text");
  CHECK(bytes_in(load_sentencepiece_content(unknown + field(1, unknown + field(1, "a"))), 0) == "a");
}

TEST_CASE("a file that is not a SentencePiece model is refused with the place") {
  const std::string prefix = "not a SentencePiece model: byte ";
  CHECK(sentencepiece_message("") == "expected a SentencePiece model, found an empty file");
  CHECK(sentencepiece_message(field(2, "x")) == "the file has no tokens");
  CHECK(sentencepiece_message("\x0A\x05"
                              "abc") == prefix + "2: a field ends after the message that it is in");
  CHECK(sentencepiece_message(piece("a").substr(0, 5)) ==
        prefix + "2: a field ends after the message that it is in");
  CHECK(sentencepiece_message(piece("a") + "\x0A") ==
        prefix + "11: a field ends after the message that it is in");
  CHECK(sentencepiece_message(field(1, std::string("\x0A\x7F") + "a")) ==
        prefix + "4: a field ends after the message that it is in");
  CHECK(sentencepiece_message(piece("a") + "\x0A\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01")
            .ends_with("a field ends after the message that it is in"));
  CHECK(sentencepiece_message(std::string(11, '\xFF')) == prefix + "10: a number has more than ten bytes");
  CHECK(sentencepiece_message(std::string(2, '\0')) == prefix + "1: a field cannot have the number 0");
  CHECK(sentencepiece_message("\x0B") == prefix + "1: a field has an unknown wire type");
  CHECK(sentencepiece_message("\x08\x01") == prefix + "2: a piece is not a message");
  CHECK(sentencepiece_message(field(1, "")) == prefix + "2: a piece has no string");
  CHECK(sentencepiece_message(piece("")) == prefix + "9: a piece has no string");
  CHECK(sentencepiece_message(piece("a", 7)) == prefix + "12: a piece has an unknown type");
  CHECK(sentencepiece_message(piece("a", 6)) == "token 0: expected a byte such as <0x0A>, found 'a'");
  CHECK(sentencepiece_message(piece("a") + piece("\xFF")) == "token 1: expected UTF-8, found '\\xFF'");
}

TEST_CASE("a file that models number in another way has a note") {
  const auto folder = test_support::scratch_path();
  const auto notes_of = [&](const char* name, const std::string& content) {
    std::ofstream(folder / name, std::ios::binary) << content;
    const Vocabulary vocabulary = load_sentencepiece(folder / name);
    return vocabulary.notes();
  };
  const std::string model = piece("<unk>", 2) + piece("<s>", 3) + piece("</s>", 3) + piece(",");
  CHECK(notes_of("sentencepiece.bpe.model", model) ==
        std::vector<std::string>{
            "files of this name come with models that number their tokens in another way (XLM-R: <s> 0, "
            "<pad> 1, "
            "</s> 2, <unk> 3, and every other token one higher than here): if this is one of them, give its "
            "tokenizer.json"});
  CHECK(notes_of("sentencepiece.bpe.model", piece("<pad>", 3) + model).empty());
  CHECK(notes_of("tokenizer.model", model).empty());
}
