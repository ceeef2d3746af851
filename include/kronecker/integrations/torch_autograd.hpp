#pragma once

/// This library's kernels as functions of torch's autograd: embeddings and logits of float32 tensors on the
/// CPU. They use the threads that torch does, where the including program is compiled with OpenMP, and
/// results do not depend on their number.

#include <kronecker/embedding.hpp>
#include <kronecker/encoder.hpp>
#include <kronecker/error.hpp>
#include <kronecker/head.hpp>
#include <kronecker/namespace.hpp>
#include <kronecker/rows.hpp>
#include <kronecker/training/gradient.hpp>
#include <kronecker/types.hpp>

#include <torch/torch.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <utility>
#include <vector>

namespace KRONECKER_NAMESPACE::torch_module {

namespace detail {

using CpuEmbedding = kronecker::KroneckerEmbedding<float>;

inline std::span<const float> numbers(const torch::Tensor& tensor) {
  return {tensor.data_ptr<float>(), static_cast<std::size_t>(tensor.numel())};
}
inline std::span<float> numbers_to_change(const torch::Tensor& tensor) {
  return {tensor.data_ptr<float>(), static_cast<std::size_t>(tensor.numel())};
}

/// Part `begin` to `end` of values that come `width` at a time.
template <class T>
std::span<T> part(std::span<T> values, std::int64_t begin, std::int64_t end, std::int64_t width) {
  return values.subspan(static_cast<std::size_t>(begin * width),
                        static_cast<std::size_t>((end - begin) * width));
}

/// The gradient of W as torch wants it, (d_model, D), in the memory of `sums`.
inline torch::Tensor weight_gradient(std::shared_ptr<ProjectionGradient> sums) {
  if (sums->is_centered()) kronecker::detail::center(sums->values(), sums->d_model());
  float* values = sums->values().data();
  const std::int64_t rows = sums->code_dim(), columns = sums->d_model();
  return torch::from_blob(
             values, {rows, columns}, [sums = std::move(sums)](void*) {}, torch::kFloat)
      .t();
}

/// Calls `accumulate(gradient, columns)` for ranges of columns on several threads.
template <class Accumulate>
torch::Tensor gradient_by_columns(const CpuEmbedding& embedding, Accumulate accumulate) {
  constexpr std::int64_t least_columns = 16;  // a cache line
  const auto sums = std::make_shared<ProjectionGradient>(embedding);
  at::parallel_for(0, embedding.d_model(), least_columns, [&](std::int64_t begin, std::int64_t end) {
    accumulate(*sums, Range{static_cast<std::size_t>(begin), static_cast<std::size_t>(end)});
  });
  return weight_gradient(sums);
}

/// Gradients by our kernels cannot be differentiated again: refuses to make one that depends on `inputs`, if
/// that is asked for.
inline void check_first_derivative(std::initializer_list<torch::Tensor> inputs) {
  if (torch::GradMode::is_enabled() &&
      std::any_of(inputs.begin(), inputs.end(),
                  [](const torch::Tensor& input) { return input.requires_grad(); }))
    kronecker::detail::fail<std::invalid_argument>(
        "second derivatives of a float32 KroneckerEmbedding are not supported; of a double one they are");
}

/// Embeddings by our kernels.
class Embed : public torch::autograd::Function<Embed> {
 public:
  struct Call : torch::CustomClassHolder {
    Call(CpuEmbedding embedding_, std::vector<TokenId> ids_)
        : embedding(std::move(embedding_)), ids(std::move(ids_)) {}
    CpuEmbedding embedding;
    std::vector<TokenId> ids;
  };

  /// (N, d_model), without a trace in autograd's graph.
  static torch::Tensor embeddings(const CpuEmbedding& embedding, std::span<const TokenId> ids) {
    const auto count = static_cast<std::int64_t>(ids.size());
    torch::Tensor out = torch::empty({count, embedding.d_model()}, torch::kFloat);
    constexpr std::int64_t least_tokens = 64;
    at::parallel_for(0, count, least_tokens, [&](std::int64_t begin, std::int64_t end) {
      embedding.forward(part(ids, begin, end, 1),
                        part(numbers_to_change(out), begin, end, embedding.d_model()));
    });
    return out;
  }

  /// `weight` is there for autograd; its numbers are the call's rows.
  static torch::Tensor forward(torch::autograd::AutogradContext* context, const torch::Tensor& /*weight*/,
                               c10::intrusive_ptr<Call> call) {
    torch::Tensor out = embeddings(call->embedding, call->ids);
    context->saved_data["call"] = torch::IValue::make_capsule(std::move(call));
    return out;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& gradients) {
    check_first_derivative({gradients[0]});
    const auto call = c10::static_intrusive_pointer_cast<Call>(context->saved_data["call"].toCapsule());
    const torch::Tensor grad_out = gradients[0].contiguous();
    return {gradient_by_columns(call->embedding,
                                [&](ProjectionGradient& gradient, Range columns) {
                                  accumulate_gradient(call->embedding, call->ids, numbers(grad_out), gradient,
                                                      columns);
                                }),
            {}};
  }
};

/// Logits by our kernels.
class Logits : public torch::autograd::Function<Logits> {
 public:
  struct Call : torch::CustomClassHolder {
    Call(CpuEmbedding embedding_, std::shared_ptr<const KroneckerHead> head_)
        : embedding(std::move(embedding_)), head(std::move(head_)) {}
    CpuEmbedding embedding;
    std::shared_ptr<const KroneckerHead> head;
  };

  /// As the head does, which would count the states of its part alone.
  static void check_finite(const torch::Tensor& hidden) {
    const std::span<const float> values = numbers(hidden);
    const auto bad = std::find_if_not(values.begin(), values.end(), kronecker::detail::is_finite);
    if (bad == values.end()) return;
    const std::int64_t at = bad - values.begin(), width = hidden.size(1);
    kronecker::detail::fail<std::invalid_argument>("hidden state ", at / width, " has the value ", *bad,
                                                   " at ", at % width, ": it must be finite");
  }

  static torch::Tensor forward(torch::autograd::AutogradContext* context, const torch::Tensor& weight,
                               const torch::Tensor& hidden, c10::intrusive_ptr<Call> call) {
    const KroneckerHead& head = *call->head;
    const std::int64_t count = hidden.size(0);
    check_finite(hidden);
    torch::Tensor out = torch::empty({count, head.vocab_size()}, hidden.options().requires_grad(false));
    constexpr std::int64_t block = 64;  // as many as the head takes at a time, whatever the threads are
    at::parallel_for(0, (count + block - 1) / block, 1, [&](std::int64_t begin, std::int64_t end) {
      const std::int64_t first = begin * block, last = (std::min)(end * block, count);
      head.logits(call->embedding, part(numbers(hidden), first, last, call->embedding.d_model()),
                  part(numbers_to_change(out), first, last, head.vocab_size()));
    });
    // Keeping the weight makes torch notice if it is changed before the backward pass.
    context->save_for_backward({weight, hidden});
    context->saved_data["call"] = torch::IValue::make_capsule(std::move(call));
    return out;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& gradients) {
    const torch::autograd::variable_list saved = context->get_saved_variables();
    const torch::Tensor weight = saved[0], hidden = saved[1], grad_logits = gradients[0].contiguous();
    check_first_derivative({grad_logits, weight, hidden});
    const auto call = c10::static_intrusive_pointer_cast<Call>(context->saved_data["call"].toCapsule());
    const CpuEmbedding& embedding = call->embedding;
    const KroneckerHead& head = *call->head;
    torch::Tensor grad_hidden = torch::zeros_like(hidden);
    const auto sums = std::make_shared<ProjectionGradient>(embedding);
    std::vector<float> products;
    constexpr auto block = static_cast<std::int64_t>(KroneckerHead::most_hidden_states);
    for (std::int64_t first = 0; first < hidden.size(0); first += block) {
      const std::int64_t end = (std::min)(first + block, hidden.size(0));
      products.resize(product_gradients_size(head, static_cast<std::size_t>(end - first)));
      at::parallel_for(0, end - first, 1, [&](std::int64_t state, std::int64_t end_state) {
        product_gradients(head, part(numbers(grad_logits), first, end, head.vocab_size()), products,
                          {static_cast<std::size_t>(state), static_cast<std::size_t>(end_state)});
      });
      constexpr std::int64_t least_columns = 16;  // a cache line
      at::parallel_for(
          0, embedding.d_model(), least_columns, [&](std::int64_t column, std::int64_t end_column) {
            accumulate_product_gradients(
                head, embedding, part(numbers(hidden), first, end, embedding.d_model()), products, *sums,
                part(numbers_to_change(grad_hidden), first, end, embedding.d_model()),
                {static_cast<std::size_t>(column), static_cast<std::size_t>(end_column)});
          });
    }
    torch::Tensor grad_weight = weight_gradient(sums);
    return {std::move(grad_weight), std::move(grad_hidden), {}};
  }
};

}  // namespace detail
}  // namespace KRONECKER_NAMESPACE::torch_module
