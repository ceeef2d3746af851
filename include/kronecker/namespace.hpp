#pragma once

/// The inline namespace that everything lives in: it names the version and how the file is compiled, so that
/// two files of one program share the library's code only where either copy of it is right for both.
///
/// `kronecker::Vocabulary` is spelled as if it were not there. Files that differ in the library's version, in
/// exceptions, in -ffast-math or in what their -m flags let the compiler use each get what they were compiled
/// with. Without it the linker would keep the code of whichever file comes first, for all of them.
///
/// An object of the library can be passed between files of one namespace only. A function of the user's that
/// takes or returns one, or a variable that is one, does not link with a file of another namespace. Inside a
/// class of the user's the linker cannot see it.

#include <kronecker/version.hpp>

#if !defined(__cpp_exceptions) && !defined(_CPPUNWIND)
#define KRONECKER_ABI_EXCEPTIONS _no_exceptions
#else
#define KRONECKER_ABI_EXCEPTIONS
#endif

// -ffast-math, or those of its parts that change what is computed.
#if defined(__FAST_MATH__) || defined(__ASSOCIATIVE_MATH__) || defined(__RECIPROCAL_MATH__)
#define KRONECKER_ABI_MATH _fast_math
#else
#define KRONECKER_ABI_MATH
#endif

// The widest vectors of x86, each of which implies those before it.
#if defined(__AVX512F__)
#define KRONECKER_ABI_VECTORS _avx512
#elif defined(__AVX2__)
#define KRONECKER_ABI_VECTORS _avx2
#elif defined(__AVX__)
#define KRONECKER_ABI_VECTORS _avx
#elif defined(__SSE4_2__)
#define KRONECKER_ABI_VECTORS _sse4_2
#elif defined(__SSE4_1__)
#define KRONECKER_ABI_VECTORS _sse4_1
#elif defined(__SSSE3__)
#define KRONECKER_ABI_VECTORS _ssse3
#elif defined(__SSE3__)
#define KRONECKER_ABI_VECTORS _sse3
#else
#define KRONECKER_ABI_VECTORS
#endif

// KRONECKER_ABI_IF(macro, letter) is the letter where the macro is 1 (Arm counts some up to 3), else nothing.
// Lists go through these macros in parentheses, for preprocessors that would take them for one argument.
#define KRONECKER_ABI_COMMA_1 ,
#define KRONECKER_ABI_COMMA_2 ,
#define KRONECKER_ABI_COMMA_3 ,
#define KRONECKER_ABI_SECOND_OF(first, second, ...) second
#define KRONECKER_ABI_SECOND(list) KRONECKER_ABI_SECOND_OF list
#define KRONECKER_ABI_IF_VALUE(value, letter) KRONECKER_ABI_SECOND((KRONECKER_ABI_COMMA_##value letter, , ))
#define KRONECKER_ABI_IF(macro, letter) KRONECKER_ABI_IF_VALUE(macro, letter)
#define KRONECKER_ABI_JOIN_OF(a, b, c, d, e, f, g, h, i, j, k, l) a##b##c##d##e##f##g##h##i##j##k##l
#define KRONECKER_ABI_JOIN(list) KRONECKER_ABI_JOIN_OF list

// What a compiler uses besides without being asked by an intrinsic: a letter for each, since processors have
// them in many combinations.
#define KRONECKER_ABI_X86                                                                              \
  KRONECKER_ABI_JOIN(                                                                                  \
      (KRONECKER_ABI_IF(__POPCNT__, _p), KRONECKER_ABI_IF(__LZCNT__, l), KRONECKER_ABI_IF(__BMI__, b), \
       KRONECKER_ABI_IF(__BMI2__, c), KRONECKER_ABI_IF(__MOVBE__, m), KRONECKER_ABI_IF(__F16C__, h),   \
       KRONECKER_ABI_IF(__FMA__, f), KRONECKER_ABI_IF(__SSE4A__, a), KRONECKER_ABI_IF(__FMA4__, q),    \
       KRONECKER_ABI_IF(__XOP__, x), KRONECKER_ABI_IF(__TBM__, t), KRONECKER_ABI_IF(__GFNI__, g)))
#define KRONECKER_ABI_AVX512                                                                      \
  KRONECKER_ABI_JOIN((KRONECKER_ABI_IF(__AVX512CD__, _C), KRONECKER_ABI_IF(__AVX512BW__, B),      \
                      KRONECKER_ABI_IF(__AVX512DQ__, D), KRONECKER_ABI_IF(__AVX512VL__, L),       \
                      KRONECKER_ABI_IF(__AVX512ER__, E), KRONECKER_ABI_IF(__AVX512IFMA__, I),     \
                      KRONECKER_ABI_IF(__AVX512VBMI__, V), KRONECKER_ABI_IF(__AVX512VBMI2__, W),  \
                      KRONECKER_ABI_IF(__AVX512VNNI__, N), KRONECKER_ABI_IF(__AVX512BITALG__, A), \
                      KRONECKER_ABI_IF(__AVX512VPOPCNTDQ__, P), KRONECKER_ABI_IF(__AVX512BF16__, F)))
#define KRONECKER_ABI_NEW_X86                                                                      \
  KRONECKER_ABI_JOIN((KRONECKER_ABI_IF(__AVX512FP16__, _H), KRONECKER_ABI_IF(__AVXVNNI__, n),      \
                      KRONECKER_ABI_IF(__AVXVNNIINT8__, i), KRONECKER_ABI_IF(__AVXVNNIINT16__, j), \
                      KRONECKER_ABI_IF(__AVXIFMA__, k), KRONECKER_ABI_IF(__AVXNECONVERT__, e),     \
                      KRONECKER_ABI_IF(__AVX10_1__, y), KRONECKER_ABI_IF(__AVX10_2__, z),          \
                      KRONECKER_ABI_IF(__APX_F__, r), , , ))
#define KRONECKER_ABI_ARM                                                                                    \
  KRONECKER_ABI_JOIN((                                                                                       \
      KRONECKER_ABI_IF(__ARM_FEATURE_ATOMICS, _a), KRONECKER_ABI_IF(__ARM_FEATURE_RCPC, r),                  \
      KRONECKER_ABI_IF(__ARM_FEATURE_MOPS, m), KRONECKER_ABI_IF(__ARM_FEATURE_QRDMX, q),                     \
      KRONECKER_ABI_IF(__ARM_FEATURE_DOTPROD, d), KRONECKER_ABI_IF(__ARM_FEATURE_FP16_VECTOR_ARITHMETIC, h), \
      KRONECKER_ABI_IF(__ARM_FEATURE_BF16, b), KRONECKER_ABI_IF(__ARM_FEATURE_MATMUL_INT8, i),               \
      KRONECKER_ABI_IF(__ARM_FEATURE_SVE, s), KRONECKER_ABI_IF(__ARM_FEATURE_SVE2, t), , ))

#define KRONECKER_ABI_NAME_OF(major, minor, patch, exceptions, math, vectors, x86, avx512, new_x86, arm) \
  v##major##_##minor##_##patch##exceptions##math##vectors##x86##avx512##new_x86##arm
#define KRONECKER_ABI_NAME(list) KRONECKER_ABI_NAME_OF list

/// v0_2_0 where nothing is special, and for example v0_2_0_no_exceptions_avx2_plbcmhf with -march=haswell.
#define KRONECKER_ABI                                                                            \
  KRONECKER_ABI_NAME((KRONECKER_VERSION_MAJOR, KRONECKER_VERSION_MINOR, KRONECKER_VERSION_PATCH, \
                      KRONECKER_ABI_EXCEPTIONS, KRONECKER_ABI_MATH, KRONECKER_ABI_VECTORS,       \
                      KRONECKER_ABI_X86, KRONECKER_ABI_AVX512, KRONECKER_ABI_NEW_X86, KRONECKER_ABI_ARM))

/// For `namespace KRONECKER_NAMESPACE {`, in the library's headers.
#define KRONECKER_NAMESPACE kronecker::inline KRONECKER_ABI

#ifdef __GNUC__
// The linker sees a function's parameters in its name, but what it returns only by this tag.
#define KRONECKER_ABI_TEXT_OF(name) #name
#define KRONECKER_ABI_TEXT(name) KRONECKER_ABI_TEXT_OF(name)
namespace kronecker {
inline namespace KRONECKER_ABI __attribute__((abi_tag(KRONECKER_ABI_TEXT(KRONECKER_ABI)))) {}
}  // namespace kronecker
#endif
