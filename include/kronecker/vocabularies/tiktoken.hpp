#pragma once

/// tiktoken's ranks files: a line for each token, its bytes in base64 and its id.

#include <kronecker/error.hpp>
#include <kronecker/files/file_kind.hpp>
#include <kronecker/files/mapped_file.hpp>
#include <kronecker/files/wrong_file.hpp>
#include <kronecker/namespace.hpp>
#include <kronecker/number_text.hpp>
#include <kronecker/types.hpp>
#include <kronecker/vocabularies/base64.hpp>
#include <kronecker/vocabularies/token_lines.hpp>
#include <kronecker/vocabularies/token_table.hpp>
#include <kronecker/vocabulary.hpp>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace KRONECKER_NAMESPACE {
namespace detail {

/// "IQ== 0" -> "!" with the id 0; nothing for anything else. "=" is no bytes, as Whisper's files have it.
inline std::optional<TokenLine> tiktoken_line(std::string_view line) {
  const std::string_view encoded = take_until(line, ' ');
  std::optional<std::string> bytes = encoded == "=" ? std::string() : from_base64(encoded);
  const auto rank = number_in<std::uint64_t>(line);
  return bytes && rank ? std::optional(TokenLine{*rank, std::move(*bytes)}) : std::nullopt;
}

/// Puts special tokens, by their texts, where `table` has no tokens, and notes which ids stay without one.
inline void add_special_tokens(TokenTable& table, const std::map<std::string, TokenId>& specials) {
  for (const auto& [special, id] : specials) {
    if (id < 0) fail<std::invalid_argument>("the special token '", special, "' has the negative id ", id);
    const auto index = static_cast<std::uint64_t>(id);
    if (index >= table.id_limit())
      fail<std::invalid_argument>("the special token '", special, "' has the id ", id,
                                  ", which is not below ", table.id_limit(),
                                  ", the limit for a file of this size");
    TokenString& token = table.token(index);
    if (token.kind != TokenKind::hole)
      fail<std::invalid_argument>("the special token '", special, "' has the id ", id,
                                  ", which is that of another token");
    token = {special, TokenKind::special};
  }
}

/// Notes which ids below the highest have no token.
inline void note_holes(TokenTable& table) {
  const auto is_hole = [](const TokenString& token) { return token.kind == TokenKind::hole; };
  const auto& tokens = table.tokens();
  const auto first = std::find_if(tokens.begin(), tokens.end(), is_hole);
  if (first == tokens.end()) return;
  const auto last = std::find_if(tokens.rbegin(), tokens.rend(), is_hole);
  table.note("ids without a token are read as empty ones: ", std::count_if(first, tokens.end(), is_hole),
             " of ", tokens.size(), ", from ", first - tokens.begin(), " to ", tokens.rend() - last - 1);
}

/// The vocabulary in the content of a ranks file.
inline Vocabulary parse_tiktoken(const std::string& path, std::string_view content,
                                 const std::map<std::string, TokenId>& specials, TokenText text) {
  refuse_other_kind(path, content, FileKind::tiktoken);
  TokenTable table = table_of_lines(path, content, "base64, a space and a rank", tiktoken_line);
  add_special_tokens(table, specials);
  note_holes(table);
  return std::move(table).vocabulary(text);
}

}  // namespace detail

/// Reads a ranks file (cl100k_base.tiktoken). Special tokens are not in such files: `specials` gives their
/// text and ids (special_tokens.hpp reads them). Ids that neither has are empty tokens, and the vocabulary's
/// notes say so. Throws FileError, naming the line, if a line is not base64 and a rank, or if a rank occurs
/// twice or is too large for the file's size; std::invalid_argument if the id of a special token is negative,
/// taken or too large for the file's size. O(file size + V log V).
inline Vocabulary load_tiktoken(const std::filesystem::path& path,
                                const std::map<std::string, TokenId>& specials = {},
                                TokenText text = TokenText::raw) {
  const MappedFile file(path);
  return detail::parse_tiktoken(file.path(), file.text(), specials, text);
}

}  // namespace KRONECKER_NAMESPACE
