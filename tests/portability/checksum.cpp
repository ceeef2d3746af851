/// Prints a checksum over the bits of everything that promises the same bits on every CPU and compiler:
/// initial weights, scales, codes, cosines, embeddings from rows of every type, with all their parts, and
/// their gradients. tests/portability/compare.cmake builds it in several ways, runs it with every instruction
/// set, and compares with the one right number.

#include <kronecker/kronecker.hpp>
#include <kronecker/training/gradient.hpp>

#include <cstdio>
#include <string>
#include <vector>

namespace {

class Checksum {
 public:
  void add(float value) {
    sum_ ^= kronecker::detail::bit_cast<std::uint32_t>(value);
    sum_ *= 0x100000001b3u;
  }
  void add(const kronecker::RowMajorMatrix<float>& values) {
    for (Eigen::Index i = 0; i < values.size(); ++i) add(values.data()[i]);
  }
  std::uint64_t sum() const { return sum_; }

 private:
  std::uint64_t sum_ = 0xcbf29ce484222325u;
};

template <class Scalar>
void add_embedding(Checksum& checksum, const kronecker::KroneckerEmbedding<Scalar>& embedding) {
  const std::vector<kronecker::TokenId> ids = {1, 2};
  const auto table = embedding.table();
  checksum.add(embedding.projection().to_torch());
  checksum.add(table);
  checksum.add(embedding.forward(ids, {{1, "unseen"}}));

  kronecker::ProjectionGradient gradient(embedding);
  kronecker::accumulate_gradient(embedding, kronecker::TokenSequence::in_order(0, embedding.vocab_size()),
                                 table, gradient);
  checksum.add(gradient.to_torch());
  for (const float value : gradient.all()) checksum.add(value);
}

/// The same with rows of their own and a norm, whose numbers are those of the projection.
template <class Scalar>
void add_with_all_parts(Checksum& checksum, const kronecker::KroneckerEmbedding<Scalar>& embedding,
                        const kronecker::LearnedProjection& projection) {
  const auto width = static_cast<std::size_t>(embedding.d_model());
  const auto& weights = projection.weights();
  const auto with_own_rows = embedding.with_own_rows({70, 3}, {weights.data(), 2 * width});
  add_embedding(checksum, with_own_rows.with_norm({weights.data() + 2 * width, width}, 1e-6f));
}

void add_all_of(Checksum& checksum, const kronecker::DynamicEncoder& encoder,
                const std::vector<std::string>& tokens, int d_model) {
  const kronecker::Vocabulary vocabulary(tokens);
  for (int length = 0; length <= encoder.pos_dim(); ++length) checksum.add(encoder.scale(length));
  for (std::size_t i = 1; i < tokens.size(); ++i) checksum.add(encoder.cosine(tokens[i - 1], tokens[i]));
  for (const std::string& token : {tokens[1], tokens[7]}) checksum.add(encoder.encode(token));
  for (const auto& projection : {kronecker::LearnedProjection::normal(d_model, encoder.code_dim(), 7),
                                 kronecker::LearnedProjection::xavier(d_model, encoder.code_dim(), 8)}) {
    const kronecker::KroneckerEmbedding embedding(encoder, vocabulary, projection);
    checksum.add(projection.to_torch());
    add_embedding(checksum, embedding);
    add_embedding(checksum, embedding.cast<Eigen::bfloat16>());
    add_embedding(checksum, embedding.cast<Eigen::half>());
    add_embedding(checksum, embedding.cast<std::int8_t>());
    add_with_all_parts(checksum, embedding, projection);
    add_with_all_parts(checksum, embedding.cast<Eigen::bfloat16>(), projection);
    add_with_all_parts(checksum, embedding.cast<std::int8_t>(), projection);
  }
}

}  // namespace

int main() {
  std::vector<std::string> tokens;
  std::uint32_t state = 1;
  const auto next = [&] { return (state = state * 1664525u + 1013904223u) >> 16; };
  for (int i = 0; i < 100; ++i) {
    std::string token(next() % 36, '\0');
    for (char& byte : token) byte = static_cast<char>(next() % 128);
    tokens.push_back(token);
  }
  Checksum checksum;
  for (const bool length_normalize : {true, false})
    for (const bool z_normalize : {true, false}) {
      const kronecker::CodeOptions options{length_normalize, z_normalize, 1e-6f};
      add_all_of(checksum, kronecker::KroneckerEncoder<>(options), tokens, 140);
      add_all_of(checksum, kronecker::KroneckerEncoder<256, 16>(options), tokens, 33);
      add_all_of(checksum, kronecker::KroneckerEncoder(128, 5, options), tokens, 3);
      const kronecker::CodeOptions rounded{length_normalize, z_normalize, 1e-6f,
                                           kronecker::CodeRounding::bfloat16};
      add_all_of(checksum, kronecker::KroneckerEncoder<256, 16>(rounded), tokens, 96);
    }
  std::printf("%016llx\n", static_cast<unsigned long long>(checksum.sum()));
}
