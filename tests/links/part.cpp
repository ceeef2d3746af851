/// One file of a program, that uses the library on its own. It is compiled several times, with other flags or
/// headers each time and PART as the name of its function.

#include <kronecker/head.hpp>
#include <kronecker/kronecker.hpp>
#include <kronecker/training/gradient.hpp>

#include <array>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <stdexcept>

namespace {

constexpr std::size_t d_model = 48;

std::uint64_t hash_of(std::uint64_t hash, std::span<const float> values) {
  for (const float value : values)
    hash = (hash ^ kronecker::detail::bit_cast<std::uint32_t>(value)) * 0x100000001b3u;
  return hash;
}

}  // namespace

/// A hash of the bits of some embeddings and gradients, 0 if something was wrong. Makes a mistake that no
/// handler waits for, if asked to.
std::uint64_t PART(bool make_a_mistake);

std::uint64_t PART(bool make_a_mistake) {
  const kronecker::Vocabulary vocabulary({"a", "b", "c"});
  if (vocabulary.size() != 3 || vocabulary.bytes(2) != "c" || vocabulary.find("b") != 1) return 0;

  const kronecker::KroneckerEncoder<256, 8> encoder;
  const kronecker::KroneckerEmbedding embedding(
      encoder, vocabulary, kronecker::LearnedProjection::normal(d_model, encoder.code_dim(), 1));
  constexpr std::array<kronecker::TokenId, 3> ids = {0, 1, 2};
  constexpr std::array<kronecker::TokenId, 1> not_an_id = {3};
  std::array<float, 3 * d_model> out = {};
  embedding.forward(std::span<const kronecker::TokenId>(ids), std::span<float>(out));
  std::uint64_t hash = hash_of(0xcbf29ce484222325u, out);

  if (make_a_mistake) embedding.forward(std::span<const kronecker::TokenId>(not_an_id));
#ifdef __cpp_exceptions
  try {
    embedding.forward(std::span<const kronecker::TokenId>(not_an_id));
    return 0;
  } catch (const std::out_of_range&) {
  }
#endif

  // The head's sums are ordered as each instruction set likes, so these are only close.
  const kronecker::KroneckerHead head(embedding);
  std::array<float, 3> logits = {};
  head.logits(embedding, std::span<const float>(out).first(d_model), logits);
  for (std::size_t token = 0; token < 3; ++token) {
    double expected = 0;
    for (std::size_t i = 0; i < d_model; ++i)
      expected += static_cast<double>(out[i]) * static_cast<double>(out[token * d_model + i]);
    if (!(std::abs(static_cast<double>(logits[token]) - expected) < 1e-3)) return 0;
  }

  kronecker::ProjectionGradient gradient(embedding);
  kronecker::accumulate_gradient(embedding, std::span<const kronecker::TokenId>(ids),
                                 std::span<const float>(out), gradient);
  return hash_of(hash, gradient.values());
}
