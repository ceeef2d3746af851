#pragma once

#include "report.hpp"

#include <kronecker/analysis/accounting.hpp>
#include <kronecker/analysis/coverage.hpp>
#include <kronecker/files/replace_file.hpp>
#include <kronecker/vocabularies/load.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <ostream>
#include <vector>

namespace kron {

/// kron audit: the method's weak spots for one vocabulary.
class Audit {
 public:
  explicit Audit(CLI::App& tool)
      : command_(tool.add_subcommand("audit",
                                     "Show which tokens of a vocabulary are cut or cannot be told apart")) {
    add_vocabulary(*command_, vocabulary_)->required();
    add_pos_dim(*command_, pos_dim_);
    command_->add_option("--d-model", d_model_, "Width of the embeddings, for the costs")
        ->type_name("NUMBER")
        ->check(CLI::Range(1, 65536))
        ->capture_default_str();
    command_->add_flag("--reference", reference_,
                       "Take the strings that the PyTorch reference takes, not the true bytes");
    command_->add_option("--groups", shown_groups_, "Number of groups of equal tokens to print")
        ->check(examples::whole_number())
        ->capture_default_str();
    command_->add_flag("--tied", is_tied_,
                       "The model's output head has the weights of its table, for the costs");
    command_
        ->add_option("--model-parameters", model_parameters_,
                     "Parameters of the whole model with its table, for the costs")
        ->check(examples::whole_number());
    command_->add_option("--svg", svg_, "Also draw tokens cut and colliding against pos_dim")
        ->type_name("FILE");
    add_json(*command_, as_json_);
  }
  const CLI::App* command() const { return command_; }

  int run() const {
    const auto text = reference_ ? kronecker::TokenText::reference : kronecker::TokenText::raw;
    const kronecker::Vocabulary vocabulary = kronecker::load_vocabulary(vocabulary_, text);
    const kronecker::Coverage coverage = kronecker::coverage(vocabulary, Encoder(256, pos_dim_));
    const auto choices = kronecker::compare_pos_dims(vocabulary, d_model_);
    const kronecker::Accounting costs = costs_of(vocabulary.size());
    if (!svg_.empty()) draw(choices);
    if (as_json_)
      report_json(coverage, choices, costs);
    else
      report(vocabulary, coverage, choices, costs);
    return 0;
  }

 private:
  static const char* name_of(kronecker::SharedCodeReason reason) {
    return reason == kronecker::SharedCodeReason::same_bytes ? "same bytes" : "equal after truncation";
  }

  kronecker::Accounting costs_of(kronecker::TokenId vocab_size) const {
    kronecker::EmbeddingSizes sizes{vocab_size, d_model_, pos_dim_};
    if (is_tied_) sizes.table_head = kronecker::OutputHead::tied;
    sizes.model_parameters = model_parameters_;
    return kronecker::account(sizes);
  }

  /// Parameters of the output head that a model needs once its table, which was the head, is gone.
  static std::uint64_t head_parameters(const kronecker::Accounting& costs) {
    return costs.input_parameters.table;
  }

  void report_costs(const kronecker::Accounting& costs) const {
    const auto number = [](std::uint64_t count) {
      return examples::short_number(static_cast<double>(count));
    };
    const auto row = [&](const char* name, const kronecker::Comparison& parameters) {
      fmt::print("  {:<24} {:>8} -> {:>8}  ({:+.2f} %)\n", name, number(parameters.table),
                 number(parameters.kronecker), -parameters.saved_percent());
    };
    fmt::print("\n  parameters at d_model {} and pos_dim {}, table{} -> projection\n", d_model_, pos_dim_,
               is_tied_ ? " tied to the output head" : "");
    row("input embedding", costs.input_parameters);
    row("with the output head", costs.parameters_with_head);
    if (costs.model_parameters) row("whole model", *costs.model_parameters);
    fmt::print("  {} {} parameters\n",
               is_tied_ ? "the output head, which can no longer be the table, costs"
                        : "the output head has, in either model,",
               number(head_parameters(costs)));
  }

  ordered_json json_costs(const kronecker::Accounting& costs) const {
    const auto pair = [](const kronecker::Comparison& parameters) {
      return ordered_json{{"table", parameters.table},
                          {"kronecker", parameters.kronecker},
                          {"saved_percent", parameters.saved_percent()}};
    };
    ordered_json report{{"d_model", d_model_},
                        {"pos_dim", pos_dim_},
                        {"tied", is_tied_},
                        {"untied_head_parameters", head_parameters(costs)},
                        {"input_parameters", pair(costs.input_parameters)},
                        {"parameters_with_head", pair(costs.parameters_with_head)}};
    if (costs.model_parameters) report["model_parameters"] = pair(*costs.model_parameters);
    return report;
  }

  void report(const kronecker::Vocabulary& vocabulary, const kronecker::Coverage& coverage,
              const std::vector<kronecker::PosDimChoice>& choices, const kronecker::Accounting& costs) const {
    fmt::print("{} at pos_dim {}: {} tokens\n", vocabulary_, pos_dim_, coverage.vocab_size);
    fmt::print("  {} are truncated, {} are empty\n", coverage.truncated_tokens, coverage.empty_tokens);
    fmt::print("  {} have the same bytes as another\n", coverage.same_bytes_tokens);
    fmt::print("  {} share their code with another, in {} groups\n", coverage.colliding_tokens,
               coverage.shared_codes.size());
    fmt::print("  {} of {} cells are reached\n", coverage.reached_cells, coverage.code_dim);
    for (std::size_t i = 0; i < std::min(shown_groups_, coverage.shared_codes.size()); ++i) {
      const auto& group = coverage.shared_codes[i];
      fmt::print("  {} tokens, {}:", group.ids.size(), name_of(group.reason));
      for (std::size_t j = 0; j < std::min<std::size_t>(group.ids.size(), 4); ++j)
        fmt::print(" {} {}", group.ids[j], examples::shown(vocabulary.bytes(group.ids[j])));
      fmt::print("{}\n", group.ids.size() > 4 ? " ..." : "");
    }
    if (coverage.shared_codes.size() > shown_groups_)
      fmt::print("  ... and {} more groups (--groups, or --json for all)\n",
                 coverage.shared_codes.size() - shown_groups_);
    fmt::print("\n  pos_dim  parameters at d_model {:<6} token bytes  truncated  colliding\n", d_model_);
    for (const auto& choice : choices)
      fmt::print("  {:>7}  {:>28}  {:>11}B  {:>9}  {:>9}\n", choice.pos_dim,
                 examples::short_number(static_cast<double>(choice.parameters)),
                 examples::short_number(static_cast<double>(choice.token_bytes_memory)),
                 choice.truncated_tokens, choice.colliding_tokens);
    report_costs(costs);
  }

  void report_json(const kronecker::Coverage& coverage, const std::vector<kronecker::PosDimChoice>& choices,
                   const kronecker::Accounting& costs) const {
    ordered_json groups = ordered_json::array(), table = ordered_json::array();
    for (const auto& group : coverage.shared_codes)
      groups.push_back({{"ids", group.ids}, {"reason", name_of(group.reason)}});
    for (const auto& choice : choices)
      table.push_back({{"pos_dim", choice.pos_dim},
                       {"parameters", choice.parameters},
                       {"token_bytes_memory", choice.token_bytes_memory},
                       {"truncated", choice.truncated_tokens},
                       {"colliding", choice.colliding_tokens}});
    print_json({{"vocabulary", vocabulary_},
                {"pos_dim", pos_dim_},
                {"tokens", coverage.vocab_size},
                {"truncated", coverage.truncated_tokens},
                {"empty", coverage.empty_tokens},
                {"same_bytes", coverage.same_bytes_tokens},
                {"colliding", coverage.colliding_tokens},
                {"reached_cells", coverage.reached_cells},
                {"code_dim", coverage.code_dim},
                {"shared_codes", groups},
                {"pos_dims", table},
                {"costs", json_costs(costs)}});
  }

  /// Two bars for each pos_dim, as long as the share of the vocabulary, on a logarithmic axis from one token
  /// to all.
  void draw(const std::vector<kronecker::PosDimChoice>& choices) const {
    const double most = std::log10(std::max<double>(10, static_cast<double>(max_count(choices))));
    kronecker::replace_file(svg_, [&](std::ostream& svg) {
      constexpr int left = 80, width = 520, row = 34;
      svg << fmt::format(
          R"(<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 700 {}" font-family="sans-serif" font-size="12">
<style>
  text {{ fill: #24292f }} .cut {{ fill: #0969da }} .same {{ fill: #d1242f }}
  @media (prefers-color-scheme: dark) {{ text {{ fill: #e6edf3 }} .cut {{ fill: #58a6ff }} .same {{ fill: #ff7b72 }} }}
</style>
<text x="8" y="18">tokens truncated (blue) and colliding (red) by pos_dim, logarithmic</text>
)",
          40 + row * static_cast<int>(choices.size()));
      for (std::size_t i = 0; i < choices.size(); ++i) {
        const int y = 32 + static_cast<int>(i) * row;
        svg << fmt::format("<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>\n", left - 10, y + 17,
                           choices[i].pos_dim);
        const auto bar = [&](const char* kind, int top, kronecker::TokenId count) {
          const double length =
              count > 0 ? width * std::max(0.005, std::log10(static_cast<double>(count)) / most) : 0;
          svg << fmt::format(
              "<rect class=\"{}\" x=\"{}\" y=\"{}\" width=\"{:.1f}\" height=\"11\"/><text "
              "x=\"{:.1f}\" y=\"{}\">{}</text>\n",
              kind, left, top, length, left + length + 6, top + 10, count);
        };
        bar("cut", y, choices[i].truncated_tokens);
        bar("same", y + 13, choices[i].colliding_tokens);
      }
      svg << "</svg>\n";
    });
  }
  static kronecker::TokenId max_count(const std::vector<kronecker::PosDimChoice>& choices) {
    kronecker::TokenId most = 0;
    for (const auto& choice : choices)
      most = std::max({most, choice.truncated_tokens, choice.colliding_tokens});
    return most;
  }

  CLI::App* command_;
  std::string vocabulary_, svg_;
  int pos_dim_ = 16;
  int d_model_ = 768;
  std::size_t shown_groups_ = 10;
  std::uint64_t model_parameters_ = 0;  // 0: not known
  bool reference_ = false;
  bool is_tied_ = false;
  bool as_json_ = false;
};

}  // namespace kron
