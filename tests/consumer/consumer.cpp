#include <kronecker/kronecker.hpp>

int main() {
  const kronecker::KroneckerEncoder<256, 16> encoder;
  const kronecker::KroneckerEmbedding embedding(
      encoder, kronecker::Vocabulary({"a", "b"}),
      kronecker::LearnedProjection::normal(4, encoder.code_dim(), 1));
  return embedding.forward({0, 1}).rows() == 2 ? 0 : 1;
}
