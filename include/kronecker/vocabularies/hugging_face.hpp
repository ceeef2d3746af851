#pragma once

/// Hugging Face's tokenizer.json: BPE and Unigram vocabularies, byte-level (GPT-2, Llama 3, Qwen) or in
/// SentencePiece's style (Llama 2, Mistral, T5). Needs nlohmann/json 3.11.

#include <kronecker/files/mapped_file.hpp>
#include <kronecker/namespace.hpp>
#include <kronecker/vocabularies/json_events.hpp>
#include <kronecker/vocabularies/token_table.hpp>
#include <kronecker/vocabulary.hpp>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace KRONECKER_NAMESPACE {
namespace detail {

class HuggingFaceReader final : public JsonEvents {
 public:
  HuggingFaceReader(const std::string& path, std::size_t file_size)
      : JsonEvents(path), table_(path, file_size) {}

  /// The table of all tokens, once the file is read.
  TokenTable& finish() {
    check_model();
    const bool has_pieces = !is_byte_level_;
    for (TokenString& token : table_.tokens()) {
      if (token.kind == TokenKind::hole) continue;
      const bool is_byte = has_pieces && has_byte_fallback_ && byte_of_byte_piece(token.string);
      token.kind = is_byte ? TokenKind::byte_piece : has_pieces ? TokenKind::piece : TokenKind::byte_level;
    }
    for (std::size_t i = 0; i < added_tokens_.size(); ++i) {
      AddedToken& added = added_tokens_[i];
      const TokenKind plain = has_pieces ? TokenKind::piece : TokenKind::text;
      table_.token(*added.id, "added_tokens[", i, "]") = {std::move(*added.content),
                                                          added.is_special ? TokenKind::special : plain};
    }
    return table_;
  }

 private:
  enum class Place : std::uint8_t {  // whose values are being read
    file,
    added_tokens,
    added_token,
    model,
    vocabulary,           // {"the": 5, ...}
    unigram_vocabulary,   // [["the", -3.5], ...]
    unigram_piece,        // ["the", -3.5]
    text_transformation,  // normalizer, pre_tokenizer and decoder, with all that they contain
    ignored,
  };

  struct AddedToken {
    std::optional<std::uint64_t> id;
    std::optional<std::string> content;
    bool is_special = false;
  };

  static constexpr std::string_view word_boundary = "\xE2\x96\x81";

  void on_open(char bracket) override { places_.push_back(place_of_child(bracket)); }

  void on_close() override {
    const Place closed = places_.back();
    places_.pop_back();
    if (closed == Place::added_token && !(added_tokens_.back().id && added_tokens_.back().content))
      fail<FileError>(path(), ": added_tokens[", added_tokens_.size() - 1, "]: expected an id and a content");
    if (closed == Place::unigram_piece && !has_piece_) refuse("]");
  }

  void on_key(std::string& name) override {
    if (place() != Place::ignored) key_.swap(name);
  }

  void on_text(std::string& value) override {
    switch (place()) {
      case Place::model:
        if (key_ == "type") model_type_ = value;
        if (key_ == "continuing_subword_prefix" || key_ == "end_of_word_suffix") affix_ += value;
        break;
      case Place::added_token:
        if (key_ == "content") added_tokens_.back().content = value;
        if (key_ == "id") refuse(value);
        break;
      case Place::unigram_piece:
        if (!std::exchange(has_piece_, true)) add_token(piece_count_++, value);
        break;
      case Place::text_transformation:
        is_byte_level_ |= key_ == "type" && value == "ByteLevel";
        has_byte_fallback_ |= key_ == "type" && value == "ByteFallback";
        has_word_boundaries_ |= (key_ == "type" && value == "Metaspace") || value == word_boundary;
        if (key_ == "replacement" && value != word_boundary) other_boundary_ = value;
        break;
      default:
        on_other_value(value);
    }
  }

  void on_number(std::uint64_t value) override {
    if (place() == Place::vocabulary)
      add_token(value, key_);
    else if (place() == Place::added_token && key_ == "id")
      added_tokens_.back().id = value;
    else
      on_other_value("a number");
  }

  void on_other_value(std::string_view value) override {
    switch (place()) {
      case Place::model:
        has_byte_fallback_ |= key_ == "byte_fallback" && value == "true";
        break;
      case Place::added_token:
        if (key_ == "special") added_tokens_.back().is_special = value == "true";
        if (key_ == "id" || key_ == "content") refuse(value);
        break;
      case Place::unigram_piece:
        if (!has_piece_) refuse(value);
        break;
      case Place::added_tokens:
      case Place::vocabulary:
      case Place::unigram_vocabulary:
        refuse(value);
      default:
        break;
    }
  }

  Place place() const noexcept { return places_.empty() ? Place::ignored : places_.back(); }

  Place place_of_child(char bracket) {
    const bool is_object = bracket == '{';
    if (places_.empty()) return is_object ? Place::file : Place::ignored;
    switch (place()) {
      case Place::file:
        has_model_ |= key_ == "model" && is_object;
        if (key_ == "model" && is_object) return Place::model;
        if (key_ == "added_tokens" && !is_object) return Place::added_tokens;
        if (key_ == "normalizer" || key_ == "pre_tokenizer" || key_ == "decoder")
          return Place::text_transformation;
        return Place::ignored;
      case Place::added_tokens:
        if (!is_object) refuse("[");
        added_tokens_.emplace_back();
        return Place::added_token;
      case Place::model:
        has_merges_ |= key_ == "merges";
        has_unigram_vocabulary_ |= key_ == "vocab" && !is_object;
        if (key_ != "vocab") return Place::ignored;
        return is_object ? Place::vocabulary : Place::unigram_vocabulary;
      case Place::unigram_vocabulary:
        if (is_object) refuse("{");
        has_piece_ = false;
        return Place::unigram_piece;
      case Place::text_transformation:
        return Place::text_transformation;
      case Place::added_token:
      case Place::vocabulary:
      case Place::unigram_piece:
        on_other_value(std::string_view(&bracket, 1));
        return Place::ignored;
      case Place::ignored:
        break;
    }
    return Place::ignored;
  }

  void add_token(std::uint64_t id, std::string& string) {
    TokenString& token = table_.new_token(id, "model.vocab['", excerpt(string), "']");
    token.string.swap(string);
    token.kind = TokenKind::text;  // which kind is known at the end of the file
  }

  [[noreturn]] void refuse(std::string_view found) const {
    if (place() == Place::vocabulary)
      fail<FileError>(path(), ": model.vocab['", excerpt(key_), "']: expected an id, found ", excerpt(found));
    if (place() == Place::added_tokens)
      fail<FileError>(path(), ": added_tokens[", added_tokens_.size(), "]: expected an object, found ",
                      excerpt(found));
    if (place() == Place::added_token)
      fail<FileError>(path(), ": added_tokens[", added_tokens_.size() - 1, "].", key_, ": expected ",
                      key_ == "id" ? "an id" : "a string", ", found ", excerpt(found));
    fail<FileError>(path(), ": model.vocab, piece ", piece_count_, ": expected [piece, score], found ",
                    excerpt(found));
  }

  void check_model() const {
    constexpr std::string_view supported =
        "; byte-level or SentencePiece-style BPE and Unigram are supported";
    if (!has_model_) fail<FileError>(path(), ": expected an object 'model', found none");
    // Files of early versions do not name the type.
    const std::string type = !model_type_.empty()      ? model_type_
                             : has_unigram_vocabulary_ ? "Unigram"
                             : has_merges_             ? "BPE"
                                                       : "WordPiece";
    if (type == "WordPiece" || type == "WordLevel")
      fail<FileError>(path(), ": model.type is ", type,
                      ", whose strings do not say what bytes a token stands for: spaces and case are lost",
                      supported);
    if (type != "BPE" && type != "Unigram")
      fail<FileError>(path(), ": model.type is '", excerpt(type), "'", supported);
    if (!affix_.empty())
      fail<FileError>(path(), ": the model marks parts of words with '", excerpt(affix_),
                      "', which does not say what bytes a token stands for", supported);
    if (other_boundary_)
      fail<FileError>(path(), ": a Metaspace puts '", excerpt(*other_boundary_), "' for a space, not U+2581",
                      supported);
    if (type == "BPE" && !is_byte_level_ && !has_byte_fallback_ && !has_word_boundaries_)
      fail<FileError>(path(), ": expected ByteLevel, byte_fallback, Metaspace or a replacement of U+2581, ",
                      "found nothing that says what bytes a token stands for", supported);
  }

  TokenTable table_;
  std::vector<AddedToken> added_tokens_;
  std::vector<Place> places_;
  std::size_t piece_count_ = 0;
  std::string key_;
  std::string model_type_;
  std::string affix_;
  std::optional<std::string> other_boundary_;
  bool has_model_ = false;
  bool has_merges_ = false;
  bool has_unigram_vocabulary_ = false;
  bool has_piece_ = false;
  bool is_byte_level_ = false;
  bool has_byte_fallback_ = false;
  bool has_word_boundaries_ = false;
};

/// The vocabulary in the content of a tokenizer.json.
inline Vocabulary parse_hugging_face(const std::string& path, std::string_view content, TokenText text) {
  HuggingFaceReader reader(path, content.size());
  reader.read(content);
  return std::move(reader.finish()).vocabulary(text);
}

}  // namespace detail

/// Reads a tokenizer.json. Added tokens stand for their content and come before the model's tokens of the
/// same id; those that the file calls special are special. Ids that it leaves out are empty tokens. Throws
/// FileError, naming the key, if the file is not of that form, if an id occurs twice in the model or is too
/// large for the file's size, or if the model is one whose strings do not say what bytes a token stands for
/// (WordPiece, WordLevel, a space other than U+2581). O(file size + V log V); no JSON document is built.
inline Vocabulary load_hugging_face(const std::filesystem::path& path, TokenText text = TokenText::raw) {
  const MappedFile file(path);
  return detail::parse_hugging_face(file.path(), file.text(), text);
}

}  // namespace KRONECKER_NAMESPACE
