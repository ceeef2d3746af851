#pragma once

/// Where a kernel writes what it made: into memory, or into memory around the caches.

#include <kronecker/kernels/vectors.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>

#define KRONECKER_KERNEL_FILE <kronecker/kernels/outputs.inc>
#include <kronecker/kernels/for_each_instruction_set.inc>
