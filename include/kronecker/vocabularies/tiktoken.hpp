#pragma once

/// tiktoken's ranks files: a line for each token, its bytes in base64 and its id.

#include <kronecker/error.hpp>
#include <kronecker/files/mapped_file.hpp>
#include <kronecker/namespace.hpp>
#include <kronecker/types.hpp>
#include <kronecker/vocabularies/token_table.hpp>
#include <kronecker/vocabulary.hpp>

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

namespace KRONECKER_NAMESPACE {
namespace detail {

/// Decodes base64 as RFC 4648 has it: padded, nothing between, unused bits zero; else nothing.
inline std::optional<std::string> from_base64(std::string_view text) {
  constexpr std::string_view digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  if (text.empty() || text.size() % 4 != 0) return std::nullopt;
  const std::size_t padding = text.ends_with("==") ? 2 : text.ends_with('=') ? 1 : 0;
  text.remove_suffix(padding);

  std::string bytes;
  std::uint32_t bits = 0;
  int bit_count = 0;
  for (const char character : text) {
    const std::size_t digit = digits.find(character);
    if (digit == std::string_view::npos) return std::nullopt;
    bits = (bits << 6 | static_cast<std::uint32_t>(digit)) & 0xFFFFu;
    bit_count += 6;
    if (bit_count < 8) continue;
    bit_count -= 8;
    bytes += static_cast<char>(bits >> bit_count & 0xFFu);
  }
  const std::uint32_t unused_bits = bits & ((1u << bit_count) - 1);
  return unused_bits == 0 ? std::optional(std::move(bytes)) : std::nullopt;
}

/// A line of a ranks file.
struct RankedToken {
  std::string bytes;
  std::uint64_t rank = 0;
};

/// "IQ== 0" -> "!", 0; nothing for anything else. "=" is no bytes, as Whisper's files have it.
inline std::optional<RankedToken> ranked_token(std::string_view line) {
  const std::size_t space = line.find(' ');
  if (space == std::string_view::npos) return std::nullopt;
  const std::string_view encoded = line.substr(0, space);
  std::optional<std::string> bytes = encoded == "=" ? std::string() : from_base64(encoded);
  const char* const end = line.data() + line.size();
  std::uint64_t rank = 0;
  const auto [rank_end, error] = std::from_chars(line.data() + space + 1, end, rank);
  if (!bytes || error != std::errc() || rank_end != end) return std::nullopt;
  return RankedToken{std::move(*bytes), rank};
}

/// The next line of `content`, taken off its front, without its end.
inline std::string_view take_line(std::string_view& content) {
  std::string_view line = content.substr(0, content.find('\n'));
  content.remove_prefix(line.size() < content.size() ? line.size() + 1 : line.size());
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

}  // namespace detail

/// Reads a ranks file (cl100k_base.tiktoken). Special tokens are not in such files: `specials` gives their
/// text and ids. Ids that neither has are empty tokens. Throws FileError, naming the line, if a line is not
/// base64 and a rank, or if a rank occurs twice or is too large for the file's size; std::invalid_argument if
/// the id of a special token is negative or taken. O(file size + V log V).
inline Vocabulary load_tiktoken(const std::filesystem::path& path,
                                const std::map<std::string, TokenId>& specials = {},
                                TokenText text = TokenText::raw) {
  const MappedFile file(path);
  detail::TokenTable table(file.path(), file.size());
  std::string_view rest = file.text();
  for (std::size_t line_number = 1; !rest.empty(); ++line_number) {
    const std::string_view line = detail::take_line(rest);
    if (line.empty()) continue;
    std::optional<detail::RankedToken> ranked = detail::ranked_token(line);
    if (!ranked)
      detail::fail<FileError>(file.path(), ": line ", line_number, ": expected base64, a space and a rank, ",
                              "found '", detail::excerpt(line), "'");
    table.new_token(ranked->rank, "line ", line_number) = {std::move(ranked->bytes),
                                                           detail::TokenKind::bytes};
  }

  auto& tokens = table.tokens();
  for (const auto& [special, id] : specials) {
    const auto index = static_cast<std::size_t>(id);
    if (id < 0)
      detail::fail<std::invalid_argument>("the special token '", special, "' has the negative id ", id);
    if (index >= tokens.size()) tokens.resize(index + 1);
    if (tokens[index].kind != detail::TokenKind::hole)
      detail::fail<std::invalid_argument>("the special token '", special, "' has the id ", id,
                                          ", which is that of another token");
    tokens[index] = {special, detail::TokenKind::special};
  }
  return std::move(table).vocabulary(text);
}

}  // namespace KRONECKER_NAMESPACE
