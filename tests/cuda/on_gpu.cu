#include "on_gpu.hpp"

#include <kronecker/integrations/cuda.cuh>

#include <cstdio>
#include <cstdlib>

namespace on_gpu {

static void check(cudaError_t error) {
  if (error == cudaSuccess) return;
  std::fprintf(stderr, "CUDA: %s\n", cudaGetErrorString(error));
  std::exit(1);
}

void* allocate(std::size_t bytes) {
  void* memory = nullptr;
  check(cudaMalloc(&memory, bytes > 0 ? bytes : 1));
  return memory;
}
void release(void* memory) { check(cudaFree(memory)); }
void copy(void* to, const void* from, std::size_t bytes) {
  check(cudaMemcpy(to, from, bytes, cudaMemcpyDefault));
}
const char* name() {
  static cudaDeviceProp properties;
  check(cudaGetDeviceProperties(&properties, 0));
  return properties.name;
}
void wait() { check(cudaDeviceSynchronize()); }

void forward(const kronecker::gpu::EmbeddingArrays& arrays, const kronecker::gpu::Forward& call,
             void* workspace, unsigned threads, unsigned lanes, std::size_t tokens) {
  kronecker::gpu::Stream stream;
  kronecker::gpu::forward(stream, arrays, call, workspace, {threads, lanes, tokens});
}
void backward(const kronecker::gpu::EmbeddingArrays& arrays, const kronecker::gpu::Backward& call,
              void* workspace, unsigned threads, unsigned lanes) {
  kronecker::gpu::Stream stream;
  kronecker::gpu::backward(stream, arrays, call, workspace, {threads, lanes, 0});
}
void length_rows(const kronecker::gpu::EmbeddingArrays& arrays, float* rows, void* workspace) {
  kronecker::gpu::Stream stream;
  kronecker::gpu::length_rows(stream, arrays, rows, workspace);
}
void logits(const kronecker::gpu::EmbeddingArrays& arrays, const float* products, std::size_t states,
            float gain, float* out) {
  kronecker::gpu::Stream stream;
  kronecker::gpu::logits(stream, arrays, products, states, gain, out);
}

}  // namespace on_gpu
