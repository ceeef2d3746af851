#include "catch.hpp"
#include "corrected_head.hpp"
#include "gguf_bytes.hpp"
#include "matrices.hpp"
#include "scratch.hpp"

#include <kronecker/files/model.hpp>
#include <kronecker/head.hpp>

#include <algorithm>
#include <limits>
#include <thread>

using kronecker::HeadCorrection;
using kronecker::KroneckerHead;
using kronecker::RowMajorMatrix;
using kronecker::TokenId;
using test_support::corrected_embedding;
using test_support::DenseHead;
using test_support::random_correction;

TEST_CASE("corrected logits are those of the dense head that they stand for") {
  const auto embedding = corrected_embedding();
  const KroneckerHead head(embedding);
  for (const int rank : {0, 1, 5, 70})
    for (const Eigen::Index count : {1, 3, 70}) {
      const HeadCorrection correction = random_correction(rank);
      const RowMajorMatrix<float> hidden = test_support::random_matrix(count, 10, 2);
      const test_support::Doubles expected =
          DenseHead(embedding.table(), correction).logits(test_support::doubles(hidden));
      RowMajorMatrix<float> found(count, 130);
      head.logits(embedding, hidden, found, &correction);
      INFO("rank " << rank << ", " << count << " hidden states");
      CHECK(test_support::max_difference(found, expected) <= 5e-6 * test_support::largest_of(expected));
    }
}

TEMPLATE_TEST_CASE("a head is corrected whatever its rows, codes and gain are", "", float, Eigen::bfloat16,
                   Eigen::half, std::int8_t) {
  kronecker::CodeOptions rounded;
  rounded.rounding = kronecker::CodeRounding::bfloat16;
  const HeadCorrection correction = random_correction(5);
  for (const kronecker::CodeOptions& options : {kronecker::CodeOptions{}, rounded})
    for (const Eigen::Index count : {1, 7}) {
      const auto embedding = corrected_embedding(options).template cast<TestType>();
      const KroneckerHead head(embedding, 0.5f);
      const RowMajorMatrix<float> hidden = test_support::random_matrix(count, 10, 2);
      const test_support::Doubles expected =
          DenseHead(0.5f * embedding.table(), correction).logits(test_support::doubles(hidden));
      RowMajorMatrix<float> found(count, 130);
      head.logits(embedding, hidden, found, &correction);
      CHECK(test_support::max_difference(found, expected) <= 1e-5 * test_support::largest_of(expected));
    }
}

TEST_CASE("the best tokens of a corrected head are those of its logits, the empty one among them") {
  const auto embedding = corrected_embedding();
  const KroneckerHead head(embedding);
  const HeadCorrection correction = random_correction(5);
  const auto hidden = test_support::random_matrix(1, 10, 2);
  RowMajorMatrix<float> all(1, 130);
  head.logits(embedding, hidden, all, &correction);
  std::vector<KroneckerHead::TokenLogit> expected;
  for (TokenId id = 0; id < 130; ++id) expected.push_back({id, all(0, id)});
  std::stable_sort(expected.begin(), expected.end(),
                   [](const auto& a, const auto& b) { return a.second > b.second; });
  CHECK(head.top(embedding, hidden, 200, &correction) == expected);
}

TEST_CASE("some corrected logits, in any order and over threads, are those of all tokens") {
  const auto embedding = corrected_embedding();
  const KroneckerHead head(embedding);
  const HeadCorrection correction = random_correction(5);
  for (const Eigen::Index count : {1, 9}) {
    const auto states = static_cast<std::size_t>(count);
    const RowMajorMatrix<float> hidden = test_support::random_matrix(count, 10, 2);
    RowMajorMatrix<float> all(count, 130), left(count, 50), right(count, 80), some(count, 6);
    head.logits(embedding, hidden, all, &correction);
    std::vector<float> products(head.products_size(states)), factors(correction.products_size(states));
    head.cell_products(embedding, hidden, products);
    correction.state_products(hidden, factors);
    const kronecker::CorrectionProducts corrected{&correction, factors};
    std::thread other([&] { head.token_logits(products, left, {0, 50}, corrected); });
    head.token_logits(products, right, {.begin = 50}, corrected);
    other.join();
    CHECK(left == all.leftCols(50));
    CHECK(right == all.rightCols(80));
    const std::vector<TokenId> ids = {77, 78, 79, 0, 129, 77};
    head.token_logits(products, ids, some, corrected);
    for (Eigen::Index i = 0; i < 6; ++i) CHECK(some.col(i) == all.col(ids[static_cast<std::size_t>(i)]));
  }
}

TEST_CASE("a correction starts from the logarithms of the counts") {
  const std::vector<std::uint64_t> counts = {0, 3, 5};
  const auto start = HeadCorrection::from_counts(counts, 10, 2, 7);
  for (std::size_t id = 0; id < 3; ++id)  // (count + 1) / (8 + 3 * 1)
    CHECK(std::abs(static_cast<double>(start.bias()[id]) -
                   std::log((static_cast<double>(counts[id]) + 1) / 11)) < 1e-6);
  CHECK(std::all_of(start.token_factors().begin(), start.token_factors().end(),
                    [](float factor) { return factor == 0; }));
  double squares = 0;
  const auto many = HeadCorrection::from_counts(counts, 100, 100, 7);
  for (const float factor : many.state_factors())
    squares += static_cast<double>(factor) * static_cast<double>(factor);
  CHECK(std::abs(squares / 100 - 1) < 0.1);  // 10,000 numbers of variance 1 / 100; the deviation is 0.014
}

TEST_CASE("a correction is saved with its embedding, and what is damaged is refused") {
  const test_support::ScratchFolder folder("head_correction");
  const auto path = folder / "model";
  const auto embedding = corrected_embedding();
  kronecker::save(path, embedding);
  CHECK_FALSE(kronecker::load_head_correction(path));
  float first = 0;
  for (const int rank : {0, 3}) {
    const HeadCorrection correction = random_correction(rank);
    first = correction.bias()[0];
    kronecker::save(path, embedding, &correction);
    const auto loaded = kronecker::load_head_correction(path);
    REQUIRE(loaded);
    CHECK(loaded->sizes() == correction.sizes());
    CHECK(test_support::equal_numbers(loaded->all(), correction.all()));
    CHECK(test_support::same_bits(kronecker::load(path).table(), embedding.table()));
  }
  const std::string content = test_support::content_of(path);
  const auto damaged = [&](const std::string& what, const std::string& by) {
    std::string other = content;
    test_support::write_content(path, other.replace(other.find(what), what.size(), by));
    std::string message =
        message_of<kronecker::FileError>([&] { static_cast<void>(kronecker::load_head_correction(path)); });
    return message.substr(message.find(": ") + 2);
  };
  CHECK(damaged("head.token_factors", "lost.token_factors") ==
        "not a saved embedding: the tensor 'head.token_factors' is missing");
  CHECK(damaged("head.bias", "lost.bias") == "not a saved embedding: the tensor 'head.bias' is missing");
  CHECK(damaged("[3,10]", "[2,15]") ==
        "'head.token_factors' of 130 x 3 and 'head.state_factors' of 2 x 15 do not fit 130 tokens and "
        "d_model 10");
  CHECK(damaged("[130,3]", "[3,130]") ==
        "'head.token_factors' of 3 x 130 and 'head.state_factors' of 3 x 10 do not fit 130 tokens and "
        "d_model 10");
  const std::string bytes = test_support::gguf::bytes(Eigen::numext::bit_cast<std::uint32_t>(first));
  CHECK(damaged(bytes, std::string("\0\0\xc0\x7f", 4)) ==
        "number 0 of the correction of the head is nan: it must be finite");
  const auto other = HeadCorrection::make(
      {130, 9, 0}, [](std::span<float> all) { std::fill(all.begin(), all.end(), 0.0f); });
  CHECK(message_of<std::invalid_argument>([&] { kronecker::save(path, embedding, &other); }) ==
        "a correction for hidden states of 9 numbers does not fit d_model 10");
}

TEST_CASE("what does not fit a corrected head is refused") {
  const auto embedding = corrected_embedding();
  const KroneckerHead head(embedding);
  const auto hidden = test_support::random_matrix(1, 10, 2);
  std::vector<float> logits(130);
  const auto smaller = HeadCorrection::make(
      {129, 10, 0}, [](std::span<float> all) { std::fill(all.begin(), all.end(), 0.0f); });
  CHECK(message_of<std::invalid_argument>([&] { head.logits(embedding, hidden, logits, &smaller); }) ==
        "a correction for 129 tokens does not fit a head of 130");
  const auto wider = HeadCorrection::make(
      {130, 11, 0}, [](std::span<float> all) { std::fill(all.begin(), all.end(), 0.0f); });
  CHECK(message_of<std::invalid_argument>([&] { head.top(embedding, hidden, 3, &wider); }) ==
        "a correction for hidden states of 11 numbers does not fit d_model 10");
  CHECK(message_of<std::invalid_argument>([&] {
          HeadCorrection::make({2, 3, -1}, [](std::span<float>) {});
        }) == "a correction of rank -1 for 2 tokens and d_model 3 has no numbers");
  CHECK(message_of<std::invalid_argument>([&] { HeadCorrection::from_counts({}, 3, 1, 1); }) ==
        "a correction of rank 1 for 0 tokens and d_model 3 has no numbers");
  CHECK(message_of<std::invalid_argument>([&] {
          HeadCorrection::from_counts(std::vector<std::uint64_t>{1}, 3, 1, 1, 0);
        }) == "smoothing 0 is not finite and positive");
  auto correction = random_correction(1);
  const HeadCorrection copy = correction, before = random_correction(1);
  CHECK(message_of<std::invalid_argument>([&] {
          correction.update([](std::span<float> all) { all[131] = std::numeric_limits<float>::infinity(); });
        }) == "number 131 of a correction is inf: it must be finite");
  CHECK(test_support::equal_numbers(copy.all(), before.all()));
  const std::vector<float> products(head.products_size(1)), factors(1);
  CHECK(message_of<std::invalid_argument>([&] {
          std::vector<float> two(2);
          head.token_logits(products, {4, "5"}, two, {&copy, factors});
        }) == "string at index 1: a corrected head has logits of tokens");
}
