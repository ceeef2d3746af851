#include "golden.hpp"

#include <kronecker/analysis/byte_decoder.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <set>

using kronecker::ByteDecoder;
using kronecker::DecodedBytes;
using kronecker::KroneckerEmbedding;
using kronecker::KroneckerEncoder;
using kronecker::LearnedProjection;
using kronecker::Vocabulary;

namespace {

/// All strings of 1 to `most` bytes of an alphabet.
std::vector<std::string> all_strings(int char_dim, int most) {
  std::vector<std::string> strings, last{""};
  for (int length = 1; length <= most; ++length) {
    std::vector<std::string> longer;
    for (const std::string& string : last)
      for (int byte = 0; byte < char_dim; ++byte) longer.push_back(string + static_cast<char>(byte));
    strings.insert(strings.end(), longer.begin(), longer.end());
    last = longer;
  }
  return strings;
}

/// Some of the distinct tokens of a real vocabulary that are not longer than pos_dim bytes.
std::vector<std::string> some_tokens(const std::filesystem::path& file, std::size_t pos_dim,
                                     std::size_t count) {
  const std::vector<std::string> tokens = test_support::read_token_file(file);
  std::set<std::string> distinct;
  for (const std::string& token : tokens)
    if (!token.empty() && token.size() <= pos_dim) distinct.insert(token);
  std::vector<std::string> some(distinct.begin(), distinct.end());
  std::mt19937 random(1);
  std::shuffle(some.begin(), some.end(), random);
  some.resize(std::min(some.size(), count));
  return some;
}

template <class Scalar>
std::size_t decoded_wrongly(const KroneckerEmbedding<Scalar>& embedding,
                            const std::vector<std::string>& strings) {
  const ByteDecoder decoder(embedding);
  const std::vector<kronecker::TokenOrBytes> sequence(strings.begin(), strings.end());
  const std::vector<DecodedBytes> decoded = decoder.decode_all(embedding.forward(sequence));
  REQUIRE(decoded.size() == strings.size());
  std::size_t wrong = 0;
  for (std::size_t i = 0; i < strings.size(); ++i) wrong += decoded[i].bytes == strings[i] ? 0 : 1;
  return wrong;
}

}  // namespace

TEST_CASE("embeddings of real tokens and of any other bytes become those bytes again, in every mode") {
  std::mt19937 random(2);
  std::vector<std::string> strings{std::string(1, '\0'), " unfoxlike", std::string(16, 'a')};
  for (int i = 0; i < 100; ++i) {
    strings.emplace_back(1 + random() % 16, '\0');
    for (char& byte : strings.back()) byte = static_cast<char>(random() & 255);
  }
  for (const auto& file : test_support::real_token_files()) {
    if (file.filename() != "gpt2.tokens.bin" && file.filename() != "llama3.tokens.bin") continue;
    const std::vector<std::string> tokens = some_tokens(file, 16, 300);
    strings.insert(strings.end(), tokens.begin(), tokens.end());
  }
  for (const auto& [name, options] : test_support::modes()) {
    INFO(name);
    const KroneckerEmbedding embedding(KroneckerEncoder<256, 16>(options), Vocabulary({"a"}),
                                       LearnedProjection::normal(384, 256 * 16, 7));
    CHECK(decoded_wrongly(embedding, strings) == 0);
    if (name == "TT") CHECK(decoded_wrongly(embedding.cast<std::int8_t>(), strings) == 0);
    if (name == "FF") CHECK(decoded_wrongly(embedding.cast<Eigen::bfloat16>(), strings) == 0);
  }
}

TEST_CASE("rounded codes and a norm are decoded, and rows of their own have no part in it") {
  std::mt19937 random(4);
  std::vector<std::string> strings{"kitten", " unfox"};
  for (int i = 0; i < 100; ++i) {
    strings.emplace_back(1 + random() % 8, '\0');
    for (char& byte : strings.back()) byte = static_cast<char>(random() & 255);
  }
  // A mean row as large as the others, of which a rounded code leaves something.
  kronecker::RowMajorMatrix<float> weight = LearnedProjection::normal(256, 2048, 3).to_torch();
  weight.array() += weight(0, 0) + 0.05f;
  kronecker::CodeOptions options;
  options.rounding = kronecker::CodeRounding::bfloat16;
  const KroneckerEmbedding embedding(KroneckerEncoder<256, 8>(options), Vocabulary({"a", "b"}),
                                     LearnedProjection::from_torch(weight));
  CHECK(decoded_wrongly(embedding, strings) == 0);
  CHECK(ByteDecoder(embedding).decode(embedding.embed("kitten")).cosine == 1.0f);
  std::vector<float> norm_weight(256);
  for (float& value : norm_weight) value = static_cast<float>(random() % 1000) / 500 - 0.9f;
  const auto normed =
      embedding.with_norm(norm_weight, 1e-6f).with_own_rows({0}, std::vector<float>(256, 1.0f));
  CHECK(decoded_wrongly(normed, strings) == 0);
  CHECK(ByteDecoder(normed).decode(normed.embed("kitten")).cosine == 1.0f);
  CHECK(decoded_wrongly(normed.cast<std::int8_t>(), strings) == 0);
}

TEST_CASE("a vector is decoded to the string that comparing it with all strings finds") {
  // Strings of 1 to 4 of 4 bytes; the noise is three tenths of the embedding's length.
  const std::vector<std::string> strings = all_strings(4, 4);
  const KroneckerEmbedding embedding(KroneckerEncoder(4, 4), Vocabulary(strings),
                                     LearnedProjection::normal(12, 16, 3));
  const ByteDecoder decoder(embedding);
  const kronecker::RowMajorMatrix<double> table = embedding.table().cast<double>().rowwise().normalized();
  std::mt19937 random(3);
  int same = 0, same_of_nothing = 0;
  constexpr int count = 300;
  const auto is_nearest = [&](const Eigen::VectorXd& vector) {
    Eigen::Index nearest = 0;
    const double cosine = (table * vector.normalized()).maxCoeff(&nearest);
    const DecodedBytes decoded = decoder.decode(Eigen::VectorXf(vector.cast<float>()));
    const auto found = std::find(strings.begin(), strings.end(), decoded.bytes);
    REQUIRE(found != strings.end());
    const double own = table.row(found - strings.begin()).dot(vector.normalized());
    CHECK(std::abs(static_cast<double>(decoded.cosine) - own) < 1e-5);
    CHECK(own <= cosine + 1e-5);
    return decoded.bytes == strings[static_cast<std::size_t>(nearest)];
  };
  for (int i = 0; i < count; ++i) {
    Eigen::VectorXd noise(12);
    for (double& value : noise) value = static_cast<double>(random()) / 4294967295.0 - 0.5;
    noise.normalize();
    const Eigen::VectorXd clean = table.row(static_cast<Eigen::Index>(random() % strings.size())).transpose();
    same += is_nearest(5 * (clean + 0.3 * noise)) ? 1 : 0;
    same_of_nothing += is_nearest(noise) ? 1 : 0;
  }
  CHECK(same >= count * 97 / 100);
  CHECK(same_of_nothing >= count * 70 / 100);  // a vector that is near no string: the search may end before
}

TEST_CASE("more numbers than cells are no obstacle, nor are rows that are all zero") {
  const std::vector<std::string> strings = all_strings(3, 3);
  const KroneckerEmbedding embedding(KroneckerEncoder(3, 3), Vocabulary(strings),
                                     LearnedProjection::normal(24, 9, 3));
  CHECK(decoded_wrongly(embedding, strings) == 0);

  const kronecker::RowMajorMatrix<float> zeros = kronecker::RowMajorMatrix<float>::Zero(4, 9);
  const KroneckerEmbedding nothing(KroneckerEncoder(3, 3), Vocabulary(strings),
                                   LearnedProjection::from_torch(zeros));
  const ByteDecoder decoder(nothing);
  CHECK(decoder.stable_rank() == 0);
  CHECK(decoder.decode(Eigen::VectorXf(Eigen::VectorXf::Ones(4))).cosine == 0);
}

TEST_CASE("how long a decoded vector is does not matter, and zeros are no bytes") {
  const KroneckerEmbedding embedding(KroneckerEncoder<256, 8>(), Vocabulary({"a"}),
                                     LearnedProjection::normal(256, 2048, 1));
  const ByteDecoder decoder(embedding);
  CHECK(decoder.d_model() == 256);
  const Eigen::VectorXf vector = embedding.embed("kitten");
  CHECK(decoder.decode(vector) == DecodedBytes{"kitten", 1.0f});
  CHECK(decoder.decode(Eigen::VectorXf(1000 * vector)) == DecodedBytes{"kitten", 1.0f});
  CHECK(decoder.decode(Eigen::VectorXf(1e-6f * vector)).bytes == "kitten");
  CHECK(decoder.decode(embedding.embed("a sentence, cut")).bytes == "a senten");
  CHECK(decoder.decode(Eigen::VectorXf(Eigen::VectorXf::Zero(256))) == DecodedBytes{});
  CHECK(decoder.decode(embedding.embed("")) == DecodedBytes{});
  CHECK(decoder.decode_all(std::vector<float>{}).empty());
}

TEST_CASE("the stable rank is what its definition makes of rows whose singular values are known") {
  // Rows 3 e_0, -3 e_0, 2 e_1, -2 e_1 and zeros: they are centered, with singular values sqrt(18) and
  // sqrt(8).
  kronecker::RowMajorMatrix<float> weight = kronecker::RowMajorMatrix<float>::Zero(3, 8);
  weight(0, 0) = 3;
  weight(0, 1) = -3;
  weight(1, 2) = 2;
  weight(1, 3) = -2;
  const KroneckerEmbedding embedding(KroneckerEncoder(4, 2), Vocabulary({std::string(1, '\0')}),
                                     LearnedProjection::from_torch(weight));
  CHECK(std::abs(ByteDecoder(embedding).stable_rank() - 26.0 / 18.0) < 1e-5);
}

TEST_CASE("vectors that cannot be decoded are refused by what is wrong with them") {
  const KroneckerEmbedding embedding(KroneckerEncoder<256, 8>(), Vocabulary({"a"}),
                                     LearnedProjection::normal(4, 2048, 1));
  const ByteDecoder decoder(embedding);
  CHECK(message_of<std::invalid_argument>([&] { decoder.decode(std::vector<float>(3)); }) ==
        "a vector of 3 numbers cannot be decoded: d_model is 4");
  CHECK(message_of<std::invalid_argument>([&] { decoder.decode_all(std::vector<float>(6)); }) ==
        "6 numbers are no vectors of d_model 4");
  std::vector<float> vectors(8);
  vectors[6] = std::numeric_limits<float>::infinity();
  CHECK(message_of<std::invalid_argument>([&] { decoder.decode_all(vectors); }) ==
        "number 2 of the vector at index 1 is inf: it must be finite");
}
