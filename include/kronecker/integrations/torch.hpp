#pragma once

/// The embedding as a LibTorch module: a drop-in for torch::nn::Embedding. Needs LibTorch, 1.13 or newer.

#include <kronecker/embedding.hpp>
#include <kronecker/encoder.hpp>
#include <kronecker/error.hpp>
#include <kronecker/integrations/torch_functions.hpp>
#include <kronecker/namespace.hpp>
#include <kronecker/projection.hpp>
#include <kronecker/rows.hpp>
#include <kronecker/token_bytes.hpp>
#include <kronecker/types.hpp>
#include <kronecker/vocabulary.hpp>

#include <torch/torch.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <ostream>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace KRONECKER_NAMESPACE::torch_module {

/// The learned rows of an embedding, its one parameter: "rows", (D, d_model), contiguous; row b * pos_dim + p
/// belongs to byte b at position p.
///
/// It is the transpose of the PyTorch reference's "weight", of (d_model, D). An archive that has that is
/// loaded too, and says so where both sizes are equal, so that the shape does not tell.
class ProjectionImpl : public torch::nn::Cloneable<ProjectionImpl> {
 public:
  /// Rows of these sizes.
  ProjectionImpl(std::int64_t code_dim, std::int64_t d_model) : code_dim_(code_dim), d_model_(d_model) {
    reset();
  }

  /// Makes the parameter anew.
  void reset() override {
    rows = register_parameter("rows", torch::empty({code_dim_, d_model_}));
    reset_parameters();
  }

  /// Fills the rows with normal numbers of deviation 1 / sqrt(D), the reference's default.
  void reset_parameters() {
    torch::nn::init::normal_(rows, 0, 1 / std::sqrt(static_cast<double>(code_dim_)));
  }

  /// Takes "rows" from an archive, or the reference's "weight".
  void load(torch::serialize::InputArchive& archive) override {
    torch::Tensor weight;
    if (!archive.try_read("weight", weight)) return Cloneable::load(archive);
    set_weight(weight);
  }

  /// Takes the reference's weight, (d_model, D): what its state_dict calls "projection.weight". Throws
  /// std::invalid_argument if a size does not fit; nothing is changed then.
  void set_weight(const torch::Tensor& weight) {
    if (weight.sizes() != torch::IntArrayRef({d_model_, code_dim_}))
      kronecker::detail::fail<std::invalid_argument>("a weight of ", c10::str(weight.sizes()), " is not (",
                                                     d_model_, ", ", code_dim_, ")");
    if (d_model_ == code_dim_)
      TORCH_WARN("weight is taken as the reference's, (d_model, D), and transposed; both sizes are ",
                 d_model_, ", so its shape does not tell");
    const torch::NoGradGuard no_gradient;
    rows.copy_(weight.t());
  }

  torch::Tensor rows;  ///< (D, d_model)

 private:
  std::int64_t code_dim_, d_model_;
};

/// Holds a ProjectionImpl, as torch's modules are held.
TORCH_MODULE(Projection);

/// A Kronecker embedding as a torch module. Its one parameter is "projection.rows", of (D, d_model): of
/// plain tensors like it, embeddings and logits are functions (torch_functions.hpp), and nothing is kept that
/// follows from the weights, so that it does not matter how they are changed.
///
/// The embedding of the padding token is zero and gives no gradient: it is a token without bytes.
class KroneckerEmbeddingImpl : public torch::nn::Cloneable<KroneckerEmbeddingImpl> {
 public:
  /// The embedding of `vocabulary` under `encoder`, of any sizes, with normal weights of deviation 1 /
  /// sqrt(D) from torch's generator. Of torch's options, num_embeddings must be the vocabulary's size, and
  /// padding_idx may be given. Throws std::invalid_argument for other sizes and for what has no meaning
  /// without a table: max_norm, scale_grad_by_freq, sparse and given weights.
  KroneckerEmbeddingImpl(const DynamicEncoder& encoder, const Vocabulary& vocabulary,
                         const torch::nn::EmbeddingOptions& torch_options)
      : options(torch_options),
        encoder_(encoder.char_dim(), encoder.pos_dim(), encoder.options()),
        token_bytes_(without_padding(vocabulary, checked_padding(options, vocabulary)), encoder) {
    const auto shared = std::make_shared<const TokenBytes>(token_bytes_);
    const auto tensor_of = [&](std::span<const std::uint8_t> values, std::vector<std::int64_t> shape) {
      return torch::from_blob(
          const_cast<std::uint8_t*>(values.data()), shape, [shared](void*) {}, torch::kByte);
    };
    tokens_ = {tensor_of(shared->bytes(), {vocab_size(), encoder.pos_dim()}),
               tensor_of(shared->lengths(), {vocab_size()})};
    reset();
  }

  /// The same with nothing but the width given.
  KroneckerEmbeddingImpl(const DynamicEncoder& encoder, const Vocabulary& vocabulary, std::int64_t d_model)
      : KroneckerEmbeddingImpl(encoder, vocabulary, torch::nn::EmbeddingOptions(vocabulary.size(), d_model)) {
  }

  /// Makes the parameter anew.
  void reset() override {
    projection = register_module("projection", Projection(encoder_.code_dim(), options.embedding_dim()));
  }

  /// Fills the rows with normal numbers of deviation 1 / sqrt(D), the reference's default.
  void reset_parameters() { projection->reset_parameters(); }

  using Cloneable::to;
  /// Moves the parameter, and what is known of the tokens.
  void to(torch::Device device, bool non_blocking = false) override {
    Cloneable::to(device, non_blocking);
    tokens_ = tokens_.to(device);
  }
  /// The same, and converts the parameter.
  void to(torch::Device device, torch::Dtype dtype, bool non_blocking = false) override {
    Cloneable::to(device, dtype, non_blocking);
    tokens_ = tokens_.to(device);
  }

  /// Writes the module's name and sizes.
  void pretty_print(std::ostream& stream) const override {
    stream << "kronecker::torch_module::KroneckerEmbedding(num_embeddings=" << vocab_size()
           << ", embedding_dim=" << options.embedding_dim() << ", char_dim=" << encoder_.char_dim()
           << ", pos_dim=" << encoder_.pos_dim() << ")";
  }

  /// Bytes to put in the place of tokens, by position among all ids, counted row after row.
  using Overrides = std::map<std::size_t, std::string>;

  /// The embeddings of ids of any shape and integer type: (..., d_model). With `overrides`, other bytes stand
  /// at some places. Throws what `embed` does (torch_functions.hpp), besides std::out_of_range if a position
  /// is past the end, std::invalid_argument if a byte of an override is outside the alphabet.
  torch::Tensor forward(const torch::Tensor& ids, const Overrides& overrides = {}) {
    if (overrides.empty()) return embed(projection->rows, tokens_, ids, encoder_);
    const torch::Tensor flat = detail::flat_ids(ids).to(torch::kCPU);
    const TokenTensors here = tokens_.to(torch::kCPU);
    detail::check_ids(flat, vocab_size());
    const TokenTensors sequence{here.bytes.index_select(0, flat), here.lengths.index_select(0, flat)};
    for (const auto& [position, bytes] : overrides) {
      if (position >= static_cast<std::size_t>(flat.numel()))
        kronecker::detail::fail<std::out_of_range>("override position ", position, " is past the end of the ",
                                                   flat.numel(), " tokens");
      const std::string_view kept = encoder_.truncate(bytes);
      kronecker::detail::check_alphabet(kept, encoder_.char_dim(), "override at position ", position);
      const auto width = static_cast<std::size_t>(encoder_.pos_dim());
      std::copy(kept.begin(), kept.end(), sequence.bytes.data_ptr<std::uint8_t>() + position * width);
      sequence.lengths.data_ptr<std::uint8_t>()[position] = static_cast<std::uint8_t>(kept.size());
    }
    return embed(projection->rows, sequence, torch::arange(flat.numel()).view(ids.sizes()), encoder_);
  }

  /// The logits of all tokens for hidden states, (..., d_model) -> (..., V), by the same weights: the tied
  /// output head. For a learned gain, multiply the hidden states by it. Throws what `logits` does
  /// (torch_functions.hpp).
  torch::Tensor logits(const torch::Tensor& hidden) {
    return torch_module::logits(projection->rows, tokens_, hidden, encoder_);
  }

  /// This library's own embedding of the weights as they are now, for kronecker::save, top tokens, export and
  /// everything else; it does not change with them. Weights of another type are rounded to float32. Throws
  /// std::invalid_argument if one is not finite.
  kronecker::KroneckerEmbedding<float> embedding() const {
    const LearnedProjection learned = learned_projection();
    kronecker::detail::check_finite(learned, "weight");
    return {encoder_, token_bytes_, ProjectionRows<float>(learned, encoder_.centers_rows())};
  }

  /// Puts other weights there, as `import_projection` reads them. Throws std::invalid_argument if a size does
  /// not fit; nothing is changed then.
  void set_projection(const LearnedProjection& learned) {
    if (learned.d_model() != options.embedding_dim() || learned.code_dim() != encoder_.code_dim())
      kronecker::detail::fail<std::invalid_argument>("a projection of ", learned.d_model(), " x ",
                                                     learned.code_dim(), " does not fit the module's ",
                                                     options.embedding_dim(), " x ", encoder_.code_dim());
    const torch::NoGradGuard no_gradient;
    projection->rows.copy_(torch::from_blob(const_cast<float*>(learned.weights().data()),
                                            {learned.code_dim(), learned.d_model()}, torch::kFloat));
  }

  /// A copy of the weights as they are, in float32.
  LearnedProjection learned_projection() const {
    return LearnedProjection::make(
        static_cast<int>(options.embedding_dim()), encoder_.code_dim(), [&](std::span<float> copy) {
          const torch::Tensor rows = projection->rows.detach().to(torch::kCPU, torch::kFloat).contiguous();
          std::copy_n(rows.data_ptr<float>(), copy.size(), copy.begin());
        });
  }

  const DynamicEncoder& encoder() const noexcept { return encoder_; }  ///< Decides the codes.
  TokenId vocab_size() const noexcept { return token_bytes_.size(); }  ///< Number of tokens, V.
  /// The bytes of its tokens, for the functions in torch_functions.hpp.
  const TokenTensors& tokens() const noexcept { return tokens_; }

  torch::nn::EmbeddingOptions options;  ///< As they were given.
  Projection projection{nullptr};       ///< Holds the rows.

 protected:
  FORWARD_HAS_DEFAULT_ARGS({1, torch::nn::AnyValue(Overrides())})

 private:
  static std::optional<std::int64_t> checked_padding(const torch::nn::EmbeddingOptions& options,
                                                     const Vocabulary& vocabulary) {
    const auto refuse = [](const auto&... parts) {
      kronecker::detail::fail<std::invalid_argument>(parts...);
    };
    if (options.num_embeddings() != vocabulary.size())
      refuse("num_embeddings ", options.num_embeddings(), " is not the vocabulary's size ",
             vocabulary.size());
    if (options.embedding_dim() < 1) refuse("embedding_dim ", options.embedding_dim(), " is not positive");
    if (options.max_norm())
      refuse("max_norm ", *options.max_norm(), " is not supported: tokens share their rows");
    if (options.scale_grad_by_freq()) refuse("scale_grad_by_freq is not supported: tokens share their rows");
    if (options.sparse()) refuse("sparse is not supported: the gradient of a projection is dense");
    if (options._weight().defined()) refuse("_weight is not supported: use set_projection");
    if (!options.padding_idx()) return {};
    const std::int64_t padding = *options.padding_idx(), size = vocabulary.size();
    if (padding < -size || padding >= size)
      refuse("padding_idx ", padding, " is outside the vocabulary of ", size, " tokens");
    return padding < 0 ? padding + size : padding;
  }

  static Vocabulary without_padding(const Vocabulary& vocabulary, std::optional<std::int64_t> padding) {
    if (!padding) return vocabulary;
    std::vector<std::string> tokens;
    for (TokenId id = 0; id < vocabulary.size(); ++id)
      tokens.emplace_back(id == *padding ? std::string_view() : vocabulary.bytes(id));
    return Vocabulary(std::move(tokens));
  }

  DynamicEncoder encoder_;
  TokenBytes token_bytes_;
  TokenTensors tokens_;  // of the same, where the rows are
};

/// Holds a KroneckerEmbeddingImpl, as torch's modules are held.
TORCH_MODULE(KroneckerEmbedding);

}  // namespace KRONECKER_NAMESPACE::torch_module
