/// What the page's WebAssembly is compared with: the same answers, natively. Reads requests of
/// bindings/web/calls.hpp, one a line, and prints an answer for each.
///   native                               answers
///   native VOCABULARY FOLDER             writes saved embeddings of that vocabulary's tokens into the folder

#include "calls.hpp"

#include <kronecker/files/model.hpp>

#include <filesystem>
#include <iostream>
#include <string>

int main(int count, char** arguments) {
  if (count == 3) {
    const std::filesystem::path folder(arguments[2]);
    const kronecker::KroneckerEncoder<256, 16> encoder;
    const auto weights = kronecker::LearnedProjection::normal(96, encoder.code_dim(), 7);
    const kronecker::KroneckerEmbedding embedding(encoder, kronecker::load_vocabulary(arguments[1]), weights);
    kronecker::save(folder / "float32.kron", embedding);
    kronecker::save(folder / "bfloat16.kron", embedding.cast<Eigen::bfloat16>());
    kronecker::save(folder / "int8.kron", embedding.cast<std::int8_t>());
    return 0;
  }
  for (std::string request; std::getline(std::cin, request);) std::cout << web::answer(request) << std::endl;
}
