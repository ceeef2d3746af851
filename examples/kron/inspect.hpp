#pragma once

#include "report.hpp"

#include <kronecker/vocabularies/load.hpp>

#include <algorithm>
#include <cmath>

namespace kron {

/// kron inspect: what is in a vocabulary, a saved embedding or a checkpoint.
class Inspect {
 public:
  explicit Inspect(CLI::App& tool) : command_(tool.add_subcommand("inspect", "Show what is in a file")) {
    command_->add_option("FILE", path_, "Tokenizer file, saved embedding or safetensors checkpoint")
        ->type_name("FILE")
        ->required();
    command_->add_flag("--check", check_,
                       "Read all weights of a saved embedding; exit with 1 if one is not finite");
    add_json(*command_, as_json_);
  }
  const CLI::App* command() const { return command_; }

  int run() const {
    if (!is_safetensors()) return inspect_vocabulary();
    const kronecker::SafetensorsFile file(path_);
    return file.metadata().contains("format_version") && file.find("projection.rows")
               ? inspect_model()
               : inspect_checkpoint(file);
  }

 private:
  /// A header's length and then a JSON object: nothing else that is supported starts so.
  bool is_safetensors() const {
    const kronecker::MappedFile file(path_);
    const std::string_view text = file.text().substr(0, 9);
    return text.size() == 9 && text[8] == '{' && text[7] == '\0';
  }

  int inspect_vocabulary() const {
    const kronecker::Vocabulary vocabulary = kronecker::load_vocabulary(path_);
    kronecker::TokenId special = 0, empty = 0, longest = 0;
    double bytes = 0;
    for (kronecker::TokenId id = 0; id < vocabulary.size(); ++id) {
      const auto size = vocabulary.bytes(id).size();
      special += vocabulary.is_special(id) ? 1 : 0;
      empty += size == 0 ? 1 : 0;
      bytes += static_cast<double>(size);
      if (size > vocabulary.bytes(longest).size()) longest = id;
    }
    const auto longest_bytes = vocabulary.bytes(longest);
    if (as_json_) {
      print_json({{"file", path_},
                  {"kind", "vocabulary"},
                  {"tokens", vocabulary.size()},
                  {"special", special},
                  {"empty", empty},
                  {"mean_bytes", bytes / vocabulary.size()},
                  {"longest", {{"id", longest}, {"bytes", longest_bytes.size()}}}});
      return 0;
    }
    fmt::print("{}: a vocabulary of {} tokens, {} of them special and {} empty\n", path_, vocabulary.size(),
               special, empty);
    fmt::print("  {:.2f} bytes a token; the longest is {} with {} bytes\n", bytes / vocabulary.size(),
               longest, longest_bytes.size());
    return 0;
  }

  int inspect_model() const {
    const auto embedding =
        kronecker::load<kronecker::KroneckerEncoder<Eigen::Dynamic, Eigen::Dynamic>>(path_);
    const auto& encoder = embedding.encoder();
    const auto rows = embedding.projection().rows().span();
    const auto not_finite =
        check_ ? std::count_if(rows.begin(), rows.end(), [](float weight) { return !std::isfinite(weight); })
               : 0;
    if (as_json_) {
      ordered_json report{{"file", path_},
                          {"kind", "embedding"},
                          {"tokens", embedding.vocab_size()},
                          {"d_model", embedding.d_model()},
                          {"char_dim", encoder.char_dim()},
                          {"pos_dim", encoder.pos_dim()},
                          {"length_normalize", encoder.options().length_normalize},
                          {"z_normalize", encoder.options().z_normalize},
                          {"epsilon", encoder.options().epsilon},
                          {"truncated_tokens", embedding.truncated_tokens()},
                          {"parameters", rows.size()},
                          {"token_bytes_memory", embedding.token_bytes_memory()}};
      if (check_) report["weights_not_finite"] = not_finite;
      print_json(report);
    } else {
      fmt::print("{}: an embedding of {} tokens into {} dimensions\n", path_, embedding.vocab_size(),
                 embedding.d_model());
      fmt::print("  char_dim {}, pos_dim {}, {} tokens are longer\n", encoder.char_dim(), encoder.pos_dim(),
                 embedding.truncated_tokens());
      fmt::print("  length-normalised: {}, z-normalised: {}, epsilon {}\n",
                 encoder.options().length_normalize ? "yes" : "no",
                 encoder.options().z_normalize ? "yes" : "no", encoder.options().epsilon);
      fmt::print("  {} parameters in float32, {}B of token bytes\n",
                 examples::short_number(static_cast<double>(rows.size())),
                 examples::short_number(static_cast<double>(embedding.token_bytes_memory())));
      if (check_) fmt::print("  weights that are not finite: {}\n", not_finite);
    }
    return not_finite == 0 ? 0 : 1;
  }

  int inspect_checkpoint(const kronecker::SafetensorsFile& file) const {
    if (as_json_) {
      ordered_json tensors = ordered_json::array();
      for (const auto& tensor : file.tensors())
        tensors.push_back({{"name", tensor.name}, {"type", tensor.type}, {"shape", tensor.shape}});
      print_json(
          {{"file", path_}, {"kind", "checkpoint"}, {"metadata", file.metadata()}, {"tensors", tensors}});
      return 0;
    }
    fmt::print("{}: a checkpoint of {} tensors\n", path_, file.tensors().size());
    for (const auto& tensor : file.tensors()) {
      fmt::print("  {:<4} {} (", tensor.type, tensor.name);
      for (std::size_t i = 0; i < tensor.shape.size(); ++i)
        fmt::print("{}{}", i > 0 ? ", " : "", tensor.shape[i]);
      fmt::print(")\n");
    }
    return 0;
  }

  CLI::App* command_;
  std::string path_;
  bool check_ = false;
  bool as_json_ = false;
};

}  // namespace kron
