/// Compares the LibTorch module on CUDA with the CPU's, bit for bit (without a GPU: the CPU with itself).
///
///     torch_on_gpu            forward, backward and second derivatives
///     torch_on_gpu outside    that an id outside the vocabulary is not silent
///     torch_on_gpu times      beside torch::embedding, in microseconds
#include <kronecker/integrations/torch.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

using kronecker::KroneckerEncoder;
using kronecker::Vocabulary;
using kronecker::torch_module::KroneckerEmbedding;
using torch::Tensor;

namespace {

const torch::Device device = torch::cuda::is_available() ? torch::kCUDA : torch::kCPU;
int checks = 0;

void expect(bool is_so, const std::string& what) {
  ++checks;
  if (is_so) return;
  std::printf("FAILED: %s\n", what.c_str());
  std::exit(1);
}

bool same_bits(const Tensor& a, const Tensor& b) {
  const Tensor x = a.detach().cpu().contiguous(), y = b.detach().cpu().contiguous();
  return x.sizes() == y.sizes() && x.scalar_type() == y.scalar_type() &&
         std::memcmp(x.data_ptr(), y.data_ptr(), x.nbytes()) == 0;
}

/// Tokens of bytes below `char_dim`, many of which begin alike.
Vocabulary random_vocabulary(int size, int longest, int char_dim) {
  std::mt19937 random(1);
  std::vector<std::string> tokens(static_cast<std::size_t>(size));
  for (std::string& token : tokens) {
    token.resize(random() % static_cast<unsigned>(longest + 1));
    for (char& byte : token) byte = static_cast<char>(random() % static_cast<unsigned>(char_dim));
    if (!token.empty() && random() % 4 != 0) token[0] = ' ';
  }
  return Vocabulary(tokens);
}

struct Results {
  Tensor out, grad_rows, second;
};

/// Of ids and gradients that do not lie one after the other.
Results results(KroneckerEmbedding& module, const Tensor& ids, const Tensor& grad) {
  Tensor& rows = module->projection->rows;
  const Tensor strided_ids = torch::stack({ids, ids}, 1).select(1, 0);
  const Tensor upstream = grad.t().contiguous().t().detach().requires_grad_();
  const Tensor out = module(strided_ids);
  const Tensor grad_rows = torch::autograd::grad({out}, {rows}, {upstream}, true, true)[0];
  const Tensor second = torch::autograd::grad({grad_rows}, {upstream}, {rows.detach()})[0];
  return {out, grad_rows, second};
}

void compare(const kronecker::DynamicEncoder& encoder, const Vocabulary& vocabulary, std::int64_t d_model) {
  KroneckerEmbedding here(encoder, vocabulary, d_model), there(encoder, vocabulary, d_model);
  for (const auto type : {torch::kFloat, torch::kBFloat16, torch::kHalf}) {
    here->to(torch::kCPU, type);
    there->to(device, type);
    {
      const torch::NoGradGuard no_gradient;
      there->projection->rows.copy_(here->projection->rows);
    }
    for (const std::int64_t count : {0, 1, 33, 4097})
      for (const auto id_type : {torch::kInt, torch::kLong}) {
        const Tensor ids = torch::randint(vocabulary.size(), {count}, torch::dtype(id_type));
        const Tensor grad = torch::randn({count, d_model}).to(type);
        const Results on_cpu = results(here, ids, grad),
                      on_gpu = results(there, ids.to(device), grad.to(device));
        const std::string name =
            std::to_string(count) + " x " + std::to_string(d_model) + ", " + c10::toString(type);
        expect(on_gpu.out.device().type() == device.type(), "device of " + name);
        expect(same_bits(on_cpu.out, on_gpu.out), "embeddings of " + name);
        expect(same_bits(on_cpu.grad_rows, on_gpu.grad_rows), "gradients of " + name);
        expect(same_bits(on_cpu.second, on_gpu.second), "second derivatives of " + name);
      }
  }
  here->to(torch::kFloat), there->to(torch::kFloat);
  const Tensor hidden = torch::randn({2, 3, d_model});
  const Tensor a = here->logits(hidden), b = there->logits(hidden.to(device)).cpu();
  expect((a - b).abs().max().item<double>() <= 1e-3 * a.abs().max().item<double>(), "logits");
  const kronecker::LearnedProjection read_back = there->learned_projection();
  const Tensor weights =
      torch::from_blob(const_cast<float*>(read_back.weights().data()), {encoder.code_dim(), d_model});
  expect(same_bits(there->projection->rows, weights), "the weights, read back");
}

void compare_all() {
  const Vocabulary vocabulary = random_vocabulary(500, 9, 256), of_40_bytes = random_vocabulary(300, 7, 40);
  for (const std::int64_t d_model : {3, 96, 768, 4096})
    compare(KroneckerEncoder(256, 8), vocabulary, d_model);
  compare(KroneckerEncoder(40, 5), of_40_bytes, 20);
  compare(KroneckerEncoder(256, 8, {true, false}), vocabulary, 100);
  std::printf("%d results have the same bits on %s\n", checks, device.str().c_str());
}

/// The kernels of the device end, so a process does nothing else.
void check_outside() {
  const Vocabulary vocabulary = random_vocabulary(500, 9, 256);
  KroneckerEmbedding module(KroneckerEncoder(256, 8), vocabulary, 96);
  module->to(device);
  for (const std::int64_t id : {-1, 500}) {
    const Tensor ids = torch::tensor({std::int64_t{1}, id});
    try {
      module(ids);
      expect(false, "an id outside the vocabulary, on the CPU, throws std::out_of_range");
    } catch (const std::out_of_range& error) {
      std::printf("%s\n", error.what());
    }
  }
  if (device.is_cpu()) return;
  try {
    const Tensor out = module(torch::tensor({std::int64_t{1}, std::int64_t{500}}).to(device)).cpu();
    expect(false, "an id outside the vocabulary, on the GPU, throws c10::Error");
  } catch (const c10::Error& error) {
    std::printf("%s\n", error.what_without_backtrace());
  }
  std::fflush(stdout);
  std::_Exit(0);
}

/// Microseconds of a call, of many that are queued.
template <class Call>
double time_of(const Call& call) {
  std::vector<double> times;
  for (int round = 0; round < 7; ++round) {
    constexpr int calls = 20;
    if (device.is_cuda()) torch::cuda::synchronize();
    const auto begin = std::chrono::steady_clock::now();
    for (int i = 0; i < calls; ++i) call();
    if (device.is_cuda()) torch::cuda::synchronize();
    times.push_back(
        std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - begin).count() / calls);
  }
  std::sort(times.begin(), times.end());
  return times[times.size() / 2];
}

void show_times() {
  constexpr int vocab_size = 131072, d_model = 4096, count = 8192;
  KroneckerEmbedding module(KroneckerEncoder(256, 32), random_vocabulary(vocab_size, 10, 128), d_model);
  module->to(device, torch::kBFloat16);
  const Tensor ids = torch::randint(vocab_size, {count}).to(device), rows = module->projection->rows;
  const Tensor grad = torch::randn({count, d_model}).to(torch::kBFloat16).to(device);
  const Tensor table =
      torch::randn({vocab_size, d_model}, torch::dtype(torch::kBFloat16).device(device)).requires_grad_();
  const Tensor out = module(ids), of_table = torch::embedding(table, ids);
  const auto backward = [&](const Tensor& from, const Tensor& to) {
    return torch::autograd::grad({from}, {to}, {grad}, true);
  };
  std::printf("%10.1f us  forward\n", time_of([&] { return module(ids); }));
  std::printf("%10.1f us  torch::embedding, forward\n",
              time_of([&] { return torch::embedding(table, ids); }));
  std::printf("%10.1f us  backward\n", time_of([&] { return backward(out, rows); }));
  std::printf("%10.1f us  torch::embedding, backward\n", time_of([&] { return backward(of_table, table); }));
}

}  // namespace

int main(int argc, char** argv) {
  torch::manual_seed(0);
  const std::string what = argc > 1 ? argv[1] : "";
  if (what == "outside")
    check_outside();
  else if (what == "times")
    show_times();
  else
    compare_all();
}
