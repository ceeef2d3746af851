#pragma once

/// What a benchmark program hands over: tables, printed as Markdown and saved as JSON. write_report.cpp makes
/// one report of them.

#include <filesystem>
#include <functional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace benchmarks {

/// A word, or a number; an empty word where there is nothing to say.
struct Cell {
  Cell(std::string of) : word(std::move(of)) {}
  Cell(const char* of) : word(of) {}
  template <class Number>
  requires std::is_arithmetic_v<Number> Cell(Number of) : is_number(true), number(static_cast<double>(of)) {}

  bool is_number = false;
  double number = 0;
  std::string word = {};
};

/// A number as people read it: three digits.
std::string text_of(const Cell& cell);

/// Cells between bars.
std::string markdown_row(const std::vector<Cell>& cells);

/// Measurements under one heading.
struct Table {
  std::string name;   ///< Names the plot's data.
  std::string title;  ///< What was measured.
  std::string note;   ///< How, and how to read it.
  std::vector<std::string> columns;
  std::vector<std::vector<Cell>> rows = {};
};

/// Collects a program's tables.
class Report {
 public:
  explicit Report(std::string subject) : subject_(std::move(subject)) {}

  /// Takes a finished table and prints it.
  void add(Table table);
  /// Writes the tables as JSON.
  void save(const std::filesystem::path& path) const;

 private:
  std::string subject_;
  std::vector<Table> tables_;
};

/// How a program was called: PROGRAM [--quick] [--json FILE] [ARGUMENT...].
struct Options {
  bool quick = false;  ///< Less of everything, for a first impression.
  std::filesystem::path json = {};
  std::vector<std::string> arguments = {};
};

/// The main function of a benchmark: measures, and saves the tables if a file was named. Returns the exit
/// code: 2 if something failed, a check that contenders agree for instance.
int run(const std::string& subject, int argc, char** argv,
        const std::function<void(Report&, const Options&)>& measure);

}  // namespace benchmarks
