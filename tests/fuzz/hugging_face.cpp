/// Reads any bytes as a tokenizer.json, in both senses of a token's text.

#include "fuzz.hpp"

#include <kronecker/vocabularies/hugging_face.hpp>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return fuzz::read_as_file(data, size, [](const auto& path) {
    const auto raw = kronecker::load_hugging_face(path);
    fuzz::expect(kronecker::load_hugging_face(path, kronecker::TokenText::reference).size() == raw.size());
  });
}
