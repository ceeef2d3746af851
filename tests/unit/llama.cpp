#include "catch.hpp"

#include <kronecker/integrations/llama.hpp>

#include <cmath>

using kronecker::fill_embeddings;
using kronecker::TokenOrBytes;

namespace {

const kronecker::KroneckerEmbedding<> ascii_embedding(kronecker::KroneckerEncoder(128, 8),
                                                      kronecker::Vocabulary({"a", " the", " quick"}),
                                                      kronecker::LearnedProjection::normal(6, 128 * 8, 1));

}  // namespace

TEST_CASE("a batch is filled from ids and from strings, an unseen word at one position") {
  const std::vector<TokenOrBytes> sequence = {2, " unfoxlike words", 0, "", " the", 1};
  kronecker::RowMajorMatrix<float> filled(6, 6);
  fill_embeddings(ascii_embedding, sequence, filled.data());
  CHECK(filled.row(0) == ascii_embedding.forward({2}).row(0));
  CHECK(filled.row(1) == ascii_embedding.embed(" unfoxlike words").transpose());
  CHECK(filled.row(2) == ascii_embedding.forward({0}).row(0));
  CHECK(filled.row(3).isZero(0));
  CHECK(filled.row(4) == filled.row(5));

  kronecker::RowMajorMatrix<float> scaled(6, 6);
  const float gain = std::sqrt(6.0f);
  fill_embeddings(ascii_embedding, sequence, scaled.data(), gain);
  CHECK((scaled - filled * gain).cwiseAbs().maxCoeff<Eigen::PropagateNaN>() < 1e-6f);
  fill_embeddings(ascii_embedding, {}, nullptr);
}

TEST_CASE("a position that cannot be embedded is named, and nothing is written") {
  std::vector<float> out(18, 7.0f);
  const std::vector<TokenOrBytes> id_out_of_range = {"b", 0, 3}, outside_alphabet = {0, "\xC3\xA9", 1};
  CHECK(message_of<std::out_of_range>([&] {
          fill_embeddings(ascii_embedding, id_out_of_range, out.data());
        }) == "token id 3 at index 2 is outside the vocabulary of 3 tokens");
  CHECK(message_of<std::invalid_argument>([&] {
          fill_embeddings(ascii_embedding, outside_alphabet, out.data());
        }) == "string at index 1: byte 195 at position 0 is outside the alphabet of char_dim 128");
  CHECK(out == std::vector<float>(18, 7.0f));
}
