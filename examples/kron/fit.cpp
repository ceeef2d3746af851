#include "progress.hpp"
#include "report.hpp"
#include "rows_option.hpp"
#include "vocabulary_argument.hpp"
#include "weights_option.hpp"

#include <kronecker/analysis/fit.hpp>

#include <algorithm>
#include <cstdio>
#include <limits>
#include <string>
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
        "  kron fit model.safetensors tokenizer.json --name wte.weight --output embedding.kron");
  }
  const CLI::App* parser() const { return parser_; }

  int run() const {
    check_output(output_);
    vocabulary_.check_kept(output_);
    table_.check_kept(output_);
    const kronecker::RowMajorMatrix<float> table = table_.read();
    const auto rows = static_cast<kronecker::TokenId>(table.rows());
    const kronecker::Vocabulary vocabulary = vocabulary_for(rows);
    const Encoder encoder(256, pos_dim_, options_);
    const auto fit = on_values_of(table_.path, [&] {
      const auto fitted = fit_rows(encoder, vocabulary, table.topRows(vocabulary.size()));
      const auto all_ids = kronecker::resized(vocabulary, rows);
      rows_.save(output_, kronecker::KroneckerEmbedding(encoder, all_ids, fitted.projection));
      return fitted;
    });
    fmt::print(stderr, "wrote {}: {} tokens, pos_dim {}, d_model {}\n", shown_name(output_), rows, pos_dim_,
               table.cols());
    const auto padding = table.rows() - vocabulary.size();
    if (as_json_)
      report_json(fit, padding);
    else
      report(fit, vocabulary.size(), padding);
    return 0;
  }

 private:
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

  static kronecker::FitResult fit_rows(const Encoder& encoder, const kronecker::Vocabulary& vocabulary,
                                       const Eigen::Ref<const kronecker::RowMajorMatrix<float>>& table) {
    constexpr double steps = 1000;
    examples::Progress progress("fitting", static_cast<std::size_t>(steps));
    kronecker::FitOptions options;
    options.progress = [&](double fraction) { progress.update(static_cast<std::size_t>(steps * fraction)); };
    return kronecker::fit_projection(encoder, vocabulary, table, options);
  }

  void report_json(const kronecker::FitResult& fit, Eigen::Index padding) const {
    print_json({{"explained", fit.explained},
                {"r_squared", fit.r_squared},
                {"chance", fit.chance},
                {"mean_share", fit.mean_share},
                {"converged", fit.converged},
                {"iterations", fit.iterations},
                {"padding_ids", padding},
                {"residuals", fit.residual},
                {"output", output_}},
               examples::report_beside(output_));
  }

  void report(const kronecker::FitResult& fit, kronecker::TokenId vocab_size, Eigen::Index padding) const {
    std::vector<float> sorted(fit.residual.begin(), fit.residual.end());
    std::sort(sorted.begin(), sorted.end());
    const auto quantile = [&](double part) {
      return sorted[static_cast<std::size_t>(part * static_cast<double>(sorted.size() - 1))];
    };
    std::FILE* const to = examples::report_beside(output_);
    print_text(
        0,
        fmt::format("the projection explains {:.2f} % of the table ({} iterations{}); its mean row alone, "
                    "the same for all tokens, {:.2f} %",
                    100 * fit.explained, fit.iterations, fit.converged ? "" : ", not converged",
                    100 * fit.mean_share),
        to);
    print_text(2,
               fmt::format("R^2 {:.3f}, of what makes tokens differ; chance gives {:.3f}{}", fit.r_squared,
                           fit.chance, explains_nothing(fit) ? ": the codes explain nothing here" : ""),
               to);
    print_text(2,
               fmt::format(
                   "distance of a token from its row, relative: median {:.3f}, a tenth below {:.3f}, a tenth "
                   "above {:.3f}",
                   quantile(0.5), quantile(0.1), quantile(0.9)),
               to);
    if (padding > 0)
      print_text(
          2,
          fmt::format("the table has {} rows more than there are tokens: ids from {} on are tokens without "
                      "bytes",
                      padding, vocab_size),
          to);
  }

  /// Whether codes that have nothing to do with the table would explain as much of it.
  static bool explains_nothing(const kronecker::FitResult& fit) {
    constexpr double noise = 0.02;
    return fit.chance < 1 && fit.r_squared < fit.chance + noise;
  }

  CLI::App* parser_;
  WeightsOption table_{"", "weight"};
  RowsOption rows_;
  VocabularyArgument vocabulary_;
  std::string output_;
  kronecker::CodeOptions options_;
  int pos_dim_ = default_pos_dim;
  kronecker::TokenId vocab_size_ = 0;  // 0: the vocabulary's
  bool as_json_ = false;
};

Command add_fit(CLI::App& tool) { return make_command<Fit>(tool); }

}  // namespace kron
