#pragma once

/// The embedding on which the golden outputs and gradients were computed: 64 tokens, pos_dim 8, d_model 8.

#include "golden.hpp"

#include <kronecker/embedding.hpp>

#include <string>
#include <vector>

namespace test_support {

using GoldenEncoder = kronecker::KroneckerEncoder<256, 8>;

/// Its tokens, as the reference truncated them.
inline kronecker::Vocabulary golden_vocabulary() {
  const auto bytes = kronecker::read_npy<std::uint8_t>(golden_path("emb_d8_p8_bytes.npy"));
  const auto lengths = kronecker::read_npy<std::int16_t>(golden_path("emb_d8_p8_lens.npy"));
  std::vector<std::string> tokens;
  for (std::size_t id = 0; id < lengths.values.size(); ++id)
    tokens.emplace_back(reinterpret_cast<const char*>(bytes.values.data()) + id * bytes.shape[1],
                        static_cast<std::size_t>(lengths.values[id]));
  return kronecker::Vocabulary(tokens);
}

/// Two sequences of 7 ids.
inline std::vector<kronecker::TokenId> golden_ids() {
  const auto ids = kronecker::read_npy<std::int64_t>(golden_path("emb_d8_p8_ids.npy")).values;
  return {ids.begin(), ids.end()};
}

inline kronecker::KroneckerEmbedding<> golden_embedding(kronecker::CodeOptions options) {
  return {GoldenEncoder(options), golden_vocabulary(),
          kronecker::LearnedProjection::from_torch(golden_matrix("emb_d8_p8_weight.npy"))};
}

}  // namespace test_support
