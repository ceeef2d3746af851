#pragma once

/// The kernels of the LibTorch module on CUDA, for one file of a program, which nvcc compiles:
///
///     #include <kronecker/integrations/torch_cuda.cuh>
///
/// The program's other files are compiled with KRONECKER_WITH_CUDA defined (torch_cuda.hpp). Nothing of torch
/// is included here.

#include <kronecker/integrations/cuda.cuh>
#include <kronecker/integrations/gpu/compiled_calls.hpp>
#include <kronecker/namespace.hpp>

#include <cstddef>

namespace KRONECKER_NAMESPACE::gpu::compiled {

void forward(void* stream, const EmbeddingArrays& arrays, const Forward& call) {
  Stream on(static_cast<cudaStream_t>(stream));
  gpu::forward(on, arrays, call);
}

std::size_t backward_workspace(const EmbeddingArrays& arrays, std::size_t count, bool subtracts_mean) {
  return gpu::backward_workspace(arrays, count, subtracts_mean);
}
void backward(void* stream, const EmbeddingArrays& arrays, const Backward& call, void* workspace) {
  Stream on(static_cast<cudaStream_t>(stream));
  gpu::backward(on, arrays, call, workspace);
}

std::size_t length_rows_workspace(const EmbeddingArrays& arrays) {
  return gpu::length_rows_workspace(arrays);
}
void length_rows(void* stream, const EmbeddingArrays& arrays, float* length_rows, void* workspace) {
  Stream on(static_cast<cudaStream_t>(stream));
  gpu::length_rows(on, arrays, length_rows, workspace);
}

}  // namespace KRONECKER_NAMESPACE::gpu::compiled
