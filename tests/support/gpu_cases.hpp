#pragma once

/// Embeddings of every kind on which GPU kernels are compared with the library on the CPU.

#include <kronecker/embedding.hpp>
#include <kronecker/training/training.hpp>

#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

namespace test_support {

/// What an embedding has besides rows.
struct GpuCase {
  int d_model;
  std::size_t count;  ///< Tokens of a call.
  bool has_own_rows = false;
  bool is_rounded = false;  ///< Its code, to bfloat16.
  bool has_norm = false;
  int pos_dim = 6;
  int vocab_size = 300;
};

/// Each size as it is, with rows of their own, with rounded codes besides, and with a norm besides.
inline std::vector<GpuCase> of_all_kinds(const std::vector<GpuCase>& sizes) {
  std::vector<GpuCase> cases;
  for (GpuCase of : sizes) {
    cases.push_back(of);
    of.has_own_rows = true;
    cases.push_back(of);
    of.is_rounded = true;
    cases.push_back(of);
    of.has_norm = true;
    cases.push_back(of);
  }
  return cases;
}

/// Tokens of 0 to pos_dim bytes, of which some are frequent.
inline kronecker::Vocabulary gpu_vocabulary(const GpuCase& of, std::mt19937& random) {
  std::vector<std::string> tokens(static_cast<std::size_t>(of.vocab_size));
  for (std::size_t i = 1; i < tokens.size(); ++i) {
    const std::size_t length = random() % (static_cast<std::size_t>(of.pos_dim) + 1);
    for (std::size_t p = 0; p < length; ++p)
      tokens[i] += static_cast<char>(random() % 2 == 0 ? ' ' + static_cast<int>(random() % 3)
                                                       : static_cast<int>(random() % 256));
  }
  return kronecker::Vocabulary(tokens);
}

template <class Scalar>
kronecker::KroneckerEmbedding<Scalar> gpu_embedding(const GpuCase& of, std::mt19937& random) {
  kronecker::CodeOptions options;
  if (of.is_rounded) options.rounding = kronecker::CodeRounding::bfloat16;
  const kronecker::KroneckerEncoder encoder(256, of.pos_dim, options);
  kronecker::KroneckerEmbedding<Scalar> embedding(
      encoder, gpu_vocabulary(of, random),
      kronecker::LearnedProjection::normal(of.d_model, encoder.code_dim(), random()));
  std::normal_distribution<float> normal;
  const auto normals = [&](std::size_t count) {
    std::vector<float> numbers(count);
    for (float& number : numbers) number = normal(random);
    return numbers;
  };
  const auto width = static_cast<std::size_t>(of.d_model);
  if (of.has_own_rows) {
    std::vector<kronecker::TokenId> ids;
    for (int id = 0; id < of.vocab_size; id += 1 + static_cast<int>(random() % 7)) ids.push_back(id);
    embedding = embedding.with_own_rows(ids, normals(ids.size() * width));
  }
  if (of.has_norm) embedding = embedding.with_norm(normals(width), 1e-6f);
  return embedding;
}

inline std::vector<std::int32_t> gpu_ids(const GpuCase& of, std::mt19937& random) {
  std::vector<std::int32_t> ids(of.count);
  for (std::int32_t& id : ids)
    id = static_cast<std::int32_t>(random() %
                                   (random() % 2 == 0 ? 10u : static_cast<unsigned>(of.vocab_size)));
  return ids;
}

}  // namespace test_support
