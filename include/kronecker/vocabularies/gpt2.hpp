#pragma once

/// GPT-2's original encoder.json (others call it vocab.json): one JSON object, token string -> id, in GPT-2's
/// byte map, and the files beside it that have added tokens. Needs nlohmann/json 3.11.

#include <kronecker/error.hpp>
#include <kronecker/files/mapped_file.hpp>
#include <kronecker/namespace.hpp>
#include <kronecker/token_strings.hpp>
#include <kronecker/utf8.hpp>
#include <kronecker/vocabularies/added_tokens.hpp>
#include <kronecker/vocabularies/json_events.hpp>
#include <kronecker/vocabularies/json_file.hpp>
#include <kronecker/vocabularies/token_table.hpp>
#include <kronecker/vocabularies/words.hpp>
#include <kronecker/vocabulary.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>

namespace KRONECKER_NAMESPACE {
namespace detail {

class Gpt2Reader final : public JsonEvents {
 public:
  Gpt2Reader(const std::string& path, std::string_view content)
      : JsonEvents(path), content_(content), table_(path, content.size()) {}

  /// The table of all tokens, once the file is read.
  TokenTable& finish(TokenText text) {
    if (table_.tokens().empty()) return table_;
    if (ends_.count > starts_.count) {  // CLIP, in whose words there are no spaces
      if (text == TokenText::reference)
        fail<FileError>(path(), ": '", excerpt(ends_.first),
                        "' ends a word as CLIP marks it: what the reference's ",
                        "tokenizer makes of that is not known, give its tokenizer.json");
      end_words(table_, word_end, space);
    }
    check_spaces();
    note_missing_bytes();
    return table_;
  }

 private:
  struct Style {  // of some tokens
    std::size_t count = 0;
    std::string first;
  };

  static constexpr std::string_view space = "\xC4\xA0", word_end = "</w>", word_part = "##";

  void on_open(char bracket) override {
    if (is_open_ || bracket != '{') refuse(std::string_view(&bracket, 1));
    is_open_ = true;
  }
  void on_close() override {}
  void on_key(std::string& name) override { token_.swap(name); }
  void on_text(std::string& value) override { refuse(value); }
  void on_number(std::uint64_t id) override {
    if (!is_open_) refuse(std::to_string(id));
    look_at_token();
    if (count_++ == 0 || id < lowest_id_) lowest_id_ = id;
    TokenString& token = table_.new_token(id, "'", excerpt(token_), "'");
    token.string.swap(token_);
    token.kind = TokenKind::byte_level;
  }
  void on_other_value(std::string_view value) override { refuse(value); }

  /// Refuses a token that is not in the byte map, and notes what tells byte-level vocabularies from others.
  void look_at_token() {
    std::size_t length = 0;
    unsigned char last_byte = 0;
    for (std::string_view rest = token_; !rest.empty(); ++length) {
      const Utf8CodePoint character = read_code_point(rest);
      const auto byte = byte_of_gpt2_character(character.value);
      if (!byte) refuse_character(character.value);
      last_byte = *byte;
      rest.remove_prefix(character.length);
    }
    if (length == 1) has_byte_[last_byte] = true;
    has_only_characters_ &= length <= 1;
    has_spaces_ |= token_.find(space) != token_.npos;
    note_style(ends_, token_.size() > word_end.size() && token_.ends_with(word_end));
    note_style(starts_, length > 1 && token_.starts_with(space) && !token_.ends_with(word_end));
    note_style(parts_, token_.size() > word_part.size() && token_.starts_with(word_part));
  }

  void note_style(Style& style, bool is_of_style) {
    if (is_of_style && style.count++ == 0) style.first = token_;
  }

  /// Refuses a vocabulary without U+0120, GPT-2's space, as what it is likely to be.
  void check_spaces() const {
    if (has_spaces_) return;
    if (parts_.count > 0)
      fail<FileError>(path(), ": '", excerpt(parts_.first), "' goes on with a word as WordPiece marks it",
                      no_space);
    if (lowest_id_ >= count_)
      fail<FileError>(path(), ": ids from ", lowest_id_,
                      " on look like an added_tokens.json, without the vocabulary that it adds to", no_space);
    fail<FileError>(path(), has_only_characters_ ? ": a list of characters" : ": a list of words", no_space);
  }

  void note_missing_bytes() {
    std::size_t missing = 0;
    for (const bool has_it : has_byte_) missing += !has_it;
    if (missing > 0)
      table_.note("single bytes that are no tokens: ", missing,
                  " of 256; the vocabulary is not a whole one, or not byte-level");
  }

  static constexpr const char* not_byte_level =
      ": the vocabulary is not byte-level, and its tokens' bytes are not known";
  static constexpr const char* no_space =
      ": no token has U+0120, GPT-2's space: the vocabulary is not byte-level, and its tokens' bytes are not "
      "known";

  [[noreturn]] void refuse_character(char32_t character) const {
    char code[16];
    std::snprintf(code, sizeof code, "U+%04X", static_cast<unsigned>(character));
    fail<FileError>(path(), ": '", excerpt(token_), "': the character ", std::string_view(code),
                    " stands for no byte in GPT-2's byte map", not_byte_level);
  }

  [[noreturn]] void refuse(std::string_view found) const {
    if (!is_open_) fail<FileError>(path(), ": expected an object of tokens and ids, found ", excerpt(found));
    if (const std::string_view name = name_of_settings(path(), content_); !name.empty())
      fail<FileError>(path(), ": expected an object of tokens and ids, found ", name);
    fail<FileError>(path(), ": '", excerpt(token_), "': expected an id, found ", excerpt(found));
  }

  std::string_view content_;
  TokenTable table_;
  std::string token_;
  Style ends_, starts_, parts_;  // of words: "the</w>", "\u0120the", "##the"
  std::array<bool, 256> has_byte_{};
  std::uint64_t lowest_id_ = 0;
  std::size_t count_ = 0;
  bool is_open_ = false;
  bool has_spaces_ = false;
  bool has_only_characters_ = true;
};

/// The vocabulary in the content of an encoder.json, and in the file `added_tokens` if there is one.
inline Vocabulary parse_gpt2(const std::string& path, std::string_view content,
                             const std::filesystem::path& added_tokens, TokenText text) {
  Gpt2Reader reader(path, content);
  reader.read(content);
  TokenTable& table = reader.finish(text);
  if (!added_tokens.empty()) add_tokens(added_tokens, table);
  return std::move(table).vocabulary(text);
}

}  // namespace detail

/// Reads an encoder.json and the file `added_tokens`, an added_tokens.json or tokenizer_config.json; an empty
/// path is none. Added tokens come before the vocabulary's of the same id. Only a tokenizer_config.json says
/// which tokens are special. Ids that are left out are empty tokens. CLIP's mark "</w>" is a space after a
/// word. Throws FileError, naming the key, if a file is not of its form, if an id occurs twice or is too
/// large for the file's size, if the tokens are not in GPT-2's byte map or none has its space, U+0120
/// (SentencePiece, WordPiece, lists of words or characters, added tokens alone). O(file size + V log V).
inline Vocabulary load_gpt2(const std::filesystem::path& path, const std::filesystem::path& added_tokens,
                            TokenText text = TokenText::raw) {
  const MappedFile file(path);
  return detail::parse_gpt2(file.path(), file.text(), added_tokens, text);
}

/// The same, with the added tokens of the tokenizer_config.json or else the added_tokens.json beside a file
/// of the name vocab.json or encoder.json, if there is one that has any: transformers takes the same ones.
/// The vocabulary's notes name it.
inline Vocabulary load_gpt2(const std::filesystem::path& path, TokenText text = TokenText::raw) {
  return load_gpt2(path, detail::added_tokens_beside(path), text);
}

}  // namespace KRONECKER_NAMESPACE
