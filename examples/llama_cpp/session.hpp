#pragma once

/// llama.cpp, as much of it as it takes to generate text: a model, and a sequence that grows by tokens or by
/// embeddings.

#include <kronecker/error.hpp>
#include <kronecker/files/gguf.hpp>
#include <kronecker/integrations/llama.hpp>
#include <kronecker/types.hpp>

#include <llama-cpp.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace examples {

/// The first error that llama.cpp reported, in one line; all else that it reports is dropped.
inline std::string& llama_error() {
  static std::string message;
  return message;
}

class LlamaModel {
 public:
  /// Loads a GGUF model; throws FileError with the reason if it cannot be loaded.
  explicit LlamaModel(const std::filesystem::path& path) {
    const kronecker::GgufMetadata metadata = kronecker::read_gguf_metadata(path);
    llama_log_set(
        [](ggml_log_level level, const char* text, void*) {
          if (level == GGML_LOG_LEVEL_ERROR && llama_error().empty())
            llama_error() = std::string_view(text).substr(0, std::string_view(text).find('\n'));
        },
        nullptr);
    ggml_backend_load_all();
    llama_error().clear();
    model_.reset(llama_model_load_from_file(path.string().c_str(), llama_model_default_params()));
    if (!model_)
      throw kronecker::FileError(kronecker::shown_text(path.string()) +
                                 ": llama.cpp cannot load the model: " + llama_error());
    const bool* adds_space = metadata.find<bool>("tokenizer.ggml.add_space_prefix");
    adds_space_ = llama_vocab_type(vocabulary()) == LLAMA_VOCAB_TYPE_SPM && (!adds_space || *adds_space);
  }

  llama_model* get() const { return model_.get(); }
  const llama_vocab* vocabulary() const { return llama_model_get_vocab(get()); }
  int d_model() const { return llama_model_n_embd(get()); }
  kronecker::TokenId vocab_size() const { return llama_vocab_n_tokens(vocabulary()); }
  bool is_end(kronecker::TokenId id) const { return llama_vocab_is_eog(vocabulary(), id); }

  /// The tokens of a text, or of the part of one that goes on after something else. A vocabulary that puts a
  /// space before every text gets the part without the space it begins with; a part that begins with none is
  /// refused then.
  std::vector<kronecker::TokenId> tokenize(std::string_view text, bool goes_on = false) const {
    if (goes_on && adds_space_) {
      if (!text.starts_with(' '))
        throw std::invalid_argument("the tokenizer would put a space before '" + std::string(text) + "'");
      text.remove_prefix(1);
    }
    std::vector<kronecker::TokenId> ids(text.size() + 8);
    int count = tokenize(text, !goes_on, ids);
    if (count < 0) {  // there are so many
      ids.resize(static_cast<std::size_t>(-count));
      count = tokenize(text, !goes_on, ids);
    }
    ids.resize(static_cast<std::size_t>(count));
    return ids;
  }

  /// What a token adds to a text.
  std::string piece(kronecker::TokenId id) const {
    std::string text(64, '\0');
    int size = piece(id, text);
    if (size < 0) {  // it has so many bytes
      text.resize(static_cast<std::size_t>(-size));
      size = piece(id, text);
    }
    text.resize(static_cast<std::size_t>(size));
    return text;
  }

 private:
  int tokenize(std::string_view text, bool with_special_tokens, std::vector<kronecker::TokenId>& ids) const {
    return llama_tokenize(vocabulary(), text.data(), static_cast<std::int32_t>(text.size()), ids.data(),
                          static_cast<std::int32_t>(ids.size()), with_special_tokens,
                          /*parse_special=*/false);
  }
  int piece(kronecker::TokenId id, std::string& text) const {
    return llama_token_to_piece(vocabulary(), id, text.data(), static_cast<std::int32_t>(text.size()),
                                /*lstrip=*/0, /*special=*/false);
  }

  bool adds_space_ = false;
  llama_model_ptr model_;
};

/// A sequence that a model has read, and may read on. The model must outlive it.
class LlamaSequence {
 public:
  /// Of at most `capacity` positions.
  LlamaSequence(const LlamaModel& model, std::size_t capacity) : model_(model) {
    llama_context_params parameters = llama_context_default_params();
    parameters.n_ctx = parameters.n_batch = static_cast<std::uint32_t>(capacity);
    // Its threads spin until all are there: more than there are processors wait for each other.
    const auto processors = static_cast<std::int32_t>((std::max)(1u, std::thread::hardware_concurrency()));
    parameters.n_threads = (std::min)(parameters.n_threads, processors);
    parameters.n_threads_batch = (std::min)(parameters.n_threads_batch, processors);
    llama_error().clear();
    context_.reset(llama_init_from_model(model.get(), parameters));
    if (!context_) throw std::runtime_error("llama.cpp could not make a context: " + llama_error());
  }

  /// Reads tokens, by the model's own table; the logits after the last, valid until the next call.
  std::span<const float> read(std::span<const kronecker::TokenId> ids) {
    std::vector<kronecker::TokenId> tokens(ids.begin(), ids.end());
    // Early versions read four positions a token with M-RoPE: p, p, p and 0, section after section.
    std::vector<llama_pos> positions(4 * ids.size());
    for (std::size_t i = 0; i < 3 * ids.size(); ++i)
      positions[i] = length_ + static_cast<llama_pos>(i % ids.size());
    llama_batch batch{};
    batch.n_tokens = static_cast<std::int32_t>(ids.size());
    batch.token = tokens.data();
    batch.pos = positions.data();
    return decode(batch);
  }

  /// Reads embeddings in the place of tokens, which stand at `next()`: the model's table is not used.
  std::span<const float> read(const kronecker::EmbeddingBatch& batch) { return decode(batch.get()); }

  /// The place of what is read next.
  kronecker::BatchPlace next() const { return {.first_position = length_}; }

  llama_context* context() const { return context_.get(); }

 private:
  std::span<const float> decode(const llama_batch& batch) {
    llama_error().clear();
    if (llama_decode(context_.get(), batch) != 0)
      throw std::runtime_error("llama.cpp could not read the batch: " + llama_error());
    length_ += batch.n_tokens;
    return {llama_get_logits_ith(context_.get(), -1), static_cast<std::size_t>(model_.vocab_size())};
  }

  const LlamaModel& model_;
  llama_context_ptr context_;
  llama_pos length_ = 0;
};

/// The token with the greatest logit; the lowest id of several.
inline kronecker::TokenId most_likely(std::span<const float> logits) {
  return static_cast<kronecker::TokenId>(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

}  // namespace examples
