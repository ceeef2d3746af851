#pragma once

/// What kron probe found: for each side (a table, codes, an embedding) the neighbors of words, and how those
/// of a sample are spelled.

#include "report.hpp"

#include <kronecker/analysis/neighbors.hpp>
#include <kronecker/analysis/spelling.hpp>
#include <kronecker/files/replace_file.hpp>
#include <kronecker/vocabulary.hpp>

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdio>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

namespace kron {

/// How often neighbors are spelled in each way: by kronecker::Spelling.
using SpellingCounts = std::array<std::size_t, 4>;

struct ProbeSide {
  std::string name;
  std::vector<kronecker::Neighbors> words;  // the nearest tokens of each word
  SpellingCounts sample{};                  // the neighbors of all words of the sample
};

/// The cosines of two words, by side.
struct ProbePair {
  std::size_t a, b;  // which words
  std::vector<float> cosines;
};

struct ProbeReport {
  std::vector<std::string> words;
  std::vector<std::string> notes;  ///< What a word is made of, if it is no token; else empty.
  std::vector<ProbeSide> sides;
  std::vector<ProbePair> pairs;
  std::size_t sampled = 0;    ///< Words of the sample.
  std::size_t neighbors = 0;  ///< Neighbors counted of each.
  double possible = 0;        ///< The part of them that variants would be if a side had all there are.

  static constexpr std::array marks{"=", "1", "p", " "};
  static constexpr std::array kinds{"the same word otherwise written", "one edit apart",
                                    "the same first letters", "otherwise spelled"};
  static constexpr std::array keys{"variant", "one_edit", "prefix", "other"};

  double share(const ProbeSide& side, std::size_t kind) const {
    return sampled == 0 ? 0
                        : static_cast<double>(side.sample[kind]) / static_cast<double>(sampled * neighbors);
  }

  void print(const kronecker::Vocabulary& vocabulary, std::FILE* to) const {
    for (std::size_t i = 0; i < words.size(); ++i) print_word(i, vocabulary, to);
    print_text(0, fmt::format("= {}, 1 {}, p {}", kinds[0], kinds[1], kinds[2]), to);
    for (const ProbePair& pair : pairs) {
      std::string line;
      for (std::size_t s = 0; s < sides.size(); ++s)
        line += fmt::format("{} {} {:.4f}", s > 0 ? "," : "", sides[s].name, pair.cosines[s]);
      print_text(0,
                 fmt::format("cosine of {} and {}:{}", examples::shown(words[pair.a]),
                             examples::shown(words[pair.b]), line),
                 to);
    }
    if (sampled == 0) return;
    print_text(0, fmt::format("the {} nearest tokens of {} words of the vocabulary:", neighbors, sampled),
               to);
    std::string header = fmt::format("  {:<32}", "");
    for (const ProbeSide& side : sides) header += fmt::format("{:>11}", side.name);
    print_row(header, to);
    for (std::size_t kind = 0; kind < kinds.size(); ++kind) {
      std::string row = fmt::format("  {:<32}", kinds[kind]);
      for (const ProbeSide& side : sides) row += fmt::format("{:>9.1f} %", 100 * share(side, kind));
      print_row(row, to);
    }
    print_text(2, fmt::format("the vocabulary has enough of the first kind for {:.1f} %", 100 * possible),
               to);
  }

  ordered_json json(const kronecker::Vocabulary& vocabulary) const {
    ordered_json report{{"words", ordered_json::array()}, {"pairs", ordered_json::array()}};
    for (std::size_t i = 0; i < words.size(); ++i) {
      ordered_json word{{"word", json_bytes(words[i])}};
      for (const ProbeSide& side : sides) {
        word[side.name] = ordered_json::array();
        for (const auto& [id, cosine] : side.words[i].tokens)
          word[side.name].push_back({{"id", id},
                                     {"cosine", cosine},
                                     {"bytes", json_bytes(vocabulary.bytes(id))},
                                     {"spelling", keys[kind_of(vocabulary.bytes(id), words[i])]}});
      }
      report["words"].push_back(word);
    }
    for (const ProbePair& pair : pairs) {
      ordered_json cosines{{"a", json_bytes(words[pair.a])}, {"b", json_bytes(words[pair.b])}};
      for (std::size_t s = 0; s < sides.size(); ++s) cosines[sides[s].name] = pair.cosines[s];
      report["pairs"].push_back(cosines);
    }
    report["sample"] = {
        {"words", sampled}, {"neighbors_of_each", neighbors}, {"variants_possible", possible}};
    for (const ProbeSide& side : sides)
      for (std::size_t kind = 0; kind < keys.size(); ++kind)
        report["sample"][side.name][keys[kind]] = share(side, kind);
    return report;
  }

  /// Draws the sample as SVG into a file, a bar for each side, readable in light and dark mode.
  void draw(const std::string& path) const {
    kronecker::replace_file(path, [&](std::ostream& svg) {
      constexpr double left = 110, width = 600;
      constexpr int row_height = 40, top = 60;
      svg << fmt::format(
          R"(<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 760 {}" font-family="sans-serif" font-size="12">
<style>
  text {{ fill: #24292f }} .k0 {{ fill: #0969da }} .k1 {{ fill: #bc4c00 }} .k2 {{ fill: #d4a72c }} .k3 {{ fill: #8c959f }}
  @media (prefers-color-scheme: dark) {{ text {{ fill: #e6edf3 }} .k0 {{ fill: #58a6ff }} .k1 {{ fill: #ffa657 }} .k2 {{ fill: #e3b341 }} .k3 {{ fill: #6e7681 }} }}
</style>
<text x="8" y="18">How the {} nearest tokens of {} words of the vocabulary are spelled beside the word</text>
)",
          top + row_height * static_cast<int>(sides.size()), neighbors, sampled);
      for (std::size_t kind = 0; kind < kinds.size(); ++kind)
        svg << fmt::format(
            "<rect class=\"k{0}\" x=\"{1}\" y=\"30\" width=\"11\" height=\"11\"/><text x=\"{2}\" "
            "y=\"40\">{3}</text>\n",
            kind, 8 + 215 * kind - (kind > 1 ? 65 : 0), 24 + 215 * kind - (kind > 1 ? 65 : 0), kinds[kind]);
      for (std::size_t s = 0; s < sides.size(); ++s) {
        const int y = top + row_height * static_cast<int>(s);
        svg << fmt::format("<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>\n", left - 10, y + 17,
                           sides[s].name);
        double x = left;
        for (std::size_t kind = 0; kind < kinds.size(); ++kind) {
          const double part = share(sides[s], kind) * width;
          svg << fmt::format("<rect class=\"k{}\" x=\"{:.1f}\" y=\"{}\" width=\"{:.1f}\" height=\"25\"/>\n",
                             kind, x, y, part);
          if (part > 40)
            svg << fmt::format(
                "<text x=\"{:.1f}\" y=\"{}\" text-anchor=\"middle\" style=\"fill:#fff\">{:.0f} %</text>\n",
                x + part / 2, y + 17, 100 * share(sides[s], kind));
          x += part;
        }
      }
      svg << "</svg>\n";
    });
  }

  static std::size_t kind_of(std::string_view token, std::string_view word) {
    return static_cast<std::size_t>(kronecker::spelling_of(token, word));
  }

 private:
  static constexpr std::size_t column = 34;

  static std::string_view trimmed(std::string_view line) {
    return line.substr(0, line.find_last_not_of(' ') + 1);
  }

  /// The sides beside each other.
  void print_word(std::size_t i, const kronecker::Vocabulary& vocabulary, std::FILE* to) const {
    const auto padded = [](std::string text) {
      text = examples::fitted(text, column - 2);
      return text + std::string(column - std::min(column, examples::columns_of(text)), ' ');
    };
    print_text(0, examples::shown(words[i]) + (notes[i].empty() ? "" : ", " + notes[i]), to);
    std::size_t most = 0;
    std::string header = "  ";
    for (const ProbeSide& side : sides) {
      most = std::max(most, side.words[i].tokens.size());
      header += padded(side.name);
    }
    print_row(trimmed(header), to);
    for (std::size_t k = 0; k < most; ++k) {
      std::string row = "  ";
      for (const ProbeSide& side : sides) {
        std::string cell;
        if (k < side.words[i].tokens.size()) {
          const auto& [id, cosine] = side.words[i].tokens[k];
          const std::string_view bytes = vocabulary.bytes(id);
          cell =
              fmt::format("{:7.4f} {} {}", cosine, marks[kind_of(bytes, words[i])], examples::shown(bytes));
        }
        row += padded(cell);
      }
      print_row(trimmed(row), to);
    }
  }
};

}  // namespace kron
