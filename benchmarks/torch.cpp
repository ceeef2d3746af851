/// Against LibTorch on one thread: its embedding, an embedding_bag that sums the same rows, and what the
/// PyTorch reference does for a forward pass, step by step; and its linear layer as the output head.
///     benchmark_torch [--quick] [--json FILE]

#include "contenders.hpp"
#include "report.hpp"

#include <dlfcn.h>
#include <fmt/core.h>
#include <torch/torch.h>
#include <kronecker/head.hpp>

namespace {

using namespace benchmarks;
using at::Tensor;

// A tensor that shares the numbers of a row-major (rows, columns) array.
Tensor share(const void* numbers, std::int64_t rows, std::int64_t columns, at::ScalarType type) {
  return at::from_blob(const_cast<void*>(numbers), {rows, columns}, at::TensorOptions(type));
}
Tensor share(const RowMajorMatrix<float>& matrix) {
  return share(matrix.data(), matrix.rows(), matrix.cols(), at::kFloat);
}

// The layer as torch holds it.
class TorchLayer {
 public:
  explicit TorchLayer(const Workload& work)
      : embedding_(work.embedding),
        pos_dim_(work.setting.pos_dim),
        code_dim_(work.embedding.encoder().code_dim()),
        table_(share(work.table)),
        rows_(share(work.embedding.rows().values().data(), code_dim_, work.setting.d_model, at::kFloat)
                  .clone()),
        weight_(rows_.t().contiguous()),
        bytes_(
            share(work.embedding.token_bytes().bytes().data(), work.setting.vocab_size, pos_dim_, at::kByte)),
        lengths_(share(work.embedding.token_bytes().lengths().data(), work.setting.vocab_size, 1, at::kByte)
                     .flatten()
                     .to(at::kShort)) {}

  Tensor embedding(const Tensor& ids) const { return at::embedding(table_, ids); }
  Tensor index_select(const Tensor& ids) const { return table_.index_select(0, ids); }

  // The sums of rows, without the factor; which rows is found out beforehand.
  Tensor bag(const Tensor& cells, const Tensor& offsets) const {
    return std::get<0>(at::embedding_bag(rows_, cells, offsets));
  }

  // Codes made for the occasion, as the reference makes them: scattered, then normalised.
  Tensor codes(const Tensor& ids) const {
    const Tensor bytes = bytes_.index_select(0, ids).to(at::kLong);
    const Tensor lengths = lengths_.index_select(0, ids).to(at::kLong);
    const Tensor positions = at::arange(pos_dim_).unsqueeze(0).expand({ids.size(0), -1});
    const Tensor is_byte = (positions < lengths.unsqueeze(1)).to(at::kFloat);
    const Tensor norm = at::rsqrt(lengths.clamp_min(1).to(at::kFloat));
    Tensor code = at::zeros({ids.size(0), code_dim_});
    code.scatter_add_(1, bytes * pos_dim_ + positions, is_byte * norm.unsqueeze(1));
    const Tensor mean = code.mean(-1, true);
    const Tensor deviation = (code - mean).std(-1, /*unbiased=*/true, /*keepdim=*/true) + 1e-6;
    return (code - mean) / deviation;
  }
  Tensor project(const Tensor& codes) const { return at::linear(codes, weight_); }

  // All codes, (V, D), as the reference's cached mode keeps them.
  Tensor all_codes() const {
    std::vector<Tensor> parts;
    for (const Tensor& ids : at::arange(lengths_.size(0)).split(1024)) parts.push_back(codes(ids));
    return at::cat(parts);
  }

  // The cells of tokens, one after the other, and where each token's start.
  std::pair<Tensor, Tensor> cells(std::span<const TokenId> ids) const {
    std::vector<std::int64_t> cells, offsets;
    const auto pos_dim = static_cast<std::size_t>(pos_dim_);
    for (const TokenId token : ids) {
      const auto id = static_cast<std::size_t>(token);
      offsets.push_back(static_cast<std::int64_t>(cells.size()));
      for (std::size_t p = 0; p < embedding_.token_bytes().lengths()[id]; ++p)
        cells.push_back(
            static_cast<std::int64_t>(embedding_.token_bytes().bytes()[id * pos_dim + p] * pos_dim + p));
    }
    return {at::tensor(cells), at::tensor(offsets)};
  }

 private:
  Embedding<float> embedding_;
  std::int64_t pos_dim_, code_dim_;
  Tensor table_, rows_, weight_, bytes_, lengths_;
};

void check_close(const std::string& name, const Tensor& found, const Tensor& expected) {
  const double difference = (found - expected).abs().max().item<double>();
  if (!(difference < 1e-3)) throw std::runtime_error(fmt::format("{} is {} away", name, difference));
}

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
  const auto add = [&](const std::string& name, std::size_t pieces,
                       const std::function<Tensor(std::size_t)>& embed, const Tensor& factor) {
    check_close(name, embed(0) * factor, expected);
    const Comparison result = compare([&](std::size_t piece) { embed(piece); }, forward,
                                      std::min(pieces, windows.pieces()), quick ? 1 : 3);
    table.rows.push_back({work.setting.name(), name, window, windows.nanoseconds_per_token(result.seconds),
                          windows.nanoseconds_per_token(result.reference_seconds), result.ratio});
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
      "embedding_bag, sums without the factor", all,
      [&](std::size_t i) { return layer.bag(cells[i].first, cells[i].second); },
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
    const Comparison result = compare([&](std::size_t) { at::linear(hidden, weight); },
                                      [&](std::size_t) { head.logits(states, logits); }, quick ? 1 : 5, 1);
    check_close("linear", share(logits.data(), count, work.setting.vocab_size, at::kFloat),
                at::linear(hidden, weight));
    table.rows.push_back(
        {work.setting.name(), count, result.seconds * 1e3, result.reference_seconds * 1e3, result.ratio});
  }
}

// Tells OpenBLAS, where torch has it beneath, to use one thread; returns what it is.
std::string one_thread_blas() {
  const auto set_threads = reinterpret_cast<void (*)(int)>(dlsym(RTLD_DEFAULT, "openblas_set_num_threads"));
  const auto name = reinterpret_cast<char* (*)()>(dlsym(RTLD_DEFAULT, "openblas_get_corename"));
  if (set_threads == nullptr || name == nullptr) return "another BLAS than OpenBLAS";
  set_threads(1);
  return std::string("OpenBLAS for ") + name();
}

}  // namespace

int main(int argc, char** argv) {
  return run("torch", argc, argv, [](Report& report, const Options& options) {
    const c10::InferenceMode without_autograd;
    at::set_num_threads(1);
    const std::string blas = one_thread_blas();
    Table table{
        "torch",
        "LibTorch: forward pass in float32, one thread each",
        fmt::format("LibTorch {} with {}. The bag has its rows in LibTorch's own memory and gets the cells "
                    "of its tokens beforehand, the forward "
                    "pass finds them. Each takes turns with the forward pass; the run with the least "
                    "ratio of three.",
                    TORCH_VERSION, blas),
        {settings_are, "torch", "ids at a time", "torch, ns/token", "Kronecker, ns/token", "times faster"}};
    Table head{"torch_head",
               "LibTorch: the output head as a linear layer on the materialised table",
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
