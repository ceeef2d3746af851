/// What rounded codes with a norm, and rows of their own, cost beside the plain embedding, on real text, one
/// thread.
///     benchmark_production [--quick] [--json FILE]

#include "contenders.hpp"
#include "report.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <numeric>
#include <string>
#include <vector>

namespace {

using namespace benchmarks;

/// The ids of a text, the most frequent first.
std::vector<TokenId> most_frequent(const Text& text, std::size_t count) {
  std::vector<std::size_t> counts(static_cast<std::size_t>(text.vocabulary.size()));
  for (const TokenId id : text.ids) ++counts[static_cast<std::size_t>(id)];
  std::vector<TokenId> ids(counts.size());
  std::iota(ids.begin(), ids.end(), 0);
  std::stable_sort(ids.begin(), ids.end(), [&](TokenId a, TokenId b) {
    return counts[static_cast<std::size_t>(a)] > counts[static_cast<std::size_t>(b)];
  });
  ids.resize((std::min)(count, ids.size()));
  return ids;
}

template <class Scalar>
void measure_rows(const Workload& work, const std::string& rows, const Embedding<Scalar>& plain,
                  Table& table) {
  constexpr std::size_t own_count = 4000;
  const auto d_model = static_cast<std::size_t>(work.setting.d_model);
  const kronecker::DynamicEncoder rounded_encoder(plain.encoder().char_dim(), plain.encoder().pos_dim(),
                                                  {.rounding = kronecker::CodeRounding::bfloat16});
  const Embedding<Scalar> rounded =
      Embedding<float>(rounded_encoder, plain.token_bytes(),
                       kronecker::ProjectionRows<float>(plain.projection(), false))
          .template cast<Scalar>();
  const std::vector<float> weight(d_model, 1.0f);
  const std::vector<TokenId> frequent = most_frequent(work.text, own_count);
  const RowMajorMatrix<float> own = plain.forward(frequent);
  const std::vector<std::pair<std::string, Embedding<Scalar>>> layers = {
      {"rounded codes", rounded},
      {"rounded codes and norm", rounded.with_norm(weight, 1e-6f)},
      {"norm", plain.with_norm(weight, 1e-6f)},
      {"4,000 rows of their own", plain.with_own_rows(frequent, own)}};
  const Embed without = forward_of(plain);
  for (const auto& [name, layer] : layers) {
    const Embed forward = forward_of(layer);
    if (layer.own_rows() || !layer.norm())
      check_agreement(rows + ", " + name, forward, without, work.text.ids, d_model, 0.999);
    std::vector<Cell> row{work.setting.name(), rows, name};
    for (const std::size_t window : {1u, 64u, 512u, 4096u})
      row.push_back(compare(forward, without, Windows{work.text.ids, window, d_model}).ratio);
    table.rows.push_back(std::move(row));
  }
}

}  // namespace

int main(int argc, char** argv) {
  return run("production", argc, argv, [](Report& report, const Options& options) {
    Table table{
        "production",
        "Rounded codes, norms and rows of their own: time relative to the plain forward pass",
        "The two take turns window by window; median of the ratios, best of three runs. The columns are "
        "ids at a time. The tokens with rows of their own are the most frequent of the text.",
        {settings_are, "rows", "layer", "1", "64", "512", "4096"}};
    for (const Setting& setting : settings(options.quick)) {
      const Workload work(setting, options.quick);
      for_each_row_type(work.embedding, [&](const std::string& rows, const auto& embedding) {
        measure_rows(work, rows, embedding, table);
      });
    }
    report.add(std::move(table));
  });
}
