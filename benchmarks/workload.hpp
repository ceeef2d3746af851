#pragma once

/// What is embedded: the ids of English prose under real vocabularies, or of made-up words where those are
/// absent, and an embedding for each.

#include "token_file.hpp"

#include <kronecker/files/npy.hpp>
#include <kronecker/kronecker.hpp>

#include <cmath>
#include <random>
#include <string>
#include <vector>

namespace benchmarks {

using kronecker::RowMajorMatrix;
using kronecker::TokenId;
using Encoder = kronecker::DynamicEncoder;
template <class Scalar>
using Embedding = kronecker::KroneckerEmbedding<Scalar>;

/// A vocabulary and the sizes of the layer.
struct Setting {
  std::string vocabulary;
  int vocab_size;
  int pos_dim;
  int d_model;

  std::string name() const {
    return std::to_string(vocab_size) + ", " + std::to_string(pos_dim) + ", " + std::to_string(d_model);
  }
};

inline const Setting gpt2{"gpt2", 50257, 16, 768};
inline const Setting llama3{"llama3", 128256, 32, 4096};

/// The settings to measure: without the large one, whose table takes seconds to make, for a first impression.
inline std::vector<Setting> settings(bool quick) {
  return quick ? std::vector{gpt2} : std::vector{gpt2, llama3};
}

/// How a setting's name is to be read.
inline const std::string settings_are = "V, pos_dim, d_model";

/// Tokens, and a text made of them.
struct Text {
  std::string name;
  kronecker::Vocabulary vocabulary;
  std::vector<TokenId> ids;
};

/// Words of 1 to 8 letters, drawn with a frequency that falls with their rank as in text.
inline Text made_up_text(int vocab_size) {
  std::mt19937_64 random(1);
  std::vector<std::string> tokens(static_cast<std::size_t>(vocab_size));
  for (std::string& token : tokens) {
    token.resize(1 + random() % 8);
    for (char& letter : token) letter = static_cast<char>('a' + random() % 26);
  }
  std::vector<TokenId> ids(200000);
  for (TokenId& id : ids) {
    const double uniform = static_cast<double>(random() >> 11) / 9007199254740992.0;
    id = static_cast<TokenId>(std::pow(vocab_size, uniform)) - 1;
  }
  return {"made-up words (the real text was not found)", kronecker::Vocabulary(std::move(tokens)),
          std::move(ids)};
}

/// The text of a setting, at most `most` tokens of it.
inline Text text_of(const Setting& setting, std::size_t most) {
  const std::filesystem::path data = KRONECKER_DATA_DIR;
  const auto tokens = data / "truth" / (setting.vocabulary + ".tokens.bin");
  const auto stream = data / "streams" / ("english_" + setting.vocabulary + ".npy");
  Text text = std::filesystem::exists(tokens) && std::filesystem::exists(stream)
                  ? Text{"English prose", kronecker::Vocabulary(test_support::read_token_file(tokens)),
                         kronecker::read_npy<TokenId>(stream).values}
                  : made_up_text(setting.vocab_size);
  if (text.ids.size() > most) text.ids.resize(most);
  return text;
}

/// The embedding of a vocabulary with random weights.
inline Embedding<float> random_embedding(const kronecker::Vocabulary& vocabulary, int pos_dim, int d_model) {
  const Encoder encoder(256, pos_dim);
  return Embedding<float>(encoder, vocabulary,
                          kronecker::LearnedProjection::normal(d_model, encoder.code_dim(), 1));
}

/// A text, its embedding and the table that the embedding replaces.
struct Workload {
  /// A quick run takes a part of the text. That favors the table: the shorter a text, the fewer different
  /// rows of the table it reads, and the nearer the cache that holds them.
  Workload(const Setting& of, bool quick)
      : setting(of),
        text(text_of(of, (std::size_t{1} << (quick ? 26 : 40)) / static_cast<std::size_t>(of.d_model))),
        embedding(random_embedding(text.vocabulary, of.pos_dim, of.d_model)),
        table(embedding.table()) {}

  Setting setting;
  Text text;
  Embedding<float> embedding;
  RowMajorMatrix<float> table;
};

/// Mean number of bytes of a token of `ids`.
template <class Scalar>
double bytes_per_token(const Embedding<Scalar>& embedding, std::span<const TokenId> ids) {
  double bytes = 0;
  for (const TokenId id : ids) bytes += embedding.token_bytes().lengths()[static_cast<std::size_t>(id)];
  return bytes / static_cast<double>(ids.size());
}

/// Calls `visit(name, embedding)` for the embedding with rows of each type.
template <class Visit>
void for_each_row_type(const Embedding<float>& embedding, Visit&& visit) {
  visit("float32", embedding);
  visit("bfloat16", embedding.cast<Eigen::bfloat16>());
  visit("float16", embedding.cast<Eigen::half>());
  visit("int8", embedding.cast<std::int8_t>());
}

}  // namespace benchmarks
