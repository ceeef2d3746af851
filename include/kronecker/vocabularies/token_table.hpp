#pragma once

/// The tokens of a tokenizer file while it is read: strings with their kind, which together say what bytes
/// each token stands for. Every reader in this folder fills a TokenTable and gets its Vocabulary from that.

#include <kronecker/error.hpp>
#include <kronecker/namespace.hpp>
#include <kronecker/token_strings.hpp>
#include <kronecker/utf8.hpp>
#include <kronecker/vocabularies/reference_text.hpp>
#include <kronecker/vocabularies/token_text.hpp>
#include <kronecker/vocabulary.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace KRONECKER_NAMESPACE {
namespace detail {

/// What a tokenizer file's string for a token means.
enum class TokenKind : std::uint8_t {
  hole,        ///< There is no such token.
  bytes,       ///< The string is the bytes.
  byte_level,  ///< It is in GPT-2's byte map, or else plain text.
  piece,       ///< A SentencePiece piece: U+2581 is a space.
  byte_piece,  ///< "<0x0A>" is the byte 0x0A.
  text,        ///< Plain text.
  special,     ///< Plain text, of a special token.
};

/// A token as its file has it.
struct TokenString {
  std::string string;
  TokenKind kind = TokenKind::hole;
};

/// The bytes of a token in GPT-2's byte map, or nothing if the string is not of that form.
inline std::optional<std::string> byte_level_bytes(std::string_view token) {
  std::string bytes;
  bytes.reserve(token.size());
  while (!token.empty()) {
    const Utf8CodePoint character = read_code_point(token);
    const auto byte = character.length > 0 ? byte_of_gpt2_character(character.value) : std::nullopt;
    if (!byte) return std::nullopt;
    bytes += static_cast<char>(*byte);
    token.remove_prefix(character.length);
  }
  return bytes;
}

/// What `token` stands for, or nothing if its string is not of its kind. O(size).
inline std::optional<std::string> bytes_of_token(const TokenString& token, TokenText text) {
  const bool is_reference = text == TokenText::reference;
  switch (token.kind) {
    case TokenKind::bytes:
      return is_reference ? replace_invalid_utf8(token.string) : token.string;
    case TokenKind::byte_level: {
      const std::optional<std::string> bytes = byte_level_bytes(token.string);
      if (!bytes) return token.string;
      return is_reference ? replace_invalid_utf8(*bytes) : *bytes;
    }
    case TokenKind::piece: {
      if (!is_valid_utf8(token.string)) return std::nullopt;
      const bool only_looks_like_a_byte = byte_of_byte_piece(token.string).has_value();
      std::string bytes = only_looks_like_a_byte ? token.string : bytes_from_sentencepiece(token.string);
      if (is_reference && bytes.starts_with(' ')) bytes.erase(0, 1);
      return bytes;
    }
    case TokenKind::byte_piece: {
      const auto byte = byte_of_byte_piece(token.string);
      if (!byte) return std::nullopt;
      return std::string(1, static_cast<char>(*byte));
    }
    case TokenKind::hole:
    case TokenKind::text:
    case TokenKind::special:
      break;
  }
  return token.string;
}

/// As much of a string from a file as an error message should quote.
inline std::string_view excerpt(std::string_view text) {
  constexpr std::size_t longest = 40;
  return utf8_safe_prefix(text, longest);
}

/// The tokens of a file of `file_size` bytes by id, while it is read. An id must be below that size, so that
/// a damaged id cannot make the table larger than what a file of that many tokens needs; or below 2^18, since
/// a short file may well have a few tokens with the ids that they have in a large vocabulary, and a table of
/// that many is small.
class TokenTable {
 public:
  TokenTable(std::string path, std::size_t file_size)
      : path_(std::move(path)),
        id_limit_(std::clamp<std::uint64_t>(file_size, std::uint64_t{1} << 18,
                                            (std::numeric_limits<TokenId>::max)())) {}

  const std::string& path() const noexcept { return path_; }
  std::vector<TokenString>& tokens() noexcept { return tokens_; }

  /// The token `id`, a hole if it is new; `place` says where in the file it stands, if it must be refused.
  template <class... Place>
  TokenString& token(std::uint64_t id, const Place&... place) {
    if (id >= id_limit_)
      fail<FileError>(path_, ": ", place..., ": the id ", id, " is not below ", id_limit_,
                      ", the limit for a file of this size");
    if (id >= tokens_.size()) tokens_.resize(static_cast<std::size_t>(id) + 1);
    return tokens_[static_cast<std::size_t>(id)];
  }

  /// The same for a token that must be new.
  template <class... Place>
  TokenString& new_token(std::uint64_t id, const Place&... place) {
    TokenString& token = this->token(id, place...);
    if (token.kind != TokenKind::hole)
      fail<FileError>(path_, ": ", place..., ": the id ", id, " is already that of '", excerpt(token.string),
                      "'");
    return token;
  }

  /// Has the vocabulary say a sentence, made of the given texts and numbers, about what was assumed, is
  /// missing or is lost; once, however often it is noted.
  template <class... Parts>
  void note(const Parts&... parts) {
    std::string sentence;
    (append(sentence, parts), ...);
    if (std::find(notes_.begin(), notes_.end(), sentence) == notes_.end())
      notes_.push_back(std::move(sentence));
  }

  /// The vocabulary of all tokens. Throws FileError if there is none, or if a string is not of its kind.
  Vocabulary vocabulary(TokenText text) && {
    if (tokens_.empty()) fail<FileError>(path_, ": the file has no tokens");
    std::vector<std::string> bytes(tokens_.size());
    std::vector<TokenId> special_ids;
    for (std::size_t id = 0; id < tokens_.size(); ++id) {
      std::optional<std::string> found = bytes_of_token(tokens_[id], text);
      if (!found)
        fail<FileError>(
            path_, ": token ", id, ": expected ",
            tokens_[id].kind == TokenKind::byte_piece ? "a byte such as <0x0A>, found '" : "UTF-8, found '",
            excerpt(tokens_[id].string), "'");
      bytes[id] = std::move(*found);
      if (tokens_[id].kind == TokenKind::special) special_ids.push_back(static_cast<TokenId>(id));
    }
    return Vocabulary::with_special_ids(std::move(bytes), std::move(special_ids))
        .with_notes(std::move(notes_));
  }

 private:
  std::string path_;
  std::uint64_t id_limit_;
  std::vector<TokenString> tokens_;
  std::vector<std::string> notes_;
};

}  // namespace detail

}  // namespace KRONECKER_NAMESPACE
