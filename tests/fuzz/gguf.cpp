/// Reads any bytes as the vocabulary of a GGUF file.

#include "fuzz.hpp"

#include <kronecker/vocabularies/gguf.hpp>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return fuzz::read_as_file(data, size, [](const auto& path) { kronecker::load_gguf(path); });
}
