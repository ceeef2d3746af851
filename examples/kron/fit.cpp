#include "fit_report.hpp"
#include "progress.hpp"
#include "report.hpp"
#include "rows_option.hpp"
#include "token_counts.hpp"
#include "vocabulary_argument.hpp"
#include "weights_option.hpp"

#include <kronecker/analysis/fit.hpp>

#include <charconv>
#include <cstdio>
#include <limits>
#include <optional>
#include <string>
#include <system_error>

namespace kron {

/// kron fit: the projection nearest to a trained table, and how near.
class Fit {
 public:
  explicit Fit(CLI::App& tool)
      : parser_(tool.add_subcommand("fit",
                                    "Fit a projection to a trained table, and show how much it explains")) {
    table_.add(*parser_, "TABLE", "(V, d_model)");
    vocabulary_.add(*parser_)->required();
    add_pos_dim(*parser_, pos_dim_);
    counts_.add(*parser_);
    parser_
        ->add_option("--ridge", ridge_,
                     "Pull towards the mean row: the number of further tokens that each cell seems to have, "
                     "which all have it; 0 is plain least squares. Not given, it is the one that is best for "
                     "tokens that are held out")
        ->type_name("NUMBER")
        ->check(not_negative());
    parser_
        ->add_option("--vocab-size", vocab_size_,
                     "Number of ids: fewer than tokens leaves out the last ones (special ones without a row "
                     "are left out anyway); as many as rows allows rows without a token to be most")
        ->type_name("NUMBER")
        ->transform(examples::whole_number(1, std::numeric_limits<kronecker::TokenId>::max()));
    add_code_options(*parser_, options_);
    rows_.add(*parser_);
    add_output(*parser_, output_, "Saved embedding to write");
    add_json(*parser_, as_json_);
    parser_->footer(
        "example:\n"
        "  kron fit model.safetensors tokenizer.json --name wte.weight --text train.txt \\\n"
        "    --output embedding.kron");
  }
  const CLI::App* parser() const { return parser_; }

  int run() const {
    check_output(output_);
    vocabulary_.check_kept(output_);
    table_.check_kept(output_);
    counts_.check_kept(output_);
    const kronecker::RowMajorMatrix<float> table = table_.read();
    const auto rows = static_cast<kronecker::TokenId>(table.rows());
    const kronecker::Vocabulary vocabulary = vocabulary_for(rows);
    const Encoder encoder(256, pos_dim_, options_);
    std::optional<TokenCounts> counts;
    if (counts_.is_given()) counts = counts_.read(vocabulary);
    const kronecker::FitResult fit = on_values_of(table_.path, [&] {
      kronecker::FitResult fitted = fit_rows(encoder, vocabulary, table.topRows(vocabulary.size()), counts);
      const auto all_ids = kronecker::resized(vocabulary, rows);
      rows_.save(output_, kronecker::KroneckerEmbedding(encoder, all_ids, fitted.projection));
      return fitted;
    });
    fmt::print(stderr, "wrote {}: {} tokens, pos_dim {}, d_model {}\n", shown_name(output_), rows, pos_dim_,
               table.cols());
    const FitReport report{fit, vocabulary, encoder, table, counts, ridge_.empty(), {}, {}};
    report.warn(shown_name(table_.path));
    if (as_json_)
      print_json(report.json(output_), examples::report_beside(output_));
    else
      report.print(examples::report_beside(output_));
    return 0;
  }

 private:
  static CLI::Validator not_negative() {
    const auto check = [](std::string& text) {
      const std::optional<double> number = number_in(text);
      if (number && *number >= 0 && *number <= 1e30) return std::string();
      return fmt::format("{} is not a number from 0 to 1e30", kronecker::quoted_text(text));
    };
    return CLI::Validator(check, "NUMBER");
  }
  static std::optional<double> number_in(const std::string& text) {
    double number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return number;
  }

  /// The vocabulary, without added tokens that a table of `rows` rows has none for.
  kronecker::Vocabulary vocabulary_for(kronecker::TokenId rows) const {
    kronecker::Vocabulary vocabulary = vocabulary_.load();
    if (vocab_size_ > 0 && vocab_size_ < vocabulary.size()) vocabulary = resized_to(vocabulary, vocab_size_);
    const kronecker::TokenId without_token = rows - vocabulary.size();
    if (without_token > rows / 2 && vocab_size_ < rows)
      throw kronecker::FileError(
          fmt::format("{}: {} of the {} rows have no token in {}, and would become zero; if that is meant, "
                      "give --vocab-size {}",
                      shown_name(table_.path), without_token, rows, shown_name(vocabulary_.path), rows));
    if (without_token >= 0) return vocabulary;
    if (const auto ordinary = kronecker::ordinary_tokens_from(vocabulary, rows); ordinary > 0)
      throw kronecker::FileError(fmt::format(
          "{}: the table has {} rows, fewer than the {} tokens of {}, and {} of those without a row are "
          "ordinary tokens: if it is that vocabulary's, --vocab-size {} leaves them out",
          shown_name(table_.path), rows, vocabulary.size(), shown_name(vocabulary_.path), ordinary, rows));
    return resized_to(vocabulary, rows);
  }

  kronecker::FitResult fit_rows(const Encoder& encoder, const kronecker::Vocabulary& vocabulary,
                                const Eigen::Ref<const kronecker::RowMajorMatrix<float>>& table,
                                const std::optional<TokenCounts>& counts) const {
    constexpr double steps = 1000;
    examples::Progress progress("fitting", static_cast<std::size_t>(steps));
    kronecker::FitOptions options;
    options.ridge = number_in(ridge_);
    options.progress = [&](double fraction) { progress.update(static_cast<std::size_t>(steps * fraction)); };
    if (counts) {
      options.weights = counts->of;
      for (double& weight : options.weights) weight += 1;  // tokens that do not occur here may elsewhere
    }
    return kronecker::fit_projection(encoder, vocabulary, table, options);
  }

  CLI::App* parser_;
  WeightsOption table_{"", "weight"};
  RowsOption rows_;
  VocabularyArgument vocabulary_;
  CountsOption counts_;
  std::string output_, ridge_;
  kronecker::CodeOptions options_;
  int pos_dim_ = default_pos_dim;
  kronecker::TokenId vocab_size_ = 0;  // 0: the vocabulary's
  bool as_json_ = false;
};

Command add_fit(CLI::App& tool) { return make_command<Fit>(tool); }

}  // namespace kron
