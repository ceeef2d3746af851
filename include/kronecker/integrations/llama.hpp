#pragma once

/// Embeddings for llama.cpp, as numbers in memory: a `llama_batch` takes them in the place of tokens. Nothing
/// of llama.cpp is needed to compile this.

#include <kronecker/embedding.hpp>
#include <kronecker/encoder.hpp>
#include <kronecker/namespace.hpp>
#include <kronecker/types.hpp>

#include <algorithm>
#include <cstddef>
#include <span>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace KRONECKER_NAMESPACE {

/// What stands at one position of a sequence: a token of the vocabulary, or any bytes in place of one.
using TokenOrBytes = std::variant<TokenId, std::string_view>;

/// Writes the embeddings of a sequence, (N, d_model), to `out`, the `embd` of a batch that was made by
/// `llama_batch_init(N, d_model, 1)`. An unseen word given as bytes takes one position, whatever tokens the
/// vocabulary would need for it.
///
/// `factor` multiplies all: models that scale their embeddings (Gemma by the square root of d_model) may
/// leave that to who fills the batch. Throws std::out_of_range or std::invalid_argument as the embedding
/// does, naming the position; nothing is written then. O(N * d_model * bytes per token).
template <class Encoder, class Scalar>
void fill_embeddings(const KroneckerEmbedding<Encoder, Scalar>& embedding,
                     std::span<const TokenOrBytes> sequence, float* out, float factor = 1) {
  std::vector<TokenId> ids;
  ids.reserve(sequence.size());
  std::vector<std::pair<std::size_t, std::string_view>> strings;
  for (std::size_t i = 0; i < sequence.size(); ++i) {
    const TokenId* id = std::get_if<TokenId>(&sequence[i]);
    ids.push_back(id ? *id : 0);
    if (id) continue;
    const std::string_view bytes = embedding.encoder().truncate(std::get<std::string_view>(sequence[i]));
    detail::check_alphabet(bytes, embedding.encoder().char_dim(), "string at position ", i);
    strings.emplace_back(i, bytes);
  }
  const auto d_model = static_cast<std::size_t>(embedding.d_model());
  const std::span<float> all(out, sequence.size() * d_model);
  embedding.forward(ids, all);
  for (const auto& [i, bytes] : strings) {
    const auto vector = embedding.embed(bytes);
    std::copy(vector.begin(), vector.end(), all.subspan(i * d_model).begin());
  }
  if (factor != 1)
    for (float& value : all) value *= factor;
}

}  // namespace KRONECKER_NAMESPACE
