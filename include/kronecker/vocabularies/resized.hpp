#pragma once

/// Vocabularies of as many ids as a model has rows. Models have more of them than their tokenizers, so that V
/// is a multiple of something, or fewer, where tokens were added that no row was made for.

#include <kronecker/error.hpp>
#include <kronecker/namespace.hpp>
#include <kronecker/types.hpp>
#include <kronecker/vocabulary.hpp>

#include <algorithm>
#include <cstddef>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace KRONECKER_NAMESPACE {

/// The vocabulary with `size` tokens: others that have no bytes are added at its end, or those from `size` on
/// are left out, which a note says. Throws std::invalid_argument if `size` is less than 1. O(V log V).
inline Vocabulary resized(const Vocabulary& vocabulary, TokenId size) {
  if (size < 1) detail::fail<std::invalid_argument>("a vocabulary of ", size, " tokens: it needs at least 1");
  std::vector<std::string> tokens(static_cast<std::size_t>(size)), notes = vocabulary.notes();
  std::vector<TokenKind> kinds(tokens.size(), TokenKind::hole);
  for (TokenId id = 0; id < (std::min)(size, vocabulary.size()); ++id) {
    tokens[static_cast<std::size_t>(id)] = vocabulary.bytes(id);
    kinds[static_cast<std::size_t>(id)] = vocabulary.kind(id);
  }
  if (size < vocabulary.size())
    notes.push_back(detail::message_from(
        "tokens from id ", size, " on are left out: ", vocabulary.size() - size, " of ", vocabulary.size()));
  return Vocabulary::with_kinds(std::move(tokens), std::move(kinds)).with_notes(std::move(notes));
}

/// How many tokens from id `first` on are found in texts, that is, are neither special nor without bytes. If
/// there are none, a table of `first` rows can do without those tokens; if there are some, it is likely to be
/// another vocabulary's. O(number of tokens from `first` on).
inline TokenId ordinary_tokens_from(const Vocabulary& vocabulary, TokenId first) {
  TokenId count = 0;
  for (TokenId id = (std::max)(first, TokenId{0}); id < vocabulary.size(); ++id)
    count += !vocabulary.is_special(id) && !vocabulary.bytes(id).empty() ? 1 : 0;
  return count;
}

}  // namespace KRONECKER_NAMESPACE
