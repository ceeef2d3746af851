/// Takes from the other file what USE names: argument, result or variable.

#include "shared.hpp"

#define argument 1
#define result 2
#define variable 3

int main() {
#if USE == argument
  const kronecker::KroneckerEncoder<256, 8> encoder;
  return count(kronecker::KroneckerEmbedding(
             encoder, kronecker::Vocabulary({"a", "b", "c"}),
             kronecker::LearnedProjection::normal(4, encoder.code_dim(), 1))) == 3
             ? 0
             : 1;
#elif USE == result
  const kronecker::Vocabulary vocabulary = make_vocabulary();
  return vocabulary.bytes(2) == "c" ? 0 : 1;
#elif USE == variable
  return the_vocabulary.bytes(2) == "c" ? 0 : 1;
#endif
}
