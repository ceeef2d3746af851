#pragma once

/// Embeddings for llama.cpp, which takes them in the place of tokens. Where its header is found,
/// `embedding_batch` makes the batch (llama_batch.hpp); nothing of llama.cpp is needed for the numbers alone.

#include <kronecker/embedding.hpp>
#include <kronecker/namespace.hpp>
#include <kronecker/token_sequence.hpp>

#include <cstddef>

#if __has_include(<llama.h>)
#include <kronecker/integrations/llama_batch.hpp>
#endif

namespace KRONECKER_NAMESPACE {

/// Writes the embeddings of a sequence, (N, d_model), to `out`, for a batch that is made by other means than
/// `embedding_batch`, which knows what a model takes. An unseen word given as bytes takes one position,
/// whatever tokens the vocabulary would need for it.
///
/// `gain` multiplies all. Throws as `forward` does; nothing is written then. O(N * d_model * bytes per
/// token).
template <class Scalar>
void fill_embeddings(const KroneckerEmbedding<Scalar>& embedding, TokenSequence tokens, float* out,
                     float gain = 1) {
  embedding.forward(tokens, {out, tokens.size() * static_cast<std::size_t>(embedding.d_model())},
                    {.gain = gain});
}

}  // namespace KRONECKER_NAMESPACE
