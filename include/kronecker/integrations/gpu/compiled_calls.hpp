#pragma once

/// The calls of cuda.cuh for code that nvcc does not compile: functions of pointers, which torch_cuda.cuh
/// defines in the one file of a program that it does. The stream is a cudaStream_t, of the current device.

#include <kronecker/integrations/gpu/arrays.hpp>
#include <kronecker/namespace.hpp>

#include <cstddef>

namespace KRONECKER_NAMESPACE::gpu::compiled {

/// As gpu::forward, without a norm.
void forward(void* stream, const EmbeddingArrays& arrays, const Forward& call);

/// As gpu::backward_workspace.
std::size_t backward_workspace(const EmbeddingArrays& arrays, std::size_t count, bool subtracts_mean);
/// As gpu::backward.
void backward(void* stream, const EmbeddingArrays& arrays, const Backward& call, void* workspace);

/// As gpu::length_rows_workspace.
std::size_t length_rows_workspace(const EmbeddingArrays& arrays);
/// As gpu::length_rows.
void length_rows(void* stream, const EmbeddingArrays& arrays, float* length_rows, void* workspace);

}  // namespace KRONECKER_NAMESPACE::gpu::compiled
