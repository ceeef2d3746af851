#include <kronecker/kronecker.hpp>

#include <iostream>

int main() {
  const kronecker::Vocabulary vocabulary({"the", " quick", " brown", " fox"});  // token id -> its bytes
  const kronecker::KroneckerEncoder<256, 16> encoder;  // 256 byte values, 16 positions
  const auto projection = kronecker::LearnedProjection::normal(768, encoder.code_dim(), /*seed=*/1);
  const kronecker::KroneckerEmbedding embedding(encoder, vocabulary, projection);

  const auto vectors = embedding.forward({0, 1, 2, 3});  // a 4 x 768 matrix of floats
  std::cout << vectors.rows() << " x " << vectors.cols() << ", first row starts " << vectors(0, 0) << "\n";
}
