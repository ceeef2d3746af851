#pragma once

/// Plain ways to move numbers, as fast as one core can: what a forward pass is to be measured by.

#include <kronecker/kernels/instruction_set.hpp>

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
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
  static const bool found =
      kronecker::kernels::best_instruction_set() >= kronecker::kernels::InstructionSet::avx2;
  return found;
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

/// Adds `read` to three arrays of as many numbers. Needs AVX2 on x86.
KRONECKER_WITH_AVX2 inline void add_to_three(std::span<const float> read, float* a, float* b, float* c) {
  for (std::size_t i = 0; i < read.size(); ++i) {
    a[i] += read[i];
    b[i] += read[i];
    c[i] += read[i];
  }
}

/// Copies with vectors of 32 bytes, and what is left with memcpy. Needs AVX2 on x86; elsewhere it is memcpy.
KRONECKER_WITH_AVX2 inline void copy_in_vectors(const void* from, std::size_t size, void* to) {
  const auto* read = static_cast<const char*>(from);
  auto* write = static_cast<char*>(to);
#ifdef KRONECKER_HAS_AVX
  for (; size >= 128; size -= 128, read += 128, write += 128) {
    const auto* vectors = reinterpret_cast<const __m256i*>(read);
    auto* copies = reinterpret_cast<__m256i*>(write);
    const __m256i a = _mm256_loadu_si256(vectors), b = _mm256_loadu_si256(vectors + 1),
                  c = _mm256_loadu_si256(vectors + 2), d = _mm256_loadu_si256(vectors + 3);
    _mm256_storeu_si256(copies, a);
    _mm256_storeu_si256(copies + 1, b);
    _mm256_storeu_si256(copies + 2, c);
    _mm256_storeu_si256(copies + 3, d);
  }
#endif
  std::memcpy(write, read, size);
}

/// Copies as fast as it goes: with memcpy, unless `in_vectors` says that vectors are faster for such a size,
/// or the two places lie within 64 bytes of each other modulo 4,096, where a memcpy that uses `rep movsb`, as
/// glibc's does on Zen 3 and 4, takes up to five times as long.
inline void copy_fairly(const void* from, std::size_t size, void* to, bool in_vectors) {
  constexpr std::size_t line = 64, page = 4096;
  const std::size_t apart =
      (reinterpret_cast<std::uintptr_t>(to) - reinterpret_cast<std::uintptr_t>(from) + line) % page;
  if (has_avx2() && (in_vectors || apart < 2 * line))
    copy_in_vectors(from, size, to);
  else
    std::memcpy(to, from, size);
}

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
