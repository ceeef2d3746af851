#pragma once

/// A vocabulary as the embedding sees it: for each token id, the bytes that the token stands for, and why:
/// how its tokenizer's file writes it, and whether it is a special token.

#include <kronecker/error.hpp>
#include <kronecker/namespace.hpp>
#include <kronecker/types.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <numeric>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace KRONECKER_NAMESPACE {

/// How a tokenizer's file writes a token, and so why it stands for its bytes.
enum class TokenKind : std::uint8_t {
  hole,        ///< There is no such token.
  unused,      ///< The file says that it is not used: no bytes.
  bytes,       ///< As its bytes, or in a notation of any bytes.
  byte_level,  ///< In GPT-2's byte map.
  piece,       ///< As a SentencePiece piece: U+2581 is a space.
  byte_piece,  ///< "<0x0A>" is the byte 0x0A.
  text,        ///< As plain text.
  special,     ///< As plain text, and it is a special token.
  reference,   ///< Whatever it is: its bytes are the string of TokenText::reference.
};

/// Token id -> its bytes. Immutable; ids are 0 to size() - 1.
///
/// Bytes are any bytes, not necessarily text; a token may be empty, and two tokens may have the same bytes.
class Vocabulary {
 public:
  /// The vocabulary in which token i has the bytes `token_bytes[i]`, of the kind `bytes`.
  /// Throws std::invalid_argument if there is no token, or more than a TokenId can count. O(V log V).
  explicit Vocabulary(std::vector<std::string> token_bytes) {
    constexpr auto most = static_cast<std::size_t>((std::numeric_limits<TokenId>::max)());
    if (token_bytes.empty())
      detail::fail<std::invalid_argument>("a vocabulary of 0 tokens: it needs at least 1");
    if (token_bytes.size() > most)
      detail::fail<std::invalid_argument>("a vocabulary of ", token_bytes.size(),
                                          " tokens is over the limit of ", most);

    std::size_t total_bytes = 0;
    for (const std::string& token : token_bytes) total_bytes += token.size();
    bytes_.reserve(total_bytes);
    ends_.reserve(token_bytes.size());
    for (const std::string& token : token_bytes) {
      bytes_ += token;
      ends_.push_back(bytes_.size());
    }
    kinds_.assign(token_bytes.size(), TokenKind::bytes);
    sort_ids();
  }

  /// The same vocabulary in which token i is of the kind `kinds[i]`. Throws std::invalid_argument if there
  /// are not as many of them as of tokens.
  static Vocabulary with_kinds(std::vector<std::string> token_bytes, std::vector<TokenKind> kinds) {
    if (kinds.size() != token_bytes.size())
      detail::fail<std::invalid_argument>(kinds.size(), " kinds for ", token_bytes.size(), " tokens");
    Vocabulary vocabulary(std::move(token_bytes));
    vocabulary.kinds_ = std::move(kinds);
    return vocabulary;
  }

  /// The same vocabulary in which the tokens `special_ids` are special. Throws std::out_of_range if one of
  /// them is none of the vocabulary.
  static Vocabulary with_special_ids(std::vector<std::string> token_bytes,
                                     const std::vector<TokenId>& special_ids) {
    Vocabulary vocabulary(std::move(token_bytes));
    for (const TokenId id : special_ids) {
      vocabulary.check_id(id);
      vocabulary.kinds_[static_cast<std::size_t>(id)] = TokenKind::special;
    }
    return vocabulary;
  }

  /// The same vocabulary with the notes of its reader.
  Vocabulary with_notes(std::vector<std::string> notes) && {
    notes_ = std::move(notes);
    return std::move(*this);
  }

  /// Number of tokens, V.
  TokenId size() const noexcept { return static_cast<TokenId>(ends_.size()); }

  /// The bytes of token `id`, valid as long as the vocabulary. Throws std::out_of_range if there is no such
  /// id.
  std::string_view bytes(TokenId id) const& {
    check_id(id);
    return bytes_of(id);
  }
  std::string_view bytes(TokenId) const&& = delete;

  /// What its reader wants known, a sentence each: what it assumed because the file does not say it, what is
  /// missing, what is lost. Empty if there is nothing; programs print them to standard error.
  const std::vector<std::string>& notes() const& noexcept { return notes_; }
  const std::vector<std::string>& notes() const&& = delete;

  /// Why token `id` stands for its bytes. Throws std::out_of_range if there is no such id.
  TokenKind kind(TokenId id) const {
    check_id(id);
    return kinds_[static_cast<std::size_t>(id)];
  }

  /// Whether token `id` is special: one that its tokenizer inserts or reserves (begin of text, padding)
  /// rather than finds in a text. Throws std::out_of_range if there is no such id.
  bool is_special(TokenId id) const { return kind(id) == TokenKind::special; }

  /// The lowest id whose token has exactly these bytes, if there is one. O(log V) comparisons.
  std::optional<TokenId> find(std::string_view bytes) const {
    const auto found =
        std::lower_bound(ids_by_bytes_.begin(), ids_by_bytes_.end(), bytes,
                         [this](TokenId id, std::string_view wanted) { return bytes_of(id) < wanted; });
    if (found == ids_by_bytes_.end() || bytes_of(*found) != bytes) return std::nullopt;
    return *found;
  }

 private:
  void check_id(TokenId id) const {
    if (id < 0 || id >= size())
      detail::fail<std::out_of_range>("token id ", id, " is outside the vocabulary of ", size(), " tokens");
  }

  std::string_view bytes_of(TokenId id) const noexcept {
    const auto i = static_cast<std::size_t>(id);
    const std::size_t begin = i == 0 ? 0 : ends_[i - 1];
    return {bytes_.data() + begin, ends_[i] - begin};
  }

  void sort_ids() {
    ids_by_bytes_.resize(ends_.size());
    std::iota(ids_by_bytes_.begin(), ids_by_bytes_.end(), TokenId{0});
    std::sort(ids_by_bytes_.begin(), ids_by_bytes_.end(), [this](TokenId a, TokenId b) {
      const int order = bytes_of(a).compare(bytes_of(b));
      return order != 0 ? order < 0 : a < b;
    });
  }

  std::string bytes_;                  // of all tokens, one after the other
  std::vector<std::size_t> ends_;      // where each token's bytes end
  std::vector<TokenId> ids_by_bytes_;  // sorted by bytes, then id
  std::vector<TokenKind> kinds_;
  std::vector<std::string> notes_;  // of its reader
};

}  // namespace KRONECKER_NAMESPACE
