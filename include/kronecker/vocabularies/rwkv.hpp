#pragma once

/// RWKV's vocabularies (rwkv_vocab_v20230424.txt): a line for each token, its id, a Python literal of text or
/// bytes, and the number of its bytes.

#include <kronecker/files/file_kind.hpp>
#include <kronecker/files/mapped_file.hpp>
#include <kronecker/files/wrong_file.hpp>
#include <kronecker/namespace.hpp>
#include <kronecker/number_text.hpp>
#include <kronecker/vocabularies/python_literal.hpp>
#include <kronecker/vocabularies/token_lines.hpp>
#include <kronecker/vocabularies/token_text.hpp>
#include <kronecker/vocabulary.hpp>

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace KRONECKER_NAMESPACE {
namespace detail {

/// `1 '\x00' 1` -> its id and bytes; nothing for anything else, or if the number of bytes is another.
inline std::optional<TokenLine> rwkv_line(std::string_view line) {
  const std::size_t first = line.find(' '), last = line.rfind(' ');
  if (first == line.npos || first == last) return std::nullopt;
  const auto id = number_in<std::uint64_t>(line.substr(0, first)),
             size = number_in<std::uint64_t>(line.substr(last + 1));
  std::optional<std::string> bytes = python_literal(line.substr(first + 1, last - first - 1));
  if (!id || !size || !bytes || bytes->size() != *size) return std::nullopt;
  return TokenLine{*id, std::move(*bytes)};
}

/// The vocabulary in the content of such a file.
inline Vocabulary parse_rwkv(const std::string& path, std::string_view content, TokenText text) {
  refuse_other_kind(path, content, FileKind::rwkv);
  return table_of_lines(path, content, "an id, a Python literal and the number of its bytes", rwkv_line)
      .vocabulary(text);
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
