#include "catch.hpp"
#include "scratch.hpp"

#include <kronecker.h>
#include <kronecker/files/model.hpp>
#include <kronecker/head.hpp>

#include <cmath>
#include <cstring>
#include <fstream>
#include <thread>

using kronecker::KroneckerEmbedding;
using kronecker::KroneckerEncoder;
using kronecker::LearnedProjection;
using kronecker::RowMajorMatrix;
using kronecker::Vocabulary;
using test_support::ScratchFolder;

namespace {

using Embedding = KroneckerEmbedding<float>;

Embedding make_embedding() {
  const KroneckerEncoder<256, 16> encoder;
  return {encoder, Vocabulary({"the", " quick", "", " brown", " fox"}),
          LearnedProjection::normal(24, encoder.code_dim(), 1)};
}

/// Opened and closed again.
class Opened {
 public:
  explicit Opened(const std::filesystem::path& path) {
    REQUIRE(kronecker_open(path.generic_string().c_str(), &embedding) == KRONECKER_OK);
  }
  ~Opened() { kronecker_close(embedding); }
  Opened(const Opened&) = delete;
  Opened& operator=(const Opened&) = delete;

  kronecker_embedding* embedding = nullptr;
};

bool same_bits(const float* a, const float* b, std::size_t count) {
  return std::memcmp(a, b, count * sizeof(float)) == 0;
}

}  // namespace

TEST_CASE("rounded codes, rows of their own and a norm are the library's bit for bit") {
  const ScratchFolder folder("c_interface");
  const KroneckerEncoder<256, 16> encoder({.rounding = kronecker::CodeRounding::bfloat16});
  const Embedding by_code(encoder, Vocabulary({"the", " quick", "", " brown", " fox"}),
                          LearnedProjection::normal(24, encoder.code_dim(), 1));
  const auto with_own_rows = by_code.with_own_rows({2}, std::vector<float>(24, 0.5f));
  const auto embedding = with_own_rows.with_norm(std::vector<float>(24, 2.0f), 1e-6f);
  kronecker::save(folder / "e.kron", embedding);
  const Opened opened(folder / "e.kron");
  const std::vector<std::int32_t> ids = {4, 2, 0};
  std::vector<float> out(3 * 24), logits(5);
  REQUIRE(kronecker_embed_ids(opened.embedding, ids.data(), 3, out.data(), out.size()) == KRONECKER_OK);
  CHECK(same_bits(out.data(), embedding.forward(ids).data(), out.size()));
  CHECK(kronecker_logits(opened.embedding, out.data(), 1, logits.data(), 5) == KRONECKER_INVALID_ARGUMENT);
  CHECK(std::string(kronecker_error_message()) == "an embedding with a norm cannot be an output head");
}

TEMPLATE_TEST_CASE("embeddings are the library's bit for bit, and logits to rounding, for every row type", "",
                   float, Eigen::bfloat16, Eigen::half, std::int8_t) {
  const ScratchFolder folder("c_interface");
  const auto embedding = make_embedding().cast<TestType>();
  kronecker::save(folder / "e.kron", embedding);
  const Opened opened(folder / "e.kron");
  CHECK(kronecker_vocab_size(opened.embedding) == 5);
  CHECK(kronecker_d_model(opened.embedding) == 24);

  const std::vector<std::int32_t> ids = {4, 2, 0, 3, 3};
  std::vector<float> out(5 * 24);
  REQUIRE(kronecker_embed_ids(opened.embedding, ids.data(), 5, out.data(), out.size()) == KRONECKER_OK);
  CHECK(same_bits(out.data(), embedding.forward(ids).data(), out.size()));

  const char* strings[] = {" unfoxlike", "\0\xFF", ""};
  const std::size_t lengths[] = {10, 2, 0};
  REQUIRE(kronecker_embed_strings(opened.embedding, strings, lengths, 3, out.data(), 3 * 24) == KRONECKER_OK);
  for (std::size_t i = 0; i < 3; ++i)
    CHECK(same_bits(out.data() + i * 24, embedding.embed({strings[i], lengths[i]}).data(), 24));

  const RowMajorMatrix<float> hidden = RowMajorMatrix<float>::Constant(2, 24, 0.5f);
  std::vector<float> logits(2 * 5), expected(2 * 5);
  REQUIRE(kronecker_logits(opened.embedding, hidden.data(), 2, logits.data(), logits.size()) == KRONECKER_OK);
  kronecker::KroneckerHead(embedding).logits(embedding, hidden, expected);
  // Another build than the library's may order and fuse the products otherwise.
  for (std::size_t i = 0; i < expected.size(); ++i) CHECK(std::abs(logits[i] - expected[i]) < 1e-5f);
}

TEST_CASE("logits are those of the corrected head, if the file has one") {
  const ScratchFolder folder("c_interface");
  const Embedding embedding = make_embedding();
  const auto correction = kronecker::HeadCorrection::make({5, 24, 2}, [](std::span<float> all) {
    for (std::size_t i = 0; i < all.size(); ++i) all[i] = static_cast<float>(i % 7) / 8;
  });
  kronecker::save(folder / "e.kron", embedding, &correction);
  const Opened opened(folder / "e.kron");
  const auto hidden = embedding.forward({4, 1});
  std::vector<float> logits(2 * 5), expected(2 * 5);
  REQUIRE(kronecker_logits(opened.embedding, hidden.data(), 2, logits.data(), logits.size()) == KRONECKER_OK);
  kronecker::KroneckerHead(embedding).logits(embedding, hidden, expected, &correction);
  CHECK(logits == expected);
  std::vector<float> additive(2 * 5);
  kronecker::KroneckerHead(embedding).logits(embedding, hidden, additive);
  CHECK(logits != additive);
}

TEST_CASE("mistakes have a code and a message, and write nothing") {
  const ScratchFolder folder("c_interface");
  kronecker::save(folder / "e.kron", make_embedding());
  const Opened opened(folder / "e.kron");
  const std::int32_t ids[] = {0, 5};
  std::vector<float> out(48, 7.0f), hidden(24, std::numeric_limits<float>::infinity());
  const auto message = [] { return std::string(kronecker_error_message()); };

  CHECK(kronecker_embed_ids(opened.embedding, ids, 2, out.data(), 48) == KRONECKER_OUT_OF_RANGE);
  CHECK(message() == "token id 5 at index 1 is outside the vocabulary of 5 tokens");
  CHECK(kronecker_embed_ids(opened.embedding, ids, 2, out.data(), 47) == KRONECKER_INVALID_ARGUMENT);
  CHECK(message() == "an output of 47 floats does not fit 2 rows of 24");
  CHECK(kronecker_embed_ids(nullptr, ids, 2, out.data(), 48) == KRONECKER_INVALID_ARGUMENT);
  CHECK(message() == "embedding is null");
  CHECK(kronecker_embed_ids(opened.embedding, nullptr, 2, out.data(), 48) == KRONECKER_INVALID_ARGUMENT);
  CHECK(message() == "ids is null");
  CHECK(kronecker_embed_ids(opened.embedding, ids, 2, nullptr, 48) == KRONECKER_INVALID_ARGUMENT);
  CHECK(message() == "out is null");
  CHECK(kronecker_embed_ids(opened.embedding, nullptr, 0, nullptr, 0) == KRONECKER_OK);
  const char* strings[] = {"a", nullptr};
  const std::size_t lengths[] = {1, 1};
  CHECK(kronecker_embed_strings(opened.embedding, strings, lengths, 2, out.data(), 48) ==
        KRONECKER_INVALID_ARGUMENT);
  CHECK(message() == "string 1 is null");
  CHECK(kronecker_logits(opened.embedding, hidden.data(), 1, out.data(), 5) == KRONECKER_INVALID_ARGUMENT);
  CHECK(message() == "hidden state 0 has the value inf at 0: it must be finite");
  CHECK(out == std::vector<float>(48, 7.0f));

  std::filesystem::copy_file(folder / "e.kron", folder.path() / u8"\u4e2d\u6587.kron");
  const std::string in_utf8 = folder.path().generic_string() + "/\xe4\xb8\xad\xe6\x96\x87.kron";
  kronecker_embedding* named_in_utf8 = nullptr;
  CHECK(kronecker_open(in_utf8.c_str(), &named_in_utf8) == KRONECKER_OK);
  kronecker_close(named_in_utf8);

  kronecker_embedding* none = nullptr;
  CHECK(kronecker_open((folder / "absent").generic_string().c_str(), &none) == KRONECKER_FILE_ERROR);
  CHECK(message().starts_with((folder / "absent").generic_string() + ": "));
  std::ofstream(folder / "other") << "no embedding";
  CHECK(kronecker_open((folder / "other").generic_string().c_str(), &none) == KRONECKER_FILE_ERROR);
  const std::string whole = test_support::content_of(folder / "e.kron");
  for (const std::size_t size : {std::size_t{0}, std::size_t{20}, whole.size() / 2, whole.size() - 1}) {
    test_support::write_content(folder / "cut", whole.substr(0, size));
    CHECK(kronecker_open((folder / "cut").generic_string().c_str(), &none) == KRONECKER_FILE_ERROR);
    CHECK(message().starts_with((folder / "cut").generic_string() + ": "));
  }
  CHECK(kronecker_open(nullptr, &none) == KRONECKER_INVALID_ARGUMENT);
  CHECK(none == nullptr);
  kronecker_close(nullptr);
  CHECK(kronecker_vocab_size(nullptr) == 0);
  CHECK(kronecker_d_model(nullptr) == 0);
  CHECK(std::string(kronecker_version()) == "0.2.0");
}

TEST_CASE("a message keeps its reason behind a path of any length") {
  kronecker_embedding* embedding = nullptr;
  for (const std::size_t length : {100u, 1000u, 3000u}) {
    std::string path = "/no";
    while (path.size() < length) path += "/folder";
    CHECK(kronecker_open(path.c_str(), &embedding) == KRONECKER_FILE_ERROR);
    CHECK(kronecker_error_message() == path + ": cannot open the file: No such file or directory");
  }
}

TEST_CASE("many threads use one embedding, each with its own message") {
  const ScratchFolder folder("c_interface");
  const Embedding embedding = make_embedding();
  kronecker::save(folder / "e.kron", embedding);
  const Opened opened(folder / "e.kron");
  const RowMajorMatrix<float> hidden = RowMajorMatrix<float>::Constant(1, 24, 0.5f);
  std::vector<float> expected(5);
  kronecker::KroneckerHead(embedding).logits(embedding, hidden, expected);
  std::vector<int> is_right(8);
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 8; ++thread)
    threads.emplace_back([&, thread] {
      const std::int32_t good = thread % 5, bad = 100 + thread;
      std::vector<float> out(24), logits(5);
      bool all = true;
      for (int i = 0; i < 100; ++i) {
        all = all && kronecker_embed_ids(opened.embedding, &good, 1, out.data(), 24) == KRONECKER_OK &&
              same_bits(out.data(), embedding.forward({good}).data(), 24) &&
              kronecker_logits(opened.embedding, hidden.data(), 1, logits.data(), 5) == KRONECKER_OK &&
              logits == expected &&
              kronecker_embed_ids(opened.embedding, &bad, 1, out.data(), 24) == KRONECKER_OUT_OF_RANGE &&
              std::string(kronecker_error_message()).find(std::to_string(bad)) != std::string::npos;
      }
      is_right[static_cast<std::size_t>(thread)] = all;
    });
  for (std::thread& thread : threads) thread.join();
  CHECK(is_right == std::vector<int>(8, 1));
}
