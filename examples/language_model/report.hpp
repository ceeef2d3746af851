#pragma once

/// Tables and curves of all runs, seeds taken together.

#include "files.hpp"
#include "settings.hpp"

#include <fmt/core.h>
#include <kronecker/files/replace_file.hpp>
#include <nlohmann/json.hpp>

#include <cmath>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace language_model {

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

class Report {
 public:
  explicit Report(const std::vector<std::filesystem::path>& results) {
    for (const auto& path : results) {
      const auto result = nlohmann::json::parse(examples::read_file(path), nullptr, false);
      if (!result.is_object() || !result.contains("curve") || !result.contains("misspelled_pairs"))
        throw kronecker::FileError(kronecker::shown_text(path.string()) + ": not the result of a run");
      nlohmann::json run = result["run"];
      const auto arm = run.at("arm").get<std::string>();
      const auto seed = run.at("seed").get<std::uint64_t>();
      run.erase("arm");
      run.erase("seed");
      if (shared_.is_null()) shared_ = run;
      if (run != shared_)
        throw kronecker::FileError(kronecker::shown_text(path.string()) +
                                   ": its settings are not those of the other runs");
      if (!runs_[arm].emplace(seed, result).second)
        throw kronecker::FileError(fmt::format("{}: there is another run of {} with seed {}",
                                               kronecker::shown_text(path.string()), arm, seed));
    }
  }

  std::string markdown() const {
    return "# Measurements of the study\n\nWritten by `scripts/study`; the same numbers are in "
           "results.json. " +
           setting() + losses() + norms() + misspellings() + categories() + continuations();
  }

  /// Step, then the mean validation loss of every arm.
  std::string curves() const {
    std::string text = "step";
    for (const auto& [arm, seeds] : runs_) text += "\t" + arm;
    const auto& steps = runs_.begin()->second.begin()->second["curve"];
    for (std::size_t i = 0; i < steps.size(); ++i) {
      text += fmt::format("\n{}", steps[i]["step"].get<int>());
      for (const auto& [arm, seeds] : runs_)
        text += fmt::format("\t{:.5f}", over_seeds(seeds, [&](const auto& r) {
                                          return r["curve"][i]["validation_loss"].template get<double>();
                                        }).mean());
    }
    return text + "\n";
  }

  /// All runs without the texts that they wrote.
  nlohmann::json numbers() const {
    nlohmann::json all = nlohmann::json::array();
    for (const auto& [arm, seeds] : runs_)
      for (const auto& [seed, result] : seeds) {
        all.push_back(result);
        all.back()["continuations"].erase("texts");
      }
    return all;
  }

 private:
  using Seeds = std::map<std::uint64_t, nlohmann::json>;

  template <class Value>
  static Sample over_seeds(const Seeds& seeds, Value value) {
    Sample sample;
    for (const auto& [seed, result] : seeds) sample.values.push_back(value(result));
    return sample;
  }

  std::string setting() const {
    const auto& run = shared_;
    return fmt::format(
        "A model of {} layers, d_model {}, {} heads, context {}; {} tokens in the vocabulary, pos_dim {}. {} "
        "steps "
        "of {} sequences, {:.2f} million tokens of a text of {:.2f} million; learning rate {} to {}. {} "
        "runs; "
        "plus and minus are standard deviations over seeds.\n",
        run["layers"].get<int>(), run["d_model"].get<int>(), run["heads"].get<int>(),
        run["context"].get<int>(), run["vocabulary_tokens"].get<int>(), run["pos_dim"].get<int>(),
        run["steps"].get<int>(), run["batch"].get<int>(),
        1e-6 * run["steps"].get<double>() * run["batch"].get<double>() * run["context"].get<double>(),
        1e-6 * run["training_tokens"].get<double>(), run["learning_rate"].get<double>(),
        run["last_learning_rate"].get<double>(), numbers().size());
  }

  static double last_loss(const nlohmann::json& result) {
    return result["curve"].back()["validation_loss"].get<double>();
  }

  /// The step at which a curve first comes down to a loss, between its points on a line; none if it never
  /// does.
  static std::optional<double> step_of_loss(const nlohmann::json& curve, double loss) {
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

  std::string losses() const {
    std::string text =
        "\n## Validation loss\n\n| arm | input parameters | head | body | loss, nats a token | against the "
        "tied table, "
        "seed by seed | steps to the tied table's last loss |\n|---|---|---|---|---|---|---|\n";
    const auto baseline = runs_.find(arms.front());
    for (const auto& [arm, seeds] : runs_) {
      const auto loss_of = [](const auto& result) {
        return result["validation_loss"].template get<double>();
      };
      const Sample loss = over_seeds(seeds, loss_of);
      Sample difference, steps;
      if (baseline != runs_.end())
        for (const auto& [seed, result] : seeds)
          if (const auto other = baseline->second.find(seed); other != baseline->second.end()) {
            difference.values.push_back(loss_of(result) - loss_of(other->second));
            if (const auto step = step_of_loss(result["curve"], last_loss(other->second)))
              steps.values.push_back(*step);
          }
      const bool is_reached_by_all = !steps.values.empty() && steps.values.size() == seeds.size();
      const auto& parameters = seeds.begin()->second["parameters"];
      text +=
          fmt::format("| {} | {} | {} | {} | {:.4f} ± {:.4f} | {} | {} |\n", arm,
                      parameters["input"].get<std::int64_t>(), parameters["head"].get<std::int64_t>(),
                      parameters["body"].get<std::int64_t>(), loss.mean(), loss.deviation(),
                      difference.values.empty()
                          ? "-"
                          : fmt::format("{:+.4f} ± {:.4f}", difference.mean(), difference.deviation()),
                      is_reached_by_all ? fmt::format("{:.0f}", steps.mean()) : "not reached by all seeds");
    }
    return text;
  }

  std::string norms() const {
    std::string text =
        "\n## Norms, at the end divided by at the start\n\n| arm | input weights | input layer's output |\n"
        "|---|---|---|\n";
    for (const auto& [arm, seeds] : runs_) {
      const auto growth = [](const char* norm) {
        return [norm](const auto& result) {
          return result["curve"].back()[norm].template get<double>() /
                 result["curve"].front()[norm].template get<double>();
        };
      };
      const Sample weights = over_seeds(seeds, growth("weight_norm")),
                   outputs = over_seeds(seeds, growth("output_norm"));
      text += fmt::format("| {} | {:.3f} ± {:.3f} | {:.3f} ± {:.3f} |\n", arm, weights.mean(),
                          weights.deviation(), outputs.mean(), outputs.deviation());
    }
    return text;
  }

  std::string misspellings() const {
    std::string text =
        "\n## Misspelled prompts\n\n| arm | likeliest token kept | divergence, nats | cosine of the hidden "
        "states |\n"
        "|---|---|---|---|\n";
    for (const auto& [arm, seeds] : runs_) {
      const auto of = [&](const char* what) {
        return over_seeds(seeds, [what](const auto& result) {
          return result["misspelled_pairs"]["all"][what].template get<double>();
        });
      };
      const Sample kept = of("top1_kept"), divergence = of("divergence"), cosine = of("cosine");
      text += fmt::format("| {} | {:.1f} ± {:.1f} % | {:.3f} ± {:.3f} | {:.3f} ± {:.3f} |\n", arm,
                          100 * kept.mean(), 100 * kept.deviation(), divergence.mean(),
                          divergence.deviation(), cosine.mean(), cosine.deviation());
    }
    return text;
  }

  std::string categories() const {
    std::string text = "\nLikeliest token kept, by category, in percent:\n\n| category |", line = "|---|";
    for (const auto& [arm, seeds] : runs_) text += " " + arm + " |", line += "---|";
    text += "\n" + line + "\n";
    for (const auto& [category, ignored] :
         runs_.begin()->second.begin()->second["misspelled_pairs"].items()) {
      if (category == "all") continue;
      text += "| " + category + " |";
      for (const auto& [arm, seeds] : runs_)
        text += fmt::format(
            " {:.0f} |",
            100 * over_seeds(seeds, [&](const auto& result) {
                    return result["misspelled_pairs"][category]["top1_kept"].template get<double>();
                  }).mean());
      text += "\n";
    }
    return text;
  }

  std::string continuations() const {
    std::string text =
        "\n## Continuations that repeat a word of the prompt\n\nOf all seeds together; greedy, 30 tokens.\n\n"
        "| arm | a misspelled word | the unseen word |\n|---|---|---|\n";
    for (const auto& [arm, seeds] : runs_) {
      const auto count = [&](const char* what) {
        const Sample sample = over_seeds(seeds, [what](const auto& result) {
          return result["continuations"][what].template get<double>();
        });
        return sample.mean() * static_cast<double>(sample.values.size());
      };
      text += fmt::format("| {} | {:.0f} of {:.0f} | {:.0f} of {:.0f} |\n", arm, count("misspelled_echoed"),
                          count("misspelled"), count("unseen_echoed"), count("unseen"));
    }
    return text;
  }

  std::map<std::string, Seeds> runs_;  // by arm
  nlohmann::json shared_;              // the settings that all runs have
};

/// Writes results.md, results.json and curves.tsv.
inline void write_report(const std::vector<std::filesystem::path>& results,
                         const std::filesystem::path& folder) {
  const Report report(results);
  const auto write = [&](const char* name, const std::string& text) {
    kronecker::replace_file(folder / name, [&](std::ostream& file) { file << text; });
  };
  examples::create_folder(folder);
  write("results.md", report.markdown());
  write("results.json", report.numbers().dump(1) + "\n");
  write("curves.tsv", report.curves());
}

}  // namespace language_model
