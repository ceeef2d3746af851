#pragma once

/// GPT-2's original encoder.json (others call it vocab.json): one JSON object, token string -> id, in GPT-2's
/// byte map. Needs nlohmann/json 3.11.

#include <kronecker/files/mapped_file.hpp>
#include <kronecker/namespace.hpp>
#include <kronecker/vocabularies/json_events.hpp>
#include <kronecker/vocabularies/token_table.hpp>
#include <kronecker/vocabulary.hpp>

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
  Gpt2Reader(const std::string& path, std::size_t file_size) : JsonEvents(path), table_(path, file_size) {}

  /// The table of all tokens, once the file is read.
  TokenTable& finish() {
    if (!has_spaces_ && !word_end_.empty()) refuse_style(word_end_, "ends a word as CLIP marks it");
    if (!has_spaces_ && !word_part_.empty())
      refuse_style(word_part_, "goes on with a word as WordPiece marks it");
    return table_;
  }

 private:
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
    TokenString& token = table_.new_token(id, "'", excerpt(token_), "'");
    token.string.swap(token_);
    token.kind = TokenKind::byte_level;
  }
  void on_other_value(std::string_view value) override { refuse(value); }

  /// Refuses a token that is not in the byte map, and notes what tells other vocabularies from byte-level
  /// ones.
  void look_at_token() {
    for (std::string_view rest = token_; !rest.empty();) {
      const Utf8CodePoint character = read_code_point(rest);
      if (!byte_of_gpt2_character(character.value)) refuse_character(character.value);
      rest.remove_prefix(character.length);
    }
    constexpr std::string_view space = "\xC4\xA0", word_end = "</w>", word_part = "##";
    has_spaces_ = has_spaces_ || token_.find(space) != token_.npos;
    if (word_end_.empty() && token_.ends_with(word_end)) word_end_ = token_;
    if (word_part_.empty() && token_.starts_with(word_part)) word_part_ = token_;
  }

  static constexpr std::string_view not_byte_level =
      ": the vocabulary is not byte-level, and its tokens' bytes are not known";

  [[noreturn]] void refuse_character(char32_t character) const {
    char code[16];
    std::snprintf(code, sizeof code, "U+%04X", static_cast<unsigned>(character));
    fail<FileError>(path(), ": '", excerpt(token_), "': the character ", std::string_view(code),
                    " stands for no byte in GPT-2's byte map", not_byte_level);
  }

  [[noreturn]] void refuse_style(std::string_view token, std::string_view style) const {
    fail<FileError>(path(), ": '", excerpt(token), "' ", style, ", and no token has U+0120, GPT-2's space",
                    not_byte_level);
  }

  [[noreturn]] void refuse(std::string_view found) const {
    if (!is_open_) fail<FileError>(path(), ": expected an object of tokens and ids, found ", excerpt(found));
    fail<FileError>(path(), ": '", excerpt(token_), "': expected an id, found ", excerpt(found));
  }

  TokenTable table_;
  std::string token_;
  std::string word_end_, word_part_;  // tokens of another style, if there are any
  bool is_open_ = false;
  bool has_spaces_ = false;
};

/// The vocabulary in the content of an encoder.json.
inline Vocabulary parse_gpt2(const std::string& path, std::string_view content, TokenText text) {
  Gpt2Reader reader(path, content.size());
  reader.read(content);
  return std::move(reader.finish()).vocabulary(text);
}

}  // namespace detail

/// Reads an encoder.json. The file does not say which tokens are special: none is. Ids that it leaves out are
/// empty tokens. Throws FileError, naming the key, if it is not an object of tokens and ids, if an id occurs
/// twice or is too large for the file's size, or if the tokens are not in GPT-2's byte map (SentencePiece,
/// CLIP, WordPiece). O(file size + V log V).
inline Vocabulary load_gpt2(const std::filesystem::path& path, TokenText text = TokenText::raw) {
  const MappedFile file(path);
  return detail::parse_gpt2(file.path(), file.text(), text);
}

}  // namespace KRONECKER_NAMESPACE
