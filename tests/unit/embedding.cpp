#include "definition.hpp"
#include "golden_embedding.hpp"
#include "matrices.hpp"

#include <kronecker/embedding.hpp>
#include <kronecker/token_strings.hpp>

#include <array>
#include <cstring>
#include <limits>
#include <numeric>
#include <random>
#include <thread>

using kronecker::CodeOptions;
using kronecker::KroneckerEmbedding;
using kronecker::KroneckerEncoder;
using kronecker::LearnedProjection;
using kronecker::RowMajorMatrix;
using kronecker::TokenId;
using kronecker::Vocabulary;
using test_support::doubles;
using test_support::golden_embedding;
using test_support::golden_ids;
using test_support::golden_matrix;
using test_support::golden_vocabulary;
using test_support::GoldenEncoder;
using test_support::largest_of;
using test_support::max_difference;
using test_support::modes;
using test_support::same_bits;

namespace {

/// A vocabulary of random bytes with an empty token, long tokens and doubles.
Vocabulary random_vocabulary(int size, int char_dim, int longest, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<std::string> tokens(static_cast<std::size_t>(size));
  for (std::size_t id = 1; id < tokens.size(); ++id) {
    tokens[id].resize(random() % static_cast<unsigned>(longest + 1));
    for (char& byte : tokens[id]) byte = static_cast<char>(random() % static_cast<unsigned>(char_dim));
  }
  return Vocabulary(tokens);
}

}  // namespace

TEST_CASE("outputs and tables are the reference's, in every mode") {
  for (const auto& [mode, options] : modes()) {
    const auto embedding = golden_embedding(options);
    const double tolerance = options.z_normalize ? 2e-5 : 1e-6;
    INFO("mode " << mode);
    CHECK(max_difference(embedding.forward(golden_ids()), golden_matrix("emb_d8_p8_out_" + mode + ".npy")) <
          tolerance);
    CHECK(max_difference(embedding.table(), golden_matrix("emb_d8_p8_table_" + mode + ".npy")) < tolerance);
  }
}

TEST_CASE("overridden bytes give the reference's outputs") {
  const auto embedding = golden_embedding({});
  const std::vector<TokenId> all_ids = golden_ids();
  const std::vector<TokenId> ids(all_ids.begin() + 7, all_ids.end());  // the second of two sequences
  const RowMajorMatrix<float> plain = embedding.forward(ids);
  const auto goldens = test_support::golden_json("embedding.json");
  REQUIRE(goldens["config"]["overrides"].size() == 8);
  int lost_by_reference = 0;
  for (const auto& golden : goldens["config"]["overrides"]) {
    INFO(golden["file"]);
    std::map<std::size_t, std::string> overrides;
    for (const auto& [position, hex] : golden["override_hex"].items())
      overrides[std::stoul(position)] = test_support::from_hex(hex);
    RowMajorMatrix<float> out = embedding.forward(ids, overrides);
    for (Eigen::Index row = 0; row < out.rows(); ++row)
      if (!overrides.contains(static_cast<std::size_t>(row))) CHECK(same_bits(out.row(row), plain.row(row)));
    RowMajorMatrix<float> expected = golden_matrix(golden["file"]);
    for (const auto& [position, bytes] : overrides) {
      // The reference loses bytes that are not text when it truncates them; here they are cut and kept.
      const auto row = static_cast<Eigen::Index>(position);
      if (bytes.empty() || !expected.row(row).isZero(0)) continue;
      ++lost_by_reference;
      expected.row(row) = embedding.embed(bytes.substr(0, 8)).transpose();
    }
    CHECK(max_difference(out, expected) < 2e-5);
  }
  CHECK(lost_by_reference == 2);
}

TEST_CASE("overrides follow embed, and an empty map changes nothing") {
  const auto embedding = golden_embedding({});
  const std::vector<TokenId> ids = {1, 2, 3};
  const auto out = embedding.forward(ids, {{1, "unseen word"}});
  CHECK(same_bits(out.row(1), embedding.embed("unseen word").transpose()));
  CHECK(same_bits(embedding.forward(ids, std::map<std::size_t, std::string>()), embedding.forward(ids)));
}

TEST_CASE("embeddings of all sizes and options are those of the definition") {
  std::mt19937 random(13);
  for (int round = 0; round < 40; ++round) {
    const int char_dim = round % 4 == 0 ? 256 : 2 + static_cast<int>(random() % 255);
    const int pos_dim = round == 1 ? 255 : round == 2 ? 1 : 1 + static_cast<int>(random() % 40);
    const int d_model = 1 + static_cast<int>(random() % 70);
    const CodeOptions options{random() % 2 == 0, random() % 2 == 0,
                              std::array{0.0f, 1e-6f, 0.1f}[random() % 3]};
    const KroneckerEncoder encoder(char_dim, pos_dim, options);
    const Vocabulary vocabulary =
        random_vocabulary(20, char_dim, pos_dim + 3, static_cast<unsigned>(random()));
    const RowMajorMatrix<float> weight =
        LearnedProjection::normal(d_model, encoder.code_dim(), random()).to_torch();
    const KroneckerEmbedding embedding(encoder, vocabulary, LearnedProjection::from_torch(weight));
    const RowMajorMatrix<float> table = embedding.table();
    INFO("char_dim " << char_dim << ", pos_dim " << pos_dim << ", d_model " << d_model);
    for (TokenId id = 0; id < vocabulary.size(); ++id) {
      const auto bytes = encoder.truncate(vocabulary.bytes(id));
      const Eigen::VectorXd expected =
          test_support::embedding_by_definition(bytes, char_dim, pos_dim, options, weight);
      // L + 1 roundings of sums of about this size, and those of the centering.
      const double sum_of_magnitudes = static_cast<double>(encoder.scale(static_cast<int>(bytes.size()))) *
                                       static_cast<double>(bytes.size()) * largest_of(weight);
      const double tolerance = 6e-8 * static_cast<double>(bytes.size() + 3) * sum_of_magnitudes + 1e-12;
      CHECK(max_difference(table.row(id), expected.transpose()) <= tolerance);
    }
  }
}

TEST_CASE("a projection read back gives the same outputs, also by the definition") {
  const Vocabulary vocabulary = golden_vocabulary();
  for (const auto& [mode, options] : modes()) {
    const auto embedding = golden_embedding(options);
    const RowMajorMatrix<float> weight = embedding.projection().to_torch();
    const RowMajorMatrix<float> table = embedding.table();
    INFO("mode " << mode);
    for (TokenId id = 0; id < embedding.vocab_size(); ++id) {
      const Eigen::VectorXd expected =
          test_support::embedding_by_definition(vocabulary.bytes(id), 256, 8, options, weight);
      CHECK(max_difference(table.row(id), expected.transpose()) < 3e-6);
    }
    const KroneckerEmbedding again(embedding.encoder(), vocabulary, embedding.projection());
    CHECK(max_difference(again.table(), table) < 3e-6);
    if (!options.z_normalize) CHECK(same_bits(weight, golden_matrix("emb_d8_p8_weight.npy")));
  }
}

TEST_CASE("z-normalizing makes a constant added to every weight vanish; not doing so keeps it") {
  const RowMajorMatrix<float> weight = golden_matrix("emb_d8_p8_weight.npy");
  const RowMajorMatrix<float> shifted = weight.array() + 1.0f;
  for (const auto& [mode, options] : modes()) {
    const KroneckerEmbedding embedding(GoldenEncoder(options), golden_vocabulary(),
                                       LearnedProjection::from_torch(weight));
    const KroneckerEmbedding other(GoldenEncoder(options), golden_vocabulary(),
                                   LearnedProjection::from_torch(shifted));
    const double difference = max_difference(embedding.table(), other.table());
    INFO("mode " << mode);
    // A weight near 1 is rounded to 6e-8; a token sums 8 of them and multiplies by at most a_8 = 16.
    if (options.z_normalize)
      CHECK(difference < 6e-8 * 2 * 8 * 16);
    else
      CHECK(difference > 1);
  }
}

TEST_CASE("any bytes are embedded like a token with these bytes, bit for bit") {
  for (const auto& [mode, options] : modes()) {
    const KroneckerEncoder<256, 16> encoder(options);
    const Vocabulary vocabulary = random_vocabulary(300, 256, 24, 3);
    const KroneckerEmbedding embedding(encoder, vocabulary,
                                       LearnedProjection::normal(67, encoder.code_dim(), 4));
    const RowMajorMatrix<float> table = embedding.table();
    for (TokenId id = 0; id < vocabulary.size(); ++id)
      if (!same_bits(embedding.embed(vocabulary.bytes(id)).transpose(), table.row(id)))
        FAIL("mode " << mode << ", id " << id);
    CHECK(embedding.embed("never seen").norm() > 0);
  }
}

TEST_CASE("a batch is its pieces, bit for bit, whichever form of forward is used") {
  const Vocabulary vocabulary = random_vocabulary(100, 256, 20, 5);
  const KroneckerEncoder<256, 16> encoder;
  const KroneckerEmbedding embedding(encoder, vocabulary,
                                     LearnedProjection::xavier(50, encoder.code_dim(), 6));
  std::vector<TokenId> ids(64);
  std::mt19937 random(8);
  for (TokenId& id : ids) id = static_cast<TokenId>(random() % 100);

  const RowMajorMatrix<float> whole = embedding.forward(ids);
  const RowMajorMatrix<float> table = embedding.table();
  for (std::size_t i = 0; i < ids.size(); ++i) {
    CHECK(same_bits(whole.row(static_cast<Eigen::Index>(i)), embedding.forward({ids[i]})));
    CHECK(same_bits(whole.row(static_cast<Eigen::Index>(i)), table.row(ids[i])));
  }
  std::vector<float> out(ids.size() * 50 + 1);  // at an odd address
  embedding.forward(ids, std::span(out).subspan(1));
  CHECK(std::memcmp(out.data() + 1, whole.data(), ids.size() * 50 * sizeof(float)) == 0);
  CHECK(embedding.forward(std::span<const TokenId>()).rows() == 0);
  CHECK(embedding.forward(std::span<const TokenId>()).cols() == 50);
}

TEST_CASE("several threads read one embedding") {
  const Vocabulary vocabulary = random_vocabulary(500, 256, 16, 9);
  const KroneckerEncoder<256, 16> encoder;
  const KroneckerEmbedding embedding(encoder, vocabulary,
                                     LearnedProjection::normal(40, encoder.code_dim(), 10));
  std::vector<TokenId> ids(500);
  std::iota(ids.begin(), ids.end(), 0);
  std::vector<float> out(ids.size() * 40);
  std::vector<std::thread> threads;
  for (std::size_t part = 0; part < 5; ++part)
    threads.emplace_back([&, part] {
      embedding.forward(std::span<const TokenId>(ids).subspan(part * 100, 100),
                        std::span(out).subspan(part * 4000, 4000));
    });
  for (std::thread& thread : threads) thread.join();
  CHECK(std::memcmp(out.data(), embedding.table().data(), out.size() * sizeof(float)) == 0);
}

TEST_CASE("a copy shares the rows and outlives the original") {
  auto original = std::make_unique<KroneckerEmbedding<>>(golden_embedding({}));
  const auto copy = *original;
  CHECK(copy.rows().values().data() == original->rows().values().data());
  const RowMajorMatrix<float> table = original->table();
  original.reset();
  CHECK(same_bits(copy.table(), table));
}

TEMPLATE_TEST_CASE(
    "an embedding of another vocabulary shares the rows: new tokens change no row but their own", "", float,
    Eigen::bfloat16, Eigen::half, std::int8_t) {
  const KroneckerEncoder<256, 16> encoder;
  const std::vector<std::string> tokens = {"", "a", " word", "another"};
  std::vector<std::string> more_tokens = tokens;
  more_tokens.insert(more_tokens.end(), {"new", " newer"});
  const LearnedProjection learned = LearnedProjection::normal(20, encoder.code_dim(), 1);
  const KroneckerEmbedding<TestType> embedding(encoder, Vocabulary(tokens), learned);
  const KroneckerEmbedding<TestType> rebuilt(encoder, Vocabulary(more_tokens), learned);
  const KroneckerEmbedding<TestType> extended = embedding.with_vocabulary(Vocabulary(more_tokens));
  CHECK(extended.rows().values().data() == embedding.rows().values().data());
  CHECK(same_bits(rebuilt.table().topRows(4), embedding.table()));
  CHECK(same_bits(extended.table(), rebuilt.table()));
  CHECK(same_bits(extended.forward({5}), embedding.embed(" newer").transpose()));
}

TEST_CASE("parts that do not fit each other make no embedding") {
  using kronecker::ProjectionRows, kronecker::TokenBytes;
  const Vocabulary vocabulary({"a"});
  const GoldenEncoder encoder;
  const auto projection = LearnedProjection::normal(2, encoder.code_dim(), 1);
  const auto message = [&](const TokenBytes& tokens, const ProjectionRows<float>& rows) {
    return message_of<std::invalid_argument>([&] { KroneckerEmbedding<>(encoder, tokens, rows); });
  };
  const TokenBytes tokens(vocabulary, encoder);
  CHECK(message({vocabulary, KroneckerEncoder<256, 4>()}, {projection, true}) ==
        "token bytes of char_dim 256 and pos_dim 4 do not fit the encoder's 256 and 8");
  CHECK(message({vocabulary, KroneckerEncoder<128, 8>()}, {projection, true}) ==
        "token bytes of char_dim 128 and pos_dim 8 do not fit the encoder's 256 and 8");
  CHECK(message(tokens, {LearnedProjection::normal(2, 1024, 1), true}) ==
        "the projection's code_dim 1024 is not the encoder's 2048 (256 x 8)");
  CHECK(message(tokens, {projection, false}) ==
        "codes that are z-normalized and not rounded take centered rows");
}

TEST_CASE("ids of every integer type are embedded alike") {
  const auto embedding = golden_embedding({});
  const RowMajorMatrix<float> expected = embedding.forward({5, 0, 63});
  const auto check = [&](const auto& ids) { CHECK(same_bits(embedding.forward(ids), expected)); };
  check(std::vector<std::int64_t>{5, 0, 63});
  check(std::vector<long>{5, 0, 63});
  check(std::vector<long long>{5, 0, 63});
  check(std::vector<std::uint32_t>{5, 0, 63});
  check(std::array<std::uint16_t, 3>{5, 0, 63});
  check(std::array<std::int16_t, 3>{5, 0, 63});
  check(std::vector<std::uint8_t>{5, 0, 63});
  check(std::vector<std::uint64_t>{5, 0, 63});
  const std::int8_t few[] = {5, 0, 63};
  check(few);
  check(std::span<const std::int8_t>(few));
  CHECK(same_bits(embedding.forward({std::int64_t{5}, std::int64_t{0}, std::int64_t{63}}), expected));
  CHECK(embedding.forward({}).rows() == 0);
  CHECK(same_bits(embedding.forward({5, 0, 63}, {}), expected));

  // More than are converted at a time.
  std::vector<std::int64_t> many(10000);
  for (std::size_t i = 0; i < many.size(); ++i) many[i] = static_cast<std::int64_t>(i * 7 % 64);
  const std::vector<TokenId> same(many.begin(), many.end());
  CHECK(same_bits(embedding.forward(many), embedding.forward(same)));
}

TEST_CASE("an id of another type that is no token is named as it was given") {
  const auto embedding = golden_embedding({});
  CHECK(message_of<std::out_of_range>([&] {
          embedding.forward(std::vector<std::int64_t>{1, 4294967297});
        }) == "token id 4294967297 at index 1 is outside the vocabulary of 64 tokens");
  CHECK(message_of<std::out_of_range>([&] {
          embedding.forward(std::vector<std::uint64_t>{18446744073709551615u});
        }) == "token id 18446744073709551615 at index 0 is outside the vocabulary of 64 tokens");
  std::vector<std::int64_t> ids(5000, 1);
  ids[4999] = -3;
  CHECK(message_of<std::out_of_range>([&] { embedding.forward(ids); }) ==
        "token id -3 at index 4999 is outside the vocabulary of 64 tokens");
}

TEST_CASE("byte strings stand in place of ids") {
  const auto embedding = golden_embedding({});
  const std::string word = "an unseen word";
  const RowMajorMatrix<float> out = embedding.forward({3, " unfox", word, 7});
  CHECK(same_bits(out.row(0), embedding.forward({3})));
  CHECK(same_bits(out.row(1), embedding.embed(" unfox").transpose()));
  CHECK(same_bits(out.row(2), embedding.embed(word).transpose()));
  CHECK(same_bits(out.row(3), embedding.forward({7})));
  std::vector<kronecker::TokenOrBytes> sequence;  // more than are taken at a time
  for (TokenId id = 0; id < 64; ++id) sequence.insert(sequence.end(), {id, word, "x"});
  const RowMajorMatrix<float> long_out = embedding.forward(sequence);
  for (TokenId id = 0; id < 64; ++id) {
    CHECK(same_bits(long_out.row(3 * id), embedding.forward({id})));
    CHECK(same_bits(long_out.row(3 * id + 1), out.row(2)));
  }
  CHECK(message_of<std::out_of_range>([&] {
          embedding.forward({"x", 64});
        }) == "token id 64 at index 1 is outside the vocabulary of 64 tokens");
}

TEST_CASE("what the library returns can be passed to it, and gaps are refused by their stride") {
  const auto embedding = golden_embedding({});
  const RowMajorMatrix<float> expected = embedding.forward({1, 2});
  RowMajorMatrix<float> matrix(2, 8);
  embedding.forward({1, 2}, matrix);
  CHECK(same_bits(matrix, expected));
  matrix.setZero();
  embedding.forward({2}, matrix.row(1));
  CHECK(same_bits(matrix.row(1), expected.row(1)));
  Eigen::VectorXf vector(8);
  embedding.embed("x", vector);
  CHECK(vector == embedding.embed("x"));
  std::array<float, 16> array;
  embedding.forward({1, 2}, array);
  embedding.forward({1, 2}, std::span(array));
  float built_in[16];
  embedding.forward({1, 2}, built_in);
  CHECK(std::memcmp(built_in, expected.data(), sizeof built_in) == 0);
  Eigen::Map<RowMajorMatrix<float>> map(array.data(), 2, 8);
  embedding.forward({1, 2}, map);
  CHECK(map == expected);

  RowMajorMatrix<float> wide(2, 10);
  CHECK(message_of<std::invalid_argument>([&] {
          embedding.forward({1, 2}, wide.leftCols(8));
        }) == "a matrix of 2 x 8 with an outer stride of 10 has gaps between its rows");
  RowMajorMatrix<float> tall(8, 2);
  CHECK(message_of<std::invalid_argument>([&] { embedding.forward({1}, tall.col(1)); }) ==
        "numbers with an inner stride of 2 do not lie one after the other");
}

TEMPLATE_TEST_CASE("outputs take a stride, a gain, what is there, and 16 bits", "", float, Eigen::bfloat16,
                   Eigen::half, std::int8_t) {
  const auto embedding = golden_embedding({}).cast<TestType>();
  const std::vector<TokenId> ids = {5, 0, 63, 5};
  const RowMajorMatrix<float> plain = embedding.forward(ids);

  std::vector<float> strided(3 * 11 + 8, 7.0f);
  embedding.forward(ids, strided, {.stride = 11});
  for (std::size_t i = 0; i < strided.size(); ++i)
    CHECK(strided[i] ==
          (i % 11 < 8 ? plain(static_cast<Eigen::Index>(i / 11), static_cast<Eigen::Index>(i % 11)) : 7.0f));

  // The factor a_L * gain is rounded, then multiplies the same sum.
  constexpr float gain = 3.7f;
  RowMajorMatrix<float> gained(4, 8);
  embedding.forward(ids, gained, {.gain = gain});
  CHECK(max_difference(gained, gain * plain) <= static_cast<double>(2e-7f * gain) * largest_of(plain));

  const RowMajorMatrix<float> positions = test_support::random_matrix(4, 8, 1);
  RowMajorMatrix<float> added = positions;
  embedding.forward(ids, added, {.gain = gain, .accumulate = true});
  CHECK(same_bits(added, RowMajorMatrix<float>(positions + gained)));

  const auto check_16_bits = [&](auto number) {
    using Number = decltype(number);
    std::vector<Number> rounded(32), sums(32);
    embedding.forward(ids, rounded);
    for (std::size_t i = 0; i < sums.size(); ++i) sums[i] = Number(positions.data()[i]);
    embedding.forward(ids, sums, {.accumulate = true});
    for (std::size_t i = 0; i < rounded.size(); ++i) {
      CHECK(rounded[i] == Number(plain.data()[i]));
      CHECK(sums[i] == Number(static_cast<float>(Number(positions.data()[i])) + plain.data()[i]));
    }
    std::vector<Number> one(8);
    embedding.embed("unseen", one);
    CHECK(one[3] == Number(embedding.embed("unseen")[3]));
  };
  check_16_bits(Eigen::bfloat16());
  check_16_bits(Eigen::half());
}

TEST_CASE("an output that does not fit its options is refused, and nothing is written") {
  const auto embedding = golden_embedding({});
  std::vector<float> out(19, 42.0f);
  const auto message = [&](kronecker::ForwardOptions options) {
    return message_of<std::invalid_argument>([&] { embedding.forward({1, 2}, out, options); });
  };
  CHECK(message({.stride = 12}) == "an output of 19 numbers does not fit 2 tokens of d_model 8: it takes 20");
  CHECK(message({.stride = 7}) == "a stride of 7 is below d_model 8");
  CHECK(message({.stride = 11, .gain = std::numeric_limits<float>::infinity()}) ==
        "the gain inf is not finite");
  CHECK(message_of<std::invalid_argument>([&] { embedding.embed("a", out); }) ==
        "an output of 19 numbers does not fit 1 tokens of d_model 8: it takes 8");
  CHECK(out == std::vector<float>(19, 42.0f));
  embedding.forward({1, 2}, out, {.stride = 11});
  embedding.embed("a", out, {.stride = 11});
  embedding.forward({}, std::span<float>(), {.stride = 11});
  CHECK_THROWS_AS(embedding.forward({}, out), std::invalid_argument);
}

TEST_CASE("rows are updated, checked and centered again; copies keep theirs") {
  auto embedding = golden_embedding({});
  const auto copy = embedding;
  const RowMajorMatrix<float> table = copy.table();
  embedding.update_rows([](std::span<float> rows) {
    for (float& value : rows) value = 2 * value + 1;  // the same for all rows: centering takes it out again
  });
  CHECK(max_difference(embedding.table(), 2 * table) < 2e-5);
  CHECK(largest_of(doubles(embedding.projection().to_torch()).rowwise().mean()) < 1e-8);
  CHECK(same_bits(copy.table(), table));
  CHECK(message_of<std::invalid_argument>([&] {
          embedding.update_rows([](std::span<float> rows) { rows[8 * 1000 + 3] = std::nanf(""); });
        }).starts_with("updated weight (3, 1000) is "));
}

TEST_CASE("an embedding that was moved from still works") {
  auto original = golden_embedding({});
  const RowMajorMatrix<float> table = original.table();
  const auto moved = std::move(original);
  CHECK(same_bits(moved.table(), table));
  CHECK(same_bits(original.table(), table));
}

TEST_CASE("an empty token is the zero vector and a long one is truncated and counted") {
  const KroneckerEncoder<256, 4> encoder;
  const KroneckerEmbedding embedding(encoder, Vocabulary({"", "abcdef", "abcd", "ab"}),
                                     LearnedProjection::normal(8, encoder.code_dim(), 1));
  CHECK(embedding.forward({0}).isZero(0));
  CHECK(embedding.embed("").isZero(0));
  CHECK(same_bits(embedding.forward({1}), embedding.forward({2})));
  CHECK(embedding.truncated_tokens() == 1);
  CHECK(embedding.vocab_size() == 4);
  CHECK(embedding.d_model() == 8);
  CHECK(embedding.token_bytes_memory() == 4 * (4 + 1));
}

TEST_CASE("an id outside the vocabulary is named with its index, and nothing is written") {
  const auto embedding = golden_embedding({});
  CHECK(message_of<std::out_of_range>([&] {
          embedding.forward({1, -1});
        }) == "token id -1 at index 1 is outside the vocabulary of 64 tokens");
  CHECK(message_of<std::out_of_range>([&] { embedding.forward({64}); }) ==
        "token id 64 at index 0 is outside the vocabulary of 64 tokens");
  std::vector<float> out(3 * 8, 42.0f);
  CHECK_THROWS_AS(embedding.forward(std::vector<TokenId>{1, 2, 64}, out), std::out_of_range);
  CHECK(out == std::vector<float>(3 * 8, 42.0f));
}

TEST_CASE("an output of another size is refused, and nothing is written") {
  const auto embedding = golden_embedding({});
  for (const std::size_t size : {15u, 17u, 0u}) {
    std::vector<float> out(size, 42.0f);
    CHECK(message_of<std::invalid_argument>([&] {
            embedding.forward(std::vector<TokenId>{1, 2}, out);
          }) == "an output of " + std::to_string(size) +
                    " numbers does not fit 2 tokens of d_model 8: it takes 16");
    CHECK(out == std::vector<float>(size, 42.0f));
  }
}

TEST_CASE("an override past the end or outside the alphabet is refused") {
  const KroneckerEncoder encoder(128, 4);
  const KroneckerEmbedding embedding(encoder, Vocabulary({"a", "b"}),
                                     LearnedProjection::normal(2, encoder.code_dim(), 1));
  const std::vector<TokenId> ids = {0, 1};
  CHECK(message_of<std::out_of_range>([&] {
          embedding.forward(ids, {{2, "x"}});
        }) == "override position 2 is past the end of the 2 tokens");
  CHECK(message_of<std::invalid_argument>([&] {
          embedding.forward(ids, {{1, "x\xc8"}});
        }) == "string at index 1: byte 200 at position 1 is outside the alphabet of char_dim 128");
  CHECK(message_of<std::out_of_range>([&] {
          embedding.forward(std::vector<TokenId>{0, 7}, {{1, "x"}});
        }) == "token id 7 at index 1 is outside the vocabulary of 2 tokens");
  CHECK(message_of<std::invalid_argument>([&] { embedding.embed("\xff"); }) ==
        "byte 255 at position 0 is outside the alphabet of char_dim 128");
}

TEST_CASE("a projection of another code_dim or with a weight that is not finite is refused") {
  const GoldenEncoder encoder;
  const Vocabulary vocabulary({"a"});
  CHECK(message_of<std::invalid_argument>([&] {
          KroneckerEmbedding(encoder, vocabulary, LearnedProjection::normal(4, 4096, 1));
        }) == "the projection's code_dim 4096 is not the encoder's 2048 (256 x 8)");
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()})
    for (const auto& [mode, options] : modes()) {
      RowMajorMatrix<float> weight = RowMajorMatrix<float>::Zero(4, 2048);
      weight(3, 2000) = bad;
      const auto message = message_of<std::invalid_argument>([&, &o = options] {
        KroneckerEmbedding(GoldenEncoder(o), vocabulary, LearnedProjection::from_torch(weight));
      });
      CHECK(message.starts_with("projection weight (3, 2000) is "));
      CHECK(message.ends_with("weights must be finite"));
    }
}

TEST_CASE("weights whose centering overflows are refused rather than turned into infinity") {
  RowMajorMatrix<float> weight = RowMajorMatrix<float>::Constant(1, 2048, -3e38f);
  weight(0, 7) = 3e38f;
  CHECK(message_of<std::invalid_argument>([&] {
          KroneckerEmbedding(GoldenEncoder(), Vocabulary({"a"}), LearnedProjection::from_torch(weight));
        }) == "after centering, projection weight (0, 7) is inf: weights must be finite");
}

TEST_CASE("tokens of the real vocabularies are embedded as the definition says") {
  for (const auto& file : test_support::real_token_files()) {
    const Vocabulary vocabulary(test_support::read_token_file(file));
    const KroneckerEncoder<256, 16> encoder;
    const RowMajorMatrix<float> weight = LearnedProjection::normal(3, encoder.code_dim(), 1).to_torch();
    const KroneckerEmbedding embedding(encoder, vocabulary, LearnedProjection::from_torch(weight));
    const RowMajorMatrix<float> table = embedding.table();
    INFO(file);
    TokenId truncated = 0;
    double worst = 0;
    for (TokenId id = 0; id < vocabulary.size(); ++id) {
      if (vocabulary.bytes(id).size() > 16) ++truncated;
      if (id % 37 != 0) continue;
      const Eigen::VectorXd expected = test_support::embedding_by_definition(
          encoder.truncate(vocabulary.bytes(id)), 256, 16, encoder.options(), weight);
      const double difference = max_difference(table.row(id), expected.transpose());
      worst = difference <= worst ? worst : difference;
    }
    CHECK(worst < 3e-6);
    CHECK(embedding.truncated_tokens() == truncated);
  }
}

TEMPLATE_TEST_CASE("rows of fewer bytes give the sums of the rounded weights", "", Eigen::bfloat16,
                   Eigen::half, std::int8_t) {
  for (const auto& [mode, options] : modes()) {
    INFO("mode " << mode);
    const KroneckerEncoder<256, 16> encoder(options);
    const Vocabulary vocabulary = random_vocabulary(200, 256, 20, 11);
    const KroneckerEmbedding full(encoder, vocabulary, LearnedProjection::normal(77, encoder.code_dim(), 12));
    const auto embedding = full.template cast<TestType>();
    const KroneckerEmbedding<TestType> built(encoder, vocabulary,
                                             LearnedProjection::normal(77, encoder.code_dim(), 12));
    CHECK(same_bits(embedding.table(), built.table()));
    CHECK(same_bits(embedding.template cast<TestType>().table(), embedding.table()));
    // Sums of the rounded weights in float, which int8 rows take exactly and multiply in another order.
    const auto expected = embedding.template cast<float>().table();
    const bool is_exact = !std::is_same_v<TestType, std::int8_t>;
    if (is_exact)
      CHECK(same_bits(embedding.table(), expected));
    else
      CHECK(max_difference(embedding.table(), expected) < 1e-5);
    for (TokenId id = 0; id < vocabulary.size(); ++id)
      if (!same_bits(embedding.embed(vocabulary.bytes(id)).transpose(), embedding.forward({id})))
        FAIL("id " << id);
  }
}

TEST_CASE(
    "embeddings of fewer bytes point where those of float rows do, for every token of a real vocabulary") {
  for (const auto& path : test_support::real_token_files()) {
    if (!path.generic_string().ends_with("gpt2.tokens.bin")) continue;
    const KroneckerEncoder<256, 16> encoder;
    const KroneckerEmbedding embedding(encoder, Vocabulary(test_support::read_token_file(path)),
                                       LearnedProjection::normal(768, encoder.code_dim(), 3));
    const auto least_cosine = [&](const auto& other) {
      double least = 1;
      for (TokenId id = 0; id < embedding.vocab_size(); ++id) {
        const Eigen::RowVectorXd a = embedding.forward({id}).row(0).cast<double>();
        const Eigen::RowVectorXd b = other.forward({id}).row(0).template cast<double>();
        least = std::min(least, a.dot(b) / (a.norm() * b.norm()));
      }
      return least;
    };
    CHECK(least_cosine(embedding.cast<std::int8_t>()) >= 0.9999);
    CHECK(least_cosine(embedding.cast<Eigen::bfloat16>()) >= 0.99999);
    CHECK(least_cosine(embedding.cast<Eigen::half>()) >= 0.99999);
  }
}

TEST_CASE("a weight beyond the range of the rows is named") {
  const KroneckerEncoder<256, 4> encoder({.z_normalize = false});
  RowMajorMatrix<float> weight = RowMajorMatrix<float>::Zero(2, 1024);
  weight(1, 5) = 70000;
  const KroneckerEmbedding embedding(encoder, Vocabulary({"a"}), LearnedProjection::from_torch(weight));
  CHECK(message_of<std::invalid_argument>([&] { embedding.cast<Eigen::half>(); }) ==
        "after rounding to 16 bits, projection weight (1, 5) is inf: weights must be finite");
  CHECK_NOTHROW(embedding.cast<std::int8_t>());
  CHECK_NOTHROW(embedding.cast<Eigen::bfloat16>());
}
