#pragma once

/// Vocabularies that are text with a line for each token, from which its id and its bytes follow.

#include <kronecker/error.hpp>
#include <kronecker/files/file_kind.hpp>
#include <kronecker/namespace.hpp>
#include <kronecker/vocabularies/token_table.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace KRONECKER_NAMESPACE::detail {

/// What a line says.
struct TokenLine {
  std::uint64_t id = 0;
  std::string bytes;
};

/// The tokens of a file's lines, of which empty ones are none. `read` makes an optional TokenLine of a line;
/// where it is nothing, the error says that `form` was expected.
template <class Read>
TokenTable table_of_lines(const std::string& path, std::string_view content, const char* form, Read&& read) {
  TokenTable table(path, content.size());
  for (std::size_t line_number = 1; !content.empty(); ++line_number) {
    const std::string_view line = take_line(content);
    if (line.empty()) continue;
    std::optional<TokenLine> token = read(line);
    if (!token)
      fail<FileError>(path, ": line ", line_number, ": expected ", form, ", found '", excerpt(line), "'");
    table.new_token(token->id, "line ", line_number) = {std::move(token->bytes), TokenKind::bytes};
  }
  return table;
}

}  // namespace KRONECKER_NAMESPACE::detail
