#pragma once

/// A small model of llama's architecture with random weights, and the bundled vocabulary with all 256 bytes.

#include <kronecker/projection.hpp>
#include <kronecker/utf8.hpp>
#include <kronecker/vocabularies/sentencepiece.hpp>

#include <ggml.h>
#include <gguf.h>

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <filesystem>
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

/// Writes the model; with a table of its own, and without an output head if that `is_tied` to the table.
inline void write_random_model(const std::filesystem::path& path, bool is_tied) {
  const std::unique_ptr<gguf_context, decltype(&gguf_free)> file(gguf_init_empty(), gguf_free);
  const std::unique_ptr<ggml_context, decltype(&ggml_free)> memory(
      ggml_init({std::size_t{1} << 28, nullptr, false}), ggml_free);
  const auto set = [&](const char* key, int value) {
    gguf_set_val_u32(file.get(), key, static_cast<std::uint32_t>(value));
  };
  gguf_set_val_str(file.get(), "general.architecture", "llama");
  set("llama.context_length", context_length);
  set("llama.embedding_length", d_model);
  set("llama.block_count", layers);
  set("llama.feed_forward_length", d_feed_forward);
  set("llama.attention.head_count", heads);
  set("llama.attention.head_count_kv", heads);
  set("llama.rope.dimension_count", d_model / heads);
  gguf_set_val_f32(file.get(), "llama.attention.layer_norm_rms_epsilon", 1e-5f);

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
    for (const char* name : {"ffn_gate", "ffn_up"}) add(block + name + ".weight", d_model, d_feed_forward);
    add(block + "ffn_down.weight", d_feed_forward, d_model);
  }
  add("output_norm.weight", d_model, 1);
  if (!is_tied) add("output.weight", d_model, vocab_size);
  if (!gguf_write_to_file(file.get(), path.string().c_str(), /*only_meta=*/false))
    throw std::runtime_error(path.string() + ": cannot write the model");
}

}  // namespace llama_cpp_tests
