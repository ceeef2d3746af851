/// Reads any bytes as a .npy file, of one type and as a matrix of any.

#include "fuzz.hpp"

#include <kronecker/files/npy.hpp>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::read_as_file(data, size, [](const auto& path) { kronecker::read_npy<float>(path); });
  return fuzz::read_as_file(data, size, [](const auto& path) { kronecker::read_npy_matrix(path); });
}
