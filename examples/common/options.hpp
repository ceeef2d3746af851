#pragma once

/// What command lines have in common: how options take their values.

#include <kronecker/error.hpp>
#include <kronecker/number_text.hpp>
#include <kronecker/shown_text.hpp>
#include <kronecker/types.hpp>

#include <fmt/core.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace examples {

using kronecker::detail::number_in;  // in decimal digits: 010 is ten

/// Takes whole numbers from `least` to `most` in decimal digits; for `transform`, since the parser itself
/// takes 010 for eight.
inline CLI::Validator whole_number(std::uint64_t least = 0,
                                   std::uint64_t most = (std::numeric_limits<std::uint64_t>::max)()) {
  const auto check = [least, most](std::string& text) {
    const auto number = number_in<std::uint64_t>(text);
    if (!number || *number < least || *number > most)
      return fmt::format("{} is not a whole number from {} to {}", kronecker::quoted_text(text), least, most);
    text = std::to_string(*number);
    return std::string();
  };
  return CLI::Validator(check, "NUMBER");
}

/// Takes one of `words`.
inline CLI::Validator one_of(std::vector<std::string> words) {
  const auto check = [words](std::string& text) {
    if (std::find(words.begin(), words.end(), text) != words.end()) return std::string();
    std::string list;
    for (const std::string& word : words)
      list += (list.empty() ? "" : &word == &words.back() ? " or " : ", ") + word;
    return fmt::format("{} is not {}", kronecker::quoted_text(text), list);
  };
  return CLI::Validator(check, "WORD");
}

/// "464,2068" -> the ids; an empty text has none. Throws std::invalid_argument if something between the
/// commas is not a whole number.
inline std::vector<kronecker::TokenId> parse_ids(std::string_view text) {
  std::vector<kronecker::TokenId> ids;
  if (text.empty()) return ids;
  for (std::size_t index = 0;; ++index) {
    const std::size_t comma = text.find(',');
    std::string_view digits = text.substr(0, comma);
    while (digits.starts_with(' ')) digits.remove_prefix(1);
    const auto id = number_in<kronecker::TokenId>(digits);
    if (!id)
      kronecker::detail::fail<std::invalid_argument>("--ids: '", digits, "' at index ", index,
                                                     " is not a token id");
    ids.push_back(*id);
    if (comma == text.npos) return ids;
    text.remove_prefix(comma + 1);
  }
}

/// The word of `words` that takes fewest changes of a character to become `typed`; empty if none is near.
inline std::string nearest_word(std::string_view typed, const std::vector<std::string>& words) {
  std::string nearest;
  std::size_t fewest = typed.size() / 3 + 1;
  for (const std::string& word : words) {
    std::vector<std::size_t> changes(word.size() + 1);  // from the first i characters typed, to each prefix
    for (std::size_t j = 0; j <= word.size(); ++j) changes[j] = j;
    for (std::size_t i = 1; i <= typed.size(); ++i) {
      std::size_t diagonal = changes[0];
      changes[0] = i;
      for (std::size_t j = 1; j <= word.size(); ++j) {
        const std::size_t replaced = diagonal + (typed[i - 1] == word[j - 1] ? 0 : 1);
        diagonal = changes[j];
        changes[j] = std::min({replaced, changes[j] + 1, changes[j - 1] + 1});
      }
    }
    if (changes.back() >= fewest) continue;
    fewest = changes.back();
    nearest = word;
  }
  return nearest;
}

}  // namespace examples
