#pragma once

/// A GPT in the style of nanoGPT: pre-norm, learned positions, GELU, causal attention; and its input layer
/// and output head, which are what the study compares.

#include "settings.hpp"

#include <kronecker/files/model.hpp>
#include <kronecker/integrations/torch.hpp>
#include <kronecker/integrations/torch_head_correction.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <utility>
#include <vector>

namespace language_model {

using kronecker::torch_module::HeadCorrection;
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

/// Divides by the root of the mean square, and multiplies by a learned weight.
class RmsNormImpl : public torch::nn::Module {
 public:
  static constexpr float epsilon = 1e-6f;
  explicit RmsNormImpl(std::int64_t width) { weight = register_parameter("weight", torch::ones({width})); }
  Tensor forward(const Tensor& x) { return x * (x.pow(2).mean(-1, true) + epsilon).rsqrt() * weight; }
  Tensor weight;
};
TORCH_MODULE(RmsNorm);

/// Rows of their own for the commonest tokens, in the place of what their bytes give.
class OwnRowsImpl : public torch::nn::Module {
 public:
  /// For `count` tokens of a vocabulary whose `counts` are (V).
  OwnRowsImpl(const Tensor& counts, std::int64_t count, std::int64_t d_model) {
    ids = std::get<1>(counts.topk(std::min(count, counts.size(0))));
    const Tensor numbers = torch::arange(ids.size(0), torch::kLong);
    row_of_ = register_buffer("row_of", torch::full_like(counts, no_row).index_copy(0, ids, numbers));
    rows = register_parameter("rows", torch::zeros({ids.size(0), d_model}));
  }

  /// Embeddings (..., d_model) of ids, but for those that have rows of their own and are not overridden.
  Tensor forward(const Tensor& embedded, const Tensor& token_ids, const Overrides& overrides) {
    Tensor numbers = row_of_.index_select(0, token_ids.reshape(-1));
    for (const auto& [position, ignored] : overrides) numbers[static_cast<std::int64_t>(position)] = no_row;
    numbers = numbers.view(token_ids.sizes());
    const Tensor own = torch::embedding(rows, numbers.clamp_min(0));
    return torch::where((numbers >= 0).unsqueeze(-1), own, embedded);
  }

  Tensor ids;   ///< Of the tokens.
  Tensor rows;  ///< (count, d_model)

 private:
  static constexpr std::int64_t no_row = -1;
  Tensor row_of_;  // of each token
};
TORCH_MODULE(OwnRows);

/// The input layer and the output head of one arm.
class TokensImpl : public torch::nn::Module {
 public:
  /// `counts`: how often each token is in the training text, (V).
  TokensImpl(const Settings& settings, const kronecker::Vocabulary& vocabulary, const Tensor& counts) {
    const Arm& arm = arm_of(settings.arm);
    const std::int64_t size = vocabulary.size(), d_model = settings.d_model;
    if (arm.input == Input::table) {
      table_ = register_module("table", torch::nn::Embedding(size, d_model));
      torch::nn::init::normal_(table_->weight, 0, initial_deviation);
    } else {
      const bool is_production = arm.input == Input::production;
      const auto rounding =
          is_production ? kronecker::CodeRounding::bfloat16 : kronecker::CodeRounding::exact;
      const kronecker::KroneckerEncoder encoder(256, settings.pos_dim, {.rounding = rounding});
      kronecker_ = register_module("kronecker", KroneckerEmbedding(encoder, vocabulary, d_model));
      if (is_production) norm_ = register_module("norm", RmsNorm(d_model));
    }
    if (arm.own_rows > 0) {
      own_rows_ = register_module("own_rows", OwnRows(counts, arm.own_rows, d_model));
      own_rows_->rows.data().copy_(kronecker_(own_rows_->ids).detach());  // they start as their bytes
    }
    if (arm.head == Head::dense) {
      head_ = register_module("head", torch::nn::Linear(torch::nn::LinearOptions(d_model, size).bias(false)));
      initialize(head_);
    } else if (kronecker_) {
      // A projection's embeddings have deviation 1; the first logits are then those of a tied table.
      gain_ = register_parameter("gain", torch::full({1}, initial_deviation));
    }
    if (arm.rank != no_correction)
      correction_ = register_module("correction", HeadCorrection(counts, d_model, arm.rank));
  }

  /// (..., d_model). Overrides are for Kronecker embeddings; a table has no vector for other bytes.
  Tensor embed(const Tensor& ids, const Overrides& overrides = {}) {
    Tensor embedded = table_ ? table_(ids) : kronecker_(ids, overrides);
    if (own_rows_) embedded = own_rows_(embedded, ids, overrides);
    return norm_ ? norm_(embedded) : embedded;
  }

  /// (..., V)
  Tensor logits(const Tensor& hidden) {
    const Tensor without_correction = head_    ? head_(hidden)
                                      : table_ ? hidden.matmul(table_->weight.t())
                                               : additive_logits(hidden * gain_);
    return correction_ ? without_correction + correction_(hidden) : without_correction;
  }

  bool takes_overrides() const { return !kronecker_.is_empty(); }

  const Tensor& input_weight() const { return table_ ? table_->weight : kronecker_->projection->rows; }

  /// Writes the embedding as a model file, with what corrects its head; nothing for a table.
  void save_embedding(const std::filesystem::path& path) const {
    if (!kronecker_) return;
    const auto numbers = [](const Tensor& tensor) {
      const Tensor here = tensor.detach().to(torch::kCPU, torch::kFloat).contiguous();
      return std::vector<float>(here.data_ptr<float>(), here.data_ptr<float>() + here.numel());
    };
    auto embedding = kronecker_->embedding().cast<Eigen::bfloat16>();
    if (own_rows_) {
      const Tensor ids = own_rows_->ids.cpu().to(torch::kInt);
      const std::vector<kronecker::TokenId> own(ids.data_ptr<int>(), ids.data_ptr<int>() + ids.numel());
      embedding = embedding.with_own_rows(own, numbers(own_rows_->rows));
    }
    if (norm_) embedding = embedding.with_norm(numbers(norm_->weight), RmsNormImpl::epsilon);
    if (!correction_) return kronecker::save(path, embedding);
    const kronecker::HeadCorrection correction = correction_->correction();
    kronecker::save(path, embedding, &correction);
  }

 private:
  /// The additive head. In training, with more hidden states than columns, a product with the embeddings of
  /// all tokens takes less time at these widths than sums for each state.
  Tensor additive_logits(const Tensor& hidden) {
    if (hidden.numel() <= hidden.size(-1) * hidden.size(-1)) return kronecker_->logits(hidden);
    const auto all =
        torch::arange(kronecker_->vocab_size(), torch::dtype(torch::kLong).device(hidden.device()));
    return hidden.matmul(kronecker_(all).t());
  }

  torch::nn::Embedding table_{nullptr};
  KroneckerEmbedding kronecker_{nullptr};
  RmsNorm norm_{nullptr};
  OwnRows own_rows_{nullptr};
  torch::nn::Linear head_{nullptr};
  Tensor gain_;
  HeadCorrection correction_{nullptr};
};
TORCH_MODULE(Tokens);

class GptImpl : public torch::nn::Module {
 public:
  /// The body's first weights depend on the seed alone, not on the arm.
  GptImpl(const Settings& settings, const kronecker::Vocabulary& vocabulary, const Tensor& token_counts)
      : context_(settings.context) {
    torch::manual_seed(settings.seed);
    for (int layer = 0; layer < settings.layers; ++layer) blocks_->push_back(Block(settings));
    register_module("blocks", blocks_);
    norm_ = register_module("norm", torch::nn::LayerNorm(torch::nn::LayerNormOptions({settings.d_model})));
    positions_ = register_module("positions", torch::nn::Embedding(settings.context, settings.d_model));
    torch::nn::init::normal_(positions_->weight, 0, initial_deviation);
    tokens = register_module("tokens", Tokens(settings, vocabulary, token_counts));
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
    const bool is_head =
        name.starts_with("tokens.head") || name.starts_with("tokens.correction") || name == "tokens.gain";
    (is_head                       ? counts.head
     : name.starts_with("tokens.") ? counts.input
                                   : counts.body) += parameter.value().numel();
  }
  return counts;
}

}  // namespace language_model
