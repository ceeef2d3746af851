/// Built with -fno-exceptions: the umbrella compiles, works, and a mistake is printed before the program
/// aborts.

#include <kronecker/kronecker.hpp>

#include <csignal>
#include <cstdlib>

int main() {
  std::signal(SIGABRT, [](int) { std::_Exit(3); });  // so that the test can tell an abort from a crash
  const kronecker::KroneckerEncoder<256, 8> encoder;
  const kronecker::KroneckerEmbedding embedding(
      encoder, kronecker::Vocabulary({"a", "b"}),
      kronecker::LearnedProjection::normal(4, encoder.code_dim(), 1));
  if (embedding.forward({0, 1}).rows() != 2) return 1;
  embedding.forward({2});
  return 2;
}
