#pragma once

/// RWKV's vocabularies (rwkv_vocab_v20230424.txt): a line for each token, its id, a Python literal of text or
/// bytes, and the number of its bytes.

#include <kronecker/error.hpp>
#include <kronecker/files/file_kind.hpp>
#include <kronecker/files/mapped_file.hpp>
#include <kronecker/files/wrong_file.hpp>
#include <kronecker/namespace.hpp>
#include <kronecker/vocabularies/python_literal.hpp>
#include <kronecker/vocabularies/tiktoken.hpp>
#include <kronecker/vocabularies/token_table.hpp>
#include <kronecker/vocabularies/token_text.hpp>
#include <kronecker/vocabulary.hpp>

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

namespace KRONECKER_NAMESPACE {
namespace detail {

/// `1 '\x00' 1` -> its id and bytes; nothing for anything else, or if the number of bytes is another.
inline std::optional<RankedToken> rwkv_token(std::string_view line) {
  const auto number = [](std::string_view digits) -> std::optional<std::uint64_t> {
    std::uint64_t value = 0;
    const char* const end = digits.data() + digits.size();
    const auto [stop, error] = std::from_chars(digits.data(), end, value);
    return error == std::errc() && stop == end ? std::optional(value) : std::nullopt;
  };
  const std::size_t first = line.find(' '), last = line.rfind(' ');
  if (first == line.npos || first == last) return std::nullopt;
  const auto id = number(line.substr(0, first)), size = number(line.substr(last + 1));
  std::optional<std::string> bytes = python_literal(line.substr(first + 1, last - first - 1));
  if (!id || !size || !bytes || bytes->size() != *size) return std::nullopt;
  return RankedToken{std::move(*bytes), *id};
}

/// The vocabulary in the content of such a file.
inline Vocabulary parse_rwkv(const std::string& path, std::string_view content, TokenText text) {
  refuse_other_kind(path, content, FileKind::rwkv);
  TokenTable table(path, content.size());
  std::string_view rest = content;
  for (std::size_t line_number = 1; !rest.empty(); ++line_number) {
    const std::string_view line = take_line(rest);
    if (line.empty()) continue;
    std::optional<RankedToken> token = rwkv_token(line);
    if (!token)
      fail<FileError>(path, ": line ", line_number, ": expected an id, a Python literal and the number of ",
                      "its bytes, found '", excerpt(line), "'");
    table.new_token(token->rank, "line ", line_number) = {std::move(token->bytes), TokenKind::bytes};
  }
  return std::move(table).vocabulary(text);
}

}  // namespace detail

/// Reads RWKV's vocabulary. No token is special; ids that the file leaves out (0, the end of a text) are
/// empty tokens. Throws FileError, naming the line, if a line is not of that form, says another number of
/// bytes than its literal has, or if an id occurs twice or is too large for the file's size. O(file size + V
/// log V).
inline Vocabulary load_rwkv(const std::filesystem::path& path, TokenText text = TokenText::raw) {
  const MappedFile file(path);
  return detail::parse_rwkv(file.path(), file.text(), text);
}

}  // namespace KRONECKER_NAMESPACE
