#pragma once

/// What a tokenizer.json says, as far as its tokens' strings depend on it. Needs nlohmann/json 3.11.

#include <kronecker/error.hpp>
#include <kronecker/namespace.hpp>
#include <kronecker/vocabularies/added_tokens.hpp>
#include <kronecker/vocabularies/json_events.hpp>
#include <kronecker/vocabularies/text_step.hpp>
#include <kronecker/vocabularies/token_table.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace KRONECKER_NAMESPACE::detail {

/// What a tokenizer.json says.
struct HuggingFaceFile {
  /// A file of `file_size` bytes, nothing of which is read.
  HuggingFaceFile(const std::string& path, std::size_t file_size) : table(path, file_size), size(file_size) {}

  TokenTable table;  ///< The model's tokens, all of the kind `text`.
  std::size_t size;  ///< Of the file.
  std::vector<AddedToken> added_tokens;
  TextSteps normalizer, pre_tokenizer, decoder;
  std::string model_type;
  std::string word_part_prefix;  ///< Of tokens that go on with a word: "##".
  std::string word_end;          ///< Of tokens that end a word: "</w>".
  bool has_model = false;
  bool has_merges = false;
  bool has_unigram_vocabulary = false;
  bool has_byte_fallback = false;  ///< By what the model says.
};

class HuggingFaceReader final : public JsonEvents {
 public:
  HuggingFaceReader(const std::string& path, std::size_t file_size)
      : JsonEvents(path), file_(path, file_size) {}

  /// What the file says, once it is read.
  HuggingFaceFile& file() noexcept { return file_; }

 private:
  enum class Place : std::uint8_t {  // whose values are being read
    file,
    added_tokens,
    added_token,
    model,
    vocabulary,          // {"the": 5, ...}
    unigram_vocabulary,  // [["the", -3.5], ...]
    unigram_piece,       // ["the", -3.5]
    text_steps,          // normalizer, pre_tokenizer or decoder, with all that it contains
    ignored,
  };

  void on_open(char bracket) override {
    places_.push_back(place_of_child(bracket));
    if (place() == Place::text_steps) steps_->open(bracket, key_);
  }

  void on_close() override {
    const Place closed = places_.back();
    places_.pop_back();
    if (closed == Place::text_steps) steps_->close();
    if (closed == Place::added_token && !(file_.added_tokens.back().id && file_.added_tokens.back().content))
      fail<FileError>(path(), ": added_tokens[", file_.added_tokens.size() - 1,
                      "]: expected an id and a content");
    if (closed == Place::unigram_piece && !has_piece_) refuse("]");
  }

  void on_key(std::string& name) override {
    if (place() != Place::ignored) key_.swap(name);
  }

  void on_text(std::string& value) override {
    switch (place()) {
      case Place::model:
        if (key_ == "type") file_.model_type = value;
        if (key_ == "continuing_subword_prefix") file_.word_part_prefix = value;
        if (key_ == "end_of_word_suffix") file_.word_end = value;
        break;
      case Place::added_token:
        if (key_ == "content") file_.added_tokens.back().content = value;
        if (key_ == "id") refuse(value);
        break;
      case Place::unigram_piece:
        if (!std::exchange(has_piece_, true)) add_token(piece_count_++, value);
        break;
      default:
        on_other_value(value);
    }
  }

  void on_number(std::uint64_t value) override {
    if (place() == Place::vocabulary)
      add_token(value, key_);
    else if (place() == Place::added_token && key_ == "id")
      file_.added_tokens.back().id = value;
    else
      on_other_value(place() == Place::text_steps ? std::string_view(std::to_string(value)) : "a number");
  }

  void on_other_value(std::string_view value) override {
    switch (place()) {
      case Place::text_steps:
        steps_->add(key_, value);
        break;
      case Place::model:
        if (key_ == "byte_fallback") file_.has_byte_fallback = value == "true";
        break;
      case Place::added_token:
        if (key_ == "special") file_.added_tokens.back().is_special = value == "true";
        if (key_ == "normalized") file_.added_tokens.back().is_normalized = value == "true";
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
        file_.has_model |= key_ == "model" && is_object;
        if (key_ == "model" && is_object) return Place::model;
        if (key_ == "added_tokens" && !is_object) return Place::added_tokens;
        steps_ = key_ == "normalizer"      ? &file_.normalizer
                 : key_ == "pre_tokenizer" ? &file_.pre_tokenizer
                 : key_ == "decoder"       ? &file_.decoder
                                           : nullptr;
        return steps_ ? Place::text_steps : Place::ignored;
      case Place::added_tokens:
        if (!is_object) refuse("[");
        file_.added_tokens.emplace_back();
        return Place::added_token;
      case Place::model:
        file_.has_merges |= key_ == "merges";
        file_.has_unigram_vocabulary |= key_ == "vocab" && !is_object;
        if (key_ != "vocab") return Place::ignored;
        return is_object ? Place::vocabulary : Place::unigram_vocabulary;
      case Place::unigram_vocabulary:
        if (is_object) refuse("{");
        has_piece_ = false;
        return Place::unigram_piece;
      case Place::text_steps:
        return Place::text_steps;
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
    TokenString& token = file_.table.new_token(id, "model.vocab['", excerpt(string), "']");
    token.string.swap(string);
    token.kind = TokenKind::text;  // which kind is known at the end of the file
  }

  [[noreturn]] void refuse(std::string_view found) const {
    if (place() == Place::vocabulary)
      fail<FileError>(path(), ": model.vocab['", excerpt(key_), "']: expected an id, found ", excerpt(found));
    if (place() == Place::added_tokens)
      fail<FileError>(path(), ": added_tokens[", file_.added_tokens.size(), "]: expected an object, found ",
                      excerpt(found));
    if (place() == Place::added_token)
      fail<FileError>(path(), ": added_tokens[", file_.added_tokens.size() - 1, "].", key_, ": expected ",
                      key_ == "id" ? "an id" : "a string", ", found ", excerpt(found));
    fail<FileError>(path(), ": model.vocab, piece ", piece_count_, ": expected [piece, score], found ",
                    excerpt(found));
  }

  HuggingFaceFile file_;
  TextSteps* steps_ = nullptr;  // that are being read
  std::vector<Place> places_;
  std::size_t piece_count_ = 0;
  std::string key_;
  bool has_piece_ = false;
};

}  // namespace KRONECKER_NAMESPACE::detail
