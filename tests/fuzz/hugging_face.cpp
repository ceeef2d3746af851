/// Reads any bytes as a tokenizer.json, in all senses of a token's text.

#include "fuzz.hpp"

#include <kronecker/vocabularies/hugging_face.hpp>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using kronecker::TokenText;
  for (const TokenText text : {TokenText::raw, TokenText::reference, TokenText::words})
    fuzz::read_as_file(data, size, [text](const auto& path) { kronecker::load_hugging_face(path, text); });
  return 0;
}
