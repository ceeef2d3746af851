/// Reads any bytes as a SentencePiece model, in both senses of a token's text.

#include "fuzz.hpp"

#include <kronecker/vocabularies/sentencepiece.hpp>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return fuzz::read_as_file(data, size, [](const auto& path) {
    const auto raw = kronecker::load_sentencepiece(path);
    fuzz::expect(kronecker::load_sentencepiece(path, kronecker::TokenText::reference).size() == raw.size());
  });
}
