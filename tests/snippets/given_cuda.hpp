#pragma once

/// What the snippets for GPUs speak of (scripts/check_gpu compiles them).

#include <kronecker/integrations/cuda.cuh>

#include <cstddef>
#include <cstdint>

extern const kronecker::gpu::EmbeddingArrays arrays;
extern void *out, *workspace;
extern const std::int32_t* ids;
extern std::size_t count;
extern cudaStream_t my_stream;
