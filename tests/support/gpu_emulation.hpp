#pragma once

/// A GPU in plain C++: it runs the kernels in a loop over blocks, phases and threads, in a random order, and
/// notes every access to memory that was not given to it. Include it before all headers of integrations/gpu/.

#include "catch.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <numeric>
#include <random>
#include <vector>

namespace test_support {

/// Memory that kernels may use, and how much of it they read and wrote.
class AllowedMemory {
 public:
  void add(const void* begin, std::size_t bytes) {
    ranges_.push_back({static_cast<const char*>(begin), static_cast<const char*>(begin) + bytes, 0});
  }
  void remove_last() { ranges_.pop_back(); }
  void clear() { ranges_.clear(), last_ = violations = 0; }

  void check(const void* pointer, std::size_t bytes) {
    const char* const begin = static_cast<const char*>(pointer);
    const auto holds = [&](std::size_t i) {
      if (begin < ranges_[i].begin || begin + bytes > ranges_[i].end) return false;
      ranges_[i].moved += bytes;
      return true;
    };
    if (last_ < ranges_.size() && holds(last_)) return;
    for (last_ = 0; last_ < ranges_.size(); ++last_)
      if (holds(last_)) return;
    ++violations;
  }

  /// Bytes that were read and written of the array that begins here.
  std::size_t moved(const void* array) const {
    for (const Range& range : ranges_)
      if (range.begin == array) return range.moved;
    return 0;
  }
  /// Of all arrays, but for shared memory.
  std::size_t moved() const {
    return std::accumulate(ranges_.begin(), ranges_.end(), std::size_t{0},
                           [](std::size_t sum, const Range& range) { return sum + range.moved; });
  }

  std::size_t violations = 0;

 private:
  struct Range {
    const char *begin, *end;
    std::size_t moved;
  };
  std::vector<Range> ranges_;
  std::size_t last_ = 0;
};

inline AllowedMemory& allowed_memory() {
  static AllowedMemory memory;
  return memory;
}

}  // namespace test_support

#define KRONECKER_GPU_ACCESS(pointer, count) \
  ::test_support::allowed_memory().check(pointer, (count) * sizeof(*(pointer)))

#include <kronecker/embedding.hpp>
#include <kronecker/integrations/gpu/calls.hpp>

namespace test_support {

/// Which kernels are compiled: of all types, or, in little time, of bfloat16 rows with their outputs, and
/// gradients of float32.
struct AllKernels {
  template <class Kernel>
  static constexpr bool has = true;
};
struct FewKernels {
  template <class Kernel>
  static constexpr bool has = true;
};
using kronecker::kernels::RowType;
template <RowType type, RowType out, int columns, int pieces>
inline constexpr bool FewKernels::has<kronecker::gpu::detail::ForwardKernel<type, out, columns, pieces>> =
    type == RowType::bfloat16&& out == RowType::bfloat16;
template <RowType type>
inline constexpr bool FewKernels::has<kronecker::gpu::detail::NormFactorKernel<type>> =
    type == RowType::bfloat16;
template <RowType type, int columns>
inline constexpr bool FewKernels::has<kronecker::gpu::detail::PartSumKernel<type, columns>> =
    type == RowType::bfloat16;
template <RowType type>
inline constexpr bool FewKernels::has<kronecker::gpu::detail::UnlitTermsKernel<type>> =
    type == RowType::float32;
template <RowType type, int columns>
inline constexpr bool FewKernels::has<kronecker::gpu::detail::BlockSumKernel<type, columns>> =
    type == RowType::bfloat16 || type == RowType::float32;
template <RowType type, RowType grad>
inline constexpr bool FewKernels::has<kronecker::gpu::detail::NormFactorsKernel<type, grad>> =
    type == RowType::bfloat16&& grad == RowType::float32;
template <RowType type, RowType grad>
inline constexpr bool FewKernels::has<kronecker::gpu::detail::NormGradientKernel<type, grad>> =
    type == RowType::bfloat16&& grad == RowType::float32;

/// Runs kernels as a stream does.
template <class Kernels>
class EmulatedGpu {
 public:
  explicit EmulatedGpu(std::mt19937& random, std::size_t processors = 3, std::size_t shared_bytes = 100 << 10)
      : random_(random), processors_(processors), shared_bytes_(shared_bytes) {}

  std::size_t processors() const { return processors_; }
  std::size_t shared_bytes() const { return shared_bytes_; }

  template <class Kernel>
  void run(const Kernel& kernel, const kronecker::gpu::Shape& shape) {
    if constexpr (Kernels::template has<Kernel>)
      emulate(kernel, shape);
    else
      FAIL("this kernel is not compiled here");
  }

 private:
  template <class Kernel>
  void emulate(const Kernel& kernel, const kronecker::gpu::Shape& shape) {
    REQUIRE(shape.threads <= static_cast<std::uint32_t>(Kernel::most_threads));
    REQUIRE(shape.shared_bytes <= shared_bytes_);
    std::vector<std::size_t> blocks(shape.blocks);
    std::iota(blocks.begin(), blocks.end(), std::size_t{0});
    std::shuffle(blocks.begin(), blocks.end(), random_);
    for (const std::size_t block : blocks) {
      std::vector<kronecker::gpu::Words<4>> shared(shape.shared_bytes / 16 + 1);
      std::memset(shared.data(), 0xab, shared.size() * 16);
      allowed_memory().add(shared.data(), shape.shared_bytes);
      const std::uint32_t at_once =
          kronecker::gpu::HasWarpsApart<Kernel> ? kronecker::gpu::warp : shape.threads;
      for (std::uint32_t begin = 0; begin < shape.threads; begin += at_once)
        for (std::uint32_t round = 0; round < kernel.rounds(); ++round)
          for (int phase = 0; phase < Kernel::phases; ++phase)
            run_phase(kernel, shape, block, begin, (std::min)(at_once, shape.threads - begin), round, phase,
                      shared.data());
      allowed_memory().remove_last();
    }
  }

  /// What the threads from `begin` on, which wait for each other, do in a phase.
  template <class Kernel>
  void run_phase(const Kernel& kernel, const kronecker::gpu::Shape& shape, std::size_t block,
                 std::uint32_t begin, std::uint32_t count, std::uint32_t round, int phase, void* shared) {
    const auto first = static_cast<std::uint32_t>(random_() % count);
    const bool is_backwards = random_() % 2 == 0;
    for (std::uint32_t i = 0; i < count; ++i) {
      const std::uint32_t thread = begin + (first + (is_backwards ? count - i : i)) % count;
      kernel.run(phase, round, {static_cast<std::uint32_t>(block), thread, shape.threads},
                 static_cast<char*>(shared));
    }
  }

  std::mt19937& random_;
  std::size_t processors_, shared_bytes_;
};

/// Its memory and its calls; arrays are of their size, so that every access beyond is noted.
template <class Kernels>
class EmulatedMachine {
 public:
  explicit EmulatedMachine(std::mt19937& random) : gpu_(random, 1 + random() % 8) {
    allowed_memory().clear();
  }

  template <class T>
  T* copy(const std::vector<T>& values) {
    blocks_.push_back(std::make_unique<kronecker::gpu::Words<4>[]>(values.size() * sizeof(T) / 16 + 1));
    void* const memory = blocks_.back().get();
    if (!values.empty()) std::memcpy(memory, values.data(), values.size() * sizeof(T));
    allowed_memory().add(memory, values.size() * sizeof(T));
    return static_cast<T*>(memory);
  }
  void* workspace(std::size_t bytes) { return copy(std::vector<char>(bytes, '\x5a')); }

  template <class Scalar>
  kronecker::gpu::EmbeddingArrays place(const kronecker::KroneckerEmbedding<Scalar>& embedding) {
    blocks_.push_back(
        std::make_unique<kronecker::gpu::Words<4>[]>(kronecker::gpu::memory_size(embedding) / 16 + 1));
    return kronecker::gpu::place(embedding, blocks_.back().get(),
                                 [](void* to, const void* from, std::size_t bytes) {
                                   std::memcpy(to, from, bytes);
                                   allowed_memory().add(to, bytes);
                                 });
  }

  template <class T>
  std::vector<T> read(const T* from, std::size_t count) const {
    return {from, from + count};
  }
  std::size_t violations() const { return allowed_memory().violations; }

  void forward(const kronecker::gpu::EmbeddingArrays& arrays, const kronecker::gpu::Forward& call,
               void* workspace, kronecker::gpu::Launch launch) {
    kronecker::gpu::forward(gpu_, arrays, call, workspace, launch);
  }
  void backward(const kronecker::gpu::EmbeddingArrays& arrays, const kronecker::gpu::Backward& call,
                void* workspace, kronecker::gpu::Launch launch) {
    kronecker::gpu::backward(gpu_, arrays, call, workspace, launch);
  }
  void length_rows(const kronecker::gpu::EmbeddingArrays& arrays, float* rows, void* workspace) {
    kronecker::gpu::length_rows(gpu_, arrays, rows, workspace);
  }
  void logits(const kronecker::gpu::EmbeddingArrays& arrays, const float* products, std::size_t states,
              float gain, float* out) {
    kronecker::gpu::logits(gpu_, arrays, products, states, gain, out);
  }

 private:
  EmulatedGpu<Kernels> gpu_;
  std::vector<std::unique_ptr<kronecker::gpu::Words<4>[]>> blocks_;
};

}  // namespace test_support
