#pragma once

/// A picture of codes: for each word a grid of 256 byte values by pos_dim positions, with the lit cells drawn
/// and those it shares with the first word in another color.

#include "shown.hpp"

#include <kronecker/files/replace_file.hpp>
#include <kronecker/kronecker.hpp>

#include <fmt/core.h>
#include <fmt/ostream.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

namespace embed_text {

inline std::string xml_escaped(const std::string& text) {
  std::string escaped;
  for (const char c : text) {
    if (c == '<')
      escaped += "&lt;";
    else if (c == '&')
      escaped += "&amp;";
    else
      escaped += c;
  }
  return escaped;
}

/// Draws the codes of `words`, one below the other, as an SVG file that is readable on light and dark pages.
template <class Encoder>
void draw_codes(const std::filesystem::path& path, const Encoder& encoder,
                const std::vector<std::string>& words) {
  constexpr int cell_width = 4, cell_height = 10, left = 110, top = 30, gap = 46;
  const int byte_values = encoder.char_dim();
  const int grid_width = byte_values * cell_width;
  const int grid_height = encoder.pos_dim() * cell_height;
  const int height = top + static_cast<int>(words.size()) * (grid_height + gap);

  kronecker::replace_file(path, [&](std::ostream& svg) {
    fmt::print(
        svg,
        R"(<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {} {}" font-family="sans-serif" font-size="11">
<style>
  text {{ fill: #24292f }} .grid {{ fill: #f6f8fa; stroke: #8c959f }} .lit {{ fill: #0969da }} .shared {{ fill: #d1242f }}
  @media (prefers-color-scheme: dark) {{
    text {{ fill: #e6edf3 }} .grid {{ fill: #161b22; stroke: #6e7681 }} .lit {{ fill: #58a6ff }} .shared {{ fill: #ff7b72 }}
  }}
</style>
)",
        left + grid_width + 20, height);
    fmt::print(svg, "<text x=\"{}\" y=\"16\">codes of {} x {} cells: byte value across, position down; ",
               left, byte_values, encoder.pos_dim());
    fmt::print(svg, "red cells are lit in the first word too</text>\n");

    const std::vector<int> first = encoder.cells(words.front());
    for (std::size_t i = 0; i < words.size(); ++i) {
      const int y = top + static_cast<int>(i) * (grid_height + gap);
      std::string shown;
      for (const char byte : encoder.truncate(words[i]))
        shown += byte == ' ' ? "\u2423" : examples::shown_byte(static_cast<unsigned char>(byte));
      fmt::print(svg, "<text x=\"8\" y=\"{}\" font-weight=\"bold\">{}</text>\n", y + 14, xml_escaped(shown));
      fmt::print(svg, "<text x=\"8\" y=\"{}\">cosine {:.3f}</text>\n", y + 30,
                 encoder.cosine(words.front(), words[i]));
      fmt::print(svg, "<rect class=\"grid\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"/>\n", left, y,
                 grid_width, grid_height);
      for (int value = 0; value <= byte_values; value += 32)
        fmt::print(svg, "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}</text>\n",
                   left + value * cell_width, y + grid_height + 14, value);
      for (const int cell : encoder.cells(words[i])) {
        const int byte = cell / encoder.pos_dim(), position = cell % encoder.pos_dim();
        const bool is_shared = i > 0 && std::find(first.begin(), first.end(), cell) != first.end();
        fmt::print(svg, "<rect class=\"{}\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"/>",
                   is_shared ? "shared" : "lit", left + byte * cell_width, y + position * cell_height,
                   cell_width, cell_height);
        fmt::print(svg, "<text x=\"{}\" y=\"{}\">{}</text>\n", left + byte * cell_width + 7,
                   y + position * cell_height + 9,
                   xml_escaped(examples::shown_byte(static_cast<unsigned char>(byte))));
      }
    }
    fmt::print(svg, "</svg>\n");
  });
}

}  // namespace embed_text
