#pragma once

/// Tables and curves of all runs, seeds taken together.

#include "files.hpp"
#include "results.hpp"
#include "settings.hpp"

#include <fmt/core.h>
#include <kronecker/files/replace_file.hpp>
#include <nlohmann/json.hpp>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

namespace language_model {

class Report {
 public:
  /// Of the runs, and of those by which the learning rates were chosen, if there are any.
  Report(const std::vector<std::filesystem::path>& results,
         const std::vector<std::filesystem::path>& rate_results)
      : runs_(read_runs(results)), shared_(shared_settings(runs_.begin()->second.begin()->second)) {
    for (const auto& path : rate_results) rate_runs_.push_back(read_result(path));
  }

  std::string markdown() const {
    return "# Measurements of the study\n\nWritten by `scripts/study`; the same numbers are in "
           "results.json. " +
           setting() + losses() + closed_shares() + rates() + norms() + misspellings() + categories() +
           continuations();
  }

  /// Step, then the mean validation loss of every arm.
  std::string curves() const {
    std::string text = "step";
    for (const auto& [arm, seeds] : runs_) text += "\t" + arm;
    const auto& steps = runs_.begin()->second.begin()->second["curve"];
    for (std::size_t i = 0; i < steps.size(); ++i) {
      text += fmt::format("\n{}", steps[i]["step"].get<int>());
      for (const auto& [arm, seeds] : runs_)
        text += fmt::format("\t{:.5f}", over_seeds(seeds, [&](const Json& result) {
                                          return result["curve"][i]["validation_loss"].get<double>();
                                        }).mean());
    }
    return text + "\n";
  }

  /// All runs without the texts that they wrote, as JSON with a line for each.
  std::string numbers() const {
    std::string text;
    const auto add = [&](Json result) {
      if (result.contains("continuations")) result["continuations"].erase("texts");
      text += (text.empty() ? "[" : ",\n") + result.dump();
    };
    for (const auto& [arm, seeds] : runs_)
      for (const auto& [seed, result] : seeds) add(result);
    for (const Json& result : rate_runs_) add(result);
    return text + "]\n";
  }

 private:
  static std::string shown(const Sample& sample, int digits) {
    return fmt::format("{:.{}f} ± {:.{}f}", sample.mean(), digits, sample.deviation(), digits);
  }

  std::string setting() const {
    const auto whole = [&](const char* name) { return shared_[name].get<int>(); };
    std::map<std::string, int> devices;
    int count = 0;
    for (const auto& [arm, seeds] : runs_)
      for (const auto& [seed, result] : seeds) ++devices[result.value("device", "cpu")], ++count;
    std::string where;
    for (const auto& [device, runs] : devices)
      where += (where.empty() ? "" : " and ") + fmt::format("{} on {}", runs, device);
    return fmt::format(
        "A model of {} layers, d_model {}, {} heads, context {}; {} tokens in the vocabulary, pos_dim {}. {} "
        "steps of {} sequences, {:.2f} million tokens of a text of {:.2f} million. {} runs, {}; plus and "
        "minus are standard deviations over seeds.\n",
        whole("layers"), whole("d_model"), whole("heads"), whole("context"), whole("vocabulary_tokens"),
        whole("pos_dim"), whole("steps"), whole("batch"),
        1e-6 * shared_["steps"].get<double>() * shared_["batch"].get<double>() *
            shared_["context"].get<double>(),
        1e-6 * shared_["training_tokens"].get<double>(), count, where);
  }

  /// What `value` makes of the results of an arm and of another one, seed by seed.
  template <class Value>
  Sample beside(const Seeds& seeds, const char* other_arm, Value value) const {
    Sample sample;
    const auto other = runs_.find(other_arm);
    if (other == runs_.end()) return sample;
    for (const auto& [seed, result] : seeds)
      if (const auto found = other->second.find(seed); found != other->second.end())
        if (const std::optional<double> number = value(result, found->second))
          sample.values.push_back(*number);
    return sample;
  }

  std::string losses() const {
    std::string text =
        "\n## Validation loss\n\n| arm | learning rate | input parameters | head | loss, nats a token | bits "
        "a byte | against the tied table, seed by seed | steps to the tied table's last loss |\n"
        "|---|---|---|---|---|---|---|---|\n";
    for (const auto& [arm, seeds] : runs_) {
      const auto& first = seeds.begin()->second;
      const Sample difference =
          beside(seeds, "table-tied", [](const Json& result, const Json& tied) -> std::optional<double> {
            return loss_of(result) - loss_of(tied);
          });
      const Sample steps = beside(seeds, "table-tied", [](const Json& result, const Json& tied) {
        return step_of_loss(result["curve"], tied["curve"].back()["validation_loss"].get<double>());
      });
      const bool is_reached_by_all = !steps.values.empty() && steps.values.size() == seeds.size();
      text += fmt::format(
          "| {} | {} | {} | {} | {} | {} | {} | {} |\n", arm, rate_of(first),
          first["parameters"]["input"].get<std::int64_t>(), first["parameters"]["head"].get<std::int64_t>(),
          shown(over_seeds(seeds, loss_of), 4),
          shown(over_seeds(seeds, [](const Json& result) { return result["bits_per_byte"].get<double>(); }),
                4),
          difference.values.empty()
              ? "-"
              : fmt::format("{:+.4f} ± {:.4f}", difference.mean(), difference.deviation()),
          is_reached_by_all ? fmt::format("{:.0f}", steps.mean()) : "not reached by all seeds");
    }
    return text + fmt::format("\nThe body has {} parameters.\n", body_parameters());
  }

  std::int64_t body_parameters() const {
    return runs_.begin()->second.begin()->second["parameters"]["body"].get<std::int64_t>();
  }

  /// How much of what the additive head loses against the tied table with the same bias its corrections
  /// bring back.
  std::string closed_shares() const {
    const auto table = runs_.find("table-tied-bias");
    if (table == runs_.end()) return {};
    std::string rows;
    for (const auto& [arm, seeds] : runs_) {
      const Arm& kind = arm_of(arm);
      if (kind.input != Input::kronecker || kind.head != Head::tied || kind.rank == no_correction) continue;
      const Sample share = beside(
          seeds, "kronecker-tied", [&](const Json& corrected, const Json& additive) -> std::optional<double> {
            const auto tied = table->second.find(corrected["run"]["seed"].get<std::uint64_t>());
            if (tied == table->second.end()) return {};
            const double lost = loss_of(additive) - loss_of(tied->second);
            return 100 * (loss_of(additive) - loss_of(corrected)) / lost;
          });
      if (!share.values.empty()) rows += fmt::format("| {} | {} % |\n", arm, shown(share, 1));
    }
    if (rows.empty()) return {};
    return "\n## The additive head corrected\n\nHow much of what kronecker-tied loses against "
           "table-tied-bias is closed, seed by seed.\n\n| arm | closed |\n|---|---|\n" +
           rows;
  }

  /// The search for each arm's learning rate.
  std::string rates() const {
    std::map<std::string, std::map<double, double>, InOrderOfArms> losses;
    std::map<double, int> all;
    for (const Json& result : rate_runs_) {
      losses[result["run"]["arm"].get<std::string>()][rate_of(result)] = loss_of(result);
      ++all[rate_of(result)];
    }
    if (all.empty()) return {};
    const Json& run = rate_runs_.front()["run"];
    std::string text = fmt::format(
        "\n## Learning rates\n\nLoss after {} steps with seed {}, which is none of the study's; the rate of "
        "the least is taken.\n\n| arm |",
        run["steps"].get<int>(), run["seed"].get<int>());
    std::string line = "\n|---|";
    for (const auto& [rate, count] : all) text += fmt::format(" {} |", rate), line += "---|";
    text += line + "\n";
    for (const auto& [arm, of_arm] : losses) {
      text += "| " + arm + " |";
      for (const auto& [rate, count] : all)
        text += of_arm.count(rate) == 0 ? " - |" : fmt::format(" {:.4f} |", of_arm.at(rate));
      text += "\n";
    }
    return text;
  }

  std::string norms() const {
    std::string text =
        "\n## Norms, at the end divided by at the start\n\n| arm | input weights | input layer's output |\n"
        "|---|---|---|\n";
    for (const auto& [arm, seeds] : runs_) {
      const auto growth = [&seeds = seeds](const char* norm) {
        return over_seeds(seeds, [norm](const Json& result) {
          return result["curve"].back()[norm].get<double>() / result["curve"].front()[norm].get<double>();
        });
      };
      text += fmt::format("| {} | {} | {} |\n", arm, shown(growth("weight_norm"), 3),
                          shown(growth("output_norm"), 3));
    }
    return text;
  }

  std::string misspellings() const {
    std::string text =
        "\n## Misspelled prompts\n\n| arm | likeliest token kept | divergence, nats | cosine of the hidden "
        "states |\n|---|---|---|---|\n";
    for (const auto& [arm, seeds] : runs_) {
      const auto of = [&seeds = seeds](const char* what, double factor = 1) {
        return over_seeds(seeds, [=](const Json& result) {
          return factor * result["misspelled_pairs"]["all"][what].get<double>();
        });
      };
      text += fmt::format("| {} | {} % | {} | {} |\n", arm, shown(of("top1_kept", 100), 1),
                          shown(of("divergence"), 3), shown(of("cosine"), 3));
    }
    return text;
  }

  std::string categories() const {
    std::string text = "\nLikeliest token kept, by category, in percent:\n\n| arm |", line = "\n|---|";
    std::vector<std::string> names;
    for (const auto& [name, ignored] : runs_.begin()->second.begin()->second["misspelled_pairs"].items())
      if (name != "all") names.push_back(name);
    for (const std::string& name : names) text += " " + name + " |", line += "---|";
    text += line + "\n";
    for (const auto& [arm, seeds] : runs_) {
      text += "| " + arm + " |";
      for (const std::string& name : names)
        text += fmt::format(" {:.0f} |",
                            100 * over_seeds(seeds, [&](const Json& result) {
                                    return result["misspelled_pairs"][name]["top1_kept"].get<double>();
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
      const auto count = [&seeds = seeds](const char* what) {
        int sum = 0;
        for (const auto& [seed, result] : seeds) sum += result["continuations"][what].get<int>();
        return sum;
      };
      text += fmt::format("| {} | {} of {} | {} of {} |\n", arm, count("misspelled_echoed"),
                          count("misspelled"), count("unseen_echoed"), count("unseen"));
    }
    return text;
  }

  Runs runs_;
  std::vector<Json> rate_runs_;
  Json shared_;  // the settings that all runs have
};

/// Writes results.md, results.json and curves.tsv.
inline void write_report(const std::vector<std::filesystem::path>& results,
                         const std::vector<std::filesystem::path>& rate_results,
                         const std::filesystem::path& folder) {
  const Report report(results, rate_results);
  const auto write = [&](const char* name, const std::string& text) {
    kronecker::replace_file(folder / name, [&](std::ostream& file) { file << text; });
  };
  examples::create_folder(folder);
  write("results.md", report.markdown());
  write("results.json", report.numbers());
  write("curves.tsv", report.curves());
}

}  // namespace language_model
