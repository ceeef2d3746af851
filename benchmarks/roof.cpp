/// How far the forward pass is from what the memory of this machine allows, one thread.
///     benchmark_roof [--quick] [--json FILE]

#include "contenders.hpp"
#include "memory.hpp"
#include "report.hpp"

#include <map>
#include <set>

namespace {

using namespace benchmarks;

// Bytes a second of `work`, which moves `bytes` of them: the best of a few passes.
template <class Work>
double bandwidth(std::size_t bytes, Work&& work) {
  const std::size_t passes = std::clamp<std::size_t>((std::size_t{1} << 28) / bytes, 3, 1000);
  const auto seconds = time_side_by_side({[&](std::size_t) { work(); }}, passes)[0];
  return static_cast<double>(bytes) / *std::min_element(seconds.begin(), seconds.end());
}

double read_bandwidth(std::size_t bytes) {
  const std::vector<float> values(bytes / sizeof(float), 1.0f);
  static volatile float sink;
  const double found = bandwidth(bytes, [&] { sink = read_all(values); });
  static_cast<void>(sink);
  return found;
}

double write_bandwidth(std::size_t bytes) {
  std::vector<float> out(bytes / sizeof(float));
  double best = bandwidth(bytes, [&] { write_all(out); });
#ifdef KRONECKER_HAS_AVX
  best = std::max(best, bandwidth(bytes, [&] { stream_all(out); }));
#endif
  return best;
}

// Number of different rows of the projection that a text lights.
std::size_t lit_rows(const Embedding<float>& embedding, std::span<const TokenId> ids) {
  const auto& tokens = embedding.token_bytes();
  const auto pos_dim = static_cast<std::size_t>(tokens.pos_dim());
  std::set<std::size_t> cells;
  for (const TokenId token : std::set<TokenId>(ids.begin(), ids.end())) {
    const auto id = static_cast<std::size_t>(token);
    for (std::size_t p = 0; p < tokens.lengths()[id]; ++p)
      cells.insert(tokens.bytes()[id * pos_dim + p] * pos_dim + p);
  }
  return cells.size();
}

// What is read for a token, from how much memory.
struct Reads {
  double bytes_per_token;
  std::size_t working_set;
};

void measure(const Setting& setting, bool quick, Table& table) {
  const Workload work(setting, quick);
  const std::span<const TokenId> ids = work.text.ids;
  const auto d_model = static_cast<std::size_t>(setting.d_model);
  const std::size_t lit = lit_rows(work.embedding, ids);
  const double rows_per_token = bytes_per_token(work.embedding, ids);
  const std::size_t written = d_model * sizeof(float);

  std::map<std::size_t, Output> outputs;  // the same memory for all
  const auto add = [&](const std::string& what, const Embed& embed, const Reads& reads) {
    const double read_rate = read_bandwidth(reads.working_set);
    for (const std::size_t window : {64u, 512u, 4096u}) {
      const Windows windows{ids, window, d_model};
      Output& out = outputs[window];
      if (!out) out = windows.new_output();
      const double write_rate = write_bandwidth(window * written);
      const double least =
          1e9 * std::max(reads.bytes_per_token / read_rate, static_cast<double>(written) / write_rate);
      const double taken =
          windows.nanoseconds_per_token(median_seconds(windows.through(embed, out), windows.pieces()));
      table.rows.push_back({setting.name(), what, window, reads.bytes_per_token / 1e3,
                            static_cast<double>(reads.working_set) / 1e6, read_rate / 1e9,
                            static_cast<double>(written) / 1e3, write_rate / 1e9, least, taken,
                            100 * least / taken});
    }
  };
  add("copy", copy_of(work.table),
      {static_cast<double>(written), std::set<TokenId>(ids.begin(), ids.end()).size() * written});
  for_each_row_type(work.embedding, [&](const std::string& rows, const auto& embedding) {
    const std::size_t row_bytes = d_model * sizeof(embedding.rows().values()[0]);
    add(rows, forward_of(embedding), {rows_per_token * static_cast<double>(row_bytes), lit * row_bytes});
  });
}

}  // namespace

int main(int argc, char** argv) {
  return run("roof", argc, argv, [](Report& report, const Options& options) {
    if (!has_avx2()) throw std::runtime_error("the bandwidths of this processor are measured with AVX2");
    Table table{"roof",
                "Distance from the roof: what the memory allows, and what is reached",
                "Read bandwidth: all different rows that the text touches, one after the other. Write "
                "bandwidth: the output of a window, with plain or streaming stores, whichever is faster. "
                "The least time is the longer of reading and writing at these rates, as if they overlapped "
                "perfectly. Common rows stay in nearer caches, so reading may beat its rate. Each alone.",
                {settings_are, "what", "ids at a time", "kB read a token", "MB touched", "read GB/s",
                 "kB written a token", "write GB/s", "least ns", "taken ns", "per cent of the roof"}};
    for (const Setting& setting : settings(options.quick)) measure(setting, options.quick, table);
    report.add(std::move(table));
  });
}
