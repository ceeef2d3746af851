#include "own_rows_option.hpp"

#include "files.hpp"
#include "options.hpp"

#include <kronecker/error.hpp>
#include <kronecker/shown_text.hpp>

#include <fmt/core.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <stdexcept>

namespace kron {
namespace {

using kronecker::TokenId;

std::vector<TokenId> most_frequent(const std::vector<double>& counts, std::uint64_t number) {
  std::vector<TokenId> ids(counts.size());
  std::iota(ids.begin(), ids.end(), TokenId{0});
  std::stable_sort(ids.begin(), ids.end(), [&](TokenId a, TokenId b) {
    return counts[static_cast<std::size_t>(a)] > counts[static_cast<std::size_t>(b)];
  });
  ids.resize(static_cast<std::size_t>(std::min<std::uint64_t>(number, ids.size())));
  return ids;
}

/// Ids in a file, apart by white space or commas, in brackets or not.
std::vector<TokenId> ids_in(const std::string& path, TokenId vocab_size) {
  std::vector<TokenId> ids;
  std::string text = examples::read_file(path);
  for (char& c : text)
    if (c == ',' || c == '[' || c == ']' || c == '\n' || c == '\r' || c == '\t') c = ' ';
  for (std::string_view rest = text; !rest.empty();) {
    const std::size_t end = std::min(rest.find(' '), rest.size());
    const std::string_view word = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (word.empty()) continue;
    const auto id = examples::number_in<TokenId>(word);
    if (!id || *id < 0)
      throw kronecker::FileError(fmt::format("{}: expected token ids, found {}", kronecker::shown_text(path),
                                             kronecker::quoted_text(word.substr(0, 80))));
    if (*id >= vocab_size)
      throw kronecker::FileError(fmt::format("{}: token id {} is outside the vocabulary of {} tokens",
                                             kronecker::shown_text(path), *id, vocab_size));
    ids.push_back(*id);
  }
  if (ids.empty()) throw kronecker::FileError(kronecker::shown_text(path) + ": there are no token ids");
  return ids;
}

}  // namespace

void OwnRowsOption::add(CLI::App& command) {
  const auto check = [](std::string& text) {
    const auto number = examples::number_in<std::uint64_t>(text);
    if (text == "special" || (number && *number > 0)) return std::string();
    return fmt::format("{} is not 'special' or a whole number from 1 on", kronecker::quoted_text(text));
  };
  auto* const which = command
                          .add_option("--own-rows", which_,
                                      "Tokens that keep their rows: the special ones, or so many of the most "
                                      "frequent, by --counts or --text")
                          ->type_name("NUMBER|special")
                          ->check(CLI::Validator(check, "NUMBER"));
  command.add_option("--own-rows-from", path_, "The same, those whose ids a file lists")
      ->type_name("FILE")
      ->excludes(which);
}

std::vector<TokenId> OwnRowsOption::ids(const kronecker::Vocabulary& vocabulary,
                                        const std::optional<TokenCounts>& counts) const {
  std::vector<TokenId> ids;
  if (which_ == "special") {
    for (TokenId id = 0; id < vocabulary.size(); ++id)
      if (vocabulary.is_special(id)) ids.push_back(id);
  } else if (!which_.empty()) {
    if (!counts)
      throw std::invalid_argument("--own-rows " + which_ +
                                  " needs --counts or --text, which say how often tokens occur");
    ids = most_frequent(counts->of, *examples::number_in<std::uint64_t>(which_));
  } else if (!path_.empty()) {
    ids = ids_in(path_, vocabulary.size());
  }
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  return ids;
}

std::string OwnRowsOption::what() const {
  if (!path_.empty()) return "those in " + kronecker::shown_text(path_);
  return which_ == "special" ? "the special ones" : "the most frequent";
}

void OwnRowsOption::check_kept(const std::string& output) const {
  examples::check_replaces_none(output, {path_});
}

}  // namespace kron
