/// Makes a report of what the benchmark programs saved: in a folder that is named after the processor and its
/// instructions, results.json, where what was not measured anew stays, and results.md; beside the folder, a
/// results.md that shows the processors side by side; and a data file for each table that plots.gnuplot can
/// draw.
///     benchmark_write_report OUTPUT_FOLDER DATA_FOLDER RUN RESULT_FILE...
///     benchmark_write_report
/// RUN names the run: full, quick. Without arguments, prints the name of the processor's folder.

#include "machine.hpp"
#include "report.hpp"

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cctype>
#include <map>

namespace {

using namespace benchmarks;
using Json = nlohmann::ordered_json;

Json read_json(const std::filesystem::path& path) {
  std::ifstream file(path);
  if (!file) throw std::runtime_error("cannot read " + path.string());
  return Json::parse(file);
}

Json machine() {
  return {{"cpu", cpu_name()},
          {"cores", core_count()},
          {"caches", cache_sizes()},
          {"memory_gb", memory_in("/proc/meminfo", "MemTotal") >> 30},
          {"instructions", instructions_name()},
          {"compiler", compiler_name()},
          {"flags", "CMake Release, no -march"}};
}

// The name of a folder for the results of this processor: amd-epyc-family-25-model-17-avx512.
std::string folder_name() {
  std::string name;
  for (const char letter : cpu_name() + " " + instructions_name()) {
    const bool is_kept = std::isalnum(static_cast<unsigned char>(letter)) != 0;
    if (is_kept)
      name += static_cast<char>(std::tolower(static_cast<unsigned char>(letter)));
    else if (!name.empty() && name.back() != '-')
      name += '-';
  }
  return name;
}

// What was measured before, with the subjects of `files` in the place of those of the same name.
Json subjects_of(const std::filesystem::path& before, const std::vector<std::filesystem::path>& files) {
  Json subjects = Json::array();
  if (std::filesystem::exists(before)) subjects = read_json(before)["subjects"];
  for (const auto& path : files) {
    const Json subject = read_json(path);
    const auto same = std::find_if(subjects.begin(), subjects.end(),
                                   [&](const Json& other) { return other["subject"] == subject["subject"]; });
    if (same != subjects.end())
      *same = subject;
    else
      subjects.push_back(subject);
  }
  return subjects;
}

// When a subject was measured, and what.
std::string measured(const Json& subject) {
  const auto commit = subject["commit"].get<std::string>();
  return subject["date"].get<std::string>() + (commit.empty() ? "" : ", commit " + commit);
}

// The cells of a row in the order of the table's columns.
std::vector<Cell> cells_of(const Json& table, const Json& row) {
  std::vector<Cell> cells;
  for (const Json& column : table["columns"]) {
    const Json& value = row[column.get<std::string>()];
    cells.push_back(value.is_string() ? Cell(value.get<std::string>()) : Cell(value.get<double>()));
  }
  return cells;
}

void write_machine(std::ostream& out, const Json& machine) {
  out << machine["cpu"].get<std::string>() << ", " << machine["cores"] << " cores, caches "
      << machine["caches"].get<std::string>() << ", " << machine["memory_gb"] << " GB of memory; kernels use "
      << machine["instructions"].get<std::string>() << "; " << machine["compiler"].get<std::string>()
      << ".\n";
}

void write_markdown(std::ostream& out, const Json& results) {
  out << "# Measurements\n\n"
      << "Written by `scripts/bench` (a " << results["run"].get<std::string>() << " run); the same numbers "
      << "are in results.json. One thread unless said otherwise, no -march flag."
      << (results["run"] == "quick" ? " A quick run reads less text, which favors the table.\n\n" : "\n\n")
      << "Machine: ";
  write_machine(out, results["machine"]);
  for (const Json& subject : results["subjects"])
    for (const Json& table : subject["tables"]) {
      out << "\n## " << table["title"].get<std::string>() << "\n\n"
          << table["note"].get<std::string>() << " (" << measured(subject) << ".)\n\n";
      const auto columns = table["columns"].get<std::vector<std::string>>();
      out << markdown_row({columns.begin(), columns.end()})
          << markdown_row(std::vector<Cell>(columns.size(), "---"));
      for (const Json& row : table["rows"]) out << markdown_row(cells_of(table, row));
    }
}

// The rows of a table of some results, by their first two cells, and when it was measured.
struct Found {
  std::map<std::pair<std::string, std::string>, std::vector<Cell>> rows;
  std::string measured;
};
Found find_table(const Json& results, const std::string& subject_name, const std::string& table_name,
                 Json& found_table) {
  Found found;
  for (const Json& subject : results["subjects"])
    for (const Json& table : subject["tables"]) {
      if (subject["subject"] != subject_name || table["name"] != table_name) continue;
      found.measured = measured(subject);
      found_table = table;
      for (const Json& row : table["rows"]) {
        const std::vector<Cell> cells = cells_of(table, row);
        found.rows[{text_of(cells[0]), text_of(cells[1])}] = {cells.begin() + 2, cells.end()};
      }
    }
  return found;
}

// Every processor's forward pass and gradient in one table each, from the folders inside `folder`.
void write_side_by_side(const std::filesystem::path& folder) {
  std::map<std::string, Json> machines;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    if (const auto results = entry.path() / "results.json"; std::filesystem::exists(results))
      machines[entry.path().filename().string()] = read_json(results);
  std::ofstream out(folder / "results.md");
  out << "# Measurements\n\nWritten by `scripts/bench`, for each processor in a folder of its own; here, the "
         "forward pass and the gradient of all side by side. One thread, no -march flag.\n\n";
  for (const auto& [name, results] : machines) {
    out << "- [" << name << "](" << name << "/results.md): ";
    write_machine(out, results["machine"]);
  }
  for (const auto& [subject, name] :
       {std::pair<std::string, std::string>{"forward", "forward"}, {"backward", "whole_gradient"}}) {
    Json table;
    std::vector<Found> found;
    for (const auto& machine : machines) found.push_back(find_table(machine.second, subject, name, table));
    if (table.is_null()) continue;
    const auto columns = table["columns"].get<std::vector<std::string>>();
    out << "\n## " << table["title"].get<std::string>() << "\n\n"
        << table["note"].get<std::string>() << " In a cell, of one processor: ";
    for (std::size_t i = 2; i < columns.size(); ++i) out << (i == 2 ? "" : " / ") << columns[i];
    out << ".\n\n";
    std::vector<Cell> head{columns[0], columns[1]};
    std::size_t place = 0;
    for (const auto& machine : machines) {
      const std::string& when = found[place++].measured;
      head.push_back(machine.first + (when.empty() ? "" : " (" + when + ")"));
    }
    out << markdown_row(head) << markdown_row(std::vector<Cell>(head.size(), "---"));
    for (const Json& row_of_table : table["rows"]) {
      const std::vector<Cell> cells = cells_of(table, row_of_table);
      const std::pair key{text_of(cells[0]), text_of(cells[1])};
      std::vector<Cell> row{key.first, key.second};
      for (const Found& of_machine : found) {
        std::string cell;
        if (const auto at = of_machine.rows.find(key); at != of_machine.rows.end())
          for (const Cell& value : at->second) cell += (cell.empty() ? "" : " / ") + text_of(value);
        row.push_back(cell);
      }
      out << markdown_row(row);
    }
  }
}

// Tab-separated, for gnuplot.
void write_data(std::ostream& out, const Json& table) {
  for (const Json& column : table["columns"]) out << column.get<std::string>() << "\t";
  for (const Json& row : table["rows"]) {
    out << "\n";
    for (const Cell& cell : cells_of(table, row))
      cell.is_number ? out << cell.number << "\t" : out << cell.word << "\t";
  }
  out << "\n";
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc == 1) {
    fmt::print("{}\n", folder_name());
    return 0;
  }
  if (argc < 5) {
    fmt::print(stderr, "usage: benchmark_write_report OUTPUT_FOLDER DATA_FOLDER RUN RESULT_FILE...\n");
    return 2;
  }
  const std::filesystem::path output = std::filesystem::path(argv[1]) / folder_name(), data = argv[2];
  const Json subjects = subjects_of(output / "results.json", {argv + 4, argv + argc});
  const Json results = {{"machine", machine()}, {"run", argv[3]}, {"subjects", subjects}};

  std::filesystem::create_directories(output);
  std::filesystem::create_directories(data);
  std::ofstream(output / "results.json") << results.dump(1) << "\n";
  std::ofstream markdown(output / "results.md");
  write_markdown(markdown, results);
  write_side_by_side(argv[1]);
  for (const Json& subject : subjects)
    for (const Json& table : subject["tables"]) {
      std::ofstream file(data / (table["name"].get<std::string>() + ".tsv"));
      write_data(file, table);
    }
  return 0;
} catch (const std::exception& error) {
  fmt::print(stderr, "benchmark_write_report: {}\n", error.what());
  return 2;
}
