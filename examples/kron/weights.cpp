#include "progress.hpp"
#include "report.hpp"
#include "saved_embedding.hpp"
#include "vocabulary_argument.hpp"

#include <kronecker/analysis/fit.hpp>

#include <algorithm>
#include <cstdio>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

namespace kron {

/// How codes are normalized, as options.
inline void add_code_options(CLI::App& command, kronecker::CodeOptions& options) {
  command.add_flag("!--no-length-normalize", options.length_normalize,
                   "The weights were trained without length normalization");
  command.add_flag("!--no-z-normalize", options.z_normalize,
                   "The weights were trained without z-normalization");
}

/// A matrix of trained weights: the file, and the name in it.
struct WeightsOption {
  std::string path, name;

  void add(CLI::App& command, const char* positional, const char* shape) {
    command
        .add_option(positional, path,
                    fmt::format("Checkpoint (safetensors, or the index of several) or .npy of {}", shape))
        ->type_name("FILE")
        ->required();
    command.add_option("--name", name, "Name of the tensor, or a unique end of it")
        ->type_name("NAME")
        ->capture_default_str();
  }
  kronecker::RowMajorMatrix<float> read() const { return read_weights(path, name); }

  /// Throws FileError if writing to `output` would replace what is read.
  void check_kept(const std::string& output) const {
    check_replaces_none(output, {path});
    if (!path.ends_with(".json")) return;
    for (const std::filesystem::path& file : kronecker::checkpoint_files(path))
      check_replaces_none(output, {file});
  }
};

/// kron import: a projection that PyTorch trained, and a vocabulary, become a saved embedding.
class Import {
 public:
  explicit Import(CLI::App& tool)
      : parser_(tool.add_subcommand("import",
                                    "Make a saved embedding of a trained projection and a vocabulary")) {
    weights_.add(*parser_, "WEIGHTS", "(d_model, 256 * pos_dim)");
    vocabulary_.add(*parser_)->required();
    parser_
        ->add_option("--vocab-size", vocab_size_,
                     "Number of ids, if the model has more than its tokenizer: the others have no bytes")
        ->type_name("NUMBER")
        ->transform(examples::whole_number(1, std::numeric_limits<kronecker::TokenId>::max()));
    parser_->add_flag("--reference", reference_,
                      "The weights were trained with the PyTorch reference's strings");
    add_code_options(*parser_, options_);
    rows_.add(*parser_);
    add_output(*parser_, output_, "Saved embedding to write");
    parser_->footer(
        "example:\n"
        "  kron import model.safetensors tokenizer.json --name wte.projection.weight \\\n"
        "    --output embedding.kron");
  }
  const CLI::App* parser() const { return parser_; }

  int run() const {
    check_output(output_);
    check_replaces_none(output_, {vocabulary_.path});
    weights_.check_kept(output_);
    const auto weight = weights_.read();
    if (weight.cols() % 256 != 0 || weight.cols() / 256 < 1 || weight.cols() / 256 > 255)
      throw kronecker::FileError(fmt::format(
          "{}: a projection of {} columns is not for 256 byte values: the columns must be 256 * pos_dim",
          shown_name(weights_.path), weight.cols()));
    const kronecker::Vocabulary vocabulary = read_vocabulary();
    const Encoder encoder(256, static_cast<int>(weight.cols() / 256), options_);
    on_values_of(weights_.path, [&] {
      const auto projection = kronecker::LearnedProjection::from_torch(weight);
      rows_.save(output_, kronecker::KroneckerEmbedding(encoder, vocabulary, projection));
    });
    fmt::print(stderr, "wrote {}: {} tokens, pos_dim {}, d_model {}\n", shown_name(output_),
               vocabulary.size(), encoder.pos_dim(), weight.rows());
    return 0;
  }

 private:
  kronecker::Vocabulary read_vocabulary() const {
    const auto text = reference_ ? kronecker::TokenText::reference : kronecker::TokenText::raw;
    const kronecker::Vocabulary vocabulary = vocabulary_.load(text);
    if (vocab_size_ == 0) return vocabulary;
    if (vocab_size_ < vocabulary.size())
      throw std::invalid_argument(fmt::format("--vocab-size {} is less than the {} tokens of {}", vocab_size_,
                                              vocabulary.size(), shown_name(vocabulary_.path)));
    return padded(vocabulary, vocab_size_);
  }

  CLI::App* parser_;
  WeightsOption weights_{"", "projection.weight"};
  RowsOption rows_;
  VocabularyArgument vocabulary_;
  std::string output_;
  kronecker::CodeOptions options_;
  kronecker::TokenId vocab_size_ = 0;  // 0: the vocabulary's
  bool reference_ = false;
};

/// kron fit: the projection nearest to a trained table, and how near.
class Fit {
 public:
  explicit Fit(CLI::App& tool)
      : parser_(tool.add_subcommand("fit",
                                    "Fit a projection to a trained table, and show how much it explains")) {
    table_.add(*parser_, "TABLE", "(V, d_model)");
    vocabulary_.add(*parser_)->required();
    add_pos_dim(*parser_, pos_dim_);
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
    check_replaces_none(output_, {vocabulary_.path});
    table_.check_kept(output_);
    const kronecker::Vocabulary vocabulary = vocabulary_.load();
    const kronecker::RowMajorMatrix<float> table = table_.read();
    if (table.rows() < vocabulary.size())
      throw kronecker::FileError(fmt::format("{}: the table has {} rows, fewer than the {} tokens of {}",
                                             shown_name(table_.path), table.rows(), vocabulary.size(),
                                             shown_name(vocabulary_.path)));
    const Encoder encoder(256, pos_dim_, options_);
    const auto fit = on_values_of(table_.path, [&] {
      const auto fitted = fit_rows(encoder, vocabulary, table.topRows(vocabulary.size()));
      const auto all_ids = padded(vocabulary, static_cast<kronecker::TokenId>(table.rows()));
      rows_.save(output_, kronecker::KroneckerEmbedding(encoder, all_ids, fitted.projection));
      return fitted;
    });
    const auto padding = table.rows() - vocabulary.size();
    if (as_json_)
      report_json(fit, padding);
    else
      report(fit, vocabulary.size(), padding);
    return 0;
  }

 private:
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
    fmt::print(to, "wrote {}: the projection explains {:.2f} % of the table ({} iterations{})\n",
               shown_name(output_), 100 * fit.explained, fit.iterations,
               fit.converged ? "" : ", not converged");
    print_text(
        2,
        fmt::format(
            "distance of a token from its row, relative: median {:.3f}, a tenth below {:.3f}, a tenth above "
            "{:.3f}\n",
            quantile(0.5), quantile(0.1), quantile(0.9)),
        to);
    if (padding > 0)
      print_text(
          2,
          fmt::format(
              "the table has {} rows more than there are tokens: ids from {} on are tokens without bytes",
              padding, vocab_size),
          to);
  }

  CLI::App* parser_;
  WeightsOption table_{"", "weight"};
  RowsOption rows_;
  VocabularyArgument vocabulary_;
  std::string output_;
  kronecker::CodeOptions options_;
  int pos_dim_ = default_pos_dim;
  bool as_json_ = false;
};

Command add_import(CLI::App& tool) { return make_command<Import>(tool); }
Command add_fit(CLI::App& tool) { return make_command<Fit>(tool); }

}  // namespace kron
