#include "torch_and_catch.hpp"

#include <kronecker/files/model.hpp>
#include <kronecker/head.hpp>
#include <kronecker/integrations/torch.hpp>
#include <kronecker/integrations/torch_head_correction.hpp>

#include "golden_embedding.hpp"
#include "scratch.hpp"

#include <cmath>
#include <sstream>
#include <vector>

using kronecker::HeadCorrectionSizes;
using kronecker::torch_module::HeadCorrection;
using kronecker::torch_module::KroneckerEmbedding;
using test_support::GoldenEncoder;
using torch::Tensor;

namespace {

/// For the golden vocabulary's 64 tokens and d_model 8, with factors that are not 0.
HeadCorrection random_module(std::int64_t rank) {
  torch::manual_seed(5);
  HeadCorrection module(torch::arange(64), 8, rank);
  const torch::NoGradGuard no_gradient;
  module->token_factors.normal_();
  return module;
}

double largest_difference(const Tensor& a, const Tensor& b) {
  REQUIRE(a.sizes() == b.sizes());
  return (a - b).abs().max().item<double>();
}

}  // namespace

TEST_CASE("a new correction of a head is the logarithm of the tokens' shares") {
  HeadCorrection module(torch::tensor({0, 3, 5}), 4, 2);
  const Tensor expected = torch::tensor({1 / 11.0, 4 / 11.0, 6 / 11.0}).log().to(torch::kFloat);
  CHECK(largest_difference(module(torch::randn({2, 5, 4})), expected.expand({2, 5, 3})) <= 1e-6);
  CHECK(largest_difference(HeadCorrection(torch::tensor({0, 3, 5}), 4, 0)(torch::ones({7, 4})),
                           expected.expand({7, 3})) <= 1e-6);
  CHECK(HeadCorrection(torch::zeros({1000}), 400, 100)->state_factors.std().item<double>() * 20 ==
        Approx(1).epsilon(0.02));
  CHECK(message_of<std::invalid_argument>([&] {
          module(torch::ones({2, 5}));
        }) == "hidden states of [2, 5] do not fit d_model 4");
  CHECK(message_of<std::invalid_argument>([] { HeadCorrection(torch::zeros({2}), 4, 1, 0.0); }) ==
        "smoothing 0 is not finite and positive");
}

TEST_CASE("logits and a correction of LibTorch's are those of the library's own head") {
  KroneckerEmbedding layer(GoldenEncoder(), test_support::golden_vocabulary(), 8);
  layer->set_projection(
      kronecker::LearnedProjection::from_torch(test_support::golden_matrix("emb_d8_p8_weight.npy")));
  const auto own = layer->embedding();
  const kronecker::KroneckerHead head(own);
  for (const std::int64_t rank : {0, 1, 20}) {
    HeadCorrection module = random_module(rank);
    const kronecker::HeadCorrection correction = module->correction();
    const Tensor hidden = torch::randn({3, 8});
    const Tensor found = layer->logits(hidden) + module(hidden);
    const std::vector<float> states(hidden.data_ptr<float>(), hidden.data_ptr<float>() + 24);
    std::vector<float> expected(3 * 64);
    head.logits(own, states, expected, &correction);
    CHECK(largest_difference(found, torch::from_blob(expected.data(), {3, 64})) <=
          1e-5 * found.abs().max().item<double>());
  }
}

TEST_CASE("gradients of a LibTorch correction are the differences of the loss") {
  HeadCorrection module = random_module(3);
  module->to(torch::kDouble);
  const Tensor hidden = torch::randn({2, 8}, torch::kDouble).requires_grad_();
  const Tensor targets = torch::tensor({5, 63}, torch::kLong);
  const auto loss = [&] { return torch::nn::functional::cross_entropy(module(hidden), targets); };
  const std::vector<Tensor> inputs = {module->bias, module->token_factors, module->state_factors, hidden};
  const auto gradients = torch::autograd::grad({loss()}, inputs);
  const torch::NoGradGuard no_gradient;
  for (std::size_t i = 0; i < inputs.size(); ++i)
    for (const std::int64_t at : {std::int64_t{0}, std::int64_t{5}, inputs[i].numel() - 1}) {
      constexpr double step = 1e-5;
      Tensor number = inputs[i].view(-1)[at];
      number += step;
      const double above = loss().item<double>();
      number -= 2 * step;
      const double below = loss().item<double>();
      number += step;
      CHECK(std::abs((above - below) / (2 * step) - gradients[i].view(-1)[at].item<double>()) <= 1e-8);
    }
}

TEST_CASE("a LibTorch correction is copied, saved and loaded, by torch and in a model file") {
  HeadCorrection module = random_module(4);
  const Tensor hidden = torch::randn({3, 8}), expected = module(hidden).detach();
  std::stringstream file;
  torch::save(module, file);
  HeadCorrection loaded(torch::zeros({64}), 8, 4);
  torch::load(loaded, file);
  CHECK(torch::equal(loaded(hidden), expected));
  const auto copy = std::dynamic_pointer_cast<kronecker::torch_module::HeadCorrectionImpl>(module->clone());
  CHECK(torch::equal(copy->forward(hidden), expected));

  const test_support::ScratchFolder folder("torch_head_correction");
  const auto path = folder.path() / "model.kron";
  const kronecker::HeadCorrection correction = module->correction();
  kronecker::save(path, test_support::golden_embedding({}), &correction);
  HeadCorrection again(*kronecker::load_head_correction(path));
  CHECK(torch::equal(again(hidden), expected));
  CHECK(message_of<std::invalid_argument>([&] { random_module(5)->set_correction(correction); }) ==
        "a correction of rank 4 for 64 tokens and d_model 8 does not fit the module's 5, 64 and 8");
}
