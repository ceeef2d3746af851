#pragma once

/// The inline namespace that everything lives in: it names the version and how the file is compiled, so that
/// two files of one program share the library's code only where either copy of it is right for both.
///
/// `kronecker::Vocabulary` is spelled as if it were not there. Files that differ in the library's version, in
/// exceptions, in -ffast-math or in the processors that their -m flags allow each get what they were compiled
/// with; where one of them passes an object of the library to the other, linking fails. Without it the linker
/// would keep the code of whichever file comes first, for all of them.

#include <kronecker/version.hpp>

#if !defined(__cpp_exceptions) && !defined(_CPPUNWIND)
#define KRONECKER_ABI_EXCEPTIONS _no_exceptions
#else
#define KRONECKER_ABI_EXCEPTIONS
#endif

#ifdef __FAST_MATH__
#define KRONECKER_ABI_MATH _fast_math
#else
#define KRONECKER_ABI_MATH
#endif

// The first generation of processors that has all that the compiler may use beyond the architecture's
// baseline. Files for one generation run on the same processors.
#if defined(__AVX512FP16__) || defined(__AMX_TILE__) || defined(__AVX10_1__)
#define KRONECKER_ABI_PROCESSOR _sapphire_rapids
#elif defined(__AVX512VBMI__) || defined(__AVX512VNNI__) || defined(__AVX512BF16__)
#define KRONECKER_ABI_PROCESSOR _ice_lake
#elif defined(__AVX512F__)
#define KRONECKER_ABI_PROCESSOR _avx512
#elif defined(__AVX2__) || defined(__FMA__) || defined(__F16C__) || defined(__BMI__) || defined(__LZCNT__)
#define KRONECKER_ABI_PROCESSOR _avx2
#elif defined(__AVX__)
#define KRONECKER_ABI_PROCESSOR _avx
#elif defined(__SSE3__) || defined(__POPCNT__)
#define KRONECKER_ABI_PROCESSOR _sse4
#elif defined(__ARM_FEATURE_SVE)
#define KRONECKER_ABI_PROCESSOR _sve
#else
#define KRONECKER_ABI_PROCESSOR
#endif

#define KRONECKER_JOIN_TOKENS(major, minor, patch, exceptions, math, processor) \
  v##major##_##minor##_##patch##exceptions##math##processor
#define KRONECKER_JOIN(...) KRONECKER_JOIN_TOKENS(__VA_ARGS__)

/// v0_1_0 where nothing is special, and for example v0_1_0_no_exceptions_avx2.
#define KRONECKER_ABI                                                                       \
  KRONECKER_JOIN(KRONECKER_VERSION_MAJOR, KRONECKER_VERSION_MINOR, KRONECKER_VERSION_PATCH, \
                 KRONECKER_ABI_EXCEPTIONS, KRONECKER_ABI_MATH, KRONECKER_ABI_PROCESSOR)

/// For `namespace KRONECKER_NAMESPACE {`, in the library's headers.
#define KRONECKER_NAMESPACE kronecker::inline KRONECKER_ABI
