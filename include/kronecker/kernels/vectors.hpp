#pragma once

/// Vectors of numbers for each instruction set, with the few operations that the kernels are written in.

#include <kronecker/bit_cast.hpp>
#include <kronecker/kernels/instruction_set.hpp>
#include <kronecker/kernels/row_type.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <utility>

#ifdef __clang__
#if __has_feature(thread_sanitizer)
#define KRONECKER_CLANG_THREAD_SANITIZER 1
extern "C" void __tsan_read_range(void* from, unsigned long size);
#endif
#endif

#define KRONECKER_KERNEL_FILE <kronecker/kernels/vectors.inc>
#include <kronecker/kernels/for_each_instruction_set.inc>

#undef KRONECKER_CLANG_THREAD_SANITIZER
