/// Makes one report of what the benchmark programs saved: results.json, results.md, and a data file for each
/// table that plots.gnuplot can draw.
///     benchmark_write_report OUTPUT_FOLDER DATA_FOLDER RUN RESULT_FILE...     RUN names the run: full, quick

#include "machine.hpp"
#include "report.hpp"

#include <fmt/core.h>
#include <kronecker/kernels/instruction_set.hpp>
#include <nlohmann/json.hpp>

namespace {

using namespace benchmarks;
using Json = nlohmann::ordered_json;

Json read_json(const std::filesystem::path& path) {
  std::ifstream file(path);
  if (!file) throw std::runtime_error("cannot read " + path.string());
  return Json::parse(file);
}

Json machine() {
  using kronecker::kernels::InstructionSet;
  const InstructionSet best = kronecker::kernels::best_instruction_set();
  return {{"cpu", cpu_name()},
          {"cores", core_count()},
          {"caches", cache_sizes()},
          {"memory_gb", memory_in("/proc/meminfo", "MemTotal") >> 30},
          {"instructions", best == InstructionSet::avx512 ? "avx512"
                           : best == InstructionSet::avx2 ? "avx2"
                                                          : "baseline"},
          {"compiler", compiler_name()},
          {"flags", "CMake Release, no -march"}};
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

void write_markdown(std::ostream& out, const Json& results) {
  const Json& machine = results["machine"];
  out << "# Measurements\n\n"
      << "Written by `scripts/bench` (a " << results["run"].get<std::string>() << " run); the same numbers "
      << "are in results.json. One thread unless said otherwise, no -march flag."
      << (results["run"] == "quick" ? " A quick run reads less text, which favors the table.\n\n" : "\n\n")
      << "Machine: " << machine["cpu"].get<std::string>() << ", " << machine["cores"] << " cores, caches "
      << machine["caches"].get<std::string>() << ", " << machine["memory_gb"] << " GB of memory; kernels use "
      << machine["instructions"].get<std::string>() << "; " << machine["compiler"].get<std::string>()
      << ".\n";
  for (const Json& subject : results["subjects"])
    for (const Json& table : subject["tables"]) {
      out << "\n## " << table["title"].get<std::string>() << "\n\n"
          << table["note"].get<std::string>() << "\n\n";
      const auto columns = table["columns"].get<std::vector<std::string>>();
      out << markdown_row({columns.begin(), columns.end()})
          << markdown_row(std::vector<Cell>(columns.size(), "---"));
      for (const Json& row : table["rows"]) out << markdown_row(cells_of(table, row));
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
  if (argc < 5) {
    fmt::print(stderr, "usage: benchmark_write_report OUTPUT_FOLDER DATA_FOLDER RUN RESULT_FILE...\n");
    return 2;
  }
  const std::filesystem::path output = argv[1], data = argv[2];
  Json subjects = Json::array();
  for (int i = 4; i < argc; ++i) subjects.push_back(read_json(argv[i]));
  const Json results = {{"machine", machine()}, {"run", argv[3]}, {"subjects", subjects}};

  std::filesystem::create_directories(output);
  std::filesystem::create_directories(data);
  std::ofstream(output / "results.json") << results.dump(1) << "\n";
  std::ofstream markdown(output / "results.md");
  write_markdown(markdown, results);
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
