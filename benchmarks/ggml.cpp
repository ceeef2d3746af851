/// The graph node against ggml_get_rows of the table, each in a graph of its own, one thread.
///     benchmark_ggml [--quick] [--json FILE]

#include "contenders.hpp"
#include "report.hpp"

#include <ggml-cpu.h>
#include <kronecker/integrations/ggml.hpp>

#include <algorithm>
#include <cstring>
#include <memory>
#include <stdexcept>

namespace {

using namespace benchmarks;

/// A graph from ids to embeddings, for windows of one size.
class Graph {
 public:
  /// `operation` makes the node of a context and its ids.
  Graph(std::size_t window, const std::function<ggml_tensor*(ggml_context*, ggml_tensor*)>& operation)
      : context_(ggml_init({std::size_t{1} << 28, nullptr, false}), ggml_free),
        ids_(ggml_new_tensor_1d(context_.get(), GGML_TYPE_I32, static_cast<std::int64_t>(window))),
        out_(operation(context_.get(), ids_)),
        graph_(ggml_new_graph(context_.get())) {
    ggml_build_forward_expand(graph_, out_);
    plan_ = ggml_graph_plan(graph_, /*n_threads=*/1, nullptr);
    work_.resize(plan_.work_size);
    plan_.work_data = work_.data();
  }

  /// The embeddings stay in the graph's own memory.
  const float* operator()(std::span<const TokenId> ids) {
    std::memcpy(ids_->data, ids.data(), ids.size_bytes());
    if (ggml_graph_compute(graph_, &plan_) != GGML_STATUS_SUCCESS) throw std::runtime_error("ggml failed");
    return static_cast<const float*>(out_->data);
  }

 private:
  std::unique_ptr<ggml_context, decltype(&ggml_free)> context_;
  ggml_tensor* ids_;
  ggml_tensor* out_;
  ggml_cgraph* graph_;
  ggml_cplan plan_;
  std::vector<std::uint8_t> work_;
};

/// The table as ggml holds it.
class GgmlTable {
 public:
  GgmlTable(ggml_type type, const RowMajorMatrix<float>& table)
      : context_(ggml_init({ggml_row_size(type, table.cols()) * static_cast<std::size_t>(table.rows()) + 4096,
                            nullptr, false}),
                 ggml_free),
        tensor_(ggml_new_tensor_2d(context_.get(), type, table.cols(), table.rows())) {
    if (type == GGML_TYPE_F32)
      std::memcpy(tensor_->data, table.data(), ggml_nbytes(tensor_));
    else
      ggml_quantize_chunk(type, table.data(), tensor_->data, 0, table.rows(), table.cols(), nullptr);
  }
  ggml_tensor* tensor() const { return tensor_; }

 private:
  std::unique_ptr<ggml_context, decltype(&ggml_free)> context_;
  ggml_tensor* tensor_;
};

template <class Scalar>
void measure(const Workload& work, const std::string& rows, const Embedding<Scalar>& embedding,
             ggml_type type, bool quick, Table& results) {
  const auto d_model = static_cast<std::size_t>(work.setting.d_model);
  const GgmlTable table(type, work.table);
  for (const std::size_t window : {1u, 64u, 512u, 4096u}) {
    const Windows windows{work.text.ids, window, d_model};
    Graph get_rows(window, [&](ggml_context* context, ggml_tensor* ids) {
      return ggml_get_rows(context, table.tensor(), ids);
    });
    Graph node(window, [&](ggml_context* context, ggml_tensor* ids) {
      return kronecker::embedding_node(context, embedding, ids);
    });
    const auto embed_by = [&](Graph& graph) {
      return [&](std::span<const TokenId> ids, std::span<float> out) {
        const float* embeddings = graph(ids);
        if (!out.empty()) std::copy_n(embeddings, out.size(), out.begin());
      };
    };
    check_agreement(rows, embed_by(node), embed_by(get_rows), windows.ids.first(window), d_model,
                    rows == "float32" ? 1 : 0.999, window);
    const auto nowhere = std::make_shared<std::vector<float>>();
    const auto time = [&](Graph& graph) { return windows.through(embed_by(graph), nowhere); };
    const Comparison result = compare(time(node), time(get_rows), windows.pieces(), quick ? 1 : 3);
    results.rows.push_back({work.setting.name(), rows, ggml_type_name(type), window,
                            windows.nanoseconds_per_token(result.reference_seconds),
                            windows.nanoseconds_per_token(result.seconds), result.ratio});
  }
}

}  // namespace

int main(int argc, char** argv) {
  return run("ggml", argc, argv, [](Report& report, const Options& options) {
    Table results{
        "ggml",
        "ggml: the graph node against ggml_get_rows of the table",
        "A graph with one operation each, one thread; they take turns. The run with the least ratio of "
        "three. The columns in the middle are ids at a time and nanoseconds a token; one at a time is 64 "
        "graphs in a row.",
        {settings_are, "rows", "table", "ids", "get_rows", "node", "ratio"}};
    for (const Setting& setting : settings(options.quick)) {
      const Workload work(setting, options.quick);
      measure(work, "float32", work.embedding, GGML_TYPE_F32, options.quick, results);
      measure(work, "bfloat16", work.embedding.cast<Eigen::bfloat16>(), GGML_TYPE_BF16, options.quick,
              results);
      measure(work, "float16", work.embedding.cast<Eigen::half>(), GGML_TYPE_F16, options.quick, results);
      measure(work, "int8", work.embedding.cast<std::int8_t>(), GGML_TYPE_Q8_0, options.quick, results);
    }
    report.add(std::move(results));
  });
}
