// The GPU calls as functions that any language can call, for gpu.py: compiled into a shared library.

#include <kronecker/integrations/cuda.cuh>

#include <cstdint>
#include <exception>
#include <cstdio>

namespace gpu = kronecker::gpu;

namespace {

gpu::RowType type_of(int number) { return static_cast<gpu::RowType>(number); }

template <class Call>
int without_exceptions(const Call& call) {
  try {
    call();
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}

}  // namespace

extern "C" {

// Types are 0 for float32, 1 for bfloat16, 2 for float16, 3 for int8.
struct Embedding {
  std::int32_t vocab_size, d_model, pos_dim, code_dim, type;
  const void *bytes, *lengths, *scales, *rows, *column_scales, *length_rows;
};

static gpu::EmbeddingArrays arrays_of(const Embedding& embedding) {
  gpu::EmbeddingArrays arrays;
  arrays.vocab_size = embedding.vocab_size, arrays.d_model = embedding.d_model;
  arrays.pos_dim = embedding.pos_dim, arrays.code_dim = embedding.code_dim;
  arrays.type = type_of(embedding.type);
  arrays.token_bytes = static_cast<const std::uint8_t*>(embedding.bytes);
  arrays.token_lengths = static_cast<const std::uint8_t*>(embedding.lengths);
  arrays.scales = static_cast<const float*>(embedding.scales);
  arrays.rows = embedding.rows;
  arrays.column_scales = static_cast<const float*>(embedding.column_scales);
  arrays.length_rows = static_cast<const float*>(embedding.length_rows);
  return arrays;
}

int kronecker_gpu_forward(const Embedding* embedding, const std::int64_t* ids, std::size_t count, void* out,
                          int out_type, void* stream, unsigned threads, unsigned lanes, std::size_t tokens) {
  return without_exceptions([&] {
    gpu::Stream on(static_cast<gpu::Stream::Handle>(stream));
    gpu::forward(on, arrays_of(*embedding), {{ids, count}, out, type_of(out_type)}, nullptr, {threads, lanes, tokens});
  });
}

std::size_t kronecker_gpu_workspace(const Embedding* embedding, std::size_t count) {
  const gpu::EmbeddingArrays arrays = arrays_of(*embedding);
  const std::size_t backward = gpu::backward_workspace(arrays, count, true), rows = gpu::length_rows_workspace(arrays);
  return backward > rows ? backward : rows;
}

int kronecker_gpu_length_rows(const Embedding* embedding, float* out, void* workspace, void* stream) {
  return without_exceptions([&] {
    gpu::Stream on(static_cast<gpu::Stream::Handle>(stream));
    gpu::length_rows(on, arrays_of(*embedding), out, workspace);
  });
}

int kronecker_gpu_backward(const Embedding* embedding, const std::int64_t* ids, std::size_t count, const void* grad,
                           int type, float* grad_rows, int subtracts_mean, void* workspace, void* stream,
                           unsigned threads, unsigned lanes) {
  return without_exceptions([&] {
    gpu::Stream on(static_cast<gpu::Stream::Handle>(stream));
    gpu::Backward call{{ids, count}, grad, type_of(type), grad_rows};
    call.subtracts_mean = subtracts_mean != 0;
    gpu::backward(on, arrays_of(*embedding), call, workspace, {threads, lanes, 0});
  });
}
}
