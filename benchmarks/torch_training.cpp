/// The LibTorch module against the library's own forward pass, and a step of training against that of a table
/// and of the PyTorch reference, one thread each.
///     benchmark_torch_training [--quick] [--json FILE]

#include "contenders.hpp"
#include "one_thread.hpp"
#include "report.hpp"
#include "torch_layer.hpp"

#include <kronecker/integrations/torch.hpp>
#include <kronecker/training/training.hpp>

namespace {

using namespace benchmarks;

Tensor to_tensor(std::span<const TokenId> ids) {
  return at::tensor(std::vector<std::int64_t>(ids.begin(), ids.end()));
}

kronecker::torch_module::KroneckerEmbedding make_module(const Workload& work) {
  kronecker::torch_module::KroneckerEmbedding module(work.embedding.encoder(), work.text.vocabulary,
                                                     work.setting.d_model);
  module->set_projection(work.embedding.projection());
  return module;
}

void measure_forward(const Workload& work, std::size_t window, bool quick, Table& table) {
  const Windows windows{work.text.ids, window, static_cast<std::size_t>(work.setting.d_model)};
  auto module = make_module(work);
  std::vector<Tensor> ids;
  for (std::size_t piece = 0; piece < windows.pieces(); ++piece)
    ids.push_back(to_tensor(windows.ids.subspan(piece * window, window)));
  std::vector<float> out(window * windows.d_model);
  work.embedding.forward(windows.ids.first(window), out);
  const torch::NoGradGuard no_gradient;
  check_close("the module", module(ids[0]),
              share(out.data(), static_cast<std::int64_t>(window), work.setting.d_model, at::kFloat));
  const Comparison result = compare([&](std::size_t piece) { module(ids[piece]); },
                                    windows.through(forward_of(work.embedding), windows.new_output()),
                                    windows.pieces(), quick ? 1 : 3);
  table.rows.push_back({work.setting.name(), window, windows.nanoseconds_per_token(result.reference_seconds),
                        windows.nanoseconds_per_token(result.seconds), result.ratio});
}

/// One step of the optimizer for a layer, with autograd: the loss is the product of output and `gradient`.
template <class Forward>
Contender step_of(Forward forward, std::shared_ptr<torch::optim::AdamW> optimizer, const Tensor& gradient) {
  return [=](std::size_t piece) {
    optimizer->zero_grad();
    forward(piece).backward(gradient);
    optimizer->step();
  };
}

std::shared_ptr<torch::optim::AdamW> optimizer_of(const Tensor& weight) {
  return std::make_shared<torch::optim::AdamW>(
      std::vector<Tensor>{weight}, torch::optim::AdamWOptions(1e-3).betas({0.9, 0.95}).weight_decay(0.1));
}

void measure_steps(const Workload& work, bool quick, Table& table) {
  constexpr std::size_t window = 4096;
  const Windows windows{work.text.ids, window, static_cast<std::size_t>(work.setting.d_model)};
  const std::size_t pieces = std::min<std::size_t>(windows.pieces(), quick ? 1 : 10);
  const auto ids_of = [&](std::size_t piece) { return windows.ids.subspan(piece * window, window); };
  std::vector<Tensor> ids;
  for (std::size_t piece = 0; piece < pieces; ++piece) ids.push_back(to_tensor(ids_of(piece)));
  torch::manual_seed(1);
  const Tensor gradient = torch::randn({window, work.setting.d_model});

  auto embedding = work.embedding;
  kronecker::AdamW own_optimizer(embedding, {.learning_rate = 1e-3f, .beta2 = 0.95f, .weight_decay = 0.1f});
  kronecker::ProjectionGradient sums(embedding);
  std::vector<float> out(window * windows.d_model);
  const std::span<const float> grad_out(gradient.data_ptr<float>(), out.size());
  const Contender ours = [&](std::size_t piece) {
    sums.clear();
    embedding.forward(ids_of(piece), out);
    kronecker::accumulate_gradient(embedding, ids_of(piece), grad_out, sums);
    own_optimizer.step(embedding, sums);
  };

  auto module = make_module(work);
  const TorchLayer layer(work);
  const Tensor torch_table = share(work.table).clone().requires_grad_();
  const Tensor weight = module->projection->rows.detach().t().contiguous().clone().requires_grad_();
  const auto by_codes = [&](std::size_t piece) { return at::linear(layer.codes(ids[piece]), weight); };
  const auto by_module = [&](std::size_t piece) { return module(ids[piece]); };
  const std::vector<std::pair<std::string, Contender>> contenders = {
      {"this library's module, torch's AdamW",
       step_of(by_module, optimizer_of(module->projection->rows), gradient)},
      {"embedding table, torch's AdamW",
       step_of([&](std::size_t piece) { return at::embedding(torch_table, ids[piece]); },
               optimizer_of(torch_table), gradient)},
      {"the reference's dynamic mode, torch's AdamW", step_of(by_codes, optimizer_of(weight), gradient)}};

  // After the same step, what computes the same function still does.
  ours(0);
  contenders[0].second(0);
  contenders[2].second(0);
  embedding.forward(ids_of(0), out);
  const Tensor own = share(out.data(), window, work.setting.d_model, at::kFloat);
  check_close("the module's step", by_module(0).detach(), own);
  check_close("the reference's step", by_codes(0).detach(), own);

  for (const auto& [name, contender] : contenders) {
    const Comparison result = compare(contender, ours, pieces, quick ? 1 : 2);
    table.rows.push_back(
        {work.setting.name(), name, result.seconds * 1e3, result.reference_seconds * 1e3, result.ratio});
  }
}

}  // namespace

int main(int argc, char** argv) {
  return run("torch_training", argc, argv, [](Report& report, const Options& options) {
    const std::string blas = examples::use_one_thread();
    Table forward{
        "torch_module",
        "LibTorch: forward pass of this library's module",
        "Without autograd. The module makes a new tensor for every result and takes ids of 64 bits; in "
        "turns with the library's own forward pass, the run with the least ratio of three.",
        {settings_are, "ids at a time", "library, ns/token", "module, ns/token", "ratio"}};
    Table steps{
        "torch_step",
        "LibTorch: a step of training with 4,096 tokens",
        fmt::format("Forward pass, backward pass and AdamW, one thread each, {}. Each takes turns with this "
                    "library's own step.",
                    blas),
        {settings_are, "what", "its step, ms", "the library's own step, ms", "times as long"}};
    const Workload work(gpt2, options.quick);
    for (const std::size_t window : {64u, 512u, 4096u}) measure_forward(work, window, options.quick, forward);
    measure_steps(work, options.quick, steps);
    report.add(std::move(forward));
    report.add(std::move(steps));
  });
}
