/// Other ways to get embeddings out of memory, against copying float32 rows of a table: what the
/// copy could be instead, the least that writing costs, and what a reader of the output pays, one thread.
///     benchmark_copies [--quick] [--json FILE]

#include "contenders.hpp"
#include "memory.hpp"
#include "report.hpp"

#include <cstdlib>

namespace {

using namespace benchmarks;

// As ggml's get_rows does it for a table of F32: strides, a check of each id, a plain loop over the row.
Embed ggml_get_rows(const RowMajorMatrix<float>& table) {
  return [&table](std::span<const TokenId> ids, std::span<float> out) {
    const auto columns = static_cast<std::int64_t>(table.cols());
    const std::int64_t stride = columns * static_cast<std::int64_t>(sizeof(float));
    const auto* from = reinterpret_cast<const char*>(table.data());
    auto* to = reinterpret_cast<char*>(out.data());
    const auto count = static_cast<std::int64_t>(ids.size());
    for (std::int64_t i = 0; i < count; ++i) {
      const std::int64_t batch = i / count, within = i - batch * count;
      const std::int64_t id = ids[static_cast<std::size_t>(within)];
      if (id < 0 || id >= table.rows()) std::abort();
      const auto* x = reinterpret_cast<const float*>(from + id * stride);
      auto* y = reinterpret_cast<float*>(to + within * stride);
      for (std::int64_t column = 0; column < columns; ++column) y[column] = x[column];
    }
  };
}

// Calls `write(row, out)` for the row of every id: its place in the table, and in the output.
template <class Write>
Embed row_by_row(std::size_t d_model, Write write) {
  return [d_model, write](std::span<const TokenId> ids, std::span<float> out) {
    for (std::size_t i = 0; i < ids.size(); ++i)
      write(static_cast<std::size_t>(ids[i]) * d_model, out.subspan(i * d_model, d_model));
  };
}

// Reads the output at once, as the first norm of a model does.
Embed then_read(const Embed& embed, std::size_t d_model) {
  return [embed, d_model](std::span<const TokenId> ids, std::span<float> out) {
    embed(ids, out);
    const Eigen::Map<const RowMajorMatrix<float>> embeddings(
        out.data(), static_cast<Eigen::Index>(ids.size()), static_cast<Eigen::Index>(d_model));
    static volatile float sink;
    for (Eigen::Index row = 0; row < embeddings.rows(); ++row) sink = embeddings.row(row).squaredNorm();
    static_cast<void>(sink);
  };
}

struct Named {
  std::string name;
  Embed embed;
};

// The table in huge pages, where the system grants them, as the library asks for its rows.
kronecker::SharedArray<float> in_huge_pages(const RowMajorMatrix<float>& table) {
  return kronecker::SharedArray<float>::make(
      static_cast<std::size_t>(table.size()),
      [&](std::span<float> copy) { std::copy_n(table.data(), copy.size(), copy.begin()); });
}

std::vector<Named> other_ways(const RowMajorMatrix<float>& table,
                              const std::vector<Eigen::bfloat16>& narrow_table) {
  const auto d_model = static_cast<std::size_t>(table.cols());
  const bool in_vectors = are_vectors_faster(table);
  std::vector<Named> ways{{"ggml_get_rows of a float32 table", ggml_get_rows(table)}};
  ways.push_back(
      {"float32 table in huge pages",
       row_by_row(d_model, [in_vectors, huge = in_huge_pages(table)](std::size_t row, std::span<float> out) {
         copy_fairly(huge.data() + row, out.size_bytes(), out.data(), in_vectors);
       })});
  ways.push_back({"bfloat16 table, bfloat16 output", copy_of_rows(narrow_table.data(), d_model, in_vectors)});
  if (has_avx2()) {
    ways.push_back(
        {"bfloat16 table, float32 output", row_by_row(d_model, [&](std::size_t row, std::span<float> out) {
           widen(reinterpret_cast<const std::uint16_t*>(narrow_table.data()) + row, out.size(), out.data());
         })});
    ways.push_back({"writing the output, nothing else",
                    row_by_row(d_model, [](std::size_t, std::span<float> out) { write_all(out); })});
  }
#ifdef KRONECKER_HAS_AVX
  const auto streamed_copy = row_by_row(d_model, [&](std::size_t row, std::span<float> out) {
    stream_copy(table.data() + row, out.size(), out.data());
  });
  check_agreement("streaming copy", streamed_copy, copy_of(table), std::vector<TokenId>{0, 1, 2}, d_model);
  ways.push_back({"float32 table, streaming stores", streamed_copy});
  ways.push_back({"writing the output, nothing else, streaming stores",
                  [](std::span<const TokenId>, std::span<float> out) { stream_all(out); }});
#endif
  return ways;
}

void measure(const Setting& setting, bool quick, Table& others, Table& readers) {
  const Workload work(setting, quick);
  const auto d_model = static_cast<std::size_t>(setting.d_model);
  const Embed copy = copy_of(work.table);
  const auto ratios = [&](std::vector<Cell> row, const Embed& ours, const Embed& reference) {
    for (const std::size_t window : {64u, 512u, 4096u})
      row.push_back(compare(ours, reference, Windows{work.text.ids, window, d_model}, quick ? 1 : 3).ratio);
    return row;
  };

  std::vector<Eigen::bfloat16> narrow_table(static_cast<std::size_t>(work.table.size()));
  std::transform(work.table.data(), work.table.data() + work.table.size(), narrow_table.begin(),
                 [](float value) { return Eigen::bfloat16(value); });
  check_agreement("ggml_get_rows", ggml_get_rows(work.table), copy, work.text.ids, d_model);
  for (const Named& way : other_ways(work.table, narrow_table))
    others.rows.push_back(ratios({setting.name(), way.name}, way.embed, copy));

  for_each_row_type(work.embedding, [&](const std::string& rows, const auto& embedding) {
    readers.rows.push_back(
        ratios({setting.name(), rows}, then_read(forward_of(embedding), d_model), then_read(copy, d_model)));
  });
}

}  // namespace

int main(int argc, char** argv) {
  return run("copies", argc, argv, [](Report& report, const Options& options) {
    Table others{"copies",
                 "Instead of the copy: time relative to copying float32 rows of the table",
                 "Each takes turns with the copy; the columns are ids at a time. No forward pass can be "
                 "faster than writing its output.",
                 {settings_are, "what", "64", "512", "4096"}};
    Table readers{
        "readers",
        "With a reader: forward pass and reading its output at once, relative to copy and reading",
        "The reader takes the squared norm of each embedding, as the first RMS norm of a model does. "
        "Streamed output has left the caches by then.",
        {settings_are, "rows", "64", "512", "4096"}};
    for (const Setting& setting : settings(options.quick)) measure(setting, options.quick, others, readers);
    report.add(std::move(others));
    report.add(std::move(readers));
  });
}
