/// Reads any bytes as a safetensors file, and all values of its tensors.

#include "fuzz.hpp"

#include <kronecker/files/safetensors.hpp>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return fuzz::read_as_file(data, size, [](const auto& path) {
    const kronecker::SafetensorsFile file(path);
    unsigned sum = 0;
    for (const auto& tensor : file.tensors()) {
      if (tensor.type != "U8") continue;
      const auto values = file.values<std::uint8_t>(tensor);
      for (const std::uint8_t value : values.span()) sum += value;
    }
    fuzz::expect(sum < ~0u);
  });
}
