/// Reads any bytes as a vocabulary of whichever format they look like.

#include "fuzz.hpp"

#include <kronecker/vocabularies/load.hpp>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return fuzz::read_as_file(data, size, [](const auto& path) { kronecker::load_vocabulary(path); });
}
