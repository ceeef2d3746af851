#include "bars.hpp"
#include "report.hpp"
#include "scripts.hpp"
#include "vocabulary_argument.hpp"

#include <kronecker/analysis/accounting.hpp>
#include <kronecker/analysis/coverage.hpp>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>
#include <vector>

namespace kron {

/// kron audit: the method's weak spots for one vocabulary.
class Audit {
 public:
  explicit Audit(CLI::App& tool)
      : parser_(tool.add_subcommand("audit",
                                    "Show which tokens of a vocabulary are cut or cannot be told apart")) {
    vocabulary_.add(*parser_)->required();
    add_pos_dim(*parser_, pos_dim_);
    auto* by_script = parser_->add_flag(
        "--by-script", by_script_,
        "Tokens cut and colliding by Unicode script, and the smallest pos_dim without either");
    parser_->add_option("--d-model", d_model_, "Width of the embeddings, for the costs")
        ->type_name("NUMBER")
        ->transform(examples::whole_number(1, 65536))
        ->excludes(by_script)
        ->capture_default_str();
    parser_->add_option("--groups", shown_groups_, "Number of groups of equal tokens to print")
        ->type_name("NUMBER")
        ->transform(examples::whole_number())
        ->excludes(by_script)
        ->capture_default_str();
    parser_
        ->add_flag("--tied", is_tied_, "The model's output head has the weights of its table, for the costs")
        ->excludes(by_script);
    parser_
        ->add_option("--head-rank", head_rank_,
                     "The Kronecker embedding is the output head too, corrected by a bias and this many "
                     "factors of each token's own, for the costs")
        ->type_name("NUMBER")
        ->transform(examples::whole_number(0, 65536))
        ->excludes(by_script);
    parser_
        ->add_option("--model-parameters", model_parameters_,
                     "Parameters of the whole model with its table, for the costs")
        ->type_name("NUMBER")
        ->transform(examples::whole_number())
        ->excludes(by_script);
    parser_
        ->add_option(
            "--svg", svg_,
            "Also draw tokens cut and colliding against pos_dim; with --by-script, the smallest pos_dims")
        ->type_name("FILE");
    add_json(*parser_, as_json_);
    parser_->footer(
        "examples:\n"
        "  kron audit tokenizer.json --pos-dim 16\n"
        "  kron audit tokenizer.json --by-script --svg scripts.svg\n"
        "  kron audit tokenizer.json --d-model 4096 --tied --model-parameters 8000000000");
  }
  const CLI::App* parser() const { return parser_; }

  int run() {
    if (!svg_.empty()) {
      check_output(svg_);
      vocabulary_.check_kept(svg_);
    }
    const kronecker::Vocabulary vocabulary = vocabulary_.load();
    if (by_script_) return audit_scripts(vocabulary);
    const kronecker::Coverage coverage = kronecker::coverage(vocabulary, Encoder(256, pos_dim_));
    const auto choices = kronecker::compare_pos_dims(vocabulary, d_model_);
    const kronecker::Accounting costs = costs_of(vocabulary.size());
    if (!svg_.empty()) draw(choices);
    to_ = examples::report_beside(svg_);
    if (as_json_)
      report_json(coverage, choices, costs);
    else
      report(vocabulary, coverage, choices, costs);
    return 0;
  }

 private:
  int audit_scripts(const kronecker::Vocabulary& vocabulary) {
    const std::vector<ScriptCoverage> scripts = coverage_by_script(vocabulary, pos_dim_);
    if (!svg_.empty()) {
      BarPicture picture{
          "the smallest pos_dim without a token cut (blue) and without a collision (red), by script",
          {},
          false,
          kronecker::no_pos_dim};
      for (const ScriptCoverage& script : scripts)
        picture.rows.push_back(
            {script.script, {script.pos_dim_without_truncation, script.pos_dim_without_collisions}});
      picture.write(svg_);
    }
    to_ = examples::report_beside(svg_);
    if (as_json_) {
      ordered_json list = ordered_json::array();
      const auto pos_dim_or_null = [](int pos_dim) {
        return pos_dim < kronecker::no_pos_dim ? ordered_json(pos_dim) : ordered_json();
      };
      for (const ScriptCoverage& script : scripts)
        list.push_back({{"script", script.script},
                        {"tokens", script.tokens},
                        {"truncated", script.truncated},
                        {"colliding", script.colliding},
                        {"pos_dim_without_truncation", pos_dim_or_null(script.pos_dim_without_truncation)},
                        {"pos_dim_without_collisions", pos_dim_or_null(script.pos_dim_without_collisions)}});
      print_json({{"vocabulary", vocabulary_.path},
                  {"pos_dim", pos_dim_},
                  {"tokens", vocabulary.size()},
                  {"scripts", list}},
                 to_);
      return 0;
    }
    print_text(0,
               fmt::format("{} at pos_dim {}: {} by script", shown_name(vocabulary_.path), pos_dim_,
                           counted(vocabulary.size(), "token")),
               to_);
    constexpr auto columns = "  {:<23} {:>6} {:>5} {:>9} {:>5} {:>5}";
    print_row(fmt::format(columns, "", "tokens", "cut", "colliding", "uncut", "apart"), to_);
    const auto shown_pos_dim = [](int pos_dim) {
      return pos_dim < kronecker::no_pos_dim ? std::to_string(pos_dim) : "none";
    };
    for (const ScriptCoverage& script : scripts)
      print_row(fmt::format(columns, script.script, script.tokens, script.truncated, script.colliding,
                            shown_pos_dim(script.pos_dim_without_truncation),
                            shown_pos_dim(script.pos_dim_without_collisions)),
                to_);
    print_text(
        2,
        "uncut and apart: the smallest pos_dims without a token that is cut, and without two of other bytes "
        "that share a code.",
        to_);
    return 0;
  }

  static const char* name_of(kronecker::SharedCodeReason reason) {
    return reason == kronecker::SharedCodeReason::same_bytes ? "same bytes" : "equal after truncation";
  }

  kronecker::Accounting costs_of(kronecker::TokenId vocab_size) const {
    kronecker::EmbeddingSizes sizes{vocab_size, d_model_, pos_dim_};
    if (is_tied_) sizes.table_head = kronecker::OutputHead::tied;
    sizes.model_parameters = model_parameters_;
    if (head_rank_) {
      sizes.kronecker_head = kronecker::OutputHead::corrected;
      sizes.head_rank = *head_rank_;
    }
    return kronecker::account(sizes);
  }

  /// Parameters of the Kronecker model's output head.
  static std::uint64_t head_parameters(const kronecker::Accounting& costs) {
    return costs.parameters_with_head.kronecker - costs.input_parameters.kronecker;
  }

  const char* about_head() const {
    if (head_rank_) return "what corrects the output head costs";
    return is_tied_ ? "the output head, which can no longer be the table, costs"
                    : "the output head has, in either model,";
  }

  void report_costs(const kronecker::Accounting& costs) const {
    const auto number = [](std::uint64_t count) {
      return examples::short_number(static_cast<double>(count));
    };
    const auto row = [&](const char* name, const kronecker::Comparison& parameters) {
      print_row(fmt::format("  {:<24} {:>8} -> {:>8}  ({:+.2f} %)", name, number(parameters.table),
                            number(parameters.kronecker), -parameters.saved_percent()),
                to_);
    };
    print_row("", to_);
    print_row(fmt::format("  parameters at d_model {}, pos_dim {}: table{} -> projection", d_model_, pos_dim_,
                          is_tied_ ? " tied to the output head" : ""),
              to_);
    row("input embedding", costs.input_parameters);
    row("with the output head", costs.parameters_with_head);
    if (costs.model_parameters) row("whole model", *costs.model_parameters);
    print_row(fmt::format("  {} {} parameters", about_head(), number(head_parameters(costs))), to_);
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
                        {"untied_head_parameters", costs.input_parameters.table},
                        {"input_parameters", pair(costs.input_parameters)},
                        {"parameters_with_head", pair(costs.parameters_with_head)}};
    if (head_rank_) report["head_correction_parameters"] = head_parameters(costs);
    if (costs.model_parameters) report["model_parameters"] = pair(*costs.model_parameters);
    return report;
  }

  void report(const kronecker::Vocabulary& vocabulary, const kronecker::Coverage& coverage,
              const std::vector<kronecker::PosDimChoice>& choices, const kronecker::Accounting& costs) const {
    print_text(0,
               fmt::format("{} at pos_dim {}: {}", shown_name(vocabulary_.path), pos_dim_,
                           counted(coverage.vocab_size, "token")),
               to_);
    print_row(fmt::format("  {} truncated, {} empty", coverage.truncated_tokens, coverage.empty_tokens), to_);
    print_row(fmt::format("  {} with the same bytes as another", coverage.same_bytes_tokens), to_);
    print_row(fmt::format("  {} with the code of another, in {}", coverage.colliding_tokens,
                          counted(coverage.shared_codes.size(), "group")),
              to_);
    print_row(fmt::format("  {} of {} cells reached", coverage.reached_cells, coverage.code_dim), to_);
    for (std::size_t i = 0; i < std::min(shown_groups_, coverage.shared_codes.size()); ++i) {
      const auto& group = coverage.shared_codes[i];
      std::string line = fmt::format("  {} tokens, {}:", group.ids.size(), name_of(group.reason));
      for (std::size_t j = 0; j < std::min<std::size_t>(group.ids.size(), 4); ++j)
        line += fmt::format(" {} {}", group.ids[j], examples::shown(vocabulary.bytes(group.ids[j])));
      print_row(line + (group.ids.size() > 4 ? " ..." : ""), to_);
    }
    if (coverage.shared_codes.size() > shown_groups_)
      print_row(fmt::format("  ... and {} (--groups, or --json for all)",
                            counted(coverage.shared_codes.size() - shown_groups_, "more group")),
                to_);
    print_row("", to_);
    print_row(fmt::format("  by pos_dim, at d_model {}:", d_model_), to_);
    constexpr auto columns = "  {:>7}  {:>10}  {:>11}  {:>9}  {:>9}";
    print_row(fmt::format(columns, "pos_dim", "parameters", "token bytes", "truncated", "colliding"), to_);
    for (const auto& choice : choices)
      print_row(
          fmt::format(columns, choice.pos_dim, examples::short_number(static_cast<double>(choice.parameters)),
                      examples::short_number(static_cast<double>(choice.token_bytes_memory)) + "B",
                      choice.truncated_tokens, choice.colliding_tokens),
          to_);
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
    print_json({{"vocabulary", vocabulary_.path},
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
                {"costs", json_costs(costs)}},
               to_);
  }

  void draw(const std::vector<kronecker::PosDimChoice>& choices) const {
    BarPicture picture{"tokens truncated (blue) and colliding (red) by pos_dim, logarithmic", {}, true};
    for (const auto& choice : choices)
      picture.rows.push_back(
          {std::to_string(choice.pos_dim), {choice.truncated_tokens, choice.colliding_tokens}});
    picture.write(svg_);
  }

  CLI::App* parser_;
  VocabularyArgument vocabulary_;
  std::string svg_;
  std::FILE* to_ = stdout;  // where the report goes
  int pos_dim_ = default_pos_dim;
  int d_model_ = 768;
  std::size_t shown_groups_ = 10;
  std::uint64_t model_parameters_ = 0;  // 0: not known
  std::optional<int> head_rank_;        // not given: the head is of its own
  bool is_tied_ = false;
  bool by_script_ = false;
  bool as_json_ = false;
};

Command add_audit(CLI::App& tool) { return make_command<Audit>(tool); }

}  // namespace kron
