#include "fit_report.hpp"
#include "own_rows_option.hpp"
#include "progress.hpp"
#include "report.hpp"
#include "rows_option.hpp"
#include "token_counts.hpp"
#include "vocabulary_argument.hpp"
#include "weights_option.hpp"

#include <kronecker/analysis/fit.hpp>

#include <cstdio>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

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
    own_rows_.add(*parser_);
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
        "    --own-rows 4000 --output embedding.kron");
  }
  const CLI::App* parser() const { return parser_; }

  int run() const {
    check_output(output_);
    vocabulary_.check_kept(output_);
    table_.check_kept(output_);
    counts_.check_kept(output_);
    own_rows_.check_kept(output_);
    const kronecker::RowMajorMatrix<float> table = table_.read();
    const auto rows = static_cast<kronecker::TokenId>(table.rows());
    const kronecker::Vocabulary vocabulary = vocabulary_for(rows);
    const Encoder encoder(256, pos_dim_, options_);
    std::optional<TokenCounts> counts;
    if (counts_.is_given()) counts = counts_.read(vocabulary);
    const std::vector<kronecker::TokenId> own_ids = own_rows_.ids(vocabulary, counts);
    const kronecker::FitResult fit = on_values_of(table_.path, [&] {
      kronecker::FitResult fitted = fit_rows(encoder, vocabulary, table.topRows(vocabulary.size()),
                                             weights_of(counts, own_ids, vocabulary));
      const kronecker::KroneckerEmbedding embedding(encoder, kronecker::resized(vocabulary, rows),
                                                    fitted.projection);
      kronecker::RowMajorMatrix<float> own_rows(static_cast<Eigen::Index>(own_ids.size()), table.cols());
      for (std::size_t i = 0; i < own_ids.size(); ++i)
        own_rows.row(static_cast<Eigen::Index>(i)) = table.row(own_ids[i]);
      rows_.save(output_, own_ids.empty() ? embedding : embedding.with_own_rows(own_ids, own_rows));
      return fitted;
    });
    fmt::print(stderr, "wrote {}: {} tokens, pos_dim {}, d_model {}\n", shown_name(output_), rows, pos_dim_,
               table.cols());
    const FitReport report{fit,    vocabulary,     encoder, table,
                           counts, ridge_.empty(), own_ids, own_rows_.what()};
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
      const std::optional<double> number = examples::number_in<double>(text);
      if (number && *number >= 0 && *number <= 1e30) return std::string();
      return fmt::format("{} is not a number from 0 to 1e30", kronecker::quoted_text(text));
    };
    return CLI::Validator(check, "NUMBER");
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

  /// How much each token counts: 0 if it keeps its row; one more than it occurs, since tokens that do not
  /// occur here may elsewhere. None if all count alike.
  static std::vector<double> weights_of(const std::optional<TokenCounts>& counts,
                                        const std::vector<kronecker::TokenId>& own_ids,
                                        const kronecker::Vocabulary& vocabulary) {
    if (!counts && own_ids.empty()) return {};
    std::vector<double> weights(static_cast<std::size_t>(vocabulary.size()), 1.0);
    for (std::size_t id = 0; counts && id < weights.size(); ++id) weights[id] += counts->of[id];
    for (const kronecker::TokenId id : own_ids) weights[static_cast<std::size_t>(id)] = 0;
    return weights;
  }

  kronecker::FitResult fit_rows(const Encoder& encoder, const kronecker::Vocabulary& vocabulary,
                                const Eigen::Ref<const kronecker::RowMajorMatrix<float>>& table,
                                std::vector<double> weights) const {
    constexpr double steps = 1000;
    examples::Progress progress("fitting", static_cast<std::size_t>(steps));
    kronecker::FitOptions options;
    options.ridge = examples::number_in<double>(ridge_);
    options.weights = std::move(weights);
    options.progress = [&](double fraction) { progress.update(static_cast<std::size_t>(steps * fraction)); };
    return kronecker::fit_projection(encoder, vocabulary, table, options);
  }

  CLI::App* parser_;
  WeightsOption table_{"", "weight"};
  RowsOption rows_;
  VocabularyArgument vocabulary_;
  CountsOption counts_;
  OwnRowsOption own_rows_;
  std::string output_, ridge_;
  kronecker::CodeOptions options_;
  int pos_dim_ = default_pos_dim;
  kronecker::TokenId vocab_size_ = 0;  // 0: the vocabulary's
  bool as_json_ = false;
};

Command add_fit(CLI::App& tool) { return make_command<Fit>(tool); }

}  // namespace kron
