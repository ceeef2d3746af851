/// Reads any bytes as a .npy file.

#include "fuzz.hpp"

#include <kronecker/files/npy.hpp>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return fuzz::read_as_file(data, size, [](const auto& path) { kronecker::read_npy<float>(path); });
}
