#pragma once

/// Small models of several architectures with random weights, and the bundled vocabulary with all 256 bytes.

#include <kronecker/projection.hpp>
#include <kronecker/utf8.hpp>
#include <kronecker/vocabularies/sentencepiece.hpp>

#include <ggml.h>
#include <gguf.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <initializer_list>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace llama_cpp_tests {

inline constexpr int d_model = 128, heads = 4, layers = 2, d_feed_forward = 256, context_length = 512;

/// The pieces of a SentencePiece vocabulary as GGUF has them: text, score and type of each.
struct Pieces {
  std::vector<std::string> texts;
  std::vector<float> scores;
  std::vector<std::int32_t> types;

  void add(const std::string& text, std::int32_t type) {
    scores.push_back(-static_cast<float>(texts.size()));
    texts.push_back(text);
    types.push_back(type);
  }
};

inline Pieces bundled_pieces() {
  constexpr std::int32_t normal = 1, unknown = 2, control = 3, byte = 6;
  const auto bundled = kronecker::load_sentencepiece(EXAMPLE_DATA_DIR "/english_8k.model");
  Pieces pieces;
  pieces.add("<unk>", unknown);
  pieces.add("<s>", control);
  pieces.add("</s>", control);
  for (unsigned value = 0; value < 256; ++value) {
    char text[8];
    std::snprintf(text, sizeof text, "<0x%02X>", value);
    pieces.add(text, byte);
  }
  for (kronecker::TokenId id = 0; id < bundled.size(); ++id) {
    if (bundled.is_special(id) || bundled.bytes(id).size() == 1 ||
        !kronecker::is_valid_utf8(bundled.bytes(id)))
      continue;
    std::string text;
    for (const char c : bundled.bytes(id)) text += c == ' ' ? "\xE2\x96\x81" : std::string(1, c);
    pieces.add(text, normal);
  }
  return pieces;
}

/// Which model: the architecture as GGUF names it, and what there may be of it.
struct ModelKind {
  std::string architecture = "llama";
  bool is_tied = false;     ///< It has no output head but the table.
  int deepstack = 0;        ///< Qwen3-VL: layers that take an input for images each.
  int per_layer_width = 0;  ///< Gemma 4: of the table for each layer; 0 for a model without those.

  bool is(std::initializer_list<std::string_view> architectures) const {
    return std::find(architectures.begin(), architectures.end(), architecture) != architectures.end();
  }
  bool has_head_norms() const { return is({"gemma3", "gemma4", "gemma-embedding", "qwen3vl"}); }
  bool has_post_norms() const { return is({"gemma2", "gemma3", "gemma4", "gemma-embedding"}); }
};

/// What an architecture's metadata must say beyond what all say.
inline void set_metadata(gguf_context* file, const ModelKind& kind) {
  constexpr int head_width = d_model / heads;
  const auto key = [&](const char* name) { return kind.architecture + "." + name; };
  const auto set = [&](const char* name, int value) {
    gguf_set_val_u32(file, key(name).c_str(), static_cast<std::uint32_t>(value));
  };
  const auto set_scale = [&](const char* name, float value) {
    gguf_set_val_f32(file, key(name).c_str(), value);
  };
  if (kind.is({"qwen2vl", "qwen3vl"})) {
    const std::int32_t sections[] = {head_width / 4, head_width / 8, head_width / 8, 0};
    gguf_set_arr_data(file, key("rope.dimension_sections").c_str(), GGUF_TYPE_INT32, sections, 4);
  }
  if (kind.deepstack > 0) set("n_deepstack_layers", kind.deepstack);
  if (kind.is({"granite", "minicpm"})) {
    set_scale("embedding_scale", 12);
    set_scale("residual_scale", 0.25f);
    set_scale("logit_scale", 8);
    if (kind.architecture == "granite") set_scale("attention.scale", 0.125f);
  }
  if (kind.is({"gemma3", "gemma4", "gemma-embedding"})) set("attention.sliding_window", 64);
  if (kind.architecture == "gemma4") {
    const bool is_sliding[layers] = {true, false};
    gguf_set_arr_data(file, key("attention.sliding_window_pattern").c_str(), GGUF_TYPE_BOOL, is_sliding,
                      layers);
    set("attention.key_length_swa", head_width);
    set("attention.value_length_swa", head_width);
    set("embedding_length_per_layer_input", kind.per_layer_width);
  }
}

/// Writes the model, with a table of its own.
inline void write_random_model(const std::filesystem::path& path, const ModelKind& kind) {
  const std::unique_ptr<gguf_context, decltype(&gguf_free)> file(gguf_init_empty(), gguf_free);
  const std::unique_ptr<ggml_context, decltype(&ggml_free)> memory(
      ggml_init({std::size_t{1} << 28, nullptr, false}), ggml_free);
  const auto set = [&](const char* name, int value) {
    gguf_set_val_u32(file.get(), (kind.architecture + "." + name).c_str(), static_cast<std::uint32_t>(value));
  };
  gguf_set_val_str(file.get(), "general.architecture", kind.architecture.c_str());
  set("context_length", context_length);
  set("embedding_length", d_model);
  set("block_count", layers);
  set("feed_forward_length", d_feed_forward);
  set("attention.head_count", heads);
  set("attention.head_count_kv", heads);
  set("rope.dimension_count", d_model / heads);
  gguf_set_val_f32(file.get(), (kind.architecture + ".attention.layer_norm_rms_epsilon").c_str(), 1e-5f);
  set_metadata(file.get(), kind);

  const Pieces pieces = bundled_pieces();
  std::vector<const char*> texts;
  for (const std::string& text : pieces.texts) texts.push_back(text.c_str());
  gguf_set_val_str(file.get(), "tokenizer.ggml.model", "llama");
  gguf_set_arr_str(file.get(), "tokenizer.ggml.tokens", texts.data(), texts.size());
  gguf_set_arr_data(file.get(), "tokenizer.ggml.scores", GGUF_TYPE_FLOAT32, pieces.scores.data(),
                    texts.size());
  gguf_set_arr_data(file.get(), "tokenizer.ggml.token_type", GGUF_TYPE_INT32, pieces.types.data(),
                    texts.size());

  std::uint64_t seed = 0;
  const auto add = [&](const std::string& name, int inputs, int outputs) {
    ggml_tensor* tensor = outputs == 1 ? ggml_new_tensor_1d(memory.get(), GGML_TYPE_F32, inputs)
                                       : ggml_new_tensor_2d(memory.get(), GGML_TYPE_F32, inputs, outputs);
    const auto values = kronecker::LearnedProjection::normal(outputs, inputs, ++seed).to_torch();
    const float shift = outputs == 1 ? 1.0f : 0.0f;  // normalizations are near 1
    for (Eigen::Index i = 0; i < values.size(); ++i)
      static_cast<float*>(tensor->data)[i] = values.data()[i] + shift;
    ggml_set_name(tensor, name.c_str());
    gguf_add_tensor(file.get(), tensor);
  };
  const int vocab_size = static_cast<int>(texts.size());
  add("token_embd.weight", d_model, vocab_size);
  for (int layer = 0; layer < layers; ++layer) {
    const std::string block = "blk." + std::to_string(layer) + ".";
    for (const char* name : {"attn_q", "attn_k", "attn_v", "attn_output"})
      add(block + name + ".weight", d_model, d_model);
    for (const char* name : {"attn_norm", "ffn_norm"}) add(block + name + ".weight", d_model, 1);
    if (kind.architecture == "qwen2vl")
      for (const char* name : {"attn_q", "attn_k", "attn_v"}) add(block + name + ".bias", d_model, 1);
    if (kind.has_head_norms())
      for (const char* name : {"attn_q_norm", "attn_k_norm"})
        add(block + name + ".weight", d_model / heads, 1);
    if (kind.has_post_norms())
      for (const char* name : {"post_attention_norm", "post_ffw_norm"})
        add(block + name + ".weight", d_model, 1);
    if (kind.architecture == "gemma4" && layer == 1) add("rope_freqs.weight", d_model / heads / 2, 1);
    if (kind.per_layer_width > 0) {
      add(block + "inp_gate.weight", d_model, kind.per_layer_width);
      add(block + "proj.weight", kind.per_layer_width, d_model);
      add(block + "post_norm.weight", d_model, 1);
    }
    for (const char* name : {"ffn_gate", "ffn_up"}) add(block + name + ".weight", d_model, d_feed_forward);
    add(block + "ffn_down.weight", d_feed_forward, d_model);
  }
  if (kind.per_layer_width > 0) {
    add("per_layer_token_embd.weight", kind.per_layer_width * layers, vocab_size);
    add("per_layer_model_proj.weight", d_model, kind.per_layer_width * layers);
    add("per_layer_proj_norm.weight", kind.per_layer_width, 1);
  }
  add("output_norm.weight", d_model, 1);
  if (!kind.is_tied) add("output.weight", d_model, vocab_size);
  if (!gguf_write_to_file(file.get(), path.string().c_str(), /*only_meta=*/false))
    throw std::runtime_error(path.string() + ": cannot write the model");
}

}  // namespace llama_cpp_tests
