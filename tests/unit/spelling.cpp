#include "golden.hpp"

#include <kronecker/analysis/spelling.hpp>

#include <algorithm>
#include <random>
#include <string>
#include <utility>
#include <vector>

using kronecker::canonical_form;
using kronecker::is_one_edit_apart;
using kronecker::Spelling;
using kronecker::spelling_of;

namespace {

/// Levenshtein's distance by its recurrence.
std::size_t edit_distance(const std::string& a, const std::string& b) {
  std::vector<std::vector<std::size_t>> table(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
  for (std::size_t i = 0; i <= a.size(); ++i)
    for (std::size_t j = 0; j <= b.size(); ++j)
      table[i][j] = i == 0   ? j
                    : j == 0 ? i
                             : std::min({table[i - 1][j] + 1, table[i][j - 1] + 1,
                                         table[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)});
  return table[a.size()][b.size()];
}

}  // namespace

TEST_CASE("one edit is Levenshtein's distance of 1") {
  std::mt19937 random(5);
  for (int i = 0; i < 20000; ++i) {
    std::string a(random() % 6, 'a'), b(random() % 6, 'a');
    for (char& c : a) c = static_cast<char>('a' + random() % 2);
    for (char& c : b) c = static_cast<char>('a' + random() % 2);
    INFO(a << " " << b);
    REQUIRE(is_one_edit_apart(a, b) == (edit_distance(a, b) == 1));
  }
}

TEST_CASE("a token is a variant, an edit, a prefix or nothing of a word") {
  CHECK(canonical_form(" The_Quick-fox42\n") == "thequickfox42");
  CHECK(canonical_form(" \xC3\x89t\xC3\xA9") == "\xC3\x89t\xC3\xA9");
  CHECK(spelling_of(" Compute", "compute") == Spelling::variant);
  CHECK(spelling_of("commute", "compute") == Spelling::one_edit);
  CHECK(spelling_of(" Computer", "compute") == Spelling::one_edit);
  CHECK(spelling_of(" computation", "compute") == Spelling::prefix);
  CHECK(spelling_of("calculate", "compute") == Spelling::other);
  CHECK(spelling_of("com", "compute") == Spelling::other);
  CHECK(spelling_of("...", "--") == Spelling::other);
  CHECK(spelling_of("", "") == Spelling::other);
}

TEST_CASE("variants are those that the paper filters from the neighbors of its words") {
  // Published: the five nearest tokens of a word, and how many of the five nearest others are typographic
  // variants of it: if the word is among those shown, the fifth other is not.
  const auto path = std::filesystem::path(KRONECKER_DATA_DIR) / "paper" / "cross_model_neighbors.json";
  if (!std::filesystem::exists(path)) {
    WARN("skipped: no " << path);
    return;
  }
  std::ifstream file(path);
  const auto published = nlohmann::json::parse(file);
  int compared = 0;
  for (const auto& model : published["models"])
    for (const auto& family : model["families"])
      for (const auto& probe : family)
        for (const auto& [column, name] : {std::pair{"trained", "Trained-BPE"}, {"kronecker", "Kronecker"}}) {
          const std::string word = probe["probe"];
          const bool is_shown_cut = probe[column].dump().find("…") != std::string::npos;
          if (is_shown_cut) continue;
          int variants = 0;
          for (const auto& neighbor : probe[column])
            variants += spelling_of(neighbor[0].get<std::string>(), word) == Spelling::variant ? 1 : 0;
          const int own = probe[column][0][0] == word ? 1 : 0;
          INFO(word << " " << probe[column].dump());
          const int wanted = probe["filter_typographic_of_5"][name];
          CHECK(variants - own <= wanted);
          CHECK(wanted <= variants);
          ++compared;
        }
  CHECK(compared > 300);
}
