#pragma once

/// How two tokens are spelled beside each other: what the neighbors of a word in a trained table are, and in
/// the codes, can be counted by it (arXiv 2605.29459, section 5).

#include <kronecker/namespace.hpp>

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

namespace KRONECKER_NAMESPACE {

/// How a token is spelled beside a word: the first of these that it is.
enum class Spelling {
  variant,   ///< The same letters and digits: it differs in case, spaces or punctuation alone.
  one_edit,  ///< One byte of the canonical form is put in, left out or replaced.
  prefix,    ///< The canonical forms share their first four bytes.
  other      ///< None of these, or nothing that could be compared: no letter or digit in either.
};

/// `token` in lower case, without what is neither a letter nor a digit. ASCII alone is looked at: every byte
/// beyond stays as it is, since letters are more than other characters there. O(size).
inline std::string canonical_form(std::string_view token) {
  std::string form;
  for (const char c : token) {
    const bool is_upper = c >= 'A' && c <= 'Z';
    const bool is_kept =
        (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || static_cast<unsigned char>(c) >= 0x80;
    if (is_upper || is_kept) form += is_upper ? static_cast<char>(c - 'A' + 'a') : c;
  }
  return form;
}

/// Whether one byte put into `a`, left out of it or replaced makes `b` (Levenshtein distance 1). O(size).
inline bool is_one_edit_apart(std::string_view a, std::string_view b) noexcept {
  if (a.size() > b.size()) std::swap(a, b);
  if (b.size() - a.size() > 1 || a == b) return false;
  const auto same = static_cast<std::size_t>(std::mismatch(a.begin(), a.end(), b.begin()).first - a.begin());
  return a.substr(same + (a.size() == b.size() ? 1 : 0)) == b.substr(same + 1);
}

/// How `token` is spelled beside `word`. O(size).
inline Spelling spelling_of(std::string_view token, std::string_view word) {
  constexpr std::size_t shared = 4;
  const std::string a = canonical_form(token), b = canonical_form(word);
  if (a.empty() || b.empty()) return Spelling::other;
  if (a == b) return Spelling::variant;
  if (is_one_edit_apart(a, b)) return Spelling::one_edit;
  const bool is_long = a.size() >= shared && b.size() >= shared;
  return is_long && a.compare(0, shared, b, 0, shared) == 0 ? Spelling::prefix : Spelling::other;
}

}  // namespace KRONECKER_NAMESPACE
