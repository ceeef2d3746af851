/// The forward pass against copying rows of the table that it replaces, on real text, one thread.
///     benchmark_forward [--quick] [--json FILE]

#include "contenders.hpp"
#include "report.hpp"

#include <fmt/core.h>

namespace {

using namespace benchmarks;

// Outputs of bfloat16 against those of float32, whose rounding they are.
template <class Scalar>
void measure_outputs(const Workload& work, const std::string& rows, const Embedding<Scalar>& embedding,
                     int runs, Table& outputs) {
  const Windows windows{work.text.ids, std::min<std::size_t>(4096, work.text.ids.size()),
                        static_cast<std::size_t>(work.setting.d_model)};
  std::vector<float> wide(windows.window * windows.d_model);
  std::vector<Eigen::bfloat16> narrow(wide.size());
  const auto ids_of = [&](std::size_t piece) {
    return windows.ids.subspan(piece * windows.window, windows.window);
  };
  const Contender to_wide = [&](std::size_t piece) { embedding.forward(ids_of(piece), wide); };
  const Contender to_narrow = [&](std::size_t piece) { embedding.forward(ids_of(piece), narrow); };
  to_wide(0);
  to_narrow(0);
  for (std::size_t i = 0; i < wide.size(); ++i)
    if (narrow[i] != static_cast<Eigen::bfloat16>(wide[i]))
      throw std::runtime_error(rows + ": an output of bfloat16 is not the rounded one of float32");
  const Comparison result = compare(to_narrow, to_wide, windows.pieces(), runs);
  outputs.rows.push_back({work.setting.name(), rows, windows.window,
                          windows.nanoseconds_per_token(result.reference_seconds),
                          windows.nanoseconds_per_token(result.seconds), result.ratio});
}

void measure(const Setting& setting, bool quick, Table& ratios, Table& times, Table& outputs) {
  const Workload work(setting, quick);
  const auto d_model = static_cast<std::size_t>(setting.d_model);
  const Embed copy = copy_of(work.table);
  for_each_row_type(work.embedding, [&](const std::string& rows, const auto& embedding) {
    const Embed forward = forward_of(embedding);
    check_agreement(rows, forward, copy, work.text.ids, d_model, least_cosine(rows));
    std::vector<Cell> ratio_row{setting.name(), rows};
    for (const std::size_t window : {1u, 64u, 512u, 4096u}) {
      const Windows windows{work.text.ids, window, d_model};
      const Comparison result = compare(forward, copy, windows);
      const Output out = windows.new_output();
      const auto alone = [&](const Embed& embed) {
        return windows.nanoseconds_per_token(median_seconds(windows.through(embed, out), windows.pieces()));
      };
      ratio_row.push_back(result.ratio);
      times.rows.push_back({setting.name(), rows, window,
                            windows.nanoseconds_per_token(result.reference_seconds),
                            windows.nanoseconds_per_token(result.seconds), alone(copy), alone(forward)});
    }
    ratios.rows.push_back(std::move(ratio_row));
    measure_outputs(work, rows, embedding, quick ? 1 : 3, outputs);
  });
  ratios.note +=
      fmt::format(" {}: {} tokens of {}, {:.2f} bytes each.", setting.vocabulary, work.text.ids.size(),
                  work.text.name, bytes_per_token(work.embedding, std::span<const TokenId>(work.text.ids)));
}

}  // namespace

int main(int argc, char** argv) {
  return run("forward", argc, argv, [](Report& report, const Options& options) {
    Table ratios{
        "forward",
        "Forward pass: time relative to copying float32 rows of the table",
        "The two take turns window by window, and then again with their outputs exchanged; median of the "
        "ratios, best of three runs. The copy takes memcpy, or vectors where those are faster. The columns "
        "are ids at a time; one at a time is 64 calls in a row.",
        {settings_are, "rows", "1", "64", "512", "4096"}};
    Table times{"forward_times",
                "Forward pass: nanoseconds a token",
                "Medians: in turns with the copy as above, and each alone through the text.",
                {settings_are, "rows", "ids at a time", "copy, in turns", "Kronecker, in turns",
                 "copy, alone", "Kronecker, alone"}};
    Table outputs{
        "forward_outputs",
        "Forward pass: outputs of bfloat16 relative to outputs of float32",
        "Rounded in the same pass, to the same numbers as afterwards, which is checked. The two take "
        "turns; medians, and the median of the ratios.",
        {settings_are, "rows", "ids at a time", "float32 outputs, ns/token", "bfloat16 outputs, ns/token",
         "ratio"}};
    for (const Setting& setting : {gpt2, llama3}) measure(setting, options.quick, ratios, times, outputs);
    report.add(std::move(ratios));
    report.add(std::move(times));
    report.add(std::move(outputs));
  });
}
