#pragma once

/// This library's kernels as functions of torch's autograd: two linear functions of tensors, each the other's
/// gradient, so that derivatives of any order follow. Nothing is kept between calls. On the CPU they use the
/// threads that torch does, where the including program is compiled with OpenMP, and results do not depend on
/// their number. Needs LibTorch, 1.13 or newer.

#include <kronecker/encoder.hpp>
#include <kronecker/integrations/torch_cuda.hpp>
#include <kronecker/integrations/torch_operations.hpp>
#include <kronecker/kernels/row_type.hpp>
#include <kronecker/namespace.hpp>
#include <kronecker/training/arrays.hpp>

#include <torch/torch.h>

#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>

namespace KRONECKER_NAMESPACE::torch_module::detail {

/// Whether the kernels serve a tensor.
inline bool has_kernels(const torch::Tensor& tensor) {
  const torch::ScalarType type = tensor.scalar_type();
#ifdef KRONECKER_WITH_CUDA
  const bool is_there = tensor.is_cpu() || tensor.is_cuda();
#else
  const bool is_there = tensor.is_cpu();
#endif
  return is_there && (type == torch::kFloat || type == torch::kBFloat16 || type == torch::kHalf);
}

/// Calls `work` with the kernels' name of a type that they serve, as a constant.
template <class Work>
void with_row_type(torch::ScalarType type, Work work) {
  using kernels::RowType;
  if (type == torch::kBFloat16) return work(std::integral_constant<RowType, RowType::bfloat16>());
  if (type == torch::kHalf) return work(std::integral_constant<RowType, RowType::float16>());
  work(std::integral_constant<RowType, RowType::float32>());
}

/// torch's threads, as training/arrays.hpp takes them.
struct TorchThreads {
  std::size_t most = static_cast<std::size_t>(at::get_num_threads());  ///< At a time.
  std::size_t least_numbers = std::size_t{1} << 17;                    ///< For a thread.

  template <class Work>
  void operator()(std::size_t count, std::size_t threads, const Work& work) const {
    const auto work_on = [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t part = begin; part < end; ++part) work(static_cast<std::size_t>(part));
    };
    const auto parts = static_cast<std::int64_t>(count);
    if (threads > 1)
      at::parallel_for(0, parts, 1, work_on);
    else
      work_on(0, parts);
  }
};

/// What both functions have besides what they are linear in.
struct Call : torch::CustomClassHolder {
  Call(DynamicEncoder encoder_, TokenTensors tokens_, torch::Tensor ids_)
      : encoder(std::move(encoder_)), tokens(std::move(tokens_)), ids(std::move(ids_)) {}

  kronecker::detail::ArraySequence sequence() const {
    return {encoder,
            {tokens.bytes.data_ptr<std::uint8_t>(), tokens.lengths.data_ptr<std::uint8_t>(), tokens.size()},
            ids.data_ptr<std::int64_t>(),
            static_cast<std::size_t>(ids.numel())};
  }

  /// Keeps it for the backward pass; torch notices then if the tensors are changed meanwhile.
  void remember(torch::autograd::AutogradContext* context) const {
    context->save_for_backward({tokens.bytes, tokens.lengths, ids});
    context->saved_data["encoder"] = torch::IValue::make_capsule(c10::make_intrusive<Encoder>(encoder));
  }
  static c10::intrusive_ptr<Call> remembered(torch::autograd::AutogradContext* context) {
    const torch::autograd::variable_list saved = context->get_saved_variables();
    const auto kept = c10::static_intrusive_pointer_cast<Encoder>(context->saved_data["encoder"].toCapsule());
    return c10::make_intrusive<Call>(kept->encoder, TokenTensors{saved[0], saved[1]}, saved[2]);
  }

  DynamicEncoder encoder;
  TokenTensors tokens;  // contiguous, as the ids of 64 bits are
  torch::Tensor ids;

 private:
  struct Encoder : torch::CustomClassHolder {
    explicit Encoder(DynamicEncoder encoder_) : encoder(std::move(encoder_)) {}
    DynamicEncoder encoder;
  };
};

/// Rows, (D, columns) -> embeddings, (N, columns), of the same type.
class Embed : public torch::autograd::Function<Embed> {
 public:
  static torch::Tensor forward(torch::autograd::AutogradContext* context, const torch::Tensor& rows,
                               const c10::intrusive_ptr<Call>& call) {
    call->remember(context);
    const torch::Tensor from = rows.contiguous();
#ifdef KRONECKER_WITH_CUDA
    if (rows.is_cuda()) return embed_on_cuda(from, call->tokens, call->ids, call->encoder);
#endif
    torch::Tensor out = torch::empty({call->ids.numel(), rows.size(1)}, rows.options());
    with_row_type(rows.scalar_type(), [&](auto type) {
      kronecker::detail::embed_arrays<type, type>(
          call->encoder, call->encoder.options().z_normalize, call->sequence(), from.data_ptr(),
          static_cast<std::size_t>(rows.size(1)), out.data_ptr(), TorchThreads());
    });
    return out;
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& gradients);
};

/// Embeddings' gradients, (N, columns) -> those of the rows, (D, columns), of the same type.
class Scatter : public torch::autograd::Function<Scatter> {
 public:
  static torch::Tensor forward(torch::autograd::AutogradContext* context, const torch::Tensor& grad_out,
                               const c10::intrusive_ptr<Call>& call) {
    call->remember(context);
    const torch::Tensor from = grad_out.contiguous();
#ifdef KRONECKER_WITH_CUDA
    if (from.is_cuda()) return scatter_on_cuda(from, call->tokens, call->ids, call->encoder);
#endif
    torch::Tensor grad_rows = torch::empty({call->encoder.code_dim(), from.size(1)}, from.options());
    with_row_type(from.scalar_type(), [&](auto type) {
      kronecker::detail::scatter_arrays<type, type>(
          call->encoder, call->encoder.options().z_normalize, call->sequence(), from.data_ptr(),
          static_cast<std::size_t>(from.size(1)), grad_rows.data_ptr(), TorchThreads());
    });
    return grad_rows;
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& gradients) {
    return {Embed::apply(gradients[0], Call::remembered(context)), {}};
  }
};

inline torch::autograd::variable_list Embed::backward(torch::autograd::AutogradContext* context,
                                                      const torch::autograd::variable_list& gradients) {
  return {Scatter::apply(gradients[0], Call::remembered(context)), {}};
}

}  // namespace KRONECKER_NAMESPACE::torch_module::detail
