#pragma once

/// Vocabularies that mark where words begin or end, rather than the spaces between them: CLIP's "</w>" and
/// WordPiece's "##". What a text's spaces were is lost.

#include <kronecker/namespace.hpp>
#include <kronecker/vocabularies/token_table.hpp>

#include <string_view>

namespace KRONECKER_NAMESPACE::detail {

/// Puts `space` for the mark at the end of each token that ends a word.
inline void end_words(TokenTable& table, std::string_view mark, std::string_view space) {
  for (TokenString& token : table.tokens())
    if (token.string.ends_with(mark))
      token.string.replace(token.string.size() - mark.size(), mark.size(), space);
  table.note("'", excerpt(mark),
             "' at the end of a token is read as a space after it: which spaces a text really ",
             "had, and what was normalized (upper case), is lost");
}

/// Takes the mark off each token that goes on with a word, and puts a space before any other.
inline void start_words(TokenTable& table, std::string_view mark) {
  for (TokenString& token : table.tokens()) {
    if (token.kind == TokenKind::hole) continue;
    if (token.string.size() > mark.size() && token.string.starts_with(mark))
      token.string.erase(0, mark.size());
    else
      token.string.insert(0, 1, ' ');
  }
  table.note("WordPiece: a token without '", excerpt(mark),
             "' is read with a space before it: which spaces a text ",
             "really had, and what was normalized (upper case, accents), is lost");
}

}  // namespace KRONECKER_NAMESPACE::detail
