#pragma once

/// Plain ways to move numbers, as fast as one core can: what a forward pass is to be measured by.

#include <kronecker/kernels/instruction_set.hpp>

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>

#ifdef KRONECKER_HAS_AVX
#include <immintrin.h>
#define KRONECKER_WITH_AVX2 [[gnu::target("avx2")]]
#else
#define KRONECKER_WITH_AVX2
#endif

namespace benchmarks {

/// Whether the functions here that say so may be called.
inline bool has_avx2() {
#ifdef KRONECKER_HAS_AVX
  return kronecker::kernels::best_instruction_set() >= kronecker::kernels::InstructionSet::avx2;
#else
  return true;  // they need nothing
#endif
}

/// Reads all of `values` and returns a number that depends on them. Needs AVX2 on x86.
KRONECKER_WITH_AVX2 inline float read_all(std::span<const float> values) {
#ifdef KRONECKER_HAS_AVX
  __m256 a = _mm256_setzero_ps(), b = a, c = a, d = a;
  for (std::size_t i = 0; i + 32 <= values.size(); i += 32) {
    const float* at = values.data() + i;
    a = _mm256_or_ps(a, _mm256_loadu_ps(at));
    b = _mm256_or_ps(b, _mm256_loadu_ps(at + 8));
    c = _mm256_or_ps(c, _mm256_loadu_ps(at + 16));
    d = _mm256_or_ps(d, _mm256_loadu_ps(at + 24));
  }
  return _mm256_cvtss_f32(_mm256_or_ps(_mm256_or_ps(a, b), _mm256_or_ps(c, d)));
#else
  float a = 0, b = 0, c = 0, d = 0;
  for (std::size_t i = 0; i + 4 <= values.size(); i += 4) {
    a += values[i], b += values[i + 1], c += values[i + 2], d += values[i + 3];
  }
  return a + b + c + d;
#endif
}

/// Writes 1 everywhere. Needs AVX2 on x86.
KRONECKER_WITH_AVX2 inline void write_all(std::span<float> out) { std::fill(out.begin(), out.end(), 1.0f); }

/// The float32 that each bfloat16 stands for. Needs AVX2 on x86.
KRONECKER_WITH_AVX2 inline void widen(const std::uint16_t* from, std::size_t count, float* to) {
  for (std::size_t i = 0; i < count; ++i) to[i] = std::bit_cast<float>(std::uint32_t{from[i]} << 16);
}

#ifdef KRONECKER_HAS_AVX
/// Writes 1 everywhere, around the caches. `out` is aligned to 16 bytes, its size a multiple of 4.
inline void stream_all(std::span<float> out) {
  const __m128 ones = _mm_set1_ps(1.0f);
  for (std::size_t i = 0; i < out.size(); i += 4) _mm_stream_ps(out.data() + i, ones);
  _mm_sfence();
}

/// Copies around the caches; the same conditions.
inline void stream_copy(const float* from, std::size_t count, float* to) {
  for (std::size_t i = 0; i < count; i += 4) _mm_stream_ps(to + i, _mm_loadu_ps(from + i));
}
#endif

}  // namespace benchmarks
