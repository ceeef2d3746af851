#include "report.hpp"
#include "saved_embedding.hpp"

#include <kronecker/files/checkpoint.hpp>
#include <kronecker/files/gguf_table.hpp>
#include <kronecker/files/head_correction.hpp>
#include <kronecker/files/npy.hpp>
#include <kronecker/token_sequence.hpp>

#ifdef KRON_HAS_GGML
#include <kronecker/integrations/ggml.hpp>
#endif
#ifdef KRON_HAS_ONNX
#include <kronecker/integrations/onnx.hpp>
#endif

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <stdexcept>
#include <string>
#include <vector>

namespace kron {

/// kron embed: ids or strings become vectors.
class Embed {
 public:
  explicit Embed(CLI::App& tool)
      : parser_(tool.add_subcommand("embed", "Embed ids or strings with a saved embedding")) {
    parser_->add_option("MODEL", model_, "Saved embedding")->type_name("FILE")->required();
    auto* ids = parser_->add_option("--ids", ids_, "Token ids, separated by commas; none if it is empty")
                    ->type_name("ID,...")
                    ->allow_extra_args(false);
    auto* strings =
        parser_->add_option("--string", strings_, "String, in the vocabulary or not; may be repeated")
            ->type_name("TEXT")
            ->allow_extra_args(false);
    ids->excludes(strings);
    add_output(*parser_, output_, ".npy file to write, (N, d_model) float32");
    parser_->footer(
        "examples:\n"
        "  kron embed embedding.kron --string \" unfoxlike\" --output vectors.npy\n"
        "  kron embed embedding.kron --ids 464,2068 --output /dev/stdout | python3 use.py");
  }
  const CLI::App* parser() const { return parser_; }

  int run() const {
    if (ids_.empty() && strings_.empty())
      throw std::invalid_argument("nothing to embed: give --ids or --string");
    check_output(output_);
    check_replaces_none(output_, {model_});
    std::vector<kronecker::TokenOrBytes> tokens(strings_.begin(), strings_.end());
    for (const std::string& list : ids_)
      for (const kronecker::TokenId id : examples::parse_ids(list)) tokens.emplace_back(id);
    const auto vectors = SavedEmbedding(model_).visit_widened(
        [&](const auto& embedding) { return embedding.forward(tokens); });
    const std::array shape{static_cast<std::size_t>(vectors.rows()),
                           static_cast<std::size_t>(vectors.cols())};
    kronecker::write_npy<float>(output_, {vectors.data(), static_cast<std::size_t>(vectors.size())}, shape);
    fmt::print(stderr, "wrote {}: {} x {} float32\n", shown_name(output_), shape[0], shape[1]);
    return 0;
  }

 private:
  CLI::App* parser_;
  std::string model_, output_;
  std::vector<std::string> ids_, strings_;
};

/// kron export: the ordinary table, alone or within a GGUF model, for engines that want one, or an ONNX model
/// without a table.
class Export {
 public:
  explicit Export(CLI::App& tool)
      : parser_(tool.add_subcommand("export",
                                    "Write the ordinary table of a saved embedding, alone or into a GGUF "
                                    "model"
#ifdef KRON_HAS_ONNX
                                    ", or an ONNX model of the embedding"
#endif
                                    )) {
    parser_->add_option("MODEL", model_, "Saved embedding")->type_name("FILE")->required();
    auto* name = parser_->add_option("--name", name_, "Name of the tensor");
    name->type_name("NAME")->capture_default_str();
    auto* type = parser_->add_option("--type", type_,
                                     "F32, F16 or BF16, without it F32; with --gguf also Q8_0 and what "
                                     "llama-quantize has, without it as it was");
    type->type_name("TYPE")->transform(CLI::Validator(upper_case, ""))->check(examples::one_of(type_names()));
    auto* gguf =
        parser_->add_option("--gguf", gguf_, "Write this GGUF model with the table in place of its own");
    gguf->type_name("FILE")->excludes(name);
    parser_
        ->add_option("--head", head_,
                     "Output head of a GGUF model that takes the table for it: the old table or the new one")
        ->type_name("WHICH")
        ->check(examples::one_of({"old", "new"}))
        ->needs(gguf);
    parser_
        ->add_flag("--for-vectors", for_vectors_,
                   "Of a GGUF model that is given vectors alone: zeros, as small as can be, for the table, "
                   "which nothing reads then")
        ->needs(gguf)
        ->excludes(type);
#ifdef KRON_HAS_ONNX
    auto* onnx = parser_->add_flag("--onnx", as_onnx_, "Write an ONNX model, from ids to embeddings");
    onnx->excludes(name)->excludes(type)->excludes(gguf);
    auto* table = parser_->add_flag("--table", onnx_options_.is_table,
                                    "ONNX model of the ordinary table: the fastest, and large");
    table->needs(onnx);
    parser_
        ->add_option(
            "--max-size", onnx_options_.max_size,
            "Bytes that the ONNX model may take (20MB); the larger, the faster, up to the table; 0: as "
            "few as possible; without it: a sixth of the table's")
        ->transform(CLI::AsSizeValue(true))
        ->type_name("SIZE")
        ->needs(onnx)
        ->excludes(table);
    parser_->add_option("--ids", ids_, "Type of the ONNX model's ids: int64 or int32")
        ->type_name("TYPE")
        ->check(examples::one_of({"int64", "int32"}))
        ->capture_default_str()
        ->needs(onnx);
    parser_->add_option("--rank", onnx_options_.rank, "Dimensions of the ONNX model's ids")
        ->type_name("N")
        ->check(CLI::Range(0, 8))
        ->capture_default_str()
        ->needs(onnx);
#else
    static_cast<void>(type);
#endif
    add_output(*parser_, output_, "File to write: safetensors, or the model that was asked for");
    parser_->footer(
        "examples:\n"
        "  kron export embedding.kron --name model.embed_tokens.weight --output table.safetensors\n"
        "  kron export embedding.kron --gguf model.gguf --type Q8_0 --output new.gguf"
#ifdef KRON_HAS_ONNX
        "\n  kron export embedding.kron --onnx --output embedding.onnx"
#endif
    );
  }
  const CLI::App* parser() const { return parser_; }

  int run() const {
    check_output(output_);
    check_replaces_none(output_, {model_, gguf_});
    if (kronecker::load_head_correction(model_))
      fmt::print(stderr, "kron: {}: what corrects its output head is not exported\n", shown_name(model_));
#ifdef KRON_HAS_ONNX
    if (as_onnx_) return write_onnx();
#endif
    if (name_.empty()) throw std::invalid_argument("--name is empty");
    const SavedEmbedding embedding(model_);
    if (!gguf_.empty()) return write_gguf(embedding);
    const std::string type = type_.empty() ? "F32" : type_;
    if (type != "F32" && type != "F16" && type != "BF16")
      throw std::invalid_argument("--type " + type + " is for GGUF models: give --gguf");
    embedding.visit_widened([&](const auto& widened) { write_table(widened, type); });
    fmt::print(stderr, "wrote {}: {} of ({}, {}) {}\n", shown_name(output_), shown_name(name_),
               embedding.tokens().size(), embedding.d_model(), type);
    return 0;
  }

 private:
  static std::string upper_case(std::string& text) {
    for (char& c : text)
      if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
    return {};
  }

  /// The types of a table that has no need of a matrix of what matters, as llama-quantize spells them.
  static constexpr std::array types = {
      kronecker::GgmlType::f32,    kronecker::GgmlType::f16,  kronecker::GgmlType::bf16,
      kronecker::GgmlType::q8_0,   kronecker::GgmlType::q6_k, kronecker::GgmlType::q5_k,
      kronecker::GgmlType::q5_1,   kronecker::GgmlType::q5_0, kronecker::GgmlType::q4_k,
      kronecker::GgmlType::q4_1,   kronecker::GgmlType::q4_0, kronecker::GgmlType::iq4_nl,
      kronecker::GgmlType::iq4_xs, kronecker::GgmlType::q3_k, kronecker::GgmlType::q2_k};
  static std::string name_of(kronecker::GgmlType type) {
    return kronecker::ggml_type_name(static_cast<std::uint32_t>(type));
  }
  static std::vector<std::string> type_names() {
    std::vector<std::string> names;
    for (const kronecker::GgmlType type : types) names.push_back(name_of(type));
    return names;
  }

  template <class Embedding>
  void write_table(const Embedding& embedding, const std::string& type) const {
    if (type == "F32") kronecker::export_table<float>(output_, embedding, name_);
    if (type == "F16") kronecker::export_table<Eigen::half>(output_, embedding, name_);
    if (type == "BF16") kronecker::export_table<Eigen::bfloat16>(output_, embedding, name_);
  }

  int write_gguf(const SavedEmbedding& embedding) const {
    kronecker::GgufTableOptions options;
    const kronecker::GgmlType wanted = type_wanted();
    options.type = can_write(wanted) ? wanted : kronecker::GgmlType::f16;
    options.for_vectors = for_vectors_;
    if (head_ == "old") options.tied_head = kronecker::TiedHead::old_table;
    if (head_ == "new") options.tied_head = kronecker::TiedHead::new_table;
#ifdef KRON_HAS_GGML
    options.quantizer = kronecker::quantize_as_ggml;
#endif
    embedding.visit_widened(
        [&](const auto& widened) { kronecker::export_gguf(output_, widened, gguf_, options); });
    const std::string type = for_vectors_ ? "zeros, for vectors alone" : name_of(*options.type);
    fmt::print(stderr, "wrote {}: {} with a table of ({}, {}) {}\n", shown_name(output_), shown_name(gguf_),
               embedding.tokens().size(), embedding.d_model(), type);
    if (!for_vectors_ && wanted != *options.type) say_how_to_quantize(wanted);
    return 0;
  }

  /// What --type says, or what the model has.
  kronecker::GgmlType type_wanted() const {
    if (type_.empty()) return kronecker::gguf_table_type(gguf_);
    return *std::find_if(types.begin(), types.end(), [&](auto type) { return name_of(type) == type_; });
  }

  static bool can_write(kronecker::GgmlType type) {
#ifdef KRON_HAS_GGML
    if (kronecker::ggml_can_quantize(type)) return true;
#endif
    return !kronecker::takes_quantizer(type);
  }

  /// The command that makes of the written table what was wanted, and of the other tensors what they were.
  void say_how_to_quantize(kronecker::GgmlType wanted) const {
    const kronecker::GgufMetadata metadata = kronecker::read_gguf_metadata(gguf_);
    const auto* file_type = metadata.find<std::uint64_t>("general.file_type");
    fmt::print(stderr,
               "kron: {} takes llama.cpp's own quantizer, so the table is F16; to quantize it:\n"
               "  llama-quantize --allow-requantize --token-embedding-type {} {} quantized.gguf {}\n",
               name_of(wanted), name_of(wanted), shown_name(output_),
               file_type ? std::to_string(*file_type) : "TYPE");
  }

#ifdef KRON_HAS_ONNX
  int write_onnx() const {
    const SavedEmbedding embedding(model_);
    kronecker::OnnxOptions options = onnx_options_;
    if (ids_ == "int32") options.ids = kronecker::OnnxIds::int32;
    embedding.visit([&](const auto& any) { kronecker::export_onnx(output_, any, options); });
    fmt::print(stderr, "wrote {}: an ONNX model of {} tokens and d_model {}, {}\n", shown_name(output_),
               embedding.tokens().size(), embedding.d_model(),
               options.is_table ? "the table" : fmt::format("rows of {}", embedding.row_type()));
    return 0;
  }
#endif

  CLI::App* parser_;
  std::string model_, output_, gguf_, head_;
  std::string name_ = "model.embed_tokens.weight";
  std::string type_;
  bool for_vectors_ = false;
#ifdef KRON_HAS_ONNX
  bool as_onnx_ = false;
  std::string ids_ = "int64";
  kronecker::OnnxOptions onnx_options_;
#endif
};

Command add_embed(CLI::App& tool) { return make_command<Embed>(tool); }
Command add_export(CLI::App& tool) { return make_command<Export>(tool); }

}  // namespace kron
