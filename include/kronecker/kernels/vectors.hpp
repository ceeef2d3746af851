#pragma once

/// Vectors of numbers for each instruction set, with the few operations that the kernels are written in.

#include <kronecker/kernels/instruction_set.hpp>
#include <kronecker/kernels/row_type.hpp>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#ifdef KRONECKER_HAS_VECTORS
#define KRONECKER_INLINE [[maybe_unused, gnu::always_inline]] KRONECKER_TARGET static inline
#else
#define KRONECKER_INLINE [[maybe_unused]] static inline
#endif

#define KRONECKER_KERNEL_FILE <kronecker/kernels/vectors.inc>
#include <kronecker/kernels/for_each_instruction_set.inc>
