/// A small language model with four input layers to choose from: tables and Kronecker embeddings, tied to the
/// output head or not. scripts/study runs all of them and makes the report; `language_model --help` explains.

#include "corpus.hpp"
#include "files.hpp"
#include "one_thread.hpp"
#include "options.hpp"
#include "program.hpp"
#include "prompts.hpp"
#include "report.hpp"
#include "settings.hpp"
#include "training.hpp"

#include <fmt/core.h>
#include <CLI/CLI.hpp>
#include <kronecker/files/model.hpp>
#include <kronecker/files/replace_file.hpp>
#include <kronecker/vocabularies/load.hpp>

namespace {

using namespace language_model;
namespace fs = std::filesystem;

struct TrainOptions {
  std::string configuration = "small";
  std::string arm = arms.front();
  std::uint64_t seed = 1;
  int steps = 0;             // as the configuration says
  double learning_rate = 0;  // likewise
  fs::path data;
  fs::path tokenizer = EXAMPLE_DATA_DIR "/english_8k.model";
  fs::path output;
  std::string device = "cpu";
};

Settings settings_of(const TrainOptions& options) {
  Settings settings = configuration(options.configuration);
  settings.arm = options.arm;
  settings.seed = options.seed;
  if (options.steps > 0) {
    settings.warm_up = settings.warm_up * options.steps / settings.steps;
    settings.steps = options.steps;
  }
  if (options.learning_rate > 0) {
    settings.last_learning_rate *= options.learning_rate / settings.learning_rate;
    settings.learning_rate = options.learning_rate;
  }
  check(settings);
  return settings;
}

void write_json(const fs::path& path, const nlohmann::json& value) {
  kronecker::replace_file(path, [&](std::ostream& file) {
    file << value.dump(1, ' ', false, nlohmann::json::error_handler_t::replace) << "\n";
  });
}

int train(const TrainOptions& options) {
  const Settings settings = settings_of(options);
  const torch::Device device(options.device);
  if (device.is_cuda() && !torch::cuda::is_available())
    throw std::runtime_error("this LibTorch sees no CUDA device");
  if (device.is_cpu()) examples::use_one_thread();
  examples::create_folder(options.output);

  const kronecker::Vocabulary vocabulary = kronecker::load_vocabulary(options.tokenizer);
  const Corpus text(options.data / "train.npy", vocabulary.size(), settings.context);
  const Corpus validation(options.data / "validation.npy", vocabulary.size(), settings.context);
  Training training(settings, vocabulary, text, validation, device);

  const fs::path result_path = options.output / "result.json";
  if (fs::exists(result_path)) {
    const auto old = nlohmann::json::parse(examples::read_file(result_path), nullptr, false);
    if (!old.is_object())
      throw kronecker::FileError(kronecker::shown_text(result_path.string()) + ": not the result of a run");
    check_same_run(result_path, old.value("run", nlohmann::json::object()), training.definition());
    fmt::print("{}: this run is complete\n", kronecker::shown_text(result_path.string()));
    return 0;
  }
  nlohmann::json result = training.run(options.output / "checkpoint");
  const auto prompts = nlohmann::json::parse(examples::read_file(options.data / "prompts.json"));
  PromptEvaluation evaluation(training.model(), vocabulary, device);
  result["misspelled_pairs"] = evaluation.misspelled_pairs(prompts.at("pairs"));
  result["continuations"] = evaluation.continuations(prompts.at("generation"));
  if (const KroneckerEmbedding embedding = training.model()->tokens->kronecker())
    kronecker::save(options.output / "embedding.kron", embedding->embedding().cast<Eigen::bfloat16>());
  write_json(result_path, result);
  fmt::print("{} seed {}: validation loss {:.4f}\n", settings.arm, settings.seed,
             result["validation_loss"].get<double>());
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App program("A small language model with tables or Kronecker embeddings as its input layer.",
                   "language_model");
  program.require_subcommand(1);
  TrainOptions options;
  CLI::App* training = program.add_subcommand(
      "train", "Train one model and evaluate it; go on where it was if it was stopped");
  training->add_option("DATA", options.data, "Folder that language_model_data made")->required();
  training->add_option("--output", options.output, "Folder for checkpoint and result.json")
      ->type_name("FOLDER")
      ->required();
  training->add_option("--config", options.configuration, "small, or gpt2 for a CUDA device")
      ->type_name("NAME")
      ->capture_default_str();
  training->add_option("--arm", options.arm, "Input layer and output head")
      ->type_name("NAME")
      ->check(examples::one_of(arms))
      ->capture_default_str();
  training->add_option("--seed", options.seed, "Of weights and data")
      ->type_name("NUMBER")
      ->transform(examples::whole_number())
      ->capture_default_str();
  training->add_option("--steps", options.steps, "Number of steps, if not the configuration's")
      ->type_name("NUMBER")
      ->transform(examples::whole_number(1, 1000000000));
  training->add_option("--learning-rate", options.learning_rate, "Learning rate, if not the configuration's")
      ->type_name("NUMBER")
      ->check(CLI::PositiveNumber);
  training->add_option("--tokenizer", options.tokenizer, "Tokenizer with which the data was made")
      ->type_name("FILE")
      ->capture_default_str();
  training->add_option("--device", options.device, "cpu or cuda")
      ->type_name("NAME")
      ->check(examples::one_of({"cpu", "cuda"}))
      ->capture_default_str();

  fs::path report_folder;
  std::vector<fs::path> results;
  CLI::App* report = program.add_subcommand("report", "Make tables and curves of runs");
  report->add_option("RESULT", results, "result.json of each run")->required();
  report->add_option("--output", report_folder, "Folder for results.md, results.json and curves.tsv")
      ->type_name("FOLDER")
      ->required();
  return examples::run_program(program, argc, argv, [&] {
    if (training->parsed()) return train(options);
    write_report(results, report_folder);
    return 0;
  });
}
