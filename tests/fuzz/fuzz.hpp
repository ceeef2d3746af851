#pragma once

/// What the fuzz targets share: an input as a file, and the errors that are the right answer to a bad one.

#include <kronecker/error.hpp>

#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

namespace fuzz {

/// Calls `read(path)` with a file that holds the input. A FileError is a right answer; anything else is a
/// finding.
template <class Read>
int read_as_file(const std::uint8_t* data, std::size_t size, Read&& read) {
  static const std::filesystem::path path = [] {
    const std::filesystem::path memory = "/dev/shm";
    const auto folder = std::filesystem::exists(memory) ? memory : std::filesystem::temp_directory_path();
    return folder / ("kronecker-fuzz-" + std::to_string(::getpid()));
  }();
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(data), static_cast<std::streamsize>(size));
  try {
    read(path);
  } catch (const kronecker::FileError&) {
  }
  return 0;
}

/// Ends the program if a property of the library does not hold.
inline void expect(bool holds) {
  if (!holds) std::abort();
}

}  // namespace fuzz
