#pragma once

/// The results of runs, as `language_model train` writes them, and what is taken from several.

#include "files.hpp"
#include "settings.hpp"

#include <fmt/core.h>
#include <kronecker/error.hpp>
#include <kronecker/shown_text.hpp>
#include <nlohmann/json.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace language_model {

using Json = nlohmann::json;

/// Values of some seeds.
struct Sample {
  std::vector<double> values;

  double mean() const {
    double sum = 0;
    for (const double value : values) sum += value;
    return sum / static_cast<double>(values.size());
  }
  /// The unbiased standard deviation; 0 of one value.
  double deviation() const {
    double sum = 0;
    for (const double value : values) sum += (value - mean()) * (value - mean());
    return values.size() < 2 ? 0 : std::sqrt(sum / static_cast<double>(values.size() - 1));
  }
};

/// Arms come in the order of `arms`.
struct InOrderOfArms {
  bool operator()(const std::string& a, const std::string& b) const { return &arm_of(a) < &arm_of(b); }
};
using Seeds = std::map<std::uint64_t, Json>;
using Runs = std::map<std::string, Seeds, InOrderOfArms>;

template <class Value>
Sample over_seeds(const Seeds& seeds, Value value) {
  Sample sample;
  for (const auto& [seed, result] : seeds) sample.values.push_back(value(result));
  return sample;
}

inline double loss_of(const Json& result) { return result["validation_loss"].get<double>(); }
inline double rate_of(const Json& result) { return result["run"]["learning_rate"].get<double>(); }

/// The result in a file. Throws FileError if it is none.
inline Json read_result(const std::filesystem::path& path) {
  const Json result = Json::parse(examples::read_file(path), nullptr, false);
  if (!result.is_object() || !result.contains("curve") || !result.contains("validation_loss"))
    throw kronecker::FileError(kronecker::shown_text(path.string()) + ": not the result of a run");
  return result;
}

/// The learning rate of the run with the least loss.
inline double best_rate(const std::vector<std::filesystem::path>& paths) {
  Json best;
  for (const auto& path : paths) {
    const Json result = read_result(path);
    if (best.is_null() || loss_of(result) < loss_of(best)) best = result;
  }
  return rate_of(best);
}

/// The settings that all runs of a study have, whatever their arm and seed.
inline Json shared_settings(const Json& result) {
  Json run = result.at("run");
  for (const char* name : {"arm", "seed", "learning_rate", "last_learning_rate"}) run.erase(name);
  return run;
}

/// The runs of some files, all with the settings of the first, and of an arm with one learning rate.
inline Runs read_runs(const std::vector<std::filesystem::path>& paths) {
  Runs runs;
  Json shared;
  for (const auto& path : paths) {
    const Json result = read_result(path);
    const auto refuse = [&](const std::string& why) {
      throw kronecker::FileError(kronecker::shown_text(path.string()) + ": " + why);
    };
    if (!result.contains("misspelled_pairs")) refuse("the run was one to choose a learning rate by");
    if (shared.is_null()) shared = shared_settings(result);
    if (shared_settings(result) != shared) refuse("its settings are not those of the other runs");
    const auto arm = result["run"].at("arm").get<std::string>();
    const auto seed = result["run"].at("seed").get<std::uint64_t>();
    Seeds& seeds = runs[arm];
    if (!seeds.empty() && rate_of(seeds.begin()->second) != rate_of(result))
      refuse("its learning rate is not that of the other runs of " + arm);
    if (!seeds.emplace(seed, result).second)
      refuse(fmt::format("there is another run of {} with seed {}", arm, seed));
  }
  return runs;
}

/// The step at which a curve first comes down to a loss, between its points on a line; none if it never does.
inline std::optional<double> step_of_loss(const Json& curve, double loss) {
  for (std::size_t i = 0; i < curve.size(); ++i) {
    const double found = curve[i]["validation_loss"].get<double>(), step = curve[i]["step"].get<double>();
    if (found > loss) continue;
    if (i == 0) return step;
    const double before = curve[i - 1]["validation_loss"].get<double>(),
                 step_before = curve[i - 1]["step"].get<double>();
    return step_before + (step - step_before) * (before - loss) / (before - found);
  }
  return {};
}

}  // namespace language_model
