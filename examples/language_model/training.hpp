#pragma once

/// The training of one run: from its first step or its checkpoint to its result.

#include "checkpoint.hpp"
#include "corpus.hpp"
#include "model.hpp"
#include "settings.hpp"

#include <fmt/core.h>
#include <torch/torch.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <numbers>
#include <vector>

namespace language_model {

/// The learning rate of a step: a linear rise, then half a cosine.
inline double learning_rate(const Settings& settings, int step) {
  if (step < settings.warm_up) return settings.learning_rate * (step + 1) / settings.warm_up;
  const double part =
      static_cast<double>(step - settings.warm_up) / std::max(1, settings.steps - settings.warm_up);
  return settings.last_learning_rate +
         (settings.learning_rate - settings.last_learning_rate) * (1 + std::cos(std::numbers::pi * part)) / 2;
}

class Training {
 public:
  /// `validation_bytes`: of the validation text.
  Training(const Settings& settings, const kronecker::Vocabulary& vocabulary, const Corpus& text,
           const Corpus& validation, std::int64_t validation_bytes, torch::Device device)
      : settings_(settings),
        text_(text),
        validation_(validation),
        device_(device),
        model_(settings, vocabulary, text.token_counts(vocabulary.size())),
        run_(settings) {
    run_["vocabulary_tokens"] = vocabulary.size();
    run_["training_tokens"] = text.size();
    run_["validation_tokens"] = validation.size();
    run_["validation_bytes"] = validation_bytes;
    tokens_a_byte_ = static_cast<double>(validation.size()) / static_cast<double>(validation_bytes);
    model_->to(device);
    std::vector<Tensor> matrices, vectors;
    for (const Tensor& parameter : model_->parameters())
      (parameter.dim() >= 2 ? matrices : vectors).push_back(parameter);
    const auto options = torch::optim::AdamWOptions(0).betas({0.9, 0.95});
    optimizer_ = std::make_unique<torch::optim::AdamW>(
        std::vector<torch::optim::OptimizerParamGroup>{matrices, vectors}, options);
    const double decays[] = {settings.weight_decay, 0};
    for (std::size_t i = 0; i < 2; ++i) {
      auto& group = optimizer_->param_groups()[i];
      group.set_options(std::make_unique<torch::optim::AdamWOptions>(options));
      static_cast<torch::optim::AdamWOptions&>(group.options()).weight_decay(decays[i]);
    }
  }

  /// Trains from where the checkpoint is, if there is one, to the end; returns the run's result.
  nlohmann::json run(const std::filesystem::path& checkpoint) {
    int step = 0;
    double loss = 0;  // of the last step
    nlohmann::json curve = nlohmann::json::array();
    if (std::filesystem::exists(checkpoint)) {
      const nlohmann::json progress = load_checkpoint(checkpoint, run_, model_, *optimizer_, device_);
      step = progress.at("step").get<int>();
      curve = progress.at("curve");
      loss = curve.back().at("training_loss").get<double>();
      fmt::print(stderr, "{}: goes on after step {}\n", kronecker::shown_text(checkpoint.string()), step);
    }
    const int first_step = step;
    LineOfProgress line;
    const auto begin = std::chrono::steady_clock::now();
    while (step < settings_.steps) {
      if (step % settings_.evaluate_every == 0) curve.push_back(point(step));
      loss = train_step(step);
      ++step;
      if (!std::isfinite(loss))
        throw std::runtime_error(fmt::format("the loss of step {} is {}", step, loss));
      curve.back()["training_loss"] = loss;
      if (step % settings_.checkpoint_every == 0 || step == settings_.steps)
        save_checkpoint(checkpoint, model_, *optimizer_, {{"run", run_}, {"step", step}, {"curve", curve}});
      const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - begin;
      show(step, loss, passed.count() / (step - first_step), line);
    }
    curve.push_back(point(step));
    curve.back()["training_loss"] = loss;
    const ParameterCounts counts = count_parameters(model_);
    const double final_loss = validation_loss(settings_.final_tokens);
    return {{"run", run_},
            {"device", device_.is_cuda() ? "cuda" : "cpu"},
            {"curve", curve},
            {"validation_loss", final_loss},
            {"bits_per_byte", final_loss * tokens_a_byte_ / std::numbers::ln2},
            {"parameters", {{"input", counts.input}, {"head", counts.head}, {"body", counts.body}}}};
  }

  const Gpt& model() const { return model_; }
  const nlohmann::json& definition() const { return run_; }

 private:
  static constexpr int evaluation_batch = 16;

  /// What is printed next begins a new line.
  struct LineOfProgress {
    bool is_open = false;
    ~LineOfProgress() {
      if (is_open) fmt::print(stderr, "\n");
    }
  };

  /// One step of the optimizer; returns the loss before it.
  double train_step(int step) {
    const double rate = learning_rate(settings_, step);
    for (auto& group : optimizer_->param_groups())
      static_cast<torch::optim::AdamWOptions&>(group.options()).lr(rate);
    const Batch batch = text_.random_batch(settings_.batch, settings_.seed, step);
    optimizer_->zero_grad();
    const int parts = settings_.batch / settings_.micro_batch;
    Tensor sum = torch::zeros({}, device_);
    for (int part = 0; part < parts; ++part) {
      const auto slice = [&](const Tensor& ids) {
        return ids.narrow(0, part * settings_.micro_batch, settings_.micro_batch).to(device_);
      };
      const Tensor loss = model_->loss(slice(batch.ids), slice(batch.next_ids)) / parts;
      loss.backward();
      sum += loss.detach();
    }
    torch::nn::utils::clip_grad_norm_(model_->parameters(), settings_.largest_gradient);
    optimizer_->step();
    return sum.item<double>();
  }

  /// The mean loss over the first tokens of the validation text, in whole sequences.
  double validation_loss(int tokens) {
    const torch::NoGradGuard no_gradient;
    const std::size_t sequences = std::clamp<std::size_t>(
        static_cast<std::size_t>(tokens / settings_.context), 1, validation_.sequences());
    double sum = 0;
    for (std::size_t first = 0; first < sequences; first += evaluation_batch) {
      const std::size_t count = std::min<std::size_t>(evaluation_batch, sequences - first);
      const Batch batch = validation_.batch_in_order(first, count);
      sum += model_->loss(batch.ids.to(device_), batch.next_ids.to(device_)).item<double>() *
             static_cast<double>(count);
    }
    return sum / static_cast<double>(sequences);
  }

  /// What is watched at a step: loss, the norm of the input layer's weights, and of what it puts out.
  nlohmann::json point(int step) {
    const torch::NoGradGuard no_gradient;
    const Tensor ids = validation_.batch_in_order(0, 1).ids.to(device_);
    return {{"step", step},
            {"tokens", static_cast<std::int64_t>(step) * settings_.batch * settings_.context},
            {"validation_loss", validation_loss(settings_.evaluation_tokens)},
            {"weight_norm", model_->tokens->input_weight().norm().item<double>()},
            {"output_norm", model_->tokens->embed(ids).norm(2, -1).mean().item<double>()}};
  }

  void show(int step, double loss, double seconds_a_step, LineOfProgress& line) const {
    const double tokens_a_second = settings_.batch * settings_.context / seconds_a_step;
    const auto left = static_cast<long>((settings_.steps - step) * seconds_a_step);
    line.is_open = true;
    fmt::print(stderr, "\r{} seed {}: step {} of {}, loss {:.3f}, {:.0f} tokens/s, {}:{:02} min left  ",
               settings_.arm, settings_.seed, step, settings_.steps, loss, tokens_a_second, left / 60,
               left % 60);
    std::fflush(stderr);
  }

  Settings settings_;
  const Corpus& text_;
  const Corpus& validation_;
  torch::Device device_;
  Gpt model_;
  std::unique_ptr<torch::optim::AdamW> optimizer_;
  nlohmann::json run_;        // what makes it this run and no other
  double tokens_a_byte_ = 0;  // of the validation text
};

}  // namespace language_model
