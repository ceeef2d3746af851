// Must not compile: the embeddings of a column-major matrix would be transposed.
#include <kronecker/kronecker.hpp>

void embed(const kronecker::KroneckerEmbedding<>& embedding, Eigen::MatrixXf& out) {
  embedding.forward({0, 1}, out);
}
