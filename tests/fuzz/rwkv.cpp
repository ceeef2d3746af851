/// Reads any bytes as RWKV's vocabulary.

#include "fuzz.hpp"

#include <kronecker/vocabularies/rwkv.hpp>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return fuzz::read_as_file(data, size, [](const auto& path) { kronecker::load_rwkv(path); });
}
