#pragma once

/// What the GPU kernels ask of the machine, under one name for CUDA, for HIP and for plain C++, in which the
/// tests run them: memory, arithmetic that no compiler fuses or reorders, and where a thread is.
///
/// A kernel is a value with its arguments, and with `run(phase, round, place, shared)`, what one thread does.
/// Between two phases, and between two rounds of them, all threads of a block wait for each other, or those
/// of a warp if `warps_are_apart`: so a loop over them, phase after phase, does the same as the GPU
/// (tests/support/gpu_emulation.hpp).

#include <kronecker/bit_cast.hpp>
#include <kronecker/kernels/row_type.hpp>
#include <kronecker/namespace.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>

#if defined(__CUDACC__)
#include <cuda_fp16.h>
#define KRONECKER_ON_GPU 1
#elif defined(__HIPCC__)
#include <hip/hip_fp16.h>
#include <hip/hip_runtime.h>
#define KRONECKER_ON_GPU 1
#else
#include <bit>
#include <cmath>
#endif

#ifdef KRONECKER_ON_GPU
#define KRONECKER_DEVICE __device__ __forceinline__
#define KRONECKER_UNROLL _Pragma("unroll")
#define KRONECKER_UNROLL_FOUR _Pragma("unroll 4")
#else
#define KRONECKER_DEVICE inline
#define KRONECKER_UNROLL
#define KRONECKER_UNROLL_FOUR
#endif

/// Tests see every access by defining this: `count` numbers from `pointer` on.
#ifndef KRONECKER_GPU_ACCESS
#define KRONECKER_GPU_ACCESS(pointer, count) static_cast<void>(0)
#endif

namespace KRONECKER_NAMESPACE::gpu {

/// Whether a kernel's warps do not wait for each other.
template <class Kernel>
concept HasWarpsApart = Kernel::warps_are_apart;

/// Which thread of which block this is.
struct Place {
  std::uint32_t block;    ///< Number of the block.
  std::uint32_t thread;   ///< Number of the thread in its block.
  std::uint32_t threads;  ///< Threads of a block.
};

/// Threads that run side by side.
inline constexpr std::uint32_t warp = 32;

/// How a kernel is started.
struct Shape {
  std::size_t blocks;            ///< None: it is not started.
  std::uint32_t threads;         ///< Of a block, at most 1,024.
  std::size_t shared_bytes = 0;  ///< Of each block.
};

/// Bytes that are read and written at once, aligned to as many.
template <int count>
struct alignas(count * 4) Words {
  std::uint32_t word[count];  ///< In the order of the memory.
};

/// The numbers [index, index + 1) of memory that other threads may have written.
template <class T>
KRONECKER_DEVICE T& at(T* memory, std::size_t index) {
  KRONECKER_GPU_ACCESS(memory + index, 1);
  return memory[index];
}

#ifdef KRONECKER_ON_GPU

/// Waits for the threads of the warp, or, with HIP, whose warps can be longer, of the block.
KRONECKER_DEVICE void wait_for_warp() {
#ifdef __HIPCC__
  __syncthreads();
#else
  __syncwarp();
#endif
}

/// The pointer itself, which the compiler does not take apart again where it is added to.
KRONECKER_DEVICE const char* as_it_is(const char* pointer) {
#ifndef __HIPCC__
  asm("" : "+l"(pointer));
#endif
  return pointer;
}

/// A number that this kernel does not write.
template <class T>
KRONECKER_DEVICE T read(const T* memory, std::size_t index) {
  return __ldg(memory + index);
}
KRONECKER_DEVICE std::uint64_t read(const std::uint64_t* memory, std::size_t index) {
  return __ldg(reinterpret_cast<const unsigned long long*>(memory) + index);
}
/// `count` words that this kernel does not write.
template <int count>
KRONECKER_DEVICE Words<count> read_words(const void* memory) {
  Words<count> words;
  if constexpr (count == 1) {
    words.word[0] = __ldg(static_cast<const unsigned*>(memory));
  } else if constexpr (count == 2) {
    const uint2 two = __ldg(static_cast<const uint2*>(memory));
    words.word[0] = two.x, words.word[1] = two.y;
  } else {
    const uint4 four = __ldg(static_cast<const uint4*>(memory));
    words.word[0] = four.x, words.word[1] = four.y, words.word[2] = four.z, words.word[3] = four.w;
  }
  return words;
}
/// Writes words that nothing reads soon.
template <int count>
KRONECKER_DEVICE void write_words(void* memory, const Words<count>& words) {
#ifdef __HIPCC__
  *static_cast<Words<count>*>(memory) = words;
#else
  if constexpr (count == 1)
    __stcs(static_cast<unsigned*>(memory), words.word[0]);
  else if constexpr (count == 2)
    __stcs(static_cast<uint2*>(memory), make_uint2(words.word[0], words.word[1]));
  else
    __stcs(static_cast<uint4*>(memory),
           make_uint4(words.word[0], words.word[1], words.word[2], words.word[3]));
#endif
}

#ifdef __HIPCC__  // which has names like CUDA's, but fuses what they return
#pragma clang fp contract(off)
KRONECKER_DEVICE float add(float a, float b) { return a + b; }          ///< Rounded, never fused.
KRONECKER_DEVICE float multiply(float a, float b) { return a * b; }     ///< Rounded, never fused.
KRONECKER_DEVICE double add(double a, double b) { return a + b; }       ///< Rounded, never fused.
KRONECKER_DEVICE double multiply(double a, double b) { return a * b; }  ///< Likewise.
#pragma clang fp contract(fast)
#else
KRONECKER_DEVICE float add(float a, float b) { return __fadd_rn(a, b); }          ///< Rounded, never fused.
KRONECKER_DEVICE float multiply(float a, float b) { return __fmul_rn(a, b); }     ///< Rounded, never fused.
KRONECKER_DEVICE double add(double a, double b) { return __dadd_rn(a, b); }       ///< Rounded, never fused.
KRONECKER_DEVICE double multiply(double a, double b) { return __dmul_rn(a, b); }  ///< Likewise.
#endif
/// The float of these bits.
KRONECKER_DEVICE float float_of(std::uint32_t bits) { return __uint_as_float(bits); }
KRONECKER_DEVICE std::uint32_t bits_of(float number) { return __float_as_uint(number); }
KRONECKER_DEVICE float float_of_float16(std::uint16_t bits) { return __half2float(__ushort_as_half(bits)); }
KRONECKER_DEVICE std::uint16_t float16_of(float number) { return __half_as_ushort(__float2half_rn(number)); }
KRONECKER_DEVICE int count_bits(std::uint64_t bits) { return __popcll(bits); }
KRONECKER_DEVICE double square_root(double number) { return __dsqrt_rn(number); }
/// Adds to a counter that all threads share, and returns what it was.
KRONECKER_DEVICE std::uint32_t count_up(std::uint32_t* counter, std::uint32_t step = 1) {
  return atomicAdd(counter, step);
}

#else

/// The pointer itself.
inline const char* as_it_is(const char* pointer) { return pointer; }
/// A number that this kernel does not write.
template <class T>
inline T read(const T* memory, std::size_t index) {
  KRONECKER_GPU_ACCESS(memory + index, 1);
  return memory[index];
}
/// `count` words that this kernel does not write.
template <int count>
inline Words<count> read_words(const void* memory) {
  KRONECKER_GPU_ACCESS(static_cast<const Words<count>*>(memory), 1);
  Words<count> words;
  std::memcpy(&words, memory, sizeof words);
  return words;
}
/// Writes words that nothing reads soon.
template <int count>
inline void write_words(void* memory, const Words<count>& words) {
  KRONECKER_GPU_ACCESS(static_cast<Words<count>*>(memory), 1);
  std::memcpy(memory, &words, sizeof words);
}

/// Rounded, never fused.
inline float add(float a, float b) { return a + b; }
/// Rounded, never fused.
inline double add(double a, double b) { return a + b; }
/// A product that cannot be fused with a sum.
template <class T>
inline T multiply(T a, T b) {
  T product = a * b;
#ifdef __GNUC__
  asm("" : "+m"(product));
#endif
  return product;
}
/// The float of these bits.
inline float float_of(std::uint32_t bits) { return ::kronecker::detail::bit_cast<float>(bits); }
/// The bits of a float.
inline std::uint32_t bits_of(float number) { return ::kronecker::detail::bit_cast<std::uint32_t>(number); }
/// The float of a float16's bits.
inline float float_of_float16(std::uint16_t bits) {
  const std::uint32_t magnitude = (bits & 0x7fffu) << 13;
  const std::uint32_t finite = bits_of(float_of(magnitude) * 0x1p112f);
  const std::uint32_t special = magnitude >= 0x0f800000u ? 0x7f800000u : 0;
  return float_of(finite | special | (bits & 0x8000u) << 16);
}
/// To nearest even.
inline std::uint16_t float16_of(float number) {
  const std::uint32_t sign = bits_of(number) >> 31 << 15, magnitude = bits_of(number) & 0x7fffffffu;
  std::uint32_t rounded;
  if (magnitude > 0x7f800000u)
    rounded = 0x7e00u | (magnitude >> 13 & 0x3ffu);
  else if (magnitude >= 0x47800000u)
    rounded = 0x7c00u;
  else if (magnitude >= 0x38800000u)
    rounded = (magnitude - 0x38000000u + 0xfffu + (magnitude >> 13 & 1u)) >> 13;
  else  // where float16 is denormal: adding a half rounds to multiples of 2^-24
    rounded = bits_of(float_of(magnitude) + 0.5f) - bits_of(0.5f);
  return static_cast<std::uint16_t>(sign | rounded);
}
/// How many bits are set.
inline int count_bits(std::uint64_t bits) { return std::popcount(bits); }
/// Rounded to the nearest.
inline double square_root(double number) { return std::sqrt(number); }
/// Adds to a counter that all threads share, and returns what it was.
inline std::uint32_t count_up(std::uint32_t* counter, std::uint32_t step = 1) {
  KRONECKER_GPU_ACCESS(counter, 1);
  const std::uint32_t before = *counter;
  *counter += step;
  return before;
}

#endif

/// To nearest even; what is not a number stays so.
KRONECKER_DEVICE std::uint16_t bfloat16_of(float number) {
  const std::uint32_t bits = bits_of(number);
  if ((bits & 0x7fff0000u) == 0x7fff0000u) return static_cast<std::uint16_t>(bits >> 16);
  return static_cast<std::uint16_t>((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}

/// Two floats as 16-bit numbers, the first in the lower half.
KRONECKER_DEVICE std::uint32_t bfloat16_pair(float first, float second) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
  std::uint32_t pair;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(second), "f"(first));
  return pair;
#else
  return bfloat16_of(first) | std::uint32_t{bfloat16_of(second)} << 16;
#endif
}
/// The same of float16.
KRONECKER_DEVICE std::uint32_t float16_pair(float first, float second) {
  return float16_of(first) | std::uint32_t{float16_of(second)} << 16;
}

}  // namespace KRONECKER_NAMESPACE::gpu
