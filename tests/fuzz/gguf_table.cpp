/// Reads any bytes as a GGUF model, puts a table into it, and puts it in once more: then nothing changes.

#include "fuzz.hpp"

#include <kronecker/files/gguf_table.hpp>

#include <iterator>

namespace {

std::string content_of(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using Encoder = kronecker::KroneckerEncoder<2, 2>;
  static const kronecker::KroneckerEmbedding<> embedding(Encoder(),
                                                         kronecker::Vocabulary({std::string(1, '\0'), "\1"}),
                                                         kronecker::LearnedProjection::normal(32, 4, 1));
  return fuzz::read_as_file(data, size, [](const std::filesystem::path& path) {
    const kronecker::GgufTableOptions options{kronecker::GgmlType::q8_0, kronecker::TiedHead::old_table};
    try {
      kronecker::export_gguf(path, embedding, path, options);
    } catch (const std::invalid_argument&) {
      return;  // a table of another shape
    }
    const std::string once = content_of(path);
    kronecker::export_gguf(path, embedding, path, options);
    fuzz::expect(content_of(path) == once);
  });
}
