#include "progress.hpp"
#include "report.hpp"
#include "rows_option.hpp"
#include "vocabulary_argument.hpp"

#include <kronecker/analysis/fit.hpp>
#include <kronecker/files/checkpoint.hpp>
#include <kronecker/files/file_kind.hpp>
#include <kronecker/files/mapped_file.hpp>
#include <kronecker/files/npy.hpp>
#include <kronecker/vocabularies/resized.hpp>

#include <algorithm>
#include <cstdio>
#include <filesystem>
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

/// A matrix of a checkpoint (a safetensors file or the index of several, or a GGUF model, with the tensor's
/// name) or of a .npy file, which may come from standard input ("-"). Many names in a GGUF model end in
/// "weight": there it is the table's.
inline kronecker::RowMajorMatrix<float> read_weights(const std::filesystem::path& path,
                                                     const std::string& name) {
  if (path.extension() == ".json") return kronecker::read_matrix(path, name);
  const kronecker::MappedFile file(path == "-" ? "/dev/stdin" : path);
  const kronecker::FileKind kind = kronecker::kind_of_content(file.text());
  if (kind == kronecker::FileKind::npy || path.extension() == ".npy") return kronecker::read_npy_matrix(file);
  const bool is_table = kind == kronecker::FileKind::gguf && name == "weight";
  return kronecker::read_matrix(file, is_table ? "token_embd.weight" : name);
}

/// A matrix of trained weights: the file, and the name in it.
struct WeightsOption {
  std::string path, name;

  void add(CLI::App& command, const char* positional, const char* shape) {
    command
        .add_option(
            positional, path,
            fmt::format(
                "Checkpoint (safetensors, the index of several, or GGUF) or .npy of {}; - for standard input",
                shape))
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

/// Such a vocabulary of `size` ids; which tokens are left out is said.
inline kronecker::Vocabulary resized_to(const kronecker::Vocabulary& vocabulary, kronecker::TokenId size) {
  kronecker::Vocabulary resized = kronecker::resized(vocabulary, size);
  for (std::size_t i = vocabulary.notes().size(); i < resized.notes().size(); ++i)
    fmt::print(stderr, "kron: {}\n", resized.notes()[i]);
  return resized;
}

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
                     "Number of ids, if the model has more than its tokenizer, which then have no bytes, or "
                     "fewer: then the last tokens are left out")
        ->type_name("NUMBER")
        ->transform(examples::whole_number(1, std::numeric_limits<kronecker::TokenId>::max()));
    add_code_options(*parser_, options_);
    parser_
        ->add_option("--code-rounding", rounding_,
                     "What the weights' codes were rounded to after z-normalization: exact or bfloat16")
        ->type_name("TYPE")
        ->check(examples::one_of({"exact", "bfloat16"}))
        ->capture_default_str();
    parser_
        ->add_option(
            "--norm", norm_,
            "Name of the tensor, or a unique end of it, that is the weight of the RMS norm behind the "
            "embedding, in the same checkpoint")
        ->type_name("NAME");
    parser_->add_option("--norm-epsilon", norm_epsilon_, "What that norm adds to the mean of the squares")
        ->type_name("NUMBER")
        ->needs("--norm")
        ->capture_default_str();
    rows_.add(*parser_);
    add_output(*parser_, output_, "Saved embedding to write");
    parser_->footer(
        "examples:\n"
        "  kron import model.safetensors tokenizer.json --name wte.projection.weight \\\n"
        "    --output embedding.kron\n"
        "  kron import model.safetensors tokenizer.json --name pf_to_model.weight \\\n"
        "    --code-rounding bfloat16 --norm embed_norm.weight --output embedding.kron");
  }
  const CLI::App* parser() const { return parser_; }

  int run() const {
    check_output(output_);
    vocabulary_.check_kept(output_);
    weights_.check_kept(output_);
    if (weights_.path == "-" && !norm_.empty())
      throw std::invalid_argument(
          "--norm reads the checkpoint a second time, which standard input allows but once");
    const auto weight = weights_.read();
    if (weight.cols() % 256 != 0 || weight.cols() / 256 < 1 || weight.cols() / 256 > 255)
      throw kronecker::FileError(fmt::format(
          "{}: a projection of {} columns is not for 256 byte values: the columns must be 256 * pos_dim",
          shown_name(weights_.path), weight.cols()));
    const kronecker::Vocabulary vocabulary = read_vocabulary();
    kronecker::CodeOptions options = options_;
    if (rounding_ == "bfloat16") options.rounding = kronecker::CodeRounding::bfloat16;
    const Encoder encoder(256, static_cast<int>(weight.cols() / 256), options);
    const std::vector<float> norm =
        norm_.empty() ? std::vector<float>() : kronecker::read_vector(weights_.path, norm_);
    on_values_of(weights_.path, [&] {
      const auto projection = kronecker::LearnedProjection::from_torch(weight);
      const kronecker::KroneckerEmbedding embedding(encoder, vocabulary, projection);
      rows_.save(output_, norm_.empty() ? embedding : embedding.with_norm(norm, norm_epsilon_));
    });
    fmt::print(stderr, "wrote {}: {}, pos_dim {}, d_model {}\n", shown_name(output_),
               counted(vocabulary.size(), "token"), encoder.pos_dim(), weight.rows());
    return 0;
  }

 private:
  /// The vocabulary with as many ids as were asked for.
  kronecker::Vocabulary read_vocabulary() const {
    kronecker::Vocabulary vocabulary = vocabulary_.load();
    if (vocab_size_ == 0 || vocab_size_ == vocabulary.size()) return vocabulary;
    return resized_to(vocabulary, vocab_size_);
  }

  CLI::App* parser_;
  WeightsOption weights_{"", "projection.weight"};
  RowsOption rows_;
  VocabularyArgument vocabulary_;
  std::string output_;
  kronecker::CodeOptions options_;
  std::string rounding_ = "exact", norm_;  // no norm if that is empty
  float norm_epsilon_ = 1e-6f;
  kronecker::TokenId vocab_size_ = 0;  // 0: the vocabulary's
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

Command add_import(CLI::App& tool) { return make_command<Import>(tool); }
Command add_fit(CLI::App& tool) { return make_command<Fit>(tool); }

}  // namespace kron
