#pragma once

/// Kronecker embeddings on GPUs, for engines that hold their tensors by pointers: nothing but the runtime of
/// CUDA (or HIP) is needed, and nothing is allocated.
///
///     kronecker::gpu::Stream stream(my_stream);
///     kronecker::gpu::forward(stream, arrays, {.ids = {ids, n}, .out = out, .out_type = RowType::bfloat16});
///
/// `arrays` are pointers to the embedding on the device (gpu/arrays.hpp), the calls are those of
/// gpu/calls.hpp: forward, backward, length_rows and logits. They start kernels and return; embeddings and
/// gradients have the CPU's bits, on every GPU. Compile without --use_fast_math.

#include <kronecker/error.hpp>
#include <kronecker/integrations/gpu/calls.hpp>
#include <kronecker/namespace.hpp>

#ifdef __HIPCC__
#include <hip/hip_runtime.h>
#else
#include <cuda_runtime.h>
#endif

#include <cstddef>
#include <stdexcept>

namespace KRONECKER_NAMESPACE::gpu {

// The names of the runtime, and an argument that is read where it lies.
#ifdef __HIPCC__
#define KRONECKER_GPU_RUNTIME(name) hip##name
#define KRONECKER_GPU_CONSTANT const
#else
#define KRONECKER_GPU_RUNTIME(name) cuda##name
#define KRONECKER_GPU_CONSTANT const __grid_constant__
#endif

/// A stream of the current device, on which calls are made in order.
class Stream {
 public:
  using Handle = KRONECKER_GPU_RUNTIME(Stream_t);  ///< cudaStream_t or hipStream_t.

  /// `stream` is the caller's; 0 for the default one. Asks the driver for what the device has.
  explicit Stream(Handle stream = nullptr) : stream_(stream) {
    int device = 0;
    check(KRONECKER_GPU_RUNTIME(GetDevice)(&device), "the device");
    check(KRONECKER_GPU_RUNTIME(DeviceGetAttribute)(&processors_, processor_count, device),
          "its multiprocessors");
    check(KRONECKER_GPU_RUNTIME(DeviceGetAttribute)(&shared_bytes_, most_shared_memory, device),
          "its shared memory");
  }

  std::size_t processors() const noexcept {
    return static_cast<std::size_t>(processors_);
  }  ///< Multiprocessors.
  std::size_t shared_bytes() const noexcept {
    return static_cast<std::size_t>(shared_bytes_);
  }  ///< Of a block.

  /// Starts a kernel. Throws std::runtime_error with the driver's words if it cannot be started.
  template <class Kernel>
  void run(const Kernel& kernel, const Shape& shape);

 private:
#ifdef __HIPCC__
  static constexpr auto processor_count = hipDeviceAttributeMultiprocessorCount;
  static constexpr auto most_shared_memory = hipDeviceAttributeMaxSharedMemoryPerBlock;
#else
  static constexpr auto processor_count = cudaDevAttrMultiProcessorCount;
  static constexpr auto most_shared_memory = cudaDevAttrMaxSharedMemoryPerBlockOptin;
#endif

  static void check(KRONECKER_GPU_RUNTIME(Error_t) error, const char* what) {
    if (error != KRONECKER_GPU_RUNTIME(Success))
      kronecker::detail::fail<std::runtime_error>("the GPU refuses ", what, ": ",
                                                  KRONECKER_GPU_RUNTIME(GetErrorString)(error));
  }

  Handle stream_;
  int processors_ = 0, shared_bytes_ = 0;
};

namespace detail {

/// What every thread of a kernel does.
template <class Kernel>
__global__ void __launch_bounds__(Kernel::most_threads, 1) run_kernel(KRONECKER_GPU_CONSTANT Kernel kernel) {
  extern __shared__ __align__(16) char shared[];
  const Place place{blockIdx.x, threadIdx.x, blockDim.x};
  const std::uint32_t rounds = Kernel::phases == 1 ? 1 : kernel.rounds();
  for (std::uint32_t round = 0; round < rounds; ++round) {
#pragma unroll
    for (int phase = 0; phase < Kernel::phases; ++phase) {
      kernel.run(phase, round, place, shared);
      if constexpr (HasWarpsApart<Kernel>)
        wait_for_warp();
      else if constexpr (Kernel::phases > 1)
        __syncthreads();
    }
  }
}

}  // namespace detail

template <class Kernel>
void Stream::run(const Kernel& kernel, const Shape& shape) {
  if (shape.blocks == 0) return;
  constexpr std::size_t without_asking = 48 << 10;
  if (shape.shared_bytes > without_asking)
    check(KRONECKER_GPU_RUNTIME(FuncSetAttribute)(
              reinterpret_cast<const void*>(&detail::run_kernel<Kernel>),
              KRONECKER_GPU_RUNTIME(FuncAttributeMaxDynamicSharedMemorySize),
              static_cast<int>(shape.shared_bytes)),
          "the shared memory of a kernel");
  detail::run_kernel<Kernel>
      <<<static_cast<unsigned>(shape.blocks), shape.threads, shape.shared_bytes, stream_>>>(kernel);
  check(KRONECKER_GPU_RUNTIME(GetLastError)(), "a kernel");
}

#undef KRONECKER_GPU_RUNTIME
#undef KRONECKER_GPU_CONSTANT

}  // namespace KRONECKER_NAMESPACE::gpu
