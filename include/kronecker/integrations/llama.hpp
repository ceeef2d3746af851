#pragma once

/// Embeddings for llama.cpp, as numbers in memory: a `llama_batch` takes them in the place of tokens. Nothing
/// of llama.cpp is needed to compile this.

#include <kronecker/embedding.hpp>
#include <kronecker/namespace.hpp>
#include <kronecker/token_sequence.hpp>

#include <cstddef>

namespace KRONECKER_NAMESPACE {

/// Writes the embeddings of a sequence, (N, d_model), to `out`, the `embd` of a batch that was made by
/// `llama_batch_init(N, d_model, 1)`. An unseen word given as bytes takes one position, whatever tokens the
/// vocabulary would need for it.
///
/// `gain` multiplies all: models that scale their embeddings (Gemma by the square root of d_model) may leave
/// that to who fills the batch. Throws as `forward` does; nothing is written then. O(N * d_model * bytes per
/// token).
template <class Scalar>
void fill_embeddings(const KroneckerEmbedding<Scalar>& embedding, TokenSequence tokens, float* out,
                     float gain = 1) {
  embedding.forward(tokens, {out, tokens.size() * static_cast<std::size_t>(embedding.d_model())},
                    {.gain = gain});
}

}  // namespace KRONECKER_NAMESPACE
