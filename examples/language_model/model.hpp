#pragma once

/// A GPT in the style of nanoGPT: pre-norm, learned positions, GELU, causal attention; and its input layer
/// and output head, which are what the study compares.

#include "settings.hpp"

#include <kronecker/integrations/torch.hpp>

#include <cmath>
#include <cstdint>
#include <limits>
#include <utility>

namespace language_model {

using kronecker::torch_module::KroneckerEmbedding;
using torch::Tensor;
using Overrides = kronecker::torch_module::KroneckerEmbeddingImpl::Overrides;

constexpr double initial_deviation = 0.02;  // GPT-2's, of every weight but the projection's

/// Weights and bias of a linear layer at the start.
inline void initialize(torch::nn::Linear& layer, double deviation = initial_deviation) {
  torch::nn::init::normal_(layer->weight, 0, deviation);
  if (layer->options.bias()) torch::nn::init::zeros_(layer->bias);
}

/// Attention and a two-layer perceptron, each added to what comes in.
class BlockImpl : public torch::nn::Module {
 public:
  explicit BlockImpl(const Settings& settings) : heads_(settings.heads) {
    const std::int64_t d_model = settings.d_model;
    attention_norm_ =
        register_module("attention_norm", torch::nn::LayerNorm(torch::nn::LayerNormOptions({d_model})));
    attention_in_ = register_module("attention_in", torch::nn::Linear(d_model, 3 * d_model));
    attention_out_ = register_module("attention_out", torch::nn::Linear(d_model, d_model));
    perceptron_norm_ =
        register_module("perceptron_norm", torch::nn::LayerNorm(torch::nn::LayerNormOptions({d_model})));
    perceptron_in_ = register_module("perceptron_in", torch::nn::Linear(d_model, 4 * d_model));
    perceptron_out_ = register_module("perceptron_out", torch::nn::Linear(4 * d_model, d_model));
    const double deviation_of_outputs = initial_deviation / std::sqrt(2.0 * settings.layers);
    initialize(attention_in_);
    initialize(attention_out_, deviation_of_outputs);
    initialize(perceptron_in_);
    initialize(perceptron_out_, deviation_of_outputs);
  }

  Tensor forward(Tensor x, const Tensor& mask) {
    x = x + attend(attention_norm_(x), mask);
    return x + perceptron_out_(torch::gelu(perceptron_in_(perceptron_norm_(x))));
  }

 private:
  Tensor attend(const Tensor& x, const Tensor& mask) {
    const std::int64_t batch = x.size(0), length = x.size(1), width = x.size(2) / heads_;
    const auto parts = attention_in_(x).view({batch, length, 3, heads_, width}).permute({2, 0, 3, 1, 4});
    const Tensor query = parts[0] / std::sqrt(static_cast<double>(width)), key = parts[1], value = parts[2];
    const Tensor weights = torch::softmax(query.matmul(key.transpose(-2, -1)) + mask, -1);
    return attention_out_(weights.matmul(value).transpose(1, 2).reshape(x.sizes()));
  }

  std::int64_t heads_;
  torch::nn::LayerNorm attention_norm_{nullptr}, perceptron_norm_{nullptr};
  torch::nn::Linear attention_in_{nullptr}, attention_out_{nullptr};
  torch::nn::Linear perceptron_in_{nullptr}, perceptron_out_{nullptr};
};
TORCH_MODULE(Block);

/// The input layer and the output head of one arm.
class TokensImpl : public torch::nn::Module {
 public:
  TokensImpl(const Settings& settings, const kronecker::Vocabulary& vocabulary) {
    const std::int64_t size = vocabulary.size(), d_model = settings.d_model;
    const bool is_table = settings.arm.starts_with("table"), is_tied = settings.arm.ends_with("-tied");
    if (is_table) {
      table_ = register_module("table", torch::nn::Embedding(size, d_model));
      torch::nn::init::normal_(table_->weight, 0, initial_deviation);
    } else {
      const kronecker::KroneckerEncoder encoder(256, settings.pos_dim);
      kronecker_ = register_module("kronecker", KroneckerEmbedding(encoder, vocabulary, d_model));
    }
    if (!is_tied) {
      head_ = register_module("head", torch::nn::Linear(torch::nn::LinearOptions(d_model, size).bias(false)));
      initialize(head_);
    } else if (!is_table) {
      // A projection's embeddings have deviation 1; the first logits are then those of a tied table.
      gain_ = register_parameter("gain", torch::full({1}, initial_deviation));
    }
  }

  /// (..., d_model). Overrides are for Kronecker embeddings; a table has no vector for other bytes.
  Tensor embed(const Tensor& ids, const Overrides& overrides = {}) {
    return table_ ? table_(ids) : kronecker_(ids, overrides);
  }

  /// (..., V)
  Tensor logits(const Tensor& hidden) {
    if (head_) return head_(hidden);
    return table_ ? hidden.matmul(table_->weight.t()) : kronecker_->logits(hidden * gain_);
  }

  bool takes_overrides() const { return !kronecker_.is_empty(); }

  const Tensor& input_weight() const { return table_ ? table_->weight : kronecker_->projection->rows; }

  /// Null for a table.
  KroneckerEmbedding kronecker() const { return kronecker_; }

 private:
  torch::nn::Embedding table_{nullptr};
  KroneckerEmbedding kronecker_{nullptr};
  torch::nn::Linear head_{nullptr};
  Tensor gain_;
};
TORCH_MODULE(Tokens);

class GptImpl : public torch::nn::Module {
 public:
  /// The body's first weights depend on the seed alone, not on the arm.
  GptImpl(const Settings& settings, const kronecker::Vocabulary& vocabulary) : context_(settings.context) {
    torch::manual_seed(settings.seed);
    for (int layer = 0; layer < settings.layers; ++layer) blocks_->push_back(Block(settings));
    register_module("blocks", blocks_);
    norm_ = register_module("norm", torch::nn::LayerNorm(torch::nn::LayerNormOptions({settings.d_model})));
    positions_ = register_module("positions", torch::nn::Embedding(settings.context, settings.d_model));
    torch::nn::init::normal_(positions_->weight, 0, initial_deviation);
    tokens = register_module("tokens", Tokens(settings, vocabulary));
  }

  /// The last hidden states, (batch, length, d_model).
  Tensor hidden(const Tensor& ids, const Overrides& overrides = {}) {
    const std::int64_t length = ids.size(1);
    Tensor x = tokens->embed(ids, overrides) + positions_->weight.slice(0, 0, length);
    const Tensor mask =
        torch::full({length, length}, -std::numeric_limits<float>::infinity(), x.options()).triu(1);
    for (const auto& block : *blocks_) x = block->as<Block>()->forward(x, mask);
    return norm_(x);
  }

  /// (batch, length, V)
  Tensor forward(const Tensor& ids) { return tokens->logits(hidden(ids)); }

  /// The mean cross-entropy of the tokens that follow, in nats.
  Tensor loss(const Tensor& ids, const Tensor& next_ids) {
    return torch::nn::functional::cross_entropy(forward(ids).flatten(0, 1), next_ids.flatten());
  }

  std::int64_t context() const { return context_; }
  Tokens tokens{nullptr};

 private:
  std::int64_t context_;
  torch::nn::ModuleList blocks_;
  torch::nn::LayerNorm norm_{nullptr};
  torch::nn::Embedding positions_{nullptr};
};
TORCH_MODULE(Gpt);

/// How many weights a model has, and where.
struct ParameterCounts {
  std::int64_t input = 0;  ///< The input layer.
  std::int64_t head = 0;   ///< The output head, beyond what it shares with the input layer.
  std::int64_t body = 0;   ///< The rest.
};

inline ParameterCounts count_parameters(const Gpt& model) {
  ParameterCounts counts;
  for (const auto& parameter : model->named_parameters()) {
    const std::string& name = parameter.key();
    (name.starts_with("tokens.head") || name == "tokens.gain" ? counts.head
     : name.starts_with("tokens.")                            ? counts.input
                                                              : counts.body) += parameter.value().numel();
  }
  return counts;
}

}  // namespace language_model
