/// Reads any bytes as weights: every matrix of a GGUF model or a safetensors file, of whatever type.

#include "fuzz.hpp"

#include <kronecker/files/checkpoint.hpp>

namespace {

std::vector<std::string> tensor_names(const kronecker::MappedFile& file) {
  std::vector<std::string> names;
  if (kronecker::kind_of_content(file.text()) == kronecker::FileKind::gguf) {
    const auto directory = kronecker::parse_gguf_directory(file.path(), file.text());
    for (const auto& tensor : directory.tensors) names.push_back(tensor.name);
  } else {
    const kronecker::SafetensorsFile tensors(file);
    for (const auto& tensor : tensors.tensors()) names.push_back(tensor.name);
  }
  return names;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return fuzz::read_as_file(data, size, [](const std::filesystem::path& path) {
    const kronecker::MappedFile file(path);
    for (const std::string& name : tensor_names(file)) {
      try {
        const auto matrix = kronecker::read_matrix(file, name);
        fuzz::expect(static_cast<std::size_t>(matrix.size()) <= 8 * file.size());
      } catch (const kronecker::FileError&) {  // one that is no matrix; the others may be
      }
    }
  });
}
