#pragma once

/// Floats as bfloat16 and float16, the nearest there is, and of two that are equally near the even one. What
/// is not a number stays so. The same bits on every instruction set, denormal numbers included.

#include <kronecker/bit_cast.hpp>
#include <kronecker/kernels/vectors.hpp>

#include <cstddef>
#include <cstdint>

#define KRONECKER_KERNEL_FILE <kronecker/kernels/rounding.inc>
#include <kronecker/kernels/for_each_instruction_set.inc>
