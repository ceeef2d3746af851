#include "report.hpp"

#include "machine.hpp"

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include <cmath>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <stdexcept>

namespace benchmarks {

namespace {

// The date, as 2026-11-26.
std::string today() {
  const std::time_t now = std::time(nullptr);
  char text[16];
  std::strftime(text, sizeof text, "%Y-%m-%d", std::gmtime(&now));
  return text;
}

}  // namespace

std::string text_of(const Cell& cell) {
  if (!cell.is_number) return cell.word;
  const double value = cell.number;
  if (value == std::floor(value) || std::abs(value) >= 100) return fmt::format("{:.0f}", value);
  const int integer_digits = std::abs(value) >= 10 ? 2 : 1;
  return std::abs(value) < 0.1 ? fmt::format("{:.2g}", value)
                               : fmt::format("{:.{}f}", value, 3 - integer_digits);
}

std::string markdown_row(const std::vector<Cell>& cells) {
  std::string row = "|";
  for (const Cell& cell : cells) row += fmt::format(" {} |", text_of(cell));
  return row + "\n";
}

void Report::add(Table table) {
  fmt::print("\n{}\n{}\n\n", table.title, table.note);
  fmt::print("{}{}", markdown_row({table.columns.begin(), table.columns.end()}),
             markdown_row(std::vector<Cell>(table.columns.size(), "---")));
  for (const auto& row : table.rows) fmt::print("{}", markdown_row(row));
  std::fflush(stdout);
  tables_.push_back(std::move(table));
}

void Report::save(const std::filesystem::path& path) const {
  nlohmann::ordered_json tables = nlohmann::ordered_json::array();
  for (const Table& table : tables_) {
    nlohmann::ordered_json rows = nlohmann::ordered_json::array();
    for (const auto& row : table.rows) {
      nlohmann::ordered_json values;
      for (std::size_t i = 0; i < row.size(); ++i) {
        nlohmann::ordered_json& value = values[table.columns[i]];
        row[i].is_number ? value = row[i].number : value = row[i].word;
      }
      rows.push_back(std::move(values));
    }
    tables.push_back({{"name", table.name},
                      {"title", table.title},
                      {"note", table.note},
                      {"columns", table.columns},
                      {"rows", std::move(rows)}});
  }
  const char* const commit = std::getenv("KRONECKER_COMMIT");  // what scripts/bench measures
  const nlohmann::ordered_json report = {{"subject", subject_},
                                         {"date", today()},
                                         {"commit", commit != nullptr ? commit : ""},
                                         {"load_average", load_average()},
                                         {"tables", std::move(tables)}};
  std::ofstream(path) << report.dump(1) << "\n";
}

int run(const std::string& subject, int argc, char** argv,
        const std::function<void(Report&, const Options&)>& measure) try {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (argument == "--quick")
      options.quick = true;
    else if (argument == "--json" && i + 1 < argc)
      options.json = argv[++i];
    else if (argument.starts_with("-"))
      throw std::invalid_argument("usage: [--quick] [--json FILE] [ARGUMENT...]");
    else
      options.arguments.push_back(argument);
  }
  fmt::print("{}: {}, {}, {}\n", subject, cpu_name(), instructions_name(), compiler_name());
  Report report(subject);
  measure(report, options);
  if (!options.json.empty()) report.save(options.json);
  return 0;
} catch (const std::exception& error) {
  fmt::print(stderr, "{}: {}\n", subject, error.what());
  return 2;
}

}  // namespace benchmarks
