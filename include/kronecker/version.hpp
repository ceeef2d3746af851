#pragma once

/// The version of this library, for the preprocessor and for programs. CMake reads the numbers from here.
#define KRONECKER_VERSION_MAJOR 0
#define KRONECKER_VERSION_MINOR 1
#define KRONECKER_VERSION_PATCH 0

namespace kronecker {

struct Version {
  int major, minor, patch;
};

inline constexpr Version version{KRONECKER_VERSION_MAJOR, KRONECKER_VERSION_MINOR, KRONECKER_VERSION_PATCH};

}  // namespace kronecker
