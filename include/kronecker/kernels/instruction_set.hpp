#pragma once

/// Which vector instructions the kernels use: the widest that the processor and the operating system have,
/// found out when the program runs, so that no compiler flag is needed. Results have the same bits with each.
///
/// Everything in this folder that is code has internal linkage, and the library's namespace names what a
/// file's flags allow (namespace.hpp): files that were compiled for different processors never share a copy.

#include <kronecker/namespace.hpp>
#include <kronecker/out_of_line.hpp>

#include <cstdlib>
#include <optional>
#include <string_view>

// Vectors as GCC and clang spell them; other compilers get plain loops that they may turn into vector code.
#if defined(__GNUC__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ && !defined(KRONECKER_NO_VECTOR_EXTENSIONS)
#define KRONECKER_HAS_VECTORS 1
// GCC for Windows aligns the stack to 16 bytes, and puts 32- and 64-byte vectors on it with instructions that
// fault where it is not aligned to as much (GCC bug 54412). Some distributions mend that, but no macro says
// so: who has such a GCC may define KRONECKER_HAS_AVX for all of a program.
#if defined(__x86_64__) && (defined(__clang__) || !(defined(_WIN32) || defined(__CYGWIN__)))
#define KRONECKER_HAS_AVX 1
#endif
#endif

namespace KRONECKER_NAMESPACE::kernels {

/// Instructions that a kernel may use, from the least to the most.
enum class InstructionSet {
  baseline,  ///< What every processor of the architecture has, in 16-byte vectors: SSE2, or NEON on 64-bit
             ///< Arm.
  avx2,      ///< AVX2, FMA and F16C: 32-byte vectors.
  avx512,    ///< AVX-512 F, BW, DQ and VL: 64-byte vectors.
};

/// The most that this processor has.
static inline InstructionSet best_instruction_set() noexcept {
#ifdef KRONECKER_HAS_AVX
  __builtin_cpu_init();
  unsigned eax = 1, ebx = 0, ecx = 0, edx = 0;  // clang 14 knows no __builtin_cpu_supports("f16c")
  asm volatile("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
  const bool has_f16c = (ecx >> 29 & 1) != 0;
  const bool has_avx2 = has_f16c && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  const bool has_avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                          __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  if (has_avx2) return has_avx512 ? InstructionSet::avx512 : InstructionSet::avx2;
#endif
  return InstructionSet::baseline;
}

/// The instruction set of that name.
static inline std::optional<InstructionSet> instruction_set_named(std::string_view name) noexcept {
  if (name == "baseline") return InstructionSet::baseline;
  if (name == "avx2") return InstructionSet::avx2;
  if (name == "avx512") return InstructionSet::avx512;
  return std::nullopt;
}

/// The best one, or a lesser one that the environment variable KRONECKER_INSTRUCTION_SET names.
KRONECKER_OUT_OF_LINE static inline InstructionSet choose_instruction_set() noexcept {
  const InstructionSet best = best_instruction_set();
  const char* const name = std::getenv("KRONECKER_INSTRUCTION_SET");
  const auto wanted = instruction_set_named(name != nullptr ? name : "");
  return wanted && *wanted < best ? *wanted : best;
}

/// The instruction set that the library uses: the best one, or a lesser one that the environment variable
/// KRONECKER_INSTRUCTION_SET names (baseline, avx2, avx512) when it is first asked for.
static inline InstructionSet instruction_set() noexcept {
  static const InstructionSet chosen = choose_instruction_set();
  return chosen;
}

}  // namespace KRONECKER_NAMESPACE::kernels
