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
#include <array>
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

/// What the reference makes of a space at the front of a SentencePiece piece, which the file does not say.
enum class LeadingSpace : std::uint8_t {
  unknown,
  kept,     ///< As in Gemma's tokenizers.
  dropped,  ///< As in Llama's, which put one in front of every text.
};

/// A token as its file has it.
struct TokenString {
  std::string string;
  TokenKind kind = TokenKind::hole;
};

/// Whether a token's string is in GPT-2's byte map.
constexpr bool is_byte_level(std::string_view token) noexcept {
  while (!token.empty()) {
    const Utf8CodePoint character = read_code_point(token);
    if (character.length == 0 || !byte_of_gpt2_character(character.value)) return false;
    token.remove_prefix(character.length);
  }
  return true;
}

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
inline std::optional<std::string> bytes_of_token(const TokenString& token) {
  switch (token.kind) {
    case TokenKind::byte_level: {
      std::optional<std::string> bytes = byte_level_bytes(token.string);
      return bytes ? bytes : token.string;
    }
    case TokenKind::piece: {
      if (!is_valid_utf8(token.string)) return std::nullopt;
      const bool only_looks_like_a_byte = byte_of_byte_piece(token.string).has_value();
      return only_looks_like_a_byte ? token.string : bytes_from_sentencepiece(token.string);
    }
    case TokenKind::byte_piece: {
      const auto byte = byte_of_byte_piece(token.string);
      if (!byte) return std::nullopt;
      return std::string(1, static_cast<char>(*byte));
    }
    case TokenKind::hole:
    case TokenKind::unused:
    case TokenKind::bytes:
    case TokenKind::text:
    case TokenKind::special:
    case TokenKind::reference:
      break;
  }
  return token.string;
}

/// The kind that `bytes_of_token` takes `token` for: plain text if its string is not that of its kind.
inline TokenKind kind_taken(const TokenString& token) {
  const bool is_plain = (token.kind == TokenKind::byte_level && !is_byte_level(token.string)) ||
                        (token.kind == TokenKind::piece && byte_of_byte_piece(token.string));
  return is_plain ? TokenKind::text : token.kind;
}

/// The kind of a token whose bytes are the reference's string.
constexpr TokenKind reference_kind(TokenKind kind) noexcept {
  const bool is_kept = kind == TokenKind::hole || kind == TokenKind::unused || kind == TokenKind::special;
  return is_kept ? kind : TokenKind::reference;
}

/// The reference's string for `token`, or nothing if its string is not of its kind. O(size).
inline std::optional<std::string> reference_string(const TokenString& token, LeadingSpace leading_space) {
  if (const auto byte = reference_byte(token.string)) return std::string(1, static_cast<char>(*byte));
  std::optional<std::string> bytes = bytes_of_token(token);
  if (!bytes) return std::nullopt;
  switch (token.kind) {
    case TokenKind::bytes:
    case TokenKind::byte_level:
      return replace_invalid_utf8(*bytes);
    case TokenKind::piece:
      if (leading_space == LeadingSpace::dropped && bytes->starts_with(' ')) bytes->erase(0, 1);
      return bytes;
    case TokenKind::text: {  // decoded as the other tokens are, where it can be
      const std::optional<std::string> decoded = byte_level_bytes(token.string);
      return decoded ? replace_invalid_utf8(*decoded) : bytes;
    }
    case TokenKind::hole:
    case TokenKind::unused:
    case TokenKind::byte_piece:
    case TokenKind::special:
    case TokenKind::reference:
      break;
  }
  return bytes;
}

/// How vocabularies write the space before a word, and where that is the mark of what kind.
struct SpaceMark {
  std::string_view mark, name;
};
inline constexpr std::array<SpaceMark, 3> space_marks{
    SpaceMark{" ", "a plain space"}, SpaceMark{"\xC4\xA0", "U+0120, the space of GPT-2's byte map"},
    SpaceMark{"\xE2\x96\x81", "U+2581, SentencePiece's space"}};

/// Tokens of one kind, by how they begin.
struct TokenBeginnings {
  /// Tokens that have something in common, and the first of them.
  struct Some {
    std::size_t count = 0, first_id = 0;
    void add(std::size_t id) noexcept {
      if (count++ == 0) first_id = id;
    }
  };
  std::size_t count = 0;
  std::array<Some, space_marks.size()> marked;  ///< A mark of a space and more.
  Some not_byte_level;                          ///< Not in GPT-2's byte map.

  void add(std::size_t id, const TokenString& token) {
    ++count;
    for (std::size_t i = 0; i < space_marks.size(); ++i)
      if (token.string.starts_with(space_marks[i].mark) && token.string.size() > space_marks[i].mark.size())
        marked[i].add(id);
    if (token.kind == TokenKind::byte_level && !is_byte_level(token.string)) not_byte_level.add(id);
  }
};

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
  std::uint64_t id_limit() const noexcept { return id_limit_; }  ///< Ids are below it.

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

  /// What the reference makes of a space at the front of a piece.
  void assume(LeadingSpace leading_space) noexcept { leading_space_ = leading_space; }

  /// Has the vocabulary say a sentence, made of the given texts and numbers, about what was assumed, is
  /// missing or is lost; once, however often it is noted.
  template <class... Parts>
  void note(const Parts&... parts) {
    std::string sentence = message_from(parts...);
    if (std::find(notes_.begin(), notes_.end(), sentence) == notes_.end())
      notes_.push_back(std::move(sentence));
  }

  /// The vocabulary of all tokens. Throws FileError if there is none, if a string is not of its kind, or if
  /// all of them together contradict their kind.
  Vocabulary vocabulary(TokenText text) && {
    if (tokens_.empty()) fail<FileError>(path_, ": the file has no tokens");
    check_kinds();
    const bool is_reference = text == TokenText::reference;
    if (is_reference) check_reference();
    std::vector<std::string> bytes(tokens_.size());
    std::vector<TokenKind> kinds(tokens_.size());
    for (std::size_t id = 0; id < tokens_.size(); ++id) {
      std::optional<std::string> found =
          is_reference ? reference_string(tokens_[id], leading_space_) : bytes_of_token(tokens_[id]);
      if (!found)
        fail<FileError>(
            path_, ": token ", id, ": expected ",
            tokens_[id].kind == TokenKind::byte_piece ? "a byte such as <0x0A>, found '" : "UTF-8, found '",
            excerpt(tokens_[id].string), "'");
      bytes[id] = std::move(*found);
      kinds[id] = is_reference ? reference_kind(tokens_[id].kind) : kind_taken(tokens_[id]);
    }
    return Vocabulary::with_kinds(std::move(bytes), std::move(kinds)).with_notes(std::move(notes_));
  }

 private:
  /// Notes what is assumed of the reference's strings. Fails if nothing is.
  void check_reference() {
    const bool has_pieces = std::any_of(tokens_.begin(), tokens_.end(), [](const TokenString& token) {
      return token.kind == TokenKind::piece;
    });
    if (!has_pieces) return;
    if (leading_space_ == LeadingSpace::unknown)
      fail<FileError>(path_, ": the file does not say what its tokenizer makes of a space at the front of a ",
                      "token, so the reference's strings are not known: give its tokenizer.json");
    note("the reference's strings are those of a tokenizer which ",
         leading_space_ == LeadingSpace::dropped ? "drops a space at the front of a token, as Llama's does"
                                                 : "keeps a space at the front of a token, as Gemma's does",
         ": the file does not say it, its tokenizer.json would");
  }

  /// Refuses tokens that are not what their kind says. A vocabulary writes the space before a word in one
  /// way: one in which more tokens begin with another mark than with that of its kind has been taken for what
  /// it is not; so has one that is said to be in GPT-2's byte map, if more than an eighth of it is not.
  void check_kinds() const {
    TokenBeginnings byte_level, pieces, bytes;
    for (std::size_t id = 0; id < tokens_.size(); ++id) {
      const TokenKind kind = tokens_[id].kind;
      if (kind == TokenKind::byte_level) byte_level.add(id, tokens_[id]);
      if (kind == TokenKind::piece) pieces.add(id, tokens_[id]);
      if (kind == TokenKind::bytes) bytes.add(id, tokens_[id]);
    }
    check_marks(byte_level, "in GPT-2's byte map", {false, true, false});
    check_marks(pieces, "SentencePiece's", {true, false, true});
    check_marks(bytes, "plain bytes", {true, false, false});
    const std::size_t tolerated = (std::max)(std::size_t{3}, byte_level.count / 8);
    if (const auto& others = byte_level.not_byte_level; others.count > tolerated)
      fail<FileError>(path_, ": the tokens are said to be in GPT-2's byte map, but ", others.count, " of ",
                      byte_level.count, " are not, such as token ", others.first_id, ", '",
                      excerpt(tokens_[others.first_id].string), "'");
  }

  void check_marks(const TokenBeginnings& tokens, std::string_view kind,
                   const std::array<bool, space_marks.size()>& is_own) const {
    std::size_t own = 0;
    for (std::size_t i = 0; i < space_marks.size(); ++i) own += is_own[i] ? tokens.marked[i].count : 0;
    for (std::size_t i = 0; i < space_marks.size(); ++i)
      if (!is_own[i] && tokens.marked[i].count > own)
        fail<FileError>(path_, ": the tokens are said to be ", kind, ", but at the front of ",
                        tokens.marked[i].count, " of them is ", space_marks[i].name, ", and at that of ", own,
                        " a space of that kind; such as token ", tokens.marked[i].first_id, ", '",
                        excerpt(tokens_[tokens.marked[i].first_id].string), "'");
  }

  std::string path_;
  std::uint64_t id_limit_;
  std::vector<TokenString> tokens_;
  std::vector<std::string> notes_;
  LeadingSpace leading_space_ = LeadingSpace::unknown;
};

}  // namespace detail

}  // namespace KRONECKER_NAMESPACE
