#pragma once

/// What the program that compares a GPU with the CPU asks of the file that nvcc compiles.

#include <kronecker/integrations/gpu/arrays.hpp>

#include <cstddef>

namespace on_gpu {

void* allocate(std::size_t bytes);  ///< Device memory; ends the program if there is none.
void release(void* memory);         ///< Frees it.
void copy(void* to, const void* from, std::size_t bytes);  ///< In either direction.
const char* name();                                        ///< Of the device.

void forward(const kronecker::gpu::EmbeddingArrays& arrays, const kronecker::gpu::Forward& call,
             void* workspace, unsigned threads, unsigned lanes, std::size_t tokens);
void backward(const kronecker::gpu::EmbeddingArrays& arrays, const kronecker::gpu::Backward& call,
              void* workspace, unsigned threads, unsigned lanes);
void length_rows(const kronecker::gpu::EmbeddingArrays& arrays, float* rows, void* workspace);
void logits(const kronecker::gpu::EmbeddingArrays& arrays, const float* products, std::size_t states,
            float gain, float* out);
void wait();  ///< Until the device is done; ends the program with its words if it failed.

}  // namespace on_gpu
