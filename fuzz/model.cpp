/// Loads any bytes as a saved embedding, and embeds all its tokens and a string.

#include "fuzz.hpp"

#include <kronecker/files/model.hpp>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return fuzz::read_as_file(data, size, [](const auto& path) {
    using Encoder = kronecker::KroneckerEncoder<Eigen::Dynamic, Eigen::Dynamic>;
    const auto embedding = kronecker::load<Encoder>(path);
    fuzz::expect(embedding.table().rows() == embedding.vocab_size());
    fuzz::expect(embedding.embed("\x01").size() == embedding.d_model());
  });
}
