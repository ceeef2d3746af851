#include "catch.hpp"
#include "scratch.hpp"
#include "token_bytes.hpp"

#include <kronecker/vocabularies/hugging_face.hpp>

#include <filesystem>
#include <fstream>
#include <string>

using kronecker::FileError;
using kronecker::load_hugging_face;
using kronecker::TokenText;
using kronecker::Vocabulary;
using test_support::bytes_in;

namespace {

const auto hugging_face_file = test_support::scratch_path() / "hugging_face.tokenizer.json";

const std::string byte_level = R"("decoder": {"type": "ByteLevel"})";
const std::string metaspace = R"("pre_tokenizer": {"type": "Metaspace", "replacement": "\u2581"})";

Vocabulary load_hugging_face_content(const std::string& content, TokenText text = TokenText::raw) {
  std::ofstream(hugging_face_file, std::ios::binary) << content;
  return load_hugging_face(hugging_face_file, text);
}

std::string hugging_face_message(const std::string& content) {
  const std::string what = message_of<FileError>([&] { load_hugging_face_content(content); });
  REQUIRE(what.starts_with(hugging_face_file.generic_string() + ": "));
  return what.substr(hugging_face_file.generic_string().size() + 2);
}

/// A file with a BPE model.
std::string bpe(const std::string& settings, const std::string& vocabulary,
                const std::string& added_tokens = "[]", const std::string& byte_fallback = "false") {
  return R"({"version": "1.0", "added_tokens": )" + added_tokens + ", " + settings +
         R"(, "model": {"type": "BPE", "dropout": null, "end_of_word_suffix": "", "byte_fallback": )" +
         byte_fallback + R"(, "vocab": )" + vocabulary + R"(, "merges": ["a b", ["c", "d"]]}})";
}

std::string unigram(const std::string& settings, const std::string& vocabulary) {
  return "{" + settings + R"(, "model": {"type": "Unigram", "unk_id": 0, "vocab": )" + vocabulary + "}}";
}

/// What refuses a vocabulary, after its file's name.
std::string message_for_vocabulary(const std::string& vocabulary) {
  return hugging_face_message(bpe(byte_level, vocabulary));
}

}  // namespace

TEST_CASE("a byte-level tokenizer.json gives the bytes of each id") {
  const std::string vocabulary = R"({"\u0120the": 1, "\u00c3": 0, "\u20ac": 4, "\u0122": 2})";
  const std::string added = R"([{"id": 2, "content": "<s>", "special": true},
                                {"content": "\u2581\u00e9", "special": false, "id": 6},
                                {"id": 3, "content": "x"}])";
  const std::string places[] = {
      byte_level, R"("pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "ByteLevel"}]})",
      R"("normalizer": {"type": "ByteLevel"})"};
  for (const std::string& settings : places) {
    const Vocabulary loaded = load_hugging_face_content(bpe(settings, vocabulary, added));
    CHECK(loaded.size() == 7);
    CHECK(loaded.bytes(0) == "\xC3");
    CHECK(loaded.bytes(1) == " the");
    CHECK(loaded.bytes(2) == "<s>");
    CHECK(loaded.bytes(3) == "x");
    CHECK(loaded.bytes(4) == "\xE2\x82\xAC");
    CHECK(loaded.bytes(5).empty());
    CHECK(loaded.bytes(6) == "\xE2\x96\x81\xC3\xA9");
    for (kronecker::TokenId id = 0; id < loaded.size(); ++id) CHECK(loaded.is_special(id) == (id == 2));
  }
  CHECK(bytes_in(load_hugging_face_content(bpe(byte_level, vocabulary, added), TokenText::reference), 0) ==
        "\xEF\xBF\xBD");
}

TEST_CASE("a SentencePiece-style tokenizer.json gives the bytes of each id") {
  const std::string vocabulary = R"({"\u2581the": 0, "<0x0A>": 1, "\u2581<s>": 2, "\u0120": 3})";
  const std::string added = R"([{"id": 2, "content": "\u2581<s>", "special": true},
                                {"id": 4, "content": "\u2581\u2581", "special": false}])";
  const std::string places[] = {
      R"("decoder": {"type": "ByteFallback"})", metaspace,
      R"("normalizer": {"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"})",
      R"("decoder": {"decoders": [{"type": "Replace", "pattern": {"String": "\u2581"}, "content": " "}]})"};
  for (const std::string& settings : places) {
    const Vocabulary loaded = load_hugging_face_content(bpe(settings, vocabulary, added, "true"));
    CHECK(loaded.size() == 5);
    CHECK(loaded.bytes(0) == " the");
    CHECK(loaded.bytes(1) == "\n");
    CHECK(loaded.bytes(2) == "\xE2\x96\x81<s>");
    CHECK(loaded.bytes(3) == "\xC4\xA0");
    CHECK(loaded.bytes(4) == "  ");
    CHECK(loaded.is_special(2));
    CHECK_FALSE(loaded.is_special(4));
  }
}

namespace {

const std::string replaced_spaces = R"({"type": "Replace", "pattern": {"String": "\u2581"}, "content": " "})";

}  // namespace

// The strings are those of the reference package, kronecker-embeddings 0.1.1 with tokenizers 0.23.3.
TEST_CASE("the reference's strings follow the tokenizer's own decoder") {
  const auto reference = [](const std::string& settings, const std::string& vocabulary,
                            const std::string& added = "[]") {
    return load_hugging_face_content(bpe(settings, vocabulary, added), TokenText::reference);
  };
  const std::string pieces =
      R"({"\u2581the": 0, "\u2581\u2581": 1, "<0xE2>": 2, "the\u2581": 3, "<0x0a>": 5})";
  const std::string added = R"([{"id": 4, "content": "\u2581<s>", "special": true}])";

  const std::string gemma = R"("decoder": {"type": "Sequence", "decoders": [)" + replaced_spaces +
                            R"(, {"type": "ByteFallback"}, {"type": "Fuse"}]})";
  const Vocabulary gemmas = reference(gemma, pieces, added);
  CHECK(gemmas.bytes(0) == " the");
  CHECK(gemmas.bytes(1) == "  ");
  CHECK(gemmas.bytes(2) == "\xE2");
  CHECK(gemmas.bytes(3) == "the ");
  CHECK(gemmas.bytes(4) == "\xE2\x96\x81<s>");
  CHECK(gemmas.is_special(4));
  CHECK(gemmas.kind(0) == kronecker::TokenKind::reference);
  CHECK(gemmas.bytes(5) == "\n");
  CHECK(gemmas.notes().empty());

  const std::string llama =
      R"("decoder": {"type": "Sequence", "decoders": [)" + replaced_spaces +
      R"(, {"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 1, "stop": 0}]})";
  CHECK(bytes_in(reference(llama, pieces), 0) == "the");
  CHECK(bytes_in(reference(llama, pieces), 1) == " ");

  const std::string t5 =
      R"("decoder": {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "always"})";
  CHECK(bytes_in(reference(t5, pieces), 1).empty());
  CHECK(bytes_in(reference(t5, pieces), 3) == "the");

  CHECK(bytes_in(reference(R"("decoder": null)", pieces), 0) == "\xE2\x96\x81the");
  CHECK(bytes_in(reference(R"("x": 0)", pieces), 0) == "\xE2\x96\x81the");
}

TEST_CASE("the reference's strings of added tokens are those of their normalized content, or a note") {
  const std::string added = R"([{"id": 1, "content": "\u00e9", "special": false, "normalized": true},
                                {"id": 2, "content": "\u00e9\u00e8", "special": false, "normalized": false}])";
  const auto load = [&](const std::string& normalizer) {
    return load_hugging_face_content(
        bpe(byte_level + R"(, "normalizer": {"type": ")" + normalizer + "\"}", R"({"a": 0})", added),
        TokenText::reference);
  };
  const Vocabulary byte_levels = load("ByteLevel");
  CHECK(byte_levels.bytes(1) == "\xC3\xA9");
  CHECK(byte_levels.bytes(2) == "\xEF\xBF\xBD\xEF\xBF\xBD");
  CHECK(byte_levels.notes().empty());
  const Vocabulary unknown = load("NFKC");
  REQUIRE(unknown.notes().size() == 1);
  CHECK(unknown.notes()[0] ==
        "the reference's strings of added tokens are assumed, 1 of 2: what the normalizer makes of "
        "'\xC3\xA9' is not known here");
}

TEST_CASE("a decoder cannot make tokens of any length") {
  const auto message = [](const std::string& content) {
    return message_of<FileError>([&] {
      load_hugging_face_content(
          bpe(R"("decoder": {"type": "Replace", "pattern": {"String": "a"}, "content": ")" + content + "\"}",
              R"({"a": 0, "ab": 1, ")" + std::string(3000, 'a') + R"(": 2})"),
          TokenText::reference);
    });
  };
  CHECK(message(std::string(2000, 'x')).find("' would become a text of more than 1048576 bytes") !=
        std::string::npos);
  std::string vocabulary;
  for (int id = 0; id < 20; ++id)
    vocabulary += (id > 0 ? ", \"" : "\"") + std::string(100, 'a') + static_cast<char>('b' + id) +
                  "\": " + std::to_string(id);
  CHECK(message_of<FileError>([&] {
          load_hugging_face_content(
              bpe(R"("decoder": {"type": "Replace", "pattern": {"String": "a"}, "content": ")" +
                      std::string(2000, 'x') + "\"}",
                  "{" + vocabulary + "}"),
              TokenText::reference);
        }).ends_with(": decoder: the tokens would become longer than a file of this size can mean"));
}

TEST_CASE("a WordPiece model is read as words where that is asked for, and for the reference's strings") {
  const std::string content =
      R"({"added_tokens": [{"id": 0, "content": "[CLS]", "special": true}], "decoder": {"type": "WordPiece", "prefix": )"
      R"("##", "cleanup": true}, "model": {"type": "WordPiece", "continuing_subword_prefix": "##", "vocab": )"
      R"({"[CLS]": 0, "the": 1, "##s": 2, ".": 3}}})";
  const Vocabulary words = load_hugging_face_content(content, TokenText::words);
  CHECK(words.bytes(0) == "[CLS]");
  CHECK(words.bytes(1) == " the");
  CHECK(words.bytes(2) == "s");
  CHECK(words.bytes(3) == " .");
  REQUIRE(words.notes().size() == 1);
  CHECK(words.notes()[0].starts_with(
      "WordPiece: a token without '##' is read with a space before it: which spaces"));
  const Vocabulary reference = load_hugging_face_content(content, TokenText::reference);
  CHECK(reference.bytes(1) == "the");
  CHECK(reference.bytes(2) == "##s");
  CHECK(bytes_in(load_hugging_face_content(bpe(byte_level, R"({"\u0120a": 0})"), TokenText::words), 0) ==
        " a");
}

TEST_CASE("the mark at the end of a word is a space after it") {
  const auto clip = [](const std::string& settings, const std::string& vocabulary) {
    return load_hugging_face_content("{" + settings +
                                     R"(, "model": {"type": "BPE", "end_of_word_suffix": "</w>", )"
                                     R"("vocab": )" +
                                     vocabulary + "}}");
  };
  const Vocabulary byte_levels = clip(byte_level, R"({"the</w>": 0, "\u00c3</w>": 1, "th": 2})");
  CHECK(byte_levels.bytes(0) == "the ");
  CHECK(byte_levels.bytes(1) == "\xC3 ");
  CHECK(byte_levels.bytes(2) == "th");
  CHECK(byte_levels.notes().size() == 1);
  const Vocabulary reference = load_hugging_face_content(
      "{" + byte_level +
          R"(, "model": {"type": "BPE", "end_of_word_suffix": "</w>", "vocab": {"the</w>": 0}}})",
      TokenText::reference);
  CHECK(reference.bytes(0) == "the</w>");
  REQUIRE(reference.notes().size() == 1);
  CHECK(reference.notes()[0].find("as CLIP's which takes '</w>' off, are not followed") != std::string::npos);
  CHECK(bytes_in(clip(R"("decoder": {"type": "BPEDecoder", "suffix": "</w>"})", R"({"\u00e9</w>": 0})"), 0) ==
        "\xC3\xA9 ");
}

TEST_CASE("a byte piece is text where the model has no byte fallback") {
  CHECK(bytes_in(load_hugging_face_content(bpe(metaspace, R"({"<0x0A>": 0})")), 0) == "<0x0A>");
}

TEST_CASE("a Unigram vocabulary is an array whose index is the id") {
  const std::string vocabulary = R"([["<unk>", 0], ["\u2581the", -3.5], ["e", -1e2, "more", [1]]])";
  const Vocabulary loaded = load_hugging_face_content(unigram(R"("decoder": null)", vocabulary));
  CHECK(loaded.size() == 3);
  CHECK(loaded.bytes(1) == " the");
  CHECK(loaded.bytes(2) == "e");
  CHECK(bytes_in(load_hugging_face_content(unigram(byte_level, R"([["\u0120a", 0]])")), 0) == " a");
}

TEST_CASE("the order of the parts does not matter, and early files do not name their model's type") {
  const std::string late = R"({"model": {"merges": [], "vocab": {"\u0120a": 0}}, )" + byte_level + "}";
  CHECK(bytes_in(load_hugging_face_content(late), 0) == " a");
  CHECK(bytes_in(load_hugging_face_content(R"({"model": {"vocab": [["\u2581a", 0]]}})"), 0) == " a");
}

TEST_CASE("a model whose strings do not say what bytes they stand for is refused") {
  const std::string lost =
      ", whose strings do not say what bytes a token stands for: spaces and case are lost";
  const std::string supported = "; byte-level or SentencePiece-style BPE and Unigram are supported";
  const auto of_type = [](const std::string& type) {
    return R"({"model": {"type": ")" + type + R"(", "vocab": {"##a": 0}}})";
  };
  const std::string as_words = ", and WordPiece as words (TokenText::words; kron --words)";
  CHECK(hugging_face_message(of_type("WordPiece")) ==
        "model.type is WordPiece" + lost + supported + as_words);
  CHECK(hugging_face_message(of_type("WordLevel")) == "model.type is WordLevel" + lost + supported);
  CHECK(hugging_face_message(R"({"model": {"vocab": {"##a": 0}}})") ==
        "model.type is WordPiece" + lost + supported + as_words);
  CHECK(hugging_face_message(of_type("Other")) == "model.type is 'Other'" + supported);
  CHECK(hugging_face_message(
            R"({"model": {"type": "BPE", "continuing_subword_prefix": "##", "vocab": {"##a": 0}}})") ==
        "the model marks parts of words with '##', which does not say what bytes a token stands for" +
            supported);
  CHECK(hugging_face_message(
            bpe(R"("pre_tokenizer": {"type": "Metaspace", "replacement": "_"})", R"({"_a": 0})")) ==
        "a Metaspace puts '_' for a space, not U+2581" + supported);
  CHECK(hugging_face_message(bpe(R"("decoder": null)", R"({"a": 0})")) ==
        "expected ByteLevel, byte_fallback, Metaspace or a replacement of U+2581, found nothing that says "
        "what bytes a token stands for" +
            supported);
}

TEST_CASE("a damaged tokenizer.json is refused with the place") {
  CHECK(hugging_face_message("{}") == "expected an object 'model', found none");
  CHECK(hugging_face_message("[{}]") == "expected an object 'model', found none");
  CHECK(hugging_face_message(R"({"model": [5]})") == "expected an object 'model', found none");
  CHECK(message_for_vocabulary("{}") == "the file has no tokens");
  CHECK(message_for_vocabulary(R"({"a": -1})") == "model.vocab['a']: expected an id, found -1");
  CHECK(message_for_vocabulary(R"({"a": 0.5})") == "model.vocab['a']: expected an id, found 0.5");
  CHECK(message_for_vocabulary(R"({"a": "b"})") == "model.vocab['a']: expected an id, found b");
  CHECK(message_for_vocabulary(R"({"a": null})") == "model.vocab['a']: expected an id, found null");
  CHECK(message_for_vocabulary(R"({"a": [0]})") == "model.vocab['a']: expected an id, found [");
  CHECK(message_for_vocabulary(R"({"a": 0, "b": 0})") == "model.vocab['b']: the id 0 is already that of 'a'");
  CHECK(message_for_vocabulary(R"({"a": 99999999999})")
            .starts_with("model.vocab['a']: the id 99999999999 is not below "));

  const std::string pair = ": expected [piece, score], found ";
  CHECK(hugging_face_message(unigram(byte_level, R"([["a", 0], [1, "b"]])")) ==
        "model.vocab, piece 1" + pair + "a number");
  CHECK(hugging_face_message(unigram(byte_level, R"(["a"])")) == "model.vocab, piece 0" + pair + "a");
  CHECK(hugging_face_message(unigram(byte_level, R"([{"a": 1}])")) == "model.vocab, piece 0" + pair + "{");
  CHECK(hugging_face_message(unigram(byte_level, R"([[]])")) == "model.vocab, piece 0" + pair + "]");
  CHECK(hugging_face_message(unigram(byte_level, R"([[["a"], 1]])")) == "model.vocab, piece 0" + pair + "[");

  const auto added = [](const std::string& token) {
    return hugging_face_message(
        bpe(byte_level, R"({"a": 0})", R"([{"id": 1, "content": "b"}, )" + token + "]"));
  };
  CHECK(added(R"({"id": 2})") == "added_tokens[1]: expected an id and a content");
  CHECK(added(R"({"content": "c"})") == "added_tokens[1]: expected an id and a content");
  CHECK(added(R"({"id": -2})") == "added_tokens[1].id: expected an id, found -2");
  CHECK(added(R"({"id": "c"})") == "added_tokens[1].id: expected an id, found c");
  CHECK(added(R"({"content": 7})") == "added_tokens[1].content: expected a string, found a number");
  CHECK(added(R"({"content": {}})") == "added_tokens[1].content: expected a string, found {");
  CHECK(added(R"("c")") == "added_tokens[1]: expected an object, found c");
  CHECK(added(R"([])") == "added_tokens[1]: expected an object, found [");
  CHECK(added(R"({"id": 2147483648, "content": "c"})")
            .starts_with("added_tokens[1]: the id 2147483648 is not below "));
  CHECK(hugging_face_message(bpe(byte_level, R"({"a": 0})").substr(0, 100))
            .starts_with("not valid JSON: byte 101: "));
}
