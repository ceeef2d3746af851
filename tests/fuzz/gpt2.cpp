/// Reads any bytes as an encoder.json, and as the files that have its added tokens.

#include "fuzz.hpp"

#include <kronecker/vocabularies/gpt2.hpp>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::read_as_file(data, size, [](const auto& path) { kronecker::load_gpt2(path); });
  return fuzz::read_as_file(data, size, [](const auto& path) { kronecker::detail::read_added_tokens(path); });
}
