#include "report.hpp"
#include "rows_option.hpp"
#include "vocabulary_argument.hpp"
#include "weights_option.hpp"

#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

namespace kron {

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

Command add_import(CLI::App& tool) { return make_command<Import>(tool); }

}  // namespace kron
