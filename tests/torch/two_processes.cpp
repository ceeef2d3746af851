/// Data parallel: two processes take half of a batch each and average their gradients with Gloo, which gives
/// the gradients that one process has for the whole batch.
///     two_processes FOLDER

#include <kronecker/integrations/torch.hpp>

#include <torch/csrc/distributed/c10d/FileStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>

#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <string>

namespace {

using kronecker::torch_module::KroneckerEmbedding;
using torch::Tensor;

constexpr int process_count = 2;
constexpr std::int64_t batch = 8, length = 16;

/// A layer with its tied head between which something happens, so that gradients come from both.
Tensor loss_of(KroneckerEmbedding& module, const Tensor& ids) {
  const Tensor hidden = module(ids).tanh();
  return torch::nn::functional::cross_entropy(module->logits(hidden).flatten(0, 1), ids.roll(1, 1).flatten());
}

Tensor gradient(KroneckerEmbedding& module, const Tensor& ids) {
  module->zero_grad();
  loss_of(module, ids).backward();
  return module->projection->rows.grad();
}

double run(int rank, const std::string& store_path) {
  torch::manual_seed(5);  // the same weights and batch in both processes
  std::vector<std::string> tokens;
  for (int i = 0; i < 500; ++i) tokens.push_back(" token" + std::to_string(i * i));
  KroneckerEmbedding module(kronecker::KroneckerEncoder<256, 16>(), kronecker::Vocabulary(tokens), 32);
  const Tensor ids = torch::randint(500, {batch, length}, torch::kLong);

  const auto store = c10::make_intrusive<c10d::FileStore>(store_path, process_count);
  auto options = c10d::ProcessGroupGloo::Options::create();
  options->devices.push_back(c10d::ProcessGroupGloo::createDeviceForHostname("127.0.0.1"));
  c10d::ProcessGroupGloo group(store, rank, process_count, options);
  std::vector<Tensor> averaged{gradient(module, ids.chunk(process_count)[rank]).contiguous().clone()};
  group.allreduce(averaged)->wait();
  const Tensor joint = gradient(module, ids);
  group.barrier()->wait();
  return ((averaged[0] / process_count - joint).abs().max() / joint.abs().max()).item<double>();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  const std::string store_path = std::string(argv[1]) + "/gloo_store";
  std::filesystem::create_directories(argv[1]);
  std::filesystem::remove(store_path);
  const pid_t child = fork();  // before torch has any threads
  if (child < 0) return 2;
  const double difference = run(child == 0 ? 1 : 0, store_path);
  std::printf("largest difference relative to the largest gradient: %.2g\n", difference);
  if (!(difference <= 1e-6)) return 1;
  if (child == 0) return 0;
  int status = 0;
  return waitpid(child, &status, 0) == child && WIFEXITED(status) ? WEXITSTATUS(status) : 2;
}
