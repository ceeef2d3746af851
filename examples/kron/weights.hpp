#pragma once

#include "progress.hpp"
#include "report.hpp"
#include "saved_embedding.hpp"

#include <kronecker/analysis/fit.hpp>
#include <kronecker/files/gguf_table.hpp>
#include <kronecker/vocabularies/load.hpp>

#ifdef KRON_HAS_ONNX
#include <kronecker/integrations/onnx.hpp>
#endif

#include <algorithm>
#include <array>
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
};

inline void add_output(CLI::App& command, std::string& path, const char* what) {
  command.add_option("--output", path, what)->type_name("FILE")->required();
}

/// kron import: a projection that PyTorch trained, and a vocabulary, become a saved embedding.
class Import {
 public:
  explicit Import(CLI::App& tool)
      : command_(tool.add_subcommand("import",
                                     "Make a saved embedding of a trained projection and a vocabulary")) {
    weights_.add(*command_, "WEIGHTS", "(d_model, 256 * pos_dim)");
    add_vocabulary(*command_, vocabulary_)->required();
    command_
        ->add_option("--vocab-size", vocab_size_,
                     "Number of ids, if the model has more than its tokenizer: the others have no bytes")
        ->type_name("NUMBER")
        ->check(CLI::Range(1, std::numeric_limits<kronecker::TokenId>::max()));
    command_->add_flag("--reference", reference_,
                       "The weights were trained with the PyTorch reference's strings");
    add_code_options(*command_, options_);
    rows_.add(*command_);
    add_output(*command_, output_, "Saved embedding to write");
  }
  const CLI::App* command() const { return command_; }

  int run() const {
    check_output(output_);
    const auto weight = weights_.read();
    if (weight.cols() % 256 != 0 || weight.cols() / 256 < 1 || weight.cols() / 256 > 255)
      throw kronecker::FileError(fmt::format(
          "{}: a projection of {} columns is not for 256 byte values: the columns must be 256 * pos_dim",
          weights_.path, weight.cols()));
    const kronecker::Vocabulary vocabulary = read_vocabulary();
    const Encoder encoder(256, static_cast<int>(weight.cols() / 256), options_);
    on_values_of(weights_.path, [&] {
      const auto projection = kronecker::LearnedProjection::from_torch(weight);
      rows_.save(output_, kronecker::KroneckerEmbedding(encoder, vocabulary, projection));
    });
    fmt::print("wrote {}: {} tokens, pos_dim {}, d_model {}\n", output_, vocabulary.size(), encoder.pos_dim(),
               weight.rows());
    return 0;
  }

 private:
  kronecker::Vocabulary read_vocabulary() const {
    const auto text = reference_ ? kronecker::TokenText::reference : kronecker::TokenText::raw;
    const kronecker::Vocabulary vocabulary = kronecker::load_vocabulary(vocabulary_, text);
    if (vocab_size_ == 0) return vocabulary;
    if (vocab_size_ < vocabulary.size())
      throw std::invalid_argument(fmt::format("--vocab-size {} is less than the {} tokens of {}", vocab_size_,
                                              vocabulary.size(), vocabulary_));
    return padded(vocabulary, vocab_size_);
  }

  CLI::App* command_;
  WeightsOption weights_{"", "projection.weight"};
  RowsOption rows_;
  std::string vocabulary_, output_;
  kronecker::CodeOptions options_;
  kronecker::TokenId vocab_size_ = 0;  // 0: the vocabulary's
  bool reference_ = false;
};

/// kron fit: the projection nearest to a trained table, and how near.
class Fit {
 public:
  explicit Fit(CLI::App& tool)
      : command_(tool.add_subcommand("fit",
                                     "Fit a projection to a trained table, and show how much it explains")) {
    table_.add(*command_, "TABLE", "(V, d_model)");
    add_vocabulary(*command_, vocabulary_)->required();
    add_pos_dim(*command_, pos_dim_);
    add_code_options(*command_, options_);
    rows_.add(*command_);
    add_output(*command_, output_, "Saved embedding to write");
    add_json(*command_, as_json_);
  }
  const CLI::App* command() const { return command_; }

  int run() const {
    check_output(output_);
    const kronecker::Vocabulary vocabulary = kronecker::load_vocabulary(vocabulary_);
    const kronecker::RowMajorMatrix<float> table = table_.read();
    if (table.rows() < vocabulary.size())
      throw kronecker::FileError(fmt::format("{}: the table has {} rows, fewer than the {} tokens of {}",
                                             table_.path, table.rows(), vocabulary.size(), vocabulary_));
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
                {"output", output_}});
  }

  void report(const kronecker::FitResult& fit, kronecker::TokenId vocab_size, Eigen::Index padding) const {
    std::vector<float> sorted(fit.residual.begin(), fit.residual.end());
    std::sort(sorted.begin(), sorted.end());
    const auto quantile = [&](double part) {
      return sorted[static_cast<std::size_t>(part * static_cast<double>(sorted.size() - 1))];
    };
    fmt::print("wrote {}: the projection explains {:.2f} % of the table ({} iterations{})\n", output_,
               100 * fit.explained, fit.iterations, fit.converged ? "" : ", not converged");
    fmt::print(
        "  distance of a token from its row, relative: median {:.3f}, a tenth below {:.3f}, a tenth above "
        "{:.3f}\n",
        quantile(0.5), quantile(0.1), quantile(0.9));
    if (padding > 0)
      fmt::print(
          "  the table has {} rows more than there are tokens: ids from {} on are tokens without bytes\n",
          padding, vocab_size);
  }

  CLI::App* command_;
  WeightsOption table_{"", "weight"};
  RowsOption rows_;
  std::string vocabulary_, output_;
  kronecker::CodeOptions options_;
  int pos_dim_ = 32;
  bool as_json_ = false;
};

/// kron embed: ids or strings become vectors.
class Embed {
 public:
  explicit Embed(CLI::App& tool)
      : command_(tool.add_subcommand("embed", "Embed ids or strings with a saved embedding")) {
    command_->add_option("MODEL", model_, "Saved embedding")->type_name("FILE")->required();
    auto* ids = command_->add_option("--ids", ids_, "Token ids, separated by commas")
                    ->type_name("ID,...")
                    ->delimiter(',');
    auto* strings =
        command_->add_option("--string", strings_, "String, in the vocabulary or not; may be repeated")
            ->type_name("TEXT")
            ->allow_extra_args(false);
    ids->excludes(strings);
    add_output(*command_, output_, ".npy file to write, (N, d_model) float32");
  }
  const CLI::App* command() const { return command_; }

  int run() const {
    if (ids_.empty() && strings_.empty())
      throw std::invalid_argument("nothing to embed: give --ids or --string");
    std::vector<kronecker::TokenOrBytes> tokens(ids_.begin(), ids_.end());
    tokens.insert(tokens.end(), strings_.begin(), strings_.end());
    const auto vectors = SavedEmbedding(model_).visit_widened(
        [&](const auto& embedding) { return embedding.forward(tokens); });
    const std::array shape{static_cast<std::size_t>(vectors.rows()),
                           static_cast<std::size_t>(vectors.cols())};
    kronecker::write_npy<float>(output_, {vectors.data(), static_cast<std::size_t>(vectors.size())}, shape);
    fmt::print("wrote {}: {} x {} float32\n", output_, shape[0], shape[1]);
    return 0;
  }

 private:
  CLI::App* command_;
  std::string model_, output_;
  std::vector<kronecker::TokenId> ids_;
  std::vector<std::string> strings_;
};

/// kron export: the ordinary table, alone or within a GGUF model, for engines that want one, or an ONNX model
/// without a table.
class Export {
 public:
  explicit Export(CLI::App& tool)
      : command_(tool.add_subcommand("export",
                                     "Write the ordinary table of a saved embedding, alone or into a GGUF "
                                     "model, or an ONNX model of the embedding")) {
    command_->add_option("MODEL", model_, "Saved embedding")->type_name("FILE")->required();
    auto* name = command_->add_option("--name", name_, "Name of the tensor");
    name->type_name("NAME")->capture_default_str();
    auto* type = command_->add_option("--type", type_, "F32, F16 or BF16; with --gguf also Q8_0");
    type->type_name("TYPE")->check(CLI::IsMember({"F32", "F16", "BF16", "Q8_0"}))->capture_default_str();
    auto* gguf =
        command_->add_option("--gguf", gguf_, "Write this GGUF model with the table in place of its own");
    gguf->type_name("FILE")->excludes(name);
    command_
        ->add_option("--head", head_,
                     "Output head of a GGUF model that takes the table for it: the old table or the new one")
        ->type_name("WHICH")
        ->check(CLI::IsMember({"old", "new"}))
        ->needs(gguf);
    command_
        ->add_flag("--onnx", as_onnx_,
                   "Write an ONNX model, from ids to embeddings, with the rows as they are")
        ->excludes(name)
        ->excludes(type)
        ->excludes(gguf);
    add_output(*command_, output_, "safetensors file to write, or GGUF or ONNX model");
  }
  const CLI::App* command() const { return command_; }

  int run() const {
    if (as_onnx_) return write_onnx();
    if (type_ == "Q8_0" && gguf_.empty())
      throw std::invalid_argument("--type Q8_0 is for GGUF models: give --gguf");
    const SavedEmbedding embedding(model_);
    embedding.visit_widened([&](const auto& widened) {
      if (gguf_.empty())
        write_table(widened);
      else
        write_gguf(widened);
    });
    const auto what = gguf_.empty() ? name_ + " of" : gguf_ + " with a table of";
    fmt::print("wrote {}: {} ({}, {}) {}\n", output_, what, embedding.tokens().size(), embedding.d_model(),
               type_);
    return 0;
  }

 private:
  template <class Embedding>
  void write_table(const Embedding& embedding) const {
    if (type_ == "F32") kronecker::export_table<float>(output_, embedding, name_);
    if (type_ == "F16") kronecker::export_table<Eigen::half>(output_, embedding, name_);
    if (type_ == "BF16") kronecker::export_table<Eigen::bfloat16>(output_, embedding, name_);
  }

  template <class Embedding>
  void write_gguf(const Embedding& embedding) const {
    kronecker::GgufTableOptions options;
    if (type_ == "F16") options.type = kronecker::GgmlType::f16;
    if (type_ == "BF16") options.type = kronecker::GgmlType::bf16;
    if (type_ == "Q8_0") options.type = kronecker::GgmlType::q8_0;
    if (head_ == "old") options.tied_head = kronecker::TiedHead::old_table;
    if (head_ == "new") options.tied_head = kronecker::TiedHead::new_table;
    kronecker::export_gguf(output_, embedding, gguf_, options);
  }

  int write_onnx() const {
#ifdef KRON_HAS_ONNX
    const SavedEmbedding embedding(model_);
    embedding.visit([&](const auto& any) { kronecker::export_onnx(output_, any); });
    fmt::print("wrote {}: an ONNX model of {} tokens and d_model {}, rows of {}\n", output_,
               embedding.tokens().size(), embedding.d_model(), embedding.row_type());
    return 0;
#else
    throw std::runtime_error("this kron was built without the ONNX library (libonnx-dev)");
#endif
  }

  CLI::App* command_;
  std::string model_, output_, gguf_, head_;
  std::string name_ = "model.embed_tokens.weight";
  std::string type_ = "F32";
  bool as_onnx_ = false;
};

}  // namespace kron
