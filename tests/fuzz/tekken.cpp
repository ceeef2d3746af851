/// Reads any bytes as a tekken.json.

#include "fuzz.hpp"

#include <kronecker/vocabularies/tekken.hpp>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return fuzz::read_as_file(data, size, [](const auto& path) { kronecker::load_tekken(path); });
}
