#pragma once

#include "report.hpp"
#include "saved_embedding.hpp"

#include <kronecker/vocabularies/load.hpp>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace kron {

/// kron inspect: what is in a vocabulary, a saved embedding or a checkpoint.
class Inspect {
 public:
  explicit Inspect(CLI::App& tool) : command_(tool.add_subcommand("inspect", "Show what is in a file")) {
    command_
        ->add_option("FILE", path_,
                     "Tokenizer file, saved embedding, or checkpoint (safetensors, or the index of several)")
        ->type_name("FILE")
        ->required();
    command_->add_flag(
        "--check", check_,
        "Read all weights of a saved embedding or checkpoint; exit with 1 if one is not finite");
    add_json(*command_, as_json_);
  }
  const CLI::App* command() const { return command_; }

  int run() const {
    if (is_index()) return inspect_checkpoint(kronecker::checkpoint_files(path_));
    if (!is_safetensors()) return inspect_vocabulary();
    const kronecker::SafetensorsFile file(path_);
    if (!file.metadata().contains("format_version") || !file.find("projection.rows"))
      return inspect_checkpoint({path_});
    return inspect_model(SavedEmbedding(path_));
  }

 private:
  /// A header's length and then a JSON object: nothing else that is supported starts so.
  bool is_safetensors() const {
    if (path_.ends_with(".safetensors")) return true;
    const kronecker::MappedFile file(path_);
    const std::string_view text = file.text().substr(0, 9);
    return text.size() == 9 && text[8] == '{' && text[7] == '\0';
  }

  /// JSON with an object 'weight_map'; a vocabulary may have a token of that name, but no object.
  bool is_index() const {
    constexpr std::string_view key = "\"weight_map\"";
    if (!path_.ends_with(".json")) return false;
    const kronecker::MappedFile file(path_);
    const std::size_t at = file.text().find(key);
    if (at == std::string_view::npos) return false;
    const std::size_t value = file.text().find_first_not_of(": \t\r\n", at + key.size());
    return value != std::string_view::npos && file.text()[value] == '{';
  }

  int inspect_vocabulary() const {
    const std::string_view format = name_of(kronecker::vocabulary_format(path_));
    if (check_)
      throw std::invalid_argument(
          fmt::format("{}: a vocabulary ({}) has no weights for --check to read", path_, format));
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
                  {"format", format},
                  {"tokens", vocabulary.size()},
                  {"special", special},
                  {"empty", empty},
                  {"mean_bytes", bytes / vocabulary.size()},
                  {"longest", {{"id", longest}, {"bytes", longest_bytes.size()}}}});
      return 0;
    }
    fmt::print("{}: a vocabulary of {} tokens, {} of them special and {} empty ({})\n", path_,
               vocabulary.size(), special, empty, format);
    fmt::print("  {:.2f} bytes a token; the longest is {} with {} bytes\n", bytes / vocabulary.size(),
               longest, longest_bytes.size());
    return 0;
  }

  int inspect_model(const SavedEmbedding& embedding) const {
    const Encoder encoder = embedding.encoder();
    const kronecker::TokenBytes tokens = embedding.tokens();
    const auto parameters =
        static_cast<std::size_t>(encoder.code_dim()) * static_cast<std::size_t>(embedding.d_model());
    const std::size_t not_finite = check_ ? count_not_finite(embedding.weights()) : 0;
    if (as_json_) {
      ordered_json report{{"file", path_},
                          {"kind", "embedding"},
                          {"tokens", tokens.size()},
                          {"d_model", embedding.d_model()},
                          {"char_dim", encoder.char_dim()},
                          {"pos_dim", encoder.pos_dim()},
                          {"length_normalize", encoder.options().length_normalize},
                          {"z_normalize", encoder.options().z_normalize},
                          {"epsilon", encoder.options().epsilon},
                          {"truncated_tokens", tokens.truncated()},
                          {"parameters", parameters},
                          {"rows", embedding.row_type()},
                          {"token_bytes_memory", tokens.memory()}};
      if (check_) report["weights_not_finite"] = not_finite;
      print_json(report);
    } else {
      fmt::print("{}: an embedding of {} tokens into {} dimensions\n", path_, tokens.size(),
                 embedding.d_model());
      fmt::print("  char_dim {}, pos_dim {}, {} tokens are longer\n", encoder.char_dim(), encoder.pos_dim(),
                 tokens.truncated());
      fmt::print("  length-normalized: {}, z-normalized: {}, epsilon {}\n",
                 encoder.options().length_normalize ? "yes" : "no",
                 encoder.options().z_normalize ? "yes" : "no", encoder.options().epsilon);
      fmt::print("  {} parameters in rows of {}, {}B of token bytes\n",
                 examples::short_number(static_cast<double>(parameters)), embedding.row_type(),
                 examples::short_number(static_cast<double>(tokens.memory())));
      if (check_) fmt::print("  weights that are not finite: {}\n", not_finite);
    }
    return not_finite == 0 ? 0 : 1;
  }

  int inspect_checkpoint(const std::vector<std::filesystem::path>& files) const {
    const bool is_split = path_.ends_with(".json");
    ordered_json tensors = ordered_json::array(), metadata;
    std::size_t not_finite = 0;
    for (const auto& path : files) {
      const kronecker::SafetensorsFile file(path);
      if (!is_split) metadata = file.metadata();
      for (const auto& tensor : file.tensors()) {
        tensors.push_back({{"name", tensor.name}, {"type", tensor.type}, {"shape", tensor.shape}});
        if (is_split) tensors.back()["file"] = path.filename().string();
        if (!check_) continue;
        const std::optional<std::size_t> found = count_not_finite(file, tensor);
        if (found) tensors.back()["not_finite"] = *found;
        not_finite += found.value_or(0);
      }
    }
    if (as_json_) {
      ordered_json report{{"file", path_}, {"kind", "checkpoint"}};
      if (!is_split) report["metadata"] = metadata;
      if (check_) report["weights_not_finite"] = not_finite;
      report["tensors"] = tensors;
      print_json(report);
    } else {
      report_checkpoint(tensors, is_split ? fmt::format(" in {} files", files.size()) : "");
      if (check_) fmt::print("  weights that are not finite: {}\n", not_finite);
    }
    return not_finite == 0 ? 0 : 1;
  }

  void report_checkpoint(const ordered_json& tensors, const std::string& files) const {
    fmt::print("{}: a checkpoint of {} tensors{}\n", path_, tensors.size(), files);
    for (const auto& tensor : tensors) {
      fmt::print("  {:<4} {} (", tensor["type"].get<std::string>(), tensor["name"].get<std::string>());
      for (std::size_t i = 0; i < tensor["shape"].size(); ++i)
        fmt::print("{}{}", i > 0 ? ", " : "", tensor["shape"][i].get<std::size_t>());
      fmt::print(")");
      if (tensor.contains("file")) fmt::print("  {}", tensor["file"].get<std::string>());
      if (tensor.value("not_finite", std::size_t{0}) > 0)
        fmt::print("  {} not finite", tensor["not_finite"].get<std::size_t>());
      if (check_ && !tensor.contains("not_finite")) fmt::print("  not checked");
      fmt::print("\n");
    }
  }

  /// Number of values of a tensor that are not finite; nothing if it is of a type that is not looked at.
  static std::optional<std::size_t> count_not_finite(const kronecker::SafetensorsFile& file,
                                                     const kronecker::TensorInfo& tensor) {
    if (tensor.type == "F32") return count_not_finite(file.values<float>(tensor));
    if (tensor.type == "F16") return count_not_finite(file.values<Eigen::half>(tensor));
    if (tensor.type == "BF16") return count_not_finite(file.values<Eigen::bfloat16>(tensor));
    return std::nullopt;
  }
  template <class T>
  static std::size_t count_not_finite(const kronecker::SharedArray<T>& values) {
    return static_cast<std::size_t>(std::count_if(values.span().begin(), values.span().end(), [](T value) {
      return !std::isfinite(static_cast<float>(value));
    }));
  }

  CLI::App* command_;
  std::string path_;
  bool check_ = false;
  bool as_json_ = false;
};

}  // namespace kron
