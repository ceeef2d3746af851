/// Against LibTorch on one thread: its embedding, an embedding_bag that sums the same rows, and what the
/// PyTorch reference does for a forward pass, step by step; and its linear layer as the output head.
///     benchmark_torch [--quick] [--json FILE]

#include "contenders.hpp"
#include "one_thread.hpp"
#include "report.hpp"
#include "torch_layer.hpp"

#include <fmt/core.h>
#include <kronecker/head.hpp>

namespace {

using namespace benchmarks;

void measure(const Workload& work, const TorchLayer& layer, std::size_t window, bool quick, Table& table) {
  const Windows windows{work.text.ids, window, static_cast<std::size_t>(work.setting.d_model)};
  std::vector<Tensor> ids;
  std::vector<std::pair<Tensor, Tensor>> cells;
  for (std::size_t piece = 0; piece < windows.pieces(); ++piece) {
    const auto piece_ids = windows.ids.subspan(piece * window, window);
    ids.push_back(at::tensor(std::vector<std::int64_t>(piece_ids.begin(), piece_ids.end())));
    cells.push_back(layer.cells(piece_ids));
  }
  const Tensor expected = layer.embedding(ids[0]);
  const Contender forward = windows.through(forward_of(work.embedding), windows.new_output());
  const double forward_alone = median_seconds(forward, windows.pieces());
  const auto add = [&](const std::string& name, std::size_t pieces,
                       const std::function<Tensor(std::size_t)>& embed, const Tensor& factor) {
    check_close(name, embed(0) * factor, expected);
    pieces = std::min(pieces, windows.pieces());
    const Contender torch = [&](std::size_t piece) { embed(piece); };
    const Comparison result = compare(torch, forward, pieces, quick ? 1 : 3);
    const double alone = median_seconds(torch, pieces);
    table.rows.push_back({work.setting.name(), name, window, windows.nanoseconds_per_token(result.seconds),
                          windows.nanoseconds_per_token(result.reference_seconds), result.ratio,
                          windows.nanoseconds_per_token(alone), alone / forward_alone});
  };

  const Tensor one = at::ones({1});
  std::vector<float> scales;
  for (const TokenId id : windows.ids.first(window))
    scales.push_back(
        work.embedding.encoder().scale(work.embedding.token_bytes().lengths()[static_cast<std::size_t>(id)]));
  constexpr std::size_t all = ~std::size_t{0};
  const std::size_t few = quick ? 1 : std::max<std::size_t>(4096 / window, 5);
  add(
      "embedding", all, [&](std::size_t i) { return layer.embedding(ids[i]); }, one);
  add(
      "index_select of the table", all, [&](std::size_t i) { return layer.index_select(ids[i]); }, one);
  add(
      "embedding_bag, sums from cells", all,
      [&](std::size_t i) { return layer.bag(cells[i].first, cells[i].second); },
      at::tensor(scales).unsqueeze(1));
  add(
      "embedding_bag, sums from ids", all, [&](std::size_t i) { return layer.bag(ids[i]); },
      at::tensor(scales).unsqueeze(1));
  add(
      "the reference's dynamic mode", few, [&](std::size_t i) { return layer.project(layer.codes(ids[i])); },
      one);
  if (work.setting.d_model > 1024) return;  // the codes of all tokens would take gigabytes
  const Tensor all_codes = layer.all_codes();
  add(
      "the reference's cached mode", few,
      [&](std::size_t i) { return layer.project(all_codes.index_select(0, ids[i])); }, one);
}

void measure_head(const Workload& work, bool quick, Table& table) {
  const kronecker::KroneckerHead head(work.embedding);
  const Tensor weight = share(work.table);
  for (const std::int64_t count :
       quick ? std::vector<std::int64_t>{1} : std::vector<std::int64_t>{1, 4, 16, 64}) {
    const Tensor hidden = at::rand({count, work.setting.d_model}) - 0.5;
    std::vector<float> logits(static_cast<std::size_t>(count * work.setting.vocab_size));
    const std::span<const float> states(hidden.data_ptr<float>(), static_cast<std::size_t>(hidden.numel()));
    const Comparison result =
        compare([&](std::size_t) { at::linear(hidden, weight); },
                [&](std::size_t) { head.logits(work.embedding, states, logits); }, quick ? 1 : 5, 1);
    check_close("linear", share(logits.data(), count, work.setting.vocab_size, at::kFloat),
                at::linear(hidden, weight));
    table.rows.push_back(
        {work.setting.name(), count, result.seconds * 1e3, result.reference_seconds * 1e3, result.ratio});
  }
}

}  // namespace

int main(int argc, char** argv) {
  return run("torch", argc, argv, [](Report& report, const Options& options) {
    const c10::InferenceMode without_autograd;
    const std::string blas = examples::use_one_thread();
    Table table{
        "torch",
        "LibTorch: forward pass in float32, one thread each",
        fmt::format(
            "LibTorch {} with {}. The bags sum rows in LibTorch's own memory and leave out the factor. "
            "One gets the cells of its tokens beforehand, the other picks them out of a table, the "
            "forward pass finds them. Each takes turns with the forward pass, whose rows it may push out "
            "of the caches; the run with the least ratio of three. And each alone.",
            TORCH_VERSION, blas),
        {settings_are, "torch", "ids at a time", "torch, ns/token", "Kronecker, ns/token", "times faster",
         "torch alone, ns/token", "times faster, alone"}};
    Table head{"torch_head",
               "LibTorch: the output head as a linear layer on the materialized table",
               fmt::format("One thread each, {}; medians, taking turns.", blas),
               {settings_are, "hidden states", "torch, ms", "head, ms", "times faster"}};
    for (const Setting& setting : settings(options.quick)) {
      const Workload work(setting, options.quick);
      const TorchLayer layer(work);
      const bool is_small = setting.d_model <= 1024;
      for (const std::size_t window : is_small && !options.quick ? std::vector<std::size_t>{64, 512, 4096}
                                                                 : std::vector<std::size_t>{512})
        measure(work, layer, window, options.quick, table);
      measure_head(work, options.quick, head);
    }
    report.add(std::move(table));
    report.add(std::move(head));
  });
}
