#pragma once

/// What a projection's weight, as a torch tensor, makes of ids and hidden states: differentiable functions
/// for the module in torch.hpp and for operators of one's own. Needs LibTorch, 1.13 or newer.
///
/// On float32 CPU tensors they work with this library's kernels, forward and backward; in other types and on
/// other devices with torch's own operations. They use the threads that torch does, where the including
/// program is compiled with OpenMP, and results do not depend on their number.

#include <kronecker/embedding.hpp>
#include <kronecker/encoder.hpp>
#include <kronecker/error.hpp>
#include <kronecker/integrations/torch_autograd.hpp>
#include <kronecker/integrations/torch_operations.hpp>
#include <kronecker/integrations/torch_weight_state.hpp>
#include <kronecker/namespace.hpp>
#include <kronecker/projection.hpp>
#include <kronecker/rows.hpp>
#include <kronecker/shared_array.hpp>
#include <kronecker/token_bytes.hpp>
#include <kronecker/types.hpp>
#include <kronecker/vocabulary.hpp>

#include <torch/torch.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <numeric>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace KRONECKER_NAMESPACE::torch_module {
namespace detail {

/// The ids of an integer tensor, flattened. Those out of range are refused with their place.
inline std::vector<TokenId> to_ids(const torch::Tensor& ids, TokenId vocab_size) {
  const bool is_plain = ids.is_cpu() && ids.scalar_type() == torch::kLong && ids.is_contiguous();
  const torch::Tensor flat = is_plain ? ids : ids.to(torch::kCPU, torch::kLong).contiguous();
  const std::int64_t* values = flat.data_ptr<std::int64_t>();
  std::vector<TokenId> found(static_cast<std::size_t>(flat.numel()));
  for (std::size_t i = 0; i < found.size(); ++i) {
    if (values[i] < 0 || values[i] >= vocab_size)
      kronecker::detail::fail<std::out_of_range>("token id ", values[i], " at index ", i,
                                                 " is outside the vocabulary of ", vocab_size, " tokens");
    found[i] = static_cast<TokenId>(values[i]);
  }
  return found;
}

}  // namespace detail

/// The functions of one encoder and one vocabulary. What follows from a weight is kept until the weight
/// changes, so this serves one weight at a time. Any number of threads may call it.
class EmbeddingFunction {
 public:
  /// `tokens` within the encoder's alphabet and of its pos_dim.
  EmbeddingFunction(DynamicEncoder encoder, TokenBytes tokens)
      : encoder_(std::move(encoder)), token_bytes_(std::move(tokens)) {}

  const DynamicEncoder& encoder() const noexcept { return encoder_; }      ///< Decides the codes.
  const TokenBytes& token_bytes() const noexcept { return token_bytes_; }  ///< Of the vocabulary.
  TokenId vocab_size() const noexcept { return token_bytes_.size(); }      ///< Number of tokens, V.

  /// The embeddings of ids of any shape, int32 or int64: (..., d_model), for a weight of (d_model, D). Throws
  /// std::out_of_range if an id on the CPU is outside the vocabulary (others are left to torch's check),
  /// std::invalid_argument if ids are of another type or the weight of another size.
  torch::Tensor embed(const torch::Tensor& weight, const torch::Tensor& ids) const {
    check_weight(weight);
    check_integers(ids);
    if (uses_kernels(weight))
      return shaped(
          embed_with_kernels(weight, snapshot(weight)->embedding, detail::to_ids(ids, vocab_size())), ids);
    if (ids.is_cpu()) detail::to_ids(ids, vocab_size());  // which refuses those out of range
    const torch::Tensor flat = ids.reshape(-1).to(weight.device(), torch::kLong);
    return shaped(embed_with_operations(weight, *tokens_on_device(weight), flat), ids);
  }

  /// The same, but other bytes stand at some positions, counted row after row among all ids. Throws besides
  /// std::out_of_range if a position is past the end, std::invalid_argument if a byte is outside the
  /// alphabet. Costs the making of a vocabulary of the ids.
  torch::Tensor embed(const torch::Tensor& weight, const torch::Tensor& ids,
                      const std::map<std::size_t, std::string>& overrides) const {
    if (overrides.empty()) return embed(weight, ids);
    check_weight(weight);
    check_integers(ids);
    std::vector<std::string> strings;
    for (const TokenId token : detail::to_ids(ids, vocab_size())) strings.emplace_back(bytes(token));
    for (const auto& [position, bytes] : overrides) {
      if (position >= strings.size())
        kronecker::detail::fail<std::out_of_range>("override position ", position, " is past the end of the ",
                                                   strings.size(), " tokens");
      kronecker::detail::check_alphabet(encoder_.truncate(bytes), encoder_.char_dim(),
                                        "override at position ", position);
      strings[position] = bytes;
    }
    const TokenBytes tokens(Vocabulary(std::move(strings)), encoder_);
    if (!uses_kernels(weight))
      return shaped(embed_with_operations(weight, detail::DeviceTokens(encoder_, tokens, sum_options(weight)),
                                          torch::arange(tokens.size(), weight.device())),
                    ids);
    std::vector<TokenId> order(static_cast<std::size_t>(tokens.size()));
    std::iota(order.begin(), order.end(), TokenId{0});
    const auto embedding = detail::CpuEmbedding(encoder_, tokens, snapshot(weight)->embedding.rows());
    return shaped(embed_with_kernels(weight, embedding, std::move(order)), ids);
  }

  /// The logits of all tokens for hidden states, (..., d_model) -> (..., V): the tied output head
  /// (KroneckerHead). Throws std::invalid_argument if the last dimension is not d_model, if they are not
  /// floating or on another device than the weight, if the weight is of another size, or, of float32 on the
  /// CPU, if a state is not finite.
  torch::Tensor logits(const torch::Tensor& weight, const torch::Tensor& hidden) const {
    check_weight(weight);
    const std::int64_t d_model = weight.size(0);
    if (hidden.dim() == 0 || hidden.size(-1) != d_model)
      kronecker::detail::fail<std::invalid_argument>("hidden states whose last dimension is ",
                                                     hidden.dim() == 0 ? 0 : hidden.size(-1),
                                                     " do not fit d_model ", d_model);
    if (!hidden.is_floating_point() || hidden.device() != weight.device())
      kronecker::detail::fail<std::invalid_argument>(
          "hidden states are of type ", c10::toString(hidden.scalar_type()), " on ", hidden.device().str(),
          "; a floating type on the weight's ", weight.device().str(), " is expected");
    std::vector<std::int64_t> shape = hidden.sizes().vec();
    shape.back() = vocab_size();
    const torch::Tensor states = hidden.reshape({-1, d_model});
    if (uses_kernels(weight) && states.scalar_type() == torch::kFloat) {
      auto call = c10::make_intrusive<detail::Logits::Call>(snapshot(weight)->embedding, head(weight));
      return detail::Logits::apply(weight, states.contiguous(), std::move(call)).reshape(shape);
    }
    const std::shared_ptr<const detail::DeviceTokens> tokens = tokens_on_device(weight);
    const torch::Tensor products = rows_to_sum(weight).matmul(states.t().to(sum_options(weight).dtype()));
    const torch::Tensor all = torch::arange(tokens->size(), weight.device());
    return tokens->sums(products, all).t().to(states.dtype()).reshape(shape);
  }

  /// This library's own embedding of the weights as they are now; it does not change with them. Weights of
  /// another type are rounded to float32. Throws std::invalid_argument if the weight is of another size, or
  /// if one is not finite.
  detail::CpuEmbedding embedding(const torch::Tensor& weight) const {
    const LearnedProjection learned = learned_projection(weight);
    kronecker::detail::check_finite(learned, "weight");
    return detail::CpuEmbedding(encoder_, token_bytes_, rows_of(learned));
  }

  /// A copy of the weights, (d_model, D), in float32. Throws std::invalid_argument if they are of another
  /// size.
  LearnedProjection learned_projection(const torch::Tensor& weight) const {
    check_weight(weight);
    return LearnedProjection::make(static_cast<int>(weight.size(0)), encoder_.code_dim(),
                                   [&](std::span<float> copy) {
                                     const torch::Tensor rows = rows_on_cpu(weight);
                                     std::copy_n(rows.data_ptr<float>(), copy.size(), copy.begin());
                                   });
  }

  /// Forgets what followed from the weight: for changes that autograd does not see.
  void weights_changed() const {
    const std::lock_guard lock(cache_->mutex);
    cache_->snapshot = nullptr;
  }

 private:
  // Everything that follows from the weights, made once for every change of them.
  struct Snapshot {
    explicit Snapshot(detail::CpuEmbedding made) : embedding(std::move(made)) {}
    detail::CpuEmbedding embedding;
  };
  struct Cache {
    std::mutex mutex;
    std::shared_ptr<Snapshot> snapshot;
    std::shared_ptr<const KroneckerHead> head;
    std::optional<detail::WeightState> state;
    std::shared_ptr<const detail::DeviceTokens> tokens;
    torch::TensorOptions tokens_options;
  };

  void check_weight(const torch::Tensor& weight) const {
    if (weight.dim() != 2 || weight.size(0) < 1 || weight.size(1) != encoder_.code_dim())
      kronecker::detail::fail<std::invalid_argument>("a weight of ", weight.dim() == 2 ? weight.size(0) : 0,
                                                     " x ", weight.dim() == 2 ? weight.size(1) : 0,
                                                     " does not fit the code_dim ", encoder_.code_dim(),
                                                     ": (d_model, code_dim) is expected");
  }

  static void check_integers(const torch::Tensor& ids) {
    if (ids.scalar_type() != torch::kInt && ids.scalar_type() != torch::kLong)
      kronecker::detail::fail<std::invalid_argument>("ids are of type ", c10::toString(ids.scalar_type()),
                                                     "; Int and Long are supported");
  }

  static bool uses_kernels(const torch::Tensor& weight) {
    return weight.is_cpu() && weight.scalar_type() == torch::kFloat;
  }

  std::string_view bytes(TokenId token) const {
    const auto i = static_cast<std::size_t>(token), width = static_cast<std::size_t>(token_bytes_.pos_dim());
    return {reinterpret_cast<const char*>(token_bytes_.bytes().data()) + i * width,
            token_bytes_.lengths()[i]};
  }

  static torch::Tensor shaped(const torch::Tensor& embeddings, const torch::Tensor& ids) {
    if (ids.dim() == 1) return embeddings;
    std::vector<std::int64_t> shape = ids.sizes().vec();
    shape.push_back(embeddings.size(1));
    return embeddings.reshape(shape);
  }

  // With torch's operations, rows of 16 bits are summed in float32.
  static torch::TensorOptions sum_options(const torch::Tensor& weight) {
    const torch::ScalarType type = weight.scalar_type();
    return weight.options().dtype(type == torch::kHalf || type == torch::kBFloat16 ? torch::kFloat : type);
  }
  static torch::Tensor rows_to_sum(const torch::Tensor& weight) {
    return weight.t().to(sum_options(weight).dtype());
  }
  static torch::Tensor embed_with_operations(const torch::Tensor& weight, const detail::DeviceTokens& tokens,
                                             const torch::Tensor& ids) {
    return tokens.sums(rows_to_sum(weight), ids).to(weight.dtype());
  }
  static torch::Tensor embed_with_kernels(const torch::Tensor& weight, const detail::CpuEmbedding& embedding,
                                          std::vector<TokenId> ids) {
    if (!torch::GradMode::is_enabled() || !weight.requires_grad())
      return detail::Embed::embeddings(embedding, ids);
    return detail::Embed::apply(weight, c10::make_intrusive<detail::Embed::Call>(embedding, std::move(ids)));
  }

  std::shared_ptr<const detail::DeviceTokens> tokens_on_device(const torch::Tensor& weight) const {
    const std::lock_guard lock(cache_->mutex);
    const torch::TensorOptions wanted = sum_options(weight);
    if (!cache_->tokens || cache_->tokens_options.device() != wanted.device() ||
        cache_->tokens_options.dtype() != wanted.dtype()) {
      cache_->tokens = std::make_shared<const detail::DeviceTokens>(encoder_, token_bytes_, wanted);
      cache_->tokens_options = wanted;
    }
    return cache_->tokens;
  }

  // Which cells the vocabulary reaches, found out when logits are first asked for.
  std::shared_ptr<const KroneckerHead> head(const torch::Tensor& weight) const {
    const std::shared_ptr<Snapshot> current = snapshot(weight);
    const std::lock_guard lock(cache_->mutex);
    if (!cache_->head) cache_->head = std::make_shared<const KroneckerHead>(current->embedding);
    return cache_->head;
  }

  // The weights by columns, (D, d_model), in float32: their own memory, if they lie so there.
  static torch::Tensor rows_on_cpu(const torch::Tensor& weight) {
    return weight.detach().to(torch::kCPU, torch::kFloat).t().contiguous();
  }

  // The rows that the kernels sum: a centered copy, or the weights themselves.
  ProjectionRows<float> rows_to_gather(const torch::Tensor& weight) const {
    const auto rows = std::make_shared<const torch::Tensor>(rows_on_cpu(weight));
    const SharedArray<float> shared({rows, rows->data_ptr<float>()},
                                    static_cast<std::size_t>(weight.numel()));
    const auto learned =
        LearnedProjection::from_weights(static_cast<int>(weight.size(0)), encoder_.code_dim(), shared);
    return rows_of(learned);
  }

  ProjectionRows<float> rows_of(const LearnedProjection& learned) const {
    return ProjectionRows<float>(learned, encoder_.options().z_normalize);
  }

  std::shared_ptr<Snapshot> snapshot(const torch::Tensor& weight) const {
    const std::lock_guard lock(cache_->mutex);
    // Tensors of the inference mode do not count their changes, so nothing is kept for them.
    std::optional<detail::WeightState> state;
    if (!weight.is_inference()) state.emplace(weight);
    if (!cache_->snapshot || !state || !(state == cache_->state)) {
      cache_->snapshot =
          std::make_shared<Snapshot>(detail::CpuEmbedding(encoder_, token_bytes_, rows_to_gather(weight)));
      cache_->state = std::move(state);
    }
    return cache_->snapshot;
  }

  DynamicEncoder encoder_;
  TokenBytes token_bytes_;
  std::shared_ptr<Cache> cache_ = std::make_shared<Cache>();
};

}  // namespace KRONECKER_NAMESPACE::torch_module
