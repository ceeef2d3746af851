#include "onnx_model.hpp"
#include "report.hpp"
#include "saved_embedding.hpp"
#include "vocabulary_argument.hpp"

#include <kronecker/error.hpp>
#include <kronecker/files/checkpoint.hpp>
#include <kronecker/files/file_kind.hpp>
#include <kronecker/files/float8.hpp>
#include <kronecker/files/ggml_blocks.hpp>
#include <kronecker/files/gguf.hpp>
#include <kronecker/files/gguf_data.hpp>
#include <kronecker/files/head_correction.hpp>
#include <kronecker/files/npy.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace kron {

/// kron inspect: what is in a vocabulary, a saved embedding, a checkpoint or an array.
class Inspect {
 public:
  explicit Inspect(CLI::App& tool) : parser_(tool.add_subcommand("inspect", "Show what is in a file")) {
    parser_
        ->add_option("FILE", vocabulary_.path,
                     "Tokenizer, saved embedding, checkpoint (safetensors, or the index of several), GGUF or "
                     "ONNX model, or .npy array; of the folder of a model the tokenizer; - for a tokenizer "
                     "on standard input")
        ->type_name("FILE")
        ->required();
    parser_->add_flag("--check", check_,
                      "Read all weights of a saved embedding, a checkpoint or a .npy matrix; exit with 1 if "
                      "one is not finite");
    vocabulary_.add_reading(*parser_);
    add_json(*parser_, as_json_);
    parser_->footer(
        "examples:\n"
        "  kron inspect tokenizer.json\n"
        "  kron inspect ./Qwen3-0.6B\n"
        "  kron inspect --check model.safetensors");
  }
  const CLI::App* parser() const { return parser_; }

  int run() const {
    const kronecker::FileKind kind = kind_of_file(path_);
    if (kind == kronecker::FileKind::gguf) return inspect_gguf();
    const bool has_index = is_index();
    const bool is_vocabulary = !has_index && kind != kronecker::FileKind::safetensors &&
                               kind != kronecker::FileKind::npy && kind != kronecker::FileKind::onnx &&
                               !path_.ends_with(".safetensors") && !path_.ends_with(".npy");  // damaged ones
    if (is_vocabulary) return inspect_vocabulary();
    vocabulary_.check_no_reading(path_);
    if (has_index) return inspect_checkpoint(kronecker::checkpoint_files(path_));
    if (kind == kronecker::FileKind::onnx) return inspect_onnx(read_onnx(path_));
    if (kind == kronecker::FileKind::npy || path_.ends_with(".npy")) return inspect_array();
    return is_saved_embedding(path_) ? inspect_model(SavedEmbedding(path_)) : inspect_checkpoint({path_});
  }

 private:
  /// JSON with an object 'weight_map'; a vocabulary may have a token of that name, but no object.
  bool is_index() const {
    constexpr std::string_view key = "\"weight_map\"";
    if (!path_.ends_with(".json") || kind_of_file(path_) != kronecker::FileKind::json) return false;
    const kronecker::MappedFile file(path_);
    const std::size_t at = file.text().find(key);
    if (at == std::string_view::npos) return false;
    const std::size_t value = file.text().find_first_not_of(": \t\r\n", at + key.size());
    return value != std::string_view::npos && file.text()[value] == '{';
  }

  int inspect_vocabulary() const {
    VocabularySource source;
    const kronecker::Vocabulary vocabulary = vocabulary_.load(&source);
    if (check_)
      throw std::invalid_argument(fmt::format("{}: a vocabulary ({}) has no weights for --check to read",
                                              shown_name(path_), source.format));
    ordered_json report{{"file", path_}};
    report.update(describe(vocabulary, source));
    if (as_json_) print_json(report);
    return 0;
  }

  /// What is known of a vocabulary, which is told if the report is one for people.
  ordered_json describe(const kronecker::Vocabulary& vocabulary, const VocabularySource& source) const {
    std::vector<kronecker::TokenId> special;
    kronecker::TokenId empty = 0, holes = 0, longest = 0;
    double bytes = 0;
    for (kronecker::TokenId id = 0; id < vocabulary.size(); ++id) {
      const auto size = vocabulary.bytes(id).size();
      if (vocabulary.is_special(id)) special.push_back(id);
      empty += size == 0 ? 1 : 0;
      const kronecker::TokenKind kind = vocabulary.kind(id);
      holes += kind == kronecker::TokenKind::hole || kind == kronecker::TokenKind::unused ? 1 : 0;
      bytes += static_cast<double>(size);
      if (size > vocabulary.bytes(longest).size()) longest = id;
    }
    const auto longest_bytes = vocabulary.bytes(longest);
    if (!as_json_) {
      print_text(
          0, fmt::format("{}: a vocabulary of {}, {} of them special and {} empty ({})", shown_name(path_),
                         counted(vocabulary.size(), "token"), special.size(), empty, source.format));
      print_text(2, fmt::format("{:.2f} bytes a token; the longest, {}, has {}", bytes / vocabulary.size(),
                                longest, longest_bytes.size()));
      if (holes > 0) print_text(2, fmt::format("ids without a token, or with an unused one: {}", holes));
      tell_special(vocabulary, special);
    }
    return {{"kind", "vocabulary"},
            {"format", source.format},
            {"tokens", vocabulary.size()},
            {"special", special.size()},
            {"special_ids", special},
            {"empty", empty},
            {"holes", holes},
            {"mean_bytes", bytes / vocabulary.size()},
            {"longest", {{"id", longest}, {"bytes", longest_bytes.size()}}},
            {"notes", vocabulary.notes()}};
  }

  static void tell_special(const kronecker::Vocabulary& vocabulary,
                           const std::vector<kronecker::TokenId>& special) {
    if (special.empty()) return;
    constexpr std::size_t most = 12;
    std::string list;
    for (std::size_t i = 0; i < std::min(most, special.size()); ++i)
      list += fmt::format("{}{} {}", i > 0 ? ", " : "", special[i],
                          examples::shown(vocabulary.bytes(special[i])));
    if (special.size() > most)
      list += fmt::format(", and {} more (kron tokens --only special)", special.size() - most);
    print_text(2, "special: " + list);
  }

  int inspect_gguf() const {
    const kronecker::MappedFile file(path_);
    const kronecker::GgufDirectory directory = kronecker::parse_gguf_directory(file.path(), file.text());
    ordered_json report{{"file", path_}, {"kind", "GGUF"}}, tensors = ordered_json::array();
    try {
      VocabularySource source;
      if (directory.metadata.values.contains("tokenizer.ggml.tokens"))
        report["vocabulary"] = describe(vocabulary_.load(&source), source);
    } catch (const kronecker::FileError& error) {  // the tensors can be shown all the same
      if (directory.tensors.empty()) throw;
      fmt::print(stderr, "kron: {}\n", error.what());
    }
    const kronecker::detail::GgufData data(file, directory);
    std::size_t not_finite = 0;
    for (const kronecker::GgufTensor& tensor : directory.tensors) {  // its shape in the order of the others
      const std::vector<std::uint64_t> shape(tensor.shape.rbegin(), tensor.shape.rend());
      tensors.push_back(
          {{"name", tensor.name}, {"type", kronecker::ggml_type_name(tensor.type)}, {"shape", shape}});
      if (check_) not_finite += note_not_finite(tensors.back(), count_not_finite(data, tensor));
    }
    report_checkpoint(
        report, tensors,
        fmt::format("{}: a GGUF file of {}", shown_name(path_), counted(tensors.size(), "tensor")),
        not_finite);
    return not_finite == 0 ? 0 : 1;
  }

  int inspect_array() const {
    const auto input = kronecker::detail::open_npy(kronecker::MappedFile(path_));
    const auto value = [&](const char* key) {
      return kronecker::detail::npy_value(input.path(), input.header, key);
    };
    const auto shape = kronecker::detail::npy_shape(input.path(), value("'shape'"));
    std::string_view type = value("'descr'");
    type = type.starts_with('\'') ? type.substr(1, type.find('\'', 1) - 1) : type.substr(0, type.find(", '"));
    const bool is_transposed = value("'fortran_order'").starts_with("True");
    std::optional<std::size_t> not_finite;
    if (check_) {
      const auto matrix = kronecker::read_npy_matrix(path_);
      not_finite = count_not_finite(matrix);
    }
    if (as_json_) {
      ordered_json report{{"file", path_},
                          {"kind", "array"},
                          {"type", type},
                          {"shape", shape},
                          {"fortran_order", is_transposed}};
      if (not_finite) report["weights_not_finite"] = *not_finite;
      print_json(report);
    } else {
      print_row(fmt::format("{}: a NumPy array of {}, type {}{}", shown_name(path_), shown_shape(shape),
                            shown_name(type), is_transposed ? ", in Fortran order" : ""));
      if (not_finite) fmt::print("  weights that are not finite: {}\n", *not_finite);
    }
    return not_finite.value_or(0) == 0 ? 0 : 1;
  }

  int inspect_onnx(const OnnxModel& model) const {
    const auto list = [](const std::vector<OnnxTensor>& tensors) {
      ordered_json described = ordered_json::array();
      for (const OnnxTensor& tensor : tensors)
        described.push_back({{"name", tensor.name}, {"type", tensor.type}, {"shape", tensor.shape}});
      return described;
    };
    if (as_json_) {
      print_json({{"file", path_},
                  {"kind", "ONNX"},
                  {"opset", model.opset},
                  {"nodes", model.node_count},
                  {"inputs", list(model.inputs)},
                  {"outputs", list(model.outputs)},
                  {"tensors", list(model.tensors)}});
      return 0;
    }
    report_tensors(list(model.inputs),
                   fmt::format("{}: an ONNX model of {}, operators of opset {}, from", shown_name(path_),
                               counted(model.node_count, "node"), model.opset));
    report_tensors(list(model.outputs), "to");
    report_tensors(list(model.tensors), "with " + counted(model.tensors.size(), "tensor"));
    return 0;
  }

  int inspect_model(const SavedEmbedding& embedding) const {
    const Encoder encoder = embedding.encoder();
    const kronecker::TokenBytes tokens = embedding.tokens();
    const auto width = static_cast<std::size_t>(embedding.d_model());
    const std::size_t parameters =
        (static_cast<std::size_t>(encoder.code_dim()) + embedding.own_row_count()) * width +
        (embedding.has_norm() ? width : 0);
    const bool is_rounded = encoder.options().rounding == kronecker::CodeRounding::bfloat16;
    const std::size_t not_finite = check_ ? count_not_finite(embedding.weights()) : 0;
    const auto correction = kronecker::load_head_correction(path_);
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
                          {"code_rounding", is_rounded ? "bfloat16" : "exact"},
                          {"own_rows", embedding.own_row_count()},
                          {"norm", embedding.has_norm()},
                          {"truncated_tokens", tokens.truncated()},
                          {"parameters", parameters},
                          {"rows", embedding.row_type()},
                          {"token_bytes_memory", tokens.memory()}};
      if (correction)
        report["head_correction"] = {{"rank", correction->sizes().rank},
                                     {"parameters", correction->sizes().count()}};
      if (check_) report["weights_not_finite"] = not_finite;
      print_json(report);
    } else {
      fmt::print("{}: an embedding of {} into {}\n", shown_name(path_), counted(tokens.size(), "token"),
                 counted(embedding.d_model(), "dimension"));
      fmt::print("  char_dim {}, pos_dim {}; longer tokens, which are cut: {}\n", encoder.char_dim(),
                 encoder.pos_dim(), tokens.truncated());
      fmt::print("  length-normalized: {}, z-normalized: {}, epsilon {}{}\n",
                 encoder.options().length_normalize ? "yes" : "no",
                 encoder.options().z_normalize ? "yes" : "no", encoder.options().epsilon,
                 is_rounded ? ", codes rounded to bfloat16" : "");
      if (embedding.own_row_count() > 0)
        fmt::print("  tokens with rows of their own: {}\n", embedding.own_row_count());
      if (embedding.has_norm()) fmt::print("  a norm follows\n");
      fmt::print("  {} parameters in rows of {}, {}B of token bytes\n",
                 examples::short_number(static_cast<double>(parameters)), embedding.row_type(),
                 examples::short_number(static_cast<double>(tokens.memory())));
      if (correction)
        fmt::print("  an output head is corrected by a bias and {} of each token's own: {} parameters\n",
                   counted(correction->sizes().rank, "factor"),
                   examples::short_number(static_cast<double>(correction->sizes().count())));
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
        if (check_) not_finite += note_not_finite(tensors.back(), count_not_finite(file, tensor));
      }
    }
    ordered_json report{{"file", path_}, {"kind", "checkpoint"}};
    if (!is_split) report["metadata"] = metadata;
    report_checkpoint(
        report, tensors,
        fmt::format("{}: a checkpoint of {}{}", shown_name(path_), counted(tensors.size(), "tensor"),
                    is_split ? " in " + counted(files.size(), "file") : ""),
        not_finite);
    return not_finite == 0 ? 0 : 1;
  }

  /// Puts into the description of a tensor how many of its values are not finite, if they were looked at, and
  /// returns that number.
  static std::size_t note_not_finite(ordered_json& tensor, std::optional<std::size_t> not_finite) {
    if (not_finite) tensor["not_finite"] = *not_finite;
    return not_finite.value_or(0);
  }

  void report_checkpoint(ordered_json& report, const ordered_json& tensors, const std::string& title,
                         std::size_t not_finite) const {
    if (as_json_) {
      if (check_) report["weights_not_finite"] = not_finite;
      report["tensors"] = tensors;
      print_json(report);
    } else {
      report_tensors(tensors, title);
      if (check_) fmt::print("  weights that are not finite: {}\n", not_finite);
    }
  }

  void report_tensors(const ordered_json& tensors, const std::string& title) const {
    print_row(title);
    for (const auto& tensor : tensors) {
      std::string line = fmt::format("  {:<4} {} (", tensor["type"].get<std::string>(),
                                     shown_name(tensor["name"].get<std::string>()));
      for (std::size_t i = 0; i < tensor["shape"].size(); ++i) {
        const auto& size = tensor["shape"][i];
        line += (i > 0 ? ", " : "") + (size.is_string() ? shown_name(size.get<std::string>()) : size.dump());
      }
      line += ")";
      if (tensor.contains("file")) line += "  " + shown_name(tensor["file"].get<std::string>());
      if (const auto count = tensor.value("not_finite", std::size_t{0}); count > 0)
        line += fmt::format("  {} not finite", count);
      if (check_ && !tensor.contains("not_finite")) line += "  not checked";
      print_row(line);
    }
  }

  /// Number of values of a tensor that are not finite; nothing if it is of a type that is not looked at.
  static std::optional<std::size_t> count_not_finite(const kronecker::SafetensorsFile& file,
                                                     const kronecker::TensorInfo& tensor) {
    if (tensor.type == "F32") return count_not_finite(file.values<float>(tensor));
    if (tensor.type == "F16") return count_not_finite(file.values<Eigen::half>(tensor));
    if (tensor.type == "BF16") return count_not_finite(file.values<Eigen::bfloat16>(tensor));
    if (tensor.type == "F64") return count_not_finite(file.values<double>(tensor));
    if (tensor.type == "F8_E4M3") return count_not_finite(file.values<kronecker::detail::Float8E4M3>(tensor));
    if (tensor.type == "F8_E5M2") return count_not_finite(file.values<kronecker::detail::Float8E5M2>(tensor));
    return std::nullopt;
  }
  static std::optional<std::size_t> count_not_finite(const kronecker::detail::GgufData& data,
                                                     const kronecker::GgufTensor& tensor) {
    const auto dequantize = kronecker::detail::dequantize_of(tensor.type);
    if (!dequantize) return std::nullopt;
    const auto& block = *kronecker::detail::ggml_block(tensor.type);
    const auto block_size = static_cast<std::size_t>(block.bytes);
    std::vector<float> values(static_cast<std::size_t>(block.values));
    std::size_t count = 0;
    for (std::string_view left = data.of(tensor); !left.empty(); left.remove_prefix(block_size)) {
      dequantize(reinterpret_cast<const unsigned char*>(left.data()), values.data());
      count += count_not_finite(values);
    }
    return count;
  }
  template <class Values>
  static std::size_t count_not_finite(const Values& values) {
    const auto* const first = values.data();
    return static_cast<std::size_t>(std::count_if(first, first + values.size(), [](auto value) {
      if constexpr (std::is_same_v<decltype(value), double>)
        return !std::isfinite(value);
      else
        return !std::isfinite(static_cast<float>(value));
    }));
  }

  CLI::App* parser_;
  VocabularyArgument vocabulary_;
  const std::string& path_ = vocabulary_.path;
  bool check_ = false;
  bool as_json_ = false;
};

Command add_inspect(CLI::App& tool) { return make_command<Inspect>(tool); }

}  // namespace kron
