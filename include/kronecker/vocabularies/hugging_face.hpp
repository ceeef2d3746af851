#pragma once

/// Hugging Face's tokenizer.json: BPE and Unigram vocabularies, byte-level (GPT-2, Llama 3, Qwen) or in
/// SentencePiece's style (Llama 2, Mistral, T5), and WordPiece where it is asked for. Needs
/// nlohmann/json 3.11.

#include <kronecker/error.hpp>
#include <kronecker/files/mapped_file.hpp>
#include <kronecker/namespace.hpp>
#include <kronecker/vocabularies/added_tokens.hpp>
#include <kronecker/vocabularies/hugging_face_decoder.hpp>
#include <kronecker/vocabularies/hugging_face_file.hpp>
#include <kronecker/vocabularies/hugging_face_normalizer.hpp>
#include <kronecker/vocabularies/token_table.hpp>
#include <kronecker/vocabularies/words.hpp>
#include <kronecker/vocabulary.hpp>

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace KRONECKER_NAMESPACE {
namespace detail {

/// Tells what the tokens of a tokenizer.json stand for.
class HuggingFaceTokens {
 public:
  explicit HuggingFaceTokens(HuggingFaceFile& file) : file_(file) {
    if (!file.has_model) fail<FileError>(path(), ": expected an object 'model', found none");
    // Files of early versions do not name the type.
    if (file.model_type.empty())
      file.model_type = file.has_unigram_vocabulary ? "Unigram" : file.has_merges ? "BPE" : "WordPiece";
    for (const TextSteps* steps : {&file.normalizer, &file.pre_tokenizer, &file.decoder})
      for (const TextStep& step : steps->steps()) look_at(step);
  }

  /// Gives each token its kind, by which its string says what bytes it stands for.
  void take_bytes(bool as_words) {
    if (as_words && file_.model_type == "WordPiece") return take_words();
    check_model();
    const bool has_pieces = !is_byte_level_ && file_.word_end.empty();
    const bool has_byte_pieces = has_pieces && (file_.has_byte_fallback || has_byte_fallback_step_);
    for (TokenString& token : file_.table.tokens()) {
      if (token.kind == TokenKind::hole) continue;
      if (is_byte_level_) token.kind = TokenKind::byte_level;
      if (has_pieces) token.kind = TokenKind::piece;
      if (has_byte_pieces && byte_of_byte_piece(token.string)) token.kind = TokenKind::byte_piece;
    }
    if (!file_.word_end.empty()) end_words(file_.table, file_.word_end, is_byte_level_ ? "\xC4\xA0" : " ");
    add_tokens(has_pieces ? TokenKind::piece : TokenKind::text);
  }

  /// Gives each token the reference's string.
  void take_reference_strings() {
    const HuggingFaceDecoder decode(path(), file_.decoder.steps());
    std::size_t bytes_left = longest_text + file_.size * 8;
    const auto reference_string = [&](const std::string& token, bool is_special) {
      if (const auto byte = reference_byte(token)) return std::string(1, static_cast<char>(*byte));
      std::string text = is_special ? token : decode(token);
      if (text.size() > bytes_left)
        fail<FileError>(path(),
                        ": decoder: the tokens would become longer than a file of this size can mean");
      bytes_left -= text.size();
      return text;
    };
    for (TokenString& token : file_.table.tokens())
      if (token.kind != TokenKind::hole)
        token = {reference_string(token.string, false), TokenKind::reference};
    for (AddedToken& added : file_.added_tokens)
      added.content = reference_string(reference_content(added), added.is_special);
    note_unknown_contents();
    if (!file_.word_end.empty())
      file_.table.note(
          "the reference's strings are what this file's decoder makes of the tokens: classes of ",
          "transformers that decode otherwise, as CLIP's which takes '", excerpt(file_.word_end),
          "' off, are not followed");
    add_tokens(TokenKind::reference);
  }

 private:
  static constexpr std::string_view word_boundary = "\xE2\x96\x81";

  const std::string& path() const noexcept { return file_.table.path(); }

  void look_at(const TextStep& step) {
    const std::string_view type = step["type"], replacement = step["replacement"];
    is_byte_level_ |= type == "ByteLevel";
    has_byte_fallback_step_ |= type == "ByteFallback";
    has_word_boundaries_ |= type == "Metaspace";
    for (const auto& [name, value] : step.settings) has_word_boundaries_ |= value == word_boundary;
    if (!replacement.empty() && replacement != word_boundary) other_boundary_ = replacement;
  }

  void check_model() const {
    constexpr const char* supported = "; byte-level or SentencePiece-style BPE and Unigram are supported";
    const std::string_view type = file_.model_type;
    if (type == "WordPiece" || type == "WordLevel")
      fail<FileError>(path(), ": model.type is ", type,
                      ", whose strings do not say what bytes a token stands for: spaces and case are lost",
                      supported,
                      type == "WordPiece" ? ", and WordPiece as words (TokenText::words; kron --words)" : "");
    if (type != "BPE" && type != "Unigram")
      fail<FileError>(path(), ": model.type is '", excerpt(type), "'", supported);
    const bool has_both = !file_.word_end.empty() && has_word_boundaries_;
    if (!file_.word_part_prefix.empty() || has_both)
      fail<FileError>(path(), ": the model marks parts of words with '",
                      excerpt(file_.word_part_prefix + file_.word_end),
                      "', which does not say what bytes a token stands for", supported);
    if (other_boundary_)
      fail<FileError>(path(), ": a Metaspace puts '", excerpt(*other_boundary_), "' for a space, not U+2581",
                      supported);
    if (type == "BPE" && !is_byte_level_ && !file_.has_byte_fallback && !has_byte_fallback_step_ &&
        !has_word_boundaries_ && file_.word_end.empty())
      fail<FileError>(path(), ": expected ByteLevel, byte_fallback, Metaspace or a replacement of U+2581, ",
                      "found nothing that says what bytes a token stands for", supported);
  }

  /// WordPiece: a token that does not go on with a word has a space before it.
  void take_words() {
    start_words(file_.table, file_.word_part_prefix.empty() ? "##" : file_.word_part_prefix);
    add_tokens(TokenKind::text);
  }

  /// The content of an added token for the reference.
  std::string reference_content(const AddedToken& added) {
    if (!added.is_normalized) return *added.content;
    if (std::optional<std::string> content = normalized(file_.normalizer.steps(), *added.content))
      return *content;
    if (unknown_contents_++ == 0) first_unknown_content_ = *added.content;
    return *added.content;
  }

  void note_unknown_contents() {
    if (unknown_contents_ > 0)
      file_.table.note("the reference's strings of added tokens are assumed, ", unknown_contents_, " of ",
                       file_.added_tokens.size(), ": what the normalizer makes of '",
                       excerpt(first_unknown_content_), "' is not known here");
  }

  void add_tokens(TokenKind plain) {
    for (std::size_t i = 0; i < file_.added_tokens.size(); ++i) {
      AddedToken& added = file_.added_tokens[i];
      file_.table.token(*added.id, "added_tokens[", i, "]") = {std::move(*added.content),
                                                               added.is_special ? TokenKind::special : plain};
    }
  }

  HuggingFaceFile& file_;
  std::optional<std::string> other_boundary_;
  std::size_t unknown_contents_ = 0;  // of added tokens, for the reference
  std::string first_unknown_content_;
  bool is_byte_level_ = false;
  bool has_byte_fallback_step_ = false;
  bool has_word_boundaries_ = false;
};

/// The vocabulary in the content of a tokenizer.json.
inline Vocabulary parse_hugging_face(const std::string& path, std::string_view content, TokenText text) {
  HuggingFaceReader reader(path, content.size());
  reader.read(content);
  HuggingFaceTokens tokens(reader.file());
  if (text == TokenText::reference)
    tokens.take_reference_strings();
  else
    tokens.take_bytes(text == TokenText::words);
  return std::move(reader.file().table).vocabulary(TokenText::raw);  // each string is what it shall be
}

}  // namespace detail

/// Reads a tokenizer.json. Added tokens stand for their content and come before the model's tokens of the
/// same id; those that the file calls special are special. Ids that it leaves out are empty tokens. Throws
/// FileError, naming the key, if the file is not of that form, if an id occurs twice in the model or is too
/// large for the file's size, or if the model is one whose strings do not say what bytes a token stands for
/// (WordLevel, a space other than U+2581; WordPiece unless `text` is TokenText::words). The mark "</w>"
/// (CLIP) is a space after a word. With TokenText::reference every model is read that has a decoder, or none,
/// whose steps are known. O(file size + V log V); no JSON document is built.
inline Vocabulary load_hugging_face(const std::filesystem::path& path, TokenText text = TokenText::raw) {
  const MappedFile file(path);
  return detail::parse_hugging_face(file.path(), file.text(), text);
}

}  // namespace KRONECKER_NAMESPACE
