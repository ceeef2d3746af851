#pragma once

/// The embedding as a LibTorch module: a drop-in for torch::nn::Embedding. Needs LibTorch, 1.13 or newer.

#include <kronecker/embedding.hpp>
#include <kronecker/encoder.hpp>
#include <kronecker/error.hpp>
#include <kronecker/integrations/torch_functions.hpp>
#include <kronecker/namespace.hpp>
#include <kronecker/projection.hpp>
#include <kronecker/token_bytes.hpp>
#include <kronecker/types.hpp>
#include <kronecker/vocabulary.hpp>

#include <torch/torch.h>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <ostream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace KRONECKER_NAMESPACE::torch_module {

/// A Kronecker embedding as a torch module. Its one parameter is "projection.weight", W of (d_model, D), as
/// in the PyTorch reference, so weights of either go into the other (kronecker::import_projection and
/// export_projection). In memory W lies by columns, which is how the kernels read it; a weight that was put
/// there by rows works too, at the cost of a copy for every change.
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
        function_({encoder.char_dim(), encoder.pos_dim(), encoder.options()},
                  TokenBytes(without_padding(vocabulary, checked_padding(options, vocabulary)), encoder)) {
    reset();
  }

  /// The same with nothing but the width given.
  KroneckerEmbeddingImpl(const DynamicEncoder& encoder, const Vocabulary& vocabulary, std::int64_t d_model)
      : KroneckerEmbeddingImpl(encoder, vocabulary, torch::nn::EmbeddingOptions(vocabulary.size(), d_model)) {
  }

  /// Makes the parameter anew. A copy of a module is reset, and then has functions of its own.
  void reset() override {
    function_ = EmbeddingFunction(encoder(), function_.token_bytes());
    const auto shape = torch::nn::LinearOptions(encoder().code_dim(), options.embedding_dim()).bias(false);
    projection = register_module("projection", torch::nn::Linear(shape));
    projection->weight.set_data(torch::empty({encoder().code_dim(), options.embedding_dim()},
                                             projection->weight.options().requires_grad(false))
                                    .t());
    reset_parameters();
  }

  /// Fills the weight with normal numbers of deviation 1 / sqrt(D), the reference's default.
  void reset_parameters() {
    torch::nn::init::normal_(projection->weight, 0, 1 / std::sqrt(static_cast<double>(encoder().code_dim())));
  }

  /// Writes the module's name and sizes.
  void pretty_print(std::ostream& stream) const override {
    stream << "kronecker::torch_module::KroneckerEmbedding(num_embeddings=" << vocab_size()
           << ", embedding_dim=" << options.embedding_dim() << ", char_dim=" << encoder().char_dim()
           << ", pos_dim=" << encoder().pos_dim() << ")";
  }

  /// Bytes to put in the place of tokens, by position among all ids, counted row after row.
  using Overrides = std::map<std::size_t, std::string>;

  /// The embeddings of ids of any shape, int32 or int64: (..., d_model). With `overrides`, other bytes stand
  /// at some places; that is for prompts, and costs the making of a vocabulary of the ids. Throws
  /// std::out_of_range if an id is outside the vocabulary (ids on other devices are left to torch's check) or
  /// a position past the end, std::invalid_argument if ids are of another type or a byte of an override is
  /// outside the alphabet.
  torch::Tensor forward(const torch::Tensor& ids, const Overrides& overrides = {}) {
    return function_.embed(projection->weight, ids, overrides);
  }

  /// The logits of all tokens for hidden states, (..., d_model) -> (..., V), by the same weights: the tied
  /// output head (KroneckerHead). For a learned gain, multiply the hidden states by it. Throws
  /// std::invalid_argument if the last dimension is not d_model, if they are not floating or on another
  /// device than the weight, or, of float32 on the CPU, a state is not finite.
  torch::Tensor logits(const torch::Tensor& hidden) { return function_.logits(projection->weight, hidden); }

  /// This library's own embedding of the weights as they are now, for kronecker::save, top tokens, export and
  /// everything else; it does not change with them. Weights of another type are rounded to float32. Throws
  /// std::invalid_argument if one is not finite.
  kronecker::KroneckerEmbedding<float> embedding() const { return function_.embedding(projection->weight); }

  /// Puts other weights there, as `import_projection` reads them. Throws std::invalid_argument if a size does
  /// not fit; nothing is changed then.
  void set_projection(const LearnedProjection& learned) {
    if (learned.d_model() != options.embedding_dim() || learned.code_dim() != encoder().code_dim())
      kronecker::detail::fail<std::invalid_argument>("a projection of ", learned.d_model(), " x ",
                                                     learned.code_dim(), " does not fit the module's ",
                                                     options.embedding_dim(), " x ", encoder().code_dim());
    const torch::NoGradGuard no_gradient;
    projection->weight.copy_(torch::from_blob(const_cast<float*>(learned.weights().data()),
                                              {learned.code_dim(), learned.d_model()}, torch::kFloat)
                                 .t());
  }

  /// A copy of the weights as they are, in float32.
  LearnedProjection learned_projection() const { return function_.learned_projection(projection->weight); }

  /// To be called after the weights were changed behind autograd's back: through `.data()`, or by a
  /// collective operation that writes into them. Optimizers, in-place operations and loading need no such
  /// call.
  void weights_changed() { function_.weights_changed(); }

  const DynamicEncoder& encoder() const noexcept { return function_.encoder(); }  ///< Decides the codes.
  TokenId vocab_size() const noexcept { return function_.vocab_size(); }          ///< Number of tokens, V.

  torch::nn::EmbeddingOptions options;    ///< As they were given.
  torch::nn::Linear projection{nullptr};  ///< Holds the weight.

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

  EmbeddingFunction function_;
};

/// Holds a KroneckerEmbeddingImpl, as torch's modules are held.
TORCH_MODULE(KroneckerEmbedding);

}  // namespace KRONECKER_NAMESPACE::torch_module
