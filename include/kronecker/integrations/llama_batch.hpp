#pragma once

/// Batches of embeddings as a model of llama.cpp takes them, of early 2025 or later. Needs llama.cpp.
///
/// Models differ in what stands in the place of an id: M-RoPE (Qwen2-VL and later) takes four positions a
/// token, models with further inputs for images (Qwen3-VL) take rows that are longer than an embedding, and
/// Gemma 3 multiplies the rows of its table but not vectors. Some cannot do with vectors alone.

#include <kronecker/embedding.hpp>
#include <kronecker/error.hpp>
#include <kronecker/namespace.hpp>
#include <kronecker/number_text.hpp>
#include <kronecker/token_sequence.hpp>

#include <llama.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace KRONECKER_NAMESPACE {

/// What a model takes in the place of an id.
struct VectorInput {
  int d_model = 0;    ///< Numbers of an embedding.
  int row_size = 0;   ///< Numbers of a row: the embedding's, and zeros behind it.
  int positions = 1;  ///< Of each token: with M-RoPE 4, which are p, p, p and 0.
  float gain = 1;     ///< What the model multiplies the rows of its table by, and vectors not.
};

namespace detail {

/// A value of the model's metadata as text; empty if there is none.
inline std::string llama_metadata(const llama_model* model, const std::string& key) {
  char text[128] = "";
  return llama_model_meta_val_str(model, key.c_str(), text, sizeof text) < 0 ? "" : text;
}

/// The length of a row, which llama.cpp tells since late 2025; before, it was d_model.
template <class Model>
int vector_row_size(const Model* model) {
  if constexpr (requires { llama_model_n_embd_inp(model); })
    return llama_model_n_embd_inp(model);
  else
    return llama_model_n_embd(model);
}

/// Why a model cannot be given vectors alone; empty if it can. Only its architecture's name tells.
inline std::string_view why_ids_are_needed(const llama_model* model, std::string_view architecture,
                                           int positions) {
  const auto has = [&](const char* key) {
    const std::string value = llama_metadata(model, std::string(architecture) + key);
    return !value.empty() && value != "0";
  };
  if (architecture == "gemma3n" || (architecture == "gemma4" && has(".embedding_length_per_layer_input")) ||
      (architecture == "qwen4exp" && has(".ple.ngram_size")))
    return "it has a table for each layer too, which takes ids";
  if (architecture == "cogvlm") return "it takes vectors for images and has other weights for those";
  if (architecture == "deepseek4") return "its first layers choose experts by ids";
  if (architecture == "granite-switch") return "it chooses adapters by ids";
  if ((architecture == "glm4" || architecture == "glm4moe") && positions == 1)
    return "llama.cpp takes vectors for images there and ends the program";
  if (architecture == "gemma4-assistant" || architecture == "eagle3" || architecture == "dflash")
    return "its vectors are another model's";
  return {};
}

/// What ids are multiplied by and vectors are not.
inline float gain_of_ids(const llama_model* model, std::string_view architecture, const VectorInput& input) {
  constexpr std::string_view scaled[] = {"gemma3", "gemma3n", "gemma4", "gemma-embedding"};
  if (std::find(std::begin(scaled), std::end(scaled), architecture) != std::end(scaled))
    return std::sqrt(static_cast<float>(input.d_model));
  if (input.row_size == input.d_model) return 1;  // Granite then scales vectors too
  const std::string scale = llama_metadata(model, std::string(architecture) + ".embedding_scale");
  return number_in<float>(scale).value_or(1.0f);
}

}  // namespace detail

/// How a model takes vectors, by what it tells. Throws std::invalid_argument if it cannot be given vectors
/// alone: then it takes ids, and the table of `export_gguf`.
inline VectorInput vector_input(const llama_model* model) {
  const std::string architecture = detail::llama_metadata(model, "general.architecture");
  VectorInput input;
  input.d_model = llama_model_n_embd(model);
  input.row_size = detail::vector_row_size(model);
  const auto rope = static_cast<int>(llama_model_rope_type(model));
  constexpr int interleaved = 40;  // LLAMA_ROPE_TYPE_IMROPE, which versions before late 2025 do not have
  if (rope == LLAMA_ROPE_TYPE_MROPE || rope == interleaved) input.positions = 4;
  if (const auto why = detail::why_ids_are_needed(model, architecture, input.positions); !why.empty())
    detail::fail<std::invalid_argument>("a model of architecture '", architecture,
                                        "' cannot be given embeddings alone: ", why);
  input.gain = detail::gain_of_ids(model, architecture, input);
  return input;
}

/// Where the tokens of a batch stand.
struct BatchPlace {
  llama_pos first_position = 0;  ///< Of the first token; the others follow it.
  llama_seq_id sequence = 0;     ///< Which sequence they belong to.
};

/// A batch of embeddings that owns its memory. Logits are asked for after the last token.
class EmbeddingBatch {
 public:
  /// Of `count` rows of zeros.
  EmbeddingBatch(const VectorInput& input, std::size_t count, BatchPlace place)
      : input_(input),
        rows_(count * static_cast<std::size_t>(input.row_size)),
        positions_(count * static_cast<std::size_t>(input.positions)),
        sequence_(1, place.sequence),
        sequence_counts_(count, 1),
        sequences_(count, sequence_.data()),
        wants_logits_(count) {
    for (std::size_t i = 0; i < positions_.size() && i < 3 * count; ++i)  // a fourth section is zero
      positions_[i] = place.first_position + static_cast<llama_pos>(i % count);
    if (count > 0) wants_logits_.back() = 1;
    batch_.n_tokens = static_cast<std::int32_t>(count);
    batch_.embd = rows_.data();
    batch_.pos = positions_.data();
    batch_.n_seq_id = sequence_counts_.data();
    batch_.seq_id = sequences_.data();
    batch_.logits = wants_logits_.data();
  }
  EmbeddingBatch(EmbeddingBatch&&) = default;             ///< The other may then only be assigned to.
  EmbeddingBatch& operator=(EmbeddingBatch&&) = default;  ///< The same.

  /// For `llama_decode` and `llama_encode`; valid as long as this is.
  const llama_batch& get() const& noexcept { return batch_; }
  const llama_batch& get() const&& = delete;
  /// To change the batch: `logits[i]`, say.
  llama_batch* operator->() noexcept { return &batch_; }

  /// Adds its tokens to a `llama_batch_ext`, which later versions of llama.cpp have. Throws
  /// std::runtime_error if that takes no more or not the sequence; it must be cleared then.
  template <class ExtendedBatch>
  void add_to(ExtendedBatch* extended) const {
    const auto count = static_cast<std::size_t>(batch_.n_tokens),
               size = static_cast<std::size_t>(input_.row_size);
    for (std::size_t i = 0; i < count; ++i) {
      const std::int32_t index =
          llama_batch_ext_add_embd(extended, batch_.seq_id[i][0], {batch_.embd + i * size, 1, size});
      std::array<llama_pos, 4> positions{};
      for (int section = 0; section < input_.positions; ++section)
        positions[static_cast<std::size_t>(section)] =
            batch_.pos[static_cast<std::size_t>(section) * count + i];
      if (index < 0 || !llama_batch_ext_set_pos(extended, index, positions.data()) ||
          !llama_batch_ext_set_output_logits(extended, index, batch_.logits[i] != 0))
        detail::fail<std::runtime_error>("the batch of llama.cpp did not take token ", i, " of ", count);
    }
  }

 private:
  VectorInput input_;
  std::vector<float> rows_;
  std::vector<llama_pos> positions_;  // section after section
  std::vector<llama_seq_id> sequence_;
  std::vector<std::int32_t> sequence_counts_;
  std::vector<llama_seq_id*> sequences_;
  std::vector<std::int8_t> wants_logits_;
  llama_batch batch_{};
};

/// The embeddings of a sequence as a batch for a model, which reads them as it would read ids of the table
/// that `export_gguf` writes. An unseen word given as bytes takes one position, whatever tokens the
/// vocabulary would need for it.
///
/// Throws std::invalid_argument if the embedding has another d_model than the model, or as `vector_input` and
/// `forward` do. O(N * d_model * bytes per token).
template <class Scalar>
EmbeddingBatch embedding_batch(const llama_model* model, const KroneckerEmbedding<Scalar>& embedding,
                               TokenSequence tokens, BatchPlace place = {}) {
  const VectorInput input = vector_input(model);
  if (embedding.d_model() != input.d_model)
    detail::fail<std::invalid_argument>("the embedding has d_model ", embedding.d_model(), ", the model ",
                                        input.d_model);
  EmbeddingBatch batch(input, tokens.size(), place);
  const auto row_size = static_cast<std::size_t>(input.row_size),
             d_model = static_cast<std::size_t>(input.d_model);
  if (tokens.size() == 0) return batch;
  embedding.forward(tokens, {batch->embd, (tokens.size() - 1) * row_size + d_model}, {.stride = row_size});
  // llama.cpp rounds a row of the table before it multiplies.
  if (input.gain != 1)
    for (std::size_t i = 0; i < tokens.size() * row_size; ++i) batch->embd[i] *= input.gain;
  return batch;
}

}  // namespace KRONECKER_NAMESPACE
