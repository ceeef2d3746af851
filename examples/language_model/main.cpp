/// A small language model with a choice of input layers and output heads (settings.hpp): tables and Kronecker
/// embeddings, tied or not, with and without a bias or more that corrects the head. scripts/study runs all of
/// them and makes the report; `language_model --help` explains.

#include "corpus.hpp"
#include "files.hpp"
#include "one_thread.hpp"
#include "options.hpp"
#include "program.hpp"
#include "prompts.hpp"
#include "report.hpp"
#include "results.hpp"
#include "settings.hpp"
#include "training.hpp"

#include <fmt/core.h>
#include <CLI/CLI.hpp>
#include <kronecker/files/replace_file.hpp>
#include <kronecker/vocabularies/load.hpp>

namespace {

using namespace language_model;
namespace fs = std::filesystem;

struct TrainOptions {
  std::string configuration = "small";
  std::string arm = arms.front().name;
  std::uint64_t seed = 1;
  int steps = 0;             // as the configuration says
  bool is_quarter = false;   // of the steps
  double learning_rate = 0;  // as the configuration says
  fs::path data;
  fs::path tokenizer = EXAMPLE_DATA_DIR "/english_8k.model";
  fs::path output;
  std::string device = "cpu";
  fs::path finished;  // a report's results.json; none if empty
};

Settings settings_of(const TrainOptions& options) {
  Settings settings = configuration(options.configuration);
  settings.arm = options.arm;
  settings.seed = options.seed;
  const int steps = (options.steps > 0 ? options.steps : settings.steps) / (options.is_quarter ? 4 : 1);
  settings.warm_up = settings.warm_up * steps / settings.steps;
  settings.steps = steps;
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

/// The result of a run among those of a report; null if it is not there.
nlohmann::json finished_run(const fs::path& results, const nlohmann::json& definition) {
  if (results.empty()) return {};
  const auto all = nlohmann::json::parse(examples::read_file(results), nullptr, false);
  if (!all.is_array())
    throw kronecker::FileError(kronecker::shown_text(results.string()) + ": not the results of a report");
  for (const auto& result : all)
    if (result.value("run", nlohmann::json()) == definition) return result;
  return {};
}

int train(const TrainOptions& options) {
  const Settings settings = settings_of(options);
  const torch::Device device(options.device);
  if (device.is_cuda() && !torch::cuda::is_available())
    throw std::runtime_error("this LibTorch sees no CUDA device");
  if (device.is_cpu()) examples::use_one_thread();
  at::globalContext().setAllowTF32CuBLAS(true);  // of no effect on a CPU
  examples::create_folder(options.output);

  const kronecker::Vocabulary vocabulary = kronecker::load_vocabulary(options.tokenizer);
  const Corpus text(options.data / "train.npy", vocabulary.size(), settings.context);
  const Corpus validation(options.data / "validation.npy", vocabulary.size(), settings.context);
  const auto sizes = nlohmann::json::parse(examples::read_file(options.data / "text.json"));
  Training training(settings, vocabulary, text, validation, sizes.at("validation_bytes").get<std::int64_t>(),
                    device);

  const fs::path result_path = options.output / "result.json";
  if (fs::exists(result_path)) {
    const auto old = nlohmann::json::parse(examples::read_file(result_path), nullptr, false);
    if (!old.is_object())
      throw kronecker::FileError(kronecker::shown_text(result_path.string()) + ": not the result of a run");
    check_same_run(result_path, old.value("run", nlohmann::json::object()), training.definition());
    fmt::print("{}: this run is complete\n", kronecker::shown_text(result_path.string()));
    return 0;
  }
  if (const auto result = finished_run(options.finished, training.definition()); !result.is_null()) {
    write_json(result_path, result);
    fmt::print("{} seed {}: taken from {}\n", settings.arm, settings.seed,
               kronecker::shown_text(options.finished.string()));
    return 0;
  }
  nlohmann::json result = training.run(options.output / "checkpoint");
  if (!options.is_quarter) {
    const auto prompts = nlohmann::json::parse(examples::read_file(options.data / "prompts.json"));
    PromptEvaluation evaluation(training.model(), vocabulary, device);
    result["misspelled_pairs"] = evaluation.misspelled_pairs(prompts.at("pairs"));
    result["continuations"] = evaluation.continuations(prompts.at("generation"));
  }
  training.model()->tokens->save_embedding(options.output / "embedding.kron");
  write_json(result_path, result);
  fmt::print("{} seed {}, learning rate {}: validation loss {:.4f}, {:.4f} bits a byte\n", settings.arm,
             settings.seed, settings.learning_rate, result["validation_loss"].get<double>(),
             result["bits_per_byte"].get<double>());
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
  training->add_option("--config", options.configuration, "small, or medium or gpt2 for a CUDA device")
      ->type_name("NAME")
      ->capture_default_str();
  training->add_option("--arm", options.arm, "Input layer and output head")
      ->type_name("NAME")
      ->check(examples::one_of(arm_names()))
      ->capture_default_str();
  training->add_option("--seed", options.seed, "Of weights and data")
      ->type_name("NUMBER")
      ->transform(examples::whole_number())
      ->capture_default_str();
  training->add_option("--steps", options.steps, "Number of steps, if not the configuration's")
      ->type_name("NUMBER")
      ->transform(examples::whole_number(1, 1000000000));
  training->add_flag("--quarter", options.is_quarter,
                     "A quarter of the steps and no prompts: to choose a learning rate by");
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

  training->add_option("--finished", options.finished, "A report's results.json: a run in it is not repeated")
      ->type_name("FILE");

  fs::path report_folder;
  std::vector<fs::path> results, rate_results;
  CLI::App* report = program.add_subcommand("report", "Make tables and curves of runs");
  report->add_option("RESULT", results, "result.json of each run")->required();
  report->add_option("--rates", rate_results, "result.json of each run by which a learning rate was chosen")
      ->type_name("RESULT");
  report->add_option("--output", report_folder, "Folder for results.md, results.json and curves.tsv")
      ->type_name("FOLDER")
      ->required();
  CLI::App* list = program.add_subcommand("arms", "List the arms");
  CLI::App* best =
      program.add_subcommand("best-rate", "Print the learning rate of the run with the least loss");
  best->add_option("RESULT", results, "result.json of each run")->required();
  return examples::run_program(program, argc, argv, [&] {
    if (training->parsed()) return train(options);
    if (list->parsed()) {
      for (const Arm& arm : arms) fmt::print("{}\n", arm.name);
      return 0;
    }
    if (best->parsed()) {
      fmt::print("{}\n", best_rate(results));
      return 0;
    }
    write_report(results, rate_results, report_folder);
    return 0;
  });
}
