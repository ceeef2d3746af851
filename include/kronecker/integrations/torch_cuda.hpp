#pragma once

/// The embedding and its gradient on CUDA tensors by this library's kernels, with the CPU's bits: where
/// KRONECKER_WITH_CUDA is defined, which is in all files of a program or in none. Another file, which nvcc
/// compiles, then includes torch_cuda.cuh. Needs LibTorch, 1.13 or newer.

#include <kronecker/encoder.hpp>
#include <kronecker/integrations/gpu/arrays.hpp>
#include <kronecker/integrations/gpu/compiled_calls.hpp>
#include <kronecker/integrations/torch_operations.hpp>
#include <kronecker/kernels/row_type.hpp>
#include <kronecker/namespace.hpp>

#include <torch/torch.h>
#ifdef KRONECKER_WITH_CUDA
#include <c10/cuda/CUDAStream.h>
#endif

#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <utility>
#include <vector>

namespace KRONECKER_NAMESPACE::torch_module::detail {

#ifdef KRONECKER_WITH_CUDA

/// a_L of all lengths on a device: copied there once, and never destroyed, since CUDA may end earlier.
inline torch::Tensor scales_on(torch::Device device, const DynamicEncoder& encoder) {
  static std::mutex mutex;
  static auto& kept = *new std::map<std::pair<c10::DeviceIndex, std::vector<float>>, torch::Tensor>;
  const std::lock_guard lock(mutex);
  torch::Tensor& scales = kept[{device.index(), encoder.scales()}];
  if (!scales.defined()) scales = torch::tensor(encoder.scales(), torch::kFloat).to(device);
  return scales;
}

/// A call on a device, and its tensors as the kernels take them: all on that device, and contiguous.
struct CudaCall {
  CudaCall(const torch::Tensor& numbers, const TokenTensors& tokens, const torch::Tensor& ids_,
           const DynamicEncoder& encoder)
      : guard(numbers.device()),
        stream(c10::cuda::getCurrentCUDAStream(numbers.device().index()).stream()),
        options(torch::dtype(torch::kFloat).device(numbers.device())),
        scales(scales_on(numbers.device(), encoder)),
        ids(ids_.data_ptr<std::int64_t>(), static_cast<std::size_t>(ids_.numel())) {
    arrays.vocab_size = static_cast<std::int32_t>(tokens.size());
    arrays.d_model = static_cast<std::int32_t>(numbers.size(1));
    arrays.pos_dim = encoder.pos_dim();
    arrays.code_dim = encoder.code_dim();
    arrays.token_bytes = tokens.bytes.data_ptr<std::uint8_t>();
    arrays.token_lengths = tokens.lengths.data_ptr<std::uint8_t>();
    arrays.scales = scales.data_ptr<float>();
    if (numbers.scalar_type() == torch::kBFloat16) arrays.type = gpu::RowType::bfloat16;
    if (numbers.scalar_type() == torch::kHalf) arrays.type = gpu::RowType::float16;
  }

  torch::Tensor workspace(std::size_t bytes) const {
    return torch::empty({static_cast<std::int64_t>(bytes)}, options.dtype(torch::kByte));
  }

  c10::DeviceGuard guard;
  void* stream;
  torch::TensorOptions options;  // of float32
  torch::Tensor scales;
  gpu::Ids ids;
  gpu::EmbeddingArrays arrays;  // without rows; the type is that of the numbers
};

/// Ends the kernels on the device, as torch's own index_select does, if an id is outside the vocabulary, the
/// length of a token that is used over pos_dim, or one of its bytes outside the alphabet.
inline void assert_used(const TokenTensors& tokens, const torch::Tensor& ids, const DynamicEncoder& encoder) {
  const torch::Tensor lengths = tokens.lengths.index_select(0, ids);
  at::_assert_async(lengths.le(encoder.pos_dim()).all());
  if (encoder.char_dim() == 256) return;
  const torch::Tensor places = torch::arange(encoder.pos_dim(), lengths.options());
  const torch::Tensor is_lit = places.lt(lengths.unsqueeze(1));
  at::_assert_async(tokens.bytes.index_select(0, ids).lt(encoder.char_dim()).logical_or(~is_lit).all());
}

/// Rows, (D, columns) -> embeddings, (N, columns), of the same type.
inline torch::Tensor embed_on_cuda(const torch::Tensor& rows, const TokenTensors& tokens,
                                   const torch::Tensor& ids, const DynamicEncoder& encoder) {
  torch::Tensor out = torch::empty({ids.numel(), rows.size(1)}, rows.options());
  if (ids.numel() == 0) return out;
  CudaCall call(rows, tokens, ids, encoder);
  assert_used(tokens, ids, encoder);
  call.arrays.rows = rows.data_ptr();
  torch::Tensor length_rows;
  if (encoder.options().z_normalize) {
    length_rows = torch::empty({encoder.pos_dim() + 1, rows.size(1)}, call.options);
    const torch::Tensor workspace = call.workspace(gpu::compiled::length_rows_workspace(call.arrays));
    gpu::compiled::length_rows(call.stream, call.arrays, length_rows.data_ptr<float>(), workspace.data_ptr());
    call.arrays.length_rows = length_rows.data_ptr<float>();
  }
  gpu::compiled::forward(call.stream, call.arrays, {call.ids, out.data_ptr(), call.arrays.type});
  return out;
}

/// Embeddings' gradients, (N, columns) -> those of the rows, (D, columns), of the same type.
inline torch::Tensor scatter_on_cuda(const torch::Tensor& grad_out, const TokenTensors& tokens,
                                     const torch::Tensor& ids, const DynamicEncoder& encoder) {
  const CudaCall call(grad_out, tokens, ids, encoder);
  torch::Tensor grad_rows = torch::empty({encoder.code_dim(), grad_out.size(1)}, call.options);
  gpu::Backward backward{call.ids, grad_out.data_ptr(), call.arrays.type, grad_rows.data_ptr<float>()};
  backward.subtracts_mean = encoder.options().z_normalize;
  const torch::Tensor workspace =
      call.workspace(gpu::compiled::backward_workspace(call.arrays, call.ids.count, backward.subtracts_mean));
  gpu::compiled::backward(call.stream, call.arrays, backward, workspace.data_ptr());
  return grad_rows.to(grad_out.scalar_type());
}

#endif

}  // namespace KRONECKER_NAMESPACE::torch_module::detail
