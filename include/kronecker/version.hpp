#pragma once

/// The version of this library, for the preprocessor. CMake reads it from here.

#define KRONECKER_VERSION_MAJOR 0  ///< Grows when the public contract changes incompatibly.
#define KRONECKER_VERSION_MINOR 2  ///< Grows with new features; while MAJOR is 0, it may change the contract.
#define KRONECKER_VERSION_PATCH 0  ///< Grows with corrections.
