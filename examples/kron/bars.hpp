#pragma once

/// A picture of rows with two bars each.

#include <kronecker/files/replace_file.hpp>

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

namespace kron {

struct BarRow {
  std::string label;
  std::pair<int, int> values;
};

struct BarPicture {
  std::string title;  ///< Of the values in blue and in red.
  std::vector<BarRow> rows;
  bool is_logarithmic = false;
  int none = 0;  ///< This value and larger ones are shown as "none".

  /// Draws it as SVG into a file, readable in light and dark mode.
  void write(const std::string& path) const {
    int most = is_logarithmic ? 10 : 1;
    for (const BarRow& row : rows) most = std::max({most, row.values.first, row.values.second});
    kronecker::replace_file(path, [&](std::ostream& svg) {
      constexpr int row_height = 34;
      svg << fmt::format(
          R"(<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 760 {}" font-family="sans-serif" font-size="12">
<style>
  text {{ fill: #24292f }} .cut {{ fill: #0969da }} .same {{ fill: #d1242f }}
  @media (prefers-color-scheme: dark) {{ text {{ fill: #e6edf3 }} .cut {{ fill: #58a6ff }} .same {{ fill: #ff7b72 }} }}
</style>
<text x="8" y="18">{}</text>
)",
          40 + row_height * static_cast<int>(rows.size()), title);
      for (std::size_t i = 0; i < rows.size(); ++i) {
        const int y = 32 + static_cast<int>(i) * row_height;
        svg << fmt::format("<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>\n", left - 10, y + 17,
                           rows[i].label);
        bar(svg, "cut", y, rows[i].values.first, most);
        bar(svg, "same", y + 13, rows[i].values.second, most);
      }
      svg << "</svg>\n";
    });
  }

 private:
  static constexpr int left = 160;

  void bar(std::ostream& svg, const char* kind, int top, int value, int most) const {
    constexpr double width = 500;
    const double share = is_logarithmic ? std::log10(std::max(value, 1)) / std::log10(most)
                                        : static_cast<double>(value) / most;
    const double length = value > 0 ? width * std::max(0.005, share) : 0;
    svg << fmt::format(
        "<rect class=\"{}\" x=\"{}\" y=\"{}\" width=\"{:.1f}\" height=\"11\"/><text x=\"{:.1f}\" y=\"{}\">{}"
        "</text>\n",
        kind, left, top, length, left + length + 6, top + 10,
        none > 0 && value >= none ? "none" : std::to_string(value));
  }
};

}  // namespace kron
