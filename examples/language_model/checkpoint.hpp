#pragma once

/// The state of a run in one file: weights, the optimizer's state, and how far it is. It is written beside
/// the old one and then takes its place, so that whenever a run is killed, one of the two is there whole.

#include "files.hpp"
#include "model.hpp"

#include <fmt/core.h>
#include <torch/torch.h>
#include <kronecker/files/replace_file.hpp>
#include <nlohmann/json.hpp>

#include <filesystem>
#include <sstream>
#include <string>

namespace language_model {

inline void save_checkpoint(const std::filesystem::path& path, const Gpt& model,
                            const torch::optim::Optimizer& optimizer, const nlohmann::json& progress) {
  torch::serialize::OutputArchive archive, weights, moments;
  model->save(weights);
  optimizer.save(moments);
  archive.write("model", weights);
  archive.write("optimizer", moments);
  archive.write("progress", c10::IValue(progress.dump()));
  std::ostringstream content;  // in memory first: torch's writer ends the program if a disk is full
  archive.save_to(content);
  const std::string bytes = std::move(content).str();
  kronecker::replace_file(path, [&](std::ostream& file) {
    file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  });
}

/// Refuses a checkpoint of another run by the first thing in which they differ.
inline void check_same_run(const std::filesystem::path& path, const nlohmann::json& found,
                           const nlohmann::json& expected) {
  for (const auto& [name, value] : expected.items())
    if (!found.contains(name) || found[name] != value)
      throw kronecker::FileError(fmt::format("{}: this is of a run with {} {}, not {}",
                                             kronecker::shown_text(path.string()), name,
                                             found.value(name, nlohmann::json()).dump(), value.dump()));
}

/// Reads a checkpoint of the run that `run` defines into model and optimizer; returns its progress. Throws
/// FileError if the file is no complete checkpoint, or one of another run.
inline nlohmann::json load_checkpoint(const std::filesystem::path& path, const nlohmann::json& run,
                                      Gpt& model, torch::optim::Optimizer& optimizer, torch::Device device) {
  std::istringstream content(examples::read_file(path));
  try {
    torch::serialize::InputArchive archive, weights, moments;
    archive.load_from(content, device);
    c10::IValue text;
    archive.read("progress", text);
    const nlohmann::json progress = nlohmann::json::parse(text.toStringRef());
    check_same_run(path, progress.at("run"), run);
    archive.read("model", weights);
    archive.read("optimizer", moments);
    model->load(weights);
    optimizer.load(moments);
    return progress;
  } catch (const c10::Error&) {
    throw kronecker::FileError(kronecker::shown_text(path.string()) + ": not a complete checkpoint");
  } catch (const nlohmann::json::exception&) {
    throw kronecker::FileError(kronecker::shown_text(path.string()) + ": not a checkpoint of this program");
  }
}

}  // namespace language_model
