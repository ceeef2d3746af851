/// A word that is in no vocabulary has an embedding too, and it lands near the words that are spelled like
/// it.

#include <kronecker/kronecker.hpp>

#include <fmt/core.h>

int main() {
  const kronecker::KroneckerEncoder<> encoder;
  const kronecker::Vocabulary vocabulary({" government", " governor", " movement", " the"});
  const kronecker::KroneckerEmbedding embedding(
      encoder, vocabulary, kronecker::LearnedProjection::normal(512, encoder.code_dim(), 1));

  const char* misspelled = " govermnent";
  const Eigen::VectorXf unseen = embedding.embed(misspelled).normalized();
  fmt::print("'{}' against       codes  embeddings\n", misspelled);
  for (kronecker::TokenId id = 0; id < vocabulary.size(); ++id) {
    const Eigen::VectorXf known = embedding.forward({id}).row(0).transpose().normalized();
    fmt::print("{:>22}  {:+.3f}      {:+.3f}\n", vocabulary.bytes(id),
               encoder.cosine(misspelled, vocabulary.bytes(id)), unseen.dot(known));
  }

  // In a sequence, give the unseen word's bytes in place of a token's id.
  const auto sequence = embedding.forward({3, misspelled});
  fmt::print("a sequence of {} vectors, the second of which is the unseen word's\n", sequence.rows());
}
