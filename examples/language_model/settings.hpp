#pragma once

/// What defines a run: the model, its input layer, and how it is trained.

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include <cstdint>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

namespace language_model {

enum class Input {
  table,       ///< An embedding table.
  kronecker,   ///< A Kronecker embedding.
  production,  ///< One of codes rounded to bfloat16, with an RMS norm behind (arXiv 2606.07404).
};

enum class Head {
  tied,   ///< The input layer's weights: a tied table, or the additive head with a learned gain.
  dense,  ///< A head of its own.
};

constexpr int no_correction = -1;

/// What is compared: an input layer and an output head.
struct Arm {
  std::string name;
  Input input;
  Head head;
  int rank = no_correction;  ///< Of what corrects the head: 0 for a learned bias alone, which starts as the
                             ///< logarithm of the tokens' shares of the training text.
  int own_rows = 0;          ///< How many of the commonest tokens have rows of their own.
};

inline const std::vector<Arm> arms = {
    {"table-tied", Input::table, Head::tied},
    {"table-tied-bias", Input::table, Head::tied, 0},
    {"table-untied", Input::table, Head::dense},
    {"table-untied-bias", Input::table, Head::dense, 0},
    {"kronecker-untied", Input::kronecker, Head::dense},  // the paper's arm
    {"kronecker-untied-bias", Input::kronecker, Head::dense, 0},
    {"kronecker-own-rows", Input::kronecker, Head::dense, no_correction, 1000},
    {"production-untied", Input::production, Head::dense},
    {"kronecker-tied", Input::kronecker, Head::tied},
    {"kronecker-tied-bias", Input::kronecker, Head::tied, 0},
    {"kronecker-corrected-16", Input::kronecker, Head::tied, 16},
    {"kronecker-corrected-64", Input::kronecker, Head::tied, 64},
};

inline std::vector<std::string> arm_names() {
  std::vector<std::string> names;
  for (const Arm& arm : arms) names.push_back(arm.name);
  return names;
}

/// The arm of a name. Throws std::invalid_argument if there is none.
inline const Arm& arm_of(const std::string& name) {
  for (const Arm& arm : arms)
    if (arm.name == name) return arm;
  throw std::invalid_argument(fmt::format("there is no arm '{}'", name));
}

struct Settings {
  std::string arm = "table-tied";
  std::uint64_t seed = 1;  ///< Of the initial weights and of the order of the data.
  // The model.
  int layers = 5;
  int heads = 4;
  int d_model = 128;
  int context = 128;  ///< Tokens in a sequence.
  int pos_dim = 16;
  // The training.
  int steps = 400;
  int batch = 16;        ///< Sequences in a step.
  int micro_batch = 16;  ///< Of these, how many are in memory at a time.
  double learning_rate = 3e-3;
  double last_learning_rate = 3e-4;  ///< At the end of the cosine.
  int warm_up = 20;                  ///< Steps in which the learning rate rises from 0.
  double weight_decay = 0.1;         ///< Of matrices.
  double largest_gradient = 1.0;     ///< Norm to which the gradient is clipped.
  // The watching.
  int evaluate_every = 20;        ///< Steps.
  int evaluation_tokens = 16384;  ///< Of the validation text, each time.
  int final_tokens = 131072;      ///< At the end.
  int checkpoint_every = 25;      ///< Steps; the work of less than a minute.
};
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Settings, arm, seed, layers, heads, d_model, context, pos_dim, steps,
                                   batch, micro_batch, learning_rate, last_learning_rate, warm_up,
                                   weight_decay, largest_gradient, evaluate_every, evaluation_tokens,
                                   final_tokens, checkpoint_every)

/// A named configuration: "small" for one core of a CPU, "medium" and "gpt2" for a CUDA device, "tiny" for a
/// test.
inline Settings configuration(const std::string& name) {
  Settings settings;
  if (name == "small") return settings;
  if (name == "tiny") {
    settings.layers = settings.heads = 1;
    settings.d_model = 8;
    settings.context = 32;  // the prompts have to fit in
    settings.steps = 300;
    settings.batch = settings.micro_batch = 2;
    settings.evaluation_tokens = settings.final_tokens = 64;
    settings.checkpoint_every = 5;
    return settings;
  }
  if (name == "medium") {
    settings.layers = settings.heads = 8;
    settings.d_model = 512;
    settings.context = 256;
    settings.steps = 600;
    settings.batch = settings.micro_batch = 64;
    settings.learning_rate = 1e-3;
    settings.last_learning_rate = 1e-4;
    settings.warm_up = 60;
    settings.evaluate_every = 50;
    settings.evaluation_tokens = 65536;
    settings.final_tokens = 1 << 18;
    settings.checkpoint_every = 200;
    return settings;
  }
  if (name != "gpt2")
    throw std::invalid_argument(
        fmt::format("the configuration '{}' is none of small, medium, gpt2 and tiny", name));
  settings.layers = settings.heads = 12;
  settings.d_model = 768;
  settings.context = 1024;
  settings.steps = 4800;
  settings.batch = 512;
  settings.micro_batch = 8;
  settings.learning_rate = 6e-4;
  settings.last_learning_rate = 6e-5;
  settings.warm_up = 240;
  settings.evaluate_every = 100;
  settings.evaluation_tokens = 131072;
  settings.final_tokens = 1 << 20;
  settings.checkpoint_every = 20;
  return settings;
}

/// Refuses what cannot be trained.
inline void check(const Settings& settings) {
  const std::map<std::string, int> positive = {{"layers", settings.layers},
                                               {"heads", settings.heads},
                                               {"d_model", settings.d_model},
                                               {"context", settings.context},
                                               {"steps", settings.steps},
                                               {"batch", settings.batch},
                                               {"micro_batch", settings.micro_batch},
                                               {"evaluate_every", settings.evaluate_every},
                                               {"checkpoint_every", settings.checkpoint_every}};
  for (const auto& [name, value] : positive)
    if (value < 1) throw std::invalid_argument(fmt::format("{} {} is not positive", name, value));
  if (settings.d_model % settings.heads != 0)
    throw std::invalid_argument(
        fmt::format("d_model {} is no multiple of the {} heads", settings.d_model, settings.heads));
  if (settings.batch % settings.micro_batch != 0)
    throw std::invalid_argument(fmt::format("a batch of {} is no multiple of the micro-batch of {}",
                                            settings.batch, settings.micro_batch));
}

}  // namespace language_model
