/// Forward pass against table copy over widths, positions, batch sizes and threads.
///     benchmark_shapes [--quick] [--json FILE]

#include "contenders.hpp"
#include "machine.hpp"
#include "report.hpp"
#include "two_threads.hpp"

#include <fmt/core.h>

namespace {

using namespace benchmarks;

struct Grid {
  std::vector<std::string> row_types;
  std::vector<int> widths;
  std::vector<std::size_t> batches;
};

class Shapes {
 public:
  Shapes(Grid grid, Text text) : grid_(std::move(grid)), text_(std::move(text)) {
    std::vector<std::string> columns{"rows", "pos_dim", "d_model", "threads"};
    for (const std::size_t batch : grid_.batches) columns.push_back(std::to_string(batch));
    const std::string note = fmt::format(
        "V {}, {}; the columns are ids at a time. Two threads take half of a batch each, for the "
        "copy as well. Empty where the memory does not suffice, or where a batch is too small to "
        "split.",
        text_.vocabulary.size(), text_.name);
    ratios_ = {"shapes", "Shapes: forward pass relative to copying float32 rows of the table", note, columns};
    times_ = {"shapes_times", "Shapes: nanoseconds a token of the forward pass", note, columns};
  }

  void measure(int pos_dim, int d_model) {
    const auto width = static_cast<std::size_t>(d_model);
    const std::size_t table_bytes = static_cast<std::size_t>(text_.vocabulary.size()) * width * sizeof(float);
    if (!fits_in_memory(2 * table_bytes)) return;
    const Embedding<float> embedding = random_embedding(text_.vocabulary, pos_dim, d_model);
    const RowMajorMatrix<float> table = embedding.table();
    const Embed copy = copy_of(table);
    for_each_row_type(embedding, [&](const std::string& rows, const auto& other) {
      if (std::find(grid_.row_types.begin(), grid_.row_types.end(), rows) == grid_.row_types.end()) return;
      const Embed forward = forward_of(other);
      check_agreement(rows, forward, copy, text_.ids, width, least_cosine(rows));
      const std::vector<Cell> shape{rows, pos_dim, d_model};
      add(shape, 1, forward, copy, width);
      if (core_count() >= 2)
        add(shape, 2, with_two_threads(forward, helper_), with_two_threads(copy, helper_), width);
    });
  }

  void hand_over(Report& report) {
    report.add(std::move(ratios_));
    report.add(std::move(times_));
  }

 private:
  void add(const std::vector<Cell>& shape, std::size_t threads, const Embed& ours, const Embed& reference,
           std::size_t width) {
    std::vector<Cell> ratio_row = shape, time_row = shape;
    ratio_row.push_back(threads);
    time_row.push_back(threads);
    for (const std::size_t batch : grid_.batches) {
      const bool is_possible = batch >= 8 * threads - 7 && fits_in_memory(3 * batch * width * sizeof(float));
      const Windows windows{text_.ids, batch, width};
      const Comparison result = is_possible ? compare(ours, reference, windows, 1) : Comparison{};
      ratio_row.push_back(is_possible ? Cell(result.ratio) : "");
      time_row.push_back(is_possible ? Cell(windows.nanoseconds_per_token(result.seconds)) : "");
    }
    ratios_.rows.push_back(std::move(ratio_row));
    times_.rows.push_back(std::move(time_row));
  }

  Grid grid_;
  Text text_;
  SecondThread helper_;
  Table ratios_, times_;
};

}  // namespace

int main(int argc, char** argv) {
  return run("shapes", argc, argv, [](Report& report, const Options& options) {
    const Grid grid = options.quick ? Grid{{"float32"}, {256, 1024}, {1, 64, 4096}}
                                    : Grid{{"float32", "bfloat16", "int8"},
                                           {256, 512, 1024, 2048, 4096, 8192},
                                           {1, 8, 64, 512, 4096, 65536}};
    Shapes shapes(grid, text_of(gpt2, options.quick ? 16384 : 131072));
    for (const int pos_dim : {16, 32})
      for (const int d_model : grid.widths) shapes.measure(pos_dim, d_model);
    shapes.hand_over(report);
  });
}
