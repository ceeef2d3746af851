/// Saves a small embedding of five tokens for the C programs.
///     save_embedding FILE

#include <kronecker/files/model.hpp>

#include <exception>
#include <iostream>

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  try {
    const kronecker::KroneckerEncoder<256, 16> encoder;
    kronecker::save(argv[1], kronecker::KroneckerEmbedding(
                                 encoder, kronecker::Vocabulary({"the", " quick", "", " brown", " fox"}),
                                 kronecker::LearnedProjection::normal(24, encoder.code_dim(), 1)));
  } catch (const std::exception& error) {
    std::cerr << "save_embedding: " << error.what() << "\n";
    return 1;
  }
}
