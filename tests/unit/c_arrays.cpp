#include "catch.hpp"
#include "matrices.hpp"
#include "scratch.hpp"

#include <kronecker.h>
#include <kronecker/embedding.hpp>
#include <kronecker/training/gradient.hpp>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <thread>
#include <vector>

using kronecker::KroneckerEmbedding;
using kronecker::KroneckerEncoder;
using kronecker::LearnedProjection;
using test_support::random_floats;
using test_support::ScratchFolder;

namespace {

template <class Scalar>
constexpr kronecker_type c_type_of = std::is_same_v<Scalar, float>             ? KRONECKER_FLOAT32
                                     : std::is_same_v<Scalar, Eigen::bfloat16> ? KRONECKER_BFLOAT16
                                                                               : KRONECKER_FLOAT16;

/// Tokens as the caller of the C library has them, and weights for them.
struct Layer {
  explicit Layer(bool z_normalize, std::size_t width)
      : code{200, 6, 1, z_normalize ? 1 : 0, 1e-6f},
        encoder(200, 6, {.z_normalize = z_normalize}),
        vocabulary({"", "a", " the", "unseen", "longer than six", "ab"}),
        token_bytes(vocabulary, encoder),
        d_model(width) {
    std::mt19937 random(1);
    weights = random_floats(static_cast<std::size_t>(encoder.code_dim()) * d_model, random);
    for (float& weight : weights) weight = static_cast<float>(static_cast<Eigen::bfloat16>(weight + 0.25f));
    for (int i = 0; i < 3000; ++i) ids.push_back(static_cast<std::int64_t>(random() % 6));
    grad_out = random_floats(ids.size() * d_model, random);
    for (float& number : grad_out) number = static_cast<float>(static_cast<Eigen::bfloat16>(number));
  }

  kronecker_tokens tokens() const {
    return {token_bytes.bytes().data(), token_bytes.lengths().data(), token_bytes.size()};
  }

  template <class Scalar>
  KroneckerEmbedding<Scalar> embedding() const {
    return {encoder, vocabulary,
            LearnedProjection::make(static_cast<int>(d_model), encoder.code_dim(), [&](std::span<float> all) {
              std::copy(weights.begin(), weights.end(), all.begin());
            })};
  }

  template <class Scalar, class Out>
  std::vector<Out> forward(int threads) const {
    const std::vector<Scalar> rows = numbers<Scalar>(weights);
    std::vector<Out> out(ids.size() * d_model);
    const kronecker_tokens all = tokens();
    REQUIRE(kronecker_forward(&code, &all, rows.data(), c_type_of<Scalar>, static_cast<std::int64_t>(d_model),
                              ids.data(), ids.size(), out.data(), c_type_of<Out>, threads) == KRONECKER_OK);
    return out;
  }

  template <class Scalar>
  std::vector<float> backward(int threads, std::size_t count) const {
    const std::vector<Scalar> numbers_out = numbers<Scalar>(grad_out);
    std::vector<float> grad(weights.size(), std::numeric_limits<float>::quiet_NaN());
    const kronecker_tokens all = tokens();
    REQUIRE(kronecker_backward(&code, &all, static_cast<std::int64_t>(d_model), ids.data(), count,
                               numbers_out.data(), c_type_of<Scalar>, grad.data(), KRONECKER_FLOAT32,
                               threads) == KRONECKER_OK);
    return grad;
  }

  template <class Scalar>
  static std::vector<Scalar> numbers(const std::vector<float>& floats) {
    std::vector<Scalar> rounded;
    for (const float number : floats) rounded.push_back(static_cast<Scalar>(number));
    return rounded;
  }

  kronecker_code code;
  kronecker::DynamicEncoder encoder;
  kronecker::Vocabulary vocabulary;
  kronecker::TokenBytes token_bytes;
  std::size_t d_model;
  std::vector<float> weights, grad_out;  // that 16 bits hold as well
  std::vector<std::int64_t> ids;
};

template <class T>
bool same_bits(const std::vector<T>& a, const std::vector<T>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0;
}

}  // namespace

TEMPLATE_TEST_CASE(
    "forward on the caller's arrays is the library's, and any number of threads makes its bits", "",
    (std::pair<float, float>), (std::pair<float, Eigen::bfloat16>), (std::pair<Eigen::bfloat16, float>),
    (std::pair<Eigen::bfloat16, Eigen::bfloat16>), (std::pair<Eigen::half, Eigen::half>),
    (std::pair<Eigen::half, float>)) {
  using Scalar = typename TestType::first_type;
  using Out = typename TestType::second_type;
  for (const bool z_normalize : {true, false})
    for (const std::size_t d_model : {5u, 1500u}) {
      const Layer layer(z_normalize, d_model);
      const std::vector<Out> out = layer.forward<Scalar, Out>(1);
      for (const int threads : {2, 7}) CHECK(same_bits(layer.forward<Scalar, Out>(threads), out));
      std::vector<Out> expected(out.size());
      if (z_normalize)  // of float rows: centered rows of 16 bits are rounded
        layer.embedding<float>().forward(layer.ids, expected);
      else
        layer.embedding<Scalar>().forward(layer.ids, expected);
      if (!z_normalize) CHECK(same_bits(out, expected));
      double largest = 0, difference = 0;
      for (std::size_t i = 0; i < out.size(); ++i) {
        largest = std::max(largest, std::abs(static_cast<double>(expected[i])));
        difference =
            std::max(difference, std::abs(static_cast<double>(out[i]) - static_cast<double>(expected[i])));
      }
      // Of 16 bits, two numbers near a half may be rounded to either side.
      CHECK(difference <= largest * (std::is_same_v<Out, float> ? 1e-6 : 8e-3));
    }
}

TEMPLATE_TEST_CASE("backward writes the library's gradient, and any number of threads makes its bits", "",
                   float, Eigen::bfloat16, Eigen::half) {
  for (const bool z_normalize : {true, false})
    for (const std::size_t count : {0u, 1u, 500u, 3000u}) {
      const Layer layer(z_normalize, 1500);
      const std::vector<float> grad = layer.backward<TestType>(1, count);
      for (const int threads : {2, 7}) CHECK(same_bits(layer.backward<TestType>(threads, count), grad));
      const auto embedding = layer.embedding<float>();
      kronecker::ProjectionGradient gradient(embedding);
      kronecker::accumulate_gradient(embedding, std::span(layer.ids).first(count),
                                     std::span(layer.grad_out).first(count * 1500), gradient);
      if (!z_normalize) {
        CHECK(std::equal(grad.begin(), grad.end(), gradient.values().begin()));
        continue;
      }
      const kronecker::RowMajorMatrix<float> expected = gradient.to_torch().transpose();
      const Eigen::Map<const kronecker::RowMajorMatrix<float>> found(grad.data(), expected.rows(),
                                                                     expected.cols());
      CHECK(test_support::max_difference(found, expected) <= 1e-6 * test_support::largest_of(expected));
    }
}

TEMPLATE_TEST_CASE("gradients of 16 bits are those of 32, rounded once", "", Eigen::bfloat16, Eigen::half) {
  for (const bool z_normalize : {true, false})
    for (const std::size_t count : {0u, 1u, 500u, 3000u}) {
      const Layer layer(z_normalize, 1500);
      const std::vector<float> exact = layer.backward<TestType>(1, count);
      const std::vector<TestType> grad_out = Layer::numbers<TestType>(layer.grad_out);
      for (const int threads : {1, 7}) {
        std::vector<TestType> grad(exact.size(), static_cast<TestType>(7.0f));
        const kronecker_tokens all = layer.tokens();
        REQUIRE(kronecker_backward(&layer.code, &all, 1500, layer.ids.data(), count, grad_out.data(),
                                   c_type_of<TestType>, grad.data(), c_type_of<TestType>,
                                   threads) == KRONECKER_OK);
        CHECK(std::equal(grad.begin(), grad.end(), exact.begin(), [](TestType found, float expected) {
          return static_cast<float>(found) == static_cast<float>(static_cast<TestType>(expected));
        }));
      }
    }
}

TEMPLATE_TEST_CASE("of rows that are centered already, no mean is subtracted, forward and back", "", float,
                   Eigen::bfloat16, Eigen::half) {
  Layer layer(true, 1500);
  const KroneckerEmbedding<TestType> embedding = layer.embedding<TestType>();
  const std::span<const TestType> centered = embedding.rows().values().span();
  for (std::size_t i = 0; i < centered.size(); ++i) layer.weights[i] = static_cast<float>(centered[i]);
  layer.code.z_normalize = 2;
  std::vector<float> expected(layer.ids.size() * layer.d_model);
  embedding.forward(layer.ids, expected);
  for (const int threads : {1, 2, 7}) CHECK(same_bits(layer.forward<TestType, float>(threads), expected));

  kronecker::ProjectionGradient gradient(embedding);  // its sums, before they are centered
  kronecker::accumulate_gradient(embedding, layer.ids, layer.grad_out, gradient);
  for (const int threads : {1, 7}) {
    const std::vector<float> grad = layer.backward<TestType>(threads, layer.ids.size());
    CHECK(std::equal(grad.begin(), grad.end(), gradient.values().begin()));
  }
}

TEST_CASE("mistakes in the caller's arrays have a code and a message, and nothing is written") {
  const std::uint8_t bytes[] = {1, 2, 3, 4, 5, 9}, lengths[] = {3, 2};
  const kronecker_code code{8, 3, 1, 1, 1e-6f};
  const kronecker_tokens tokens{bytes, lengths, 2};
  const std::int64_t good[] = {0, 1}, far[] = {0, 1, std::int64_t{1} << 40}, negative[] = {-1};
  const std::vector<float> rows(24 * 4, 1.0f);
  std::vector<float> out(12, 7.0f), grad(rows.size(), 7.0f);
  const auto message_of_call = [&](const kronecker_code& some_code, const kronecker_tokens& some_tokens,
                                   std::span<const std::int64_t> ids, kronecker_status expected,
                                   std::int64_t d_model = 4, int type = 0, int threads = 1) {
    const auto some_type = static_cast<kronecker_type>(type);
    CHECK(kronecker_forward(&some_code, &some_tokens, rows.data(), KRONECKER_FLOAT32, d_model, ids.data(),
                            ids.size(), out.data(), some_type, threads) == expected);
    const std::string message = kronecker_error_message();
    CHECK(kronecker_backward(&some_code, &some_tokens, d_model, ids.data(), ids.size(), rows.data(),
                             some_type, grad.data(), KRONECKER_FLOAT32, threads) == expected);
    if (type == 0) CHECK(kronecker_error_message() == message);
    return message;
  };
  CHECK(message_of_call(code, tokens, far, KRONECKER_OUT_OF_RANGE) ==
        "token id 1099511627776 at index 2 is outside the vocabulary of 2 tokens");
  CHECK(message_of_call(code, tokens, negative, KRONECKER_OUT_OF_RANGE) ==
        "token id -1 at index 0 is outside the vocabulary of 2 tokens");
  const std::uint8_t long_lengths[] = {3, 4};
  CHECK(message_of_call(code, {bytes, long_lengths, 2}, good, KRONECKER_INVALID_ARGUMENT) ==
        "token id 1 at index 1 has a length of 4 over pos_dim 3");
  const std::uint8_t full_lengths[] = {3, 3};
  CHECK(message_of_call(code, {bytes, full_lengths, 2}, good, KRONECKER_INVALID_ARGUMENT) ==
        "token id 1 at index 1: byte 9 at position 2 is outside the alphabet of char_dim 8");
  CHECK(message_of_call({8, 0, 1, 1, 1e-6f}, tokens, good, KRONECKER_INVALID_ARGUMENT) ==
        "pos_dim 0 is outside 1 to 255");
  CHECK(message_of_call({8, 3, 1, 1, -1.0f}, tokens, good, KRONECKER_INVALID_ARGUMENT) ==
        "epsilon -1 is not a finite number >= 0");
  CHECK(message_of_call(code, tokens, good, KRONECKER_INVALID_ARGUMENT, 0) ==
        "d_model 0 is outside 1 to 2147483647");
  CHECK(message_of_call(code, tokens, good, KRONECKER_INVALID_ARGUMENT, 4, 3) ==
        "out_type 3 is none of kronecker_type");
  CHECK(message_of_call(code, tokens, good, KRONECKER_INVALID_ARGUMENT, 4, 0, 0) == "threads 0 is below 1");
  CHECK(message_of_call(code, {nullptr, lengths, 2}, good, KRONECKER_INVALID_ARGUMENT) ==
        "tokens->bytes is null");
  CHECK(kronecker_forward(&code, nullptr, rows.data(), KRONECKER_FLOAT32, 4, good, 2, out.data(),
                          KRONECKER_FLOAT32, 1) == KRONECKER_INVALID_ARGUMENT);
  CHECK(kronecker_forward(nullptr, &tokens, rows.data(), KRONECKER_FLOAT32, 4, good, 2, out.data(),
                          KRONECKER_FLOAT32, 1) == KRONECKER_INVALID_ARGUMENT);
  CHECK(kronecker_backward(&code, &tokens, 4, good, 2, rows.data(), KRONECKER_FLOAT32, nullptr,
                           KRONECKER_FLOAT32, 1) == KRONECKER_INVALID_ARGUMENT);
  CHECK(out == std::vector<float>(12, 7.0f));
  CHECK(grad == std::vector<float>(rows.size(), 7.0f));

  // Tokens that are not used are not looked at.
  CHECK(kronecker_forward(&code, &tokens, rows.data(), KRONECKER_FLOAT32, 4, good, 2, out.data(),
                          KRONECKER_FLOAT32, 1) == KRONECKER_OK);
  const std::uint8_t other_lengths[] = {3, 200};
  const kronecker_tokens others{bytes, other_lengths, 2};
  CHECK(kronecker_forward(&code, &others, rows.data(), KRONECKER_FLOAT32, 4, good, 1, out.data(),
                          KRONECKER_FLOAT32, 1) == KRONECKER_OK);
  CHECK(kronecker_forward(&code, &tokens, nullptr, KRONECKER_FLOAT32, 4, nullptr, 0, nullptr,
                          KRONECKER_FLOAT32, 1) == KRONECKER_OK);
}

TEST_CASE("the vocabulary of a tokenizer file: its bytes, and arrays of them") {
  const ScratchFolder folder("c_arrays");
  test_support::write_content(folder / "ranks", "AQID 0\nYQ== 1\nYWJjZGVmZ2jDqQ== 2\n");
  kronecker_vocabulary* vocabulary = nullptr;
  REQUIRE(kronecker_vocabulary_open((folder / "ranks").generic_string().c_str(), 0, &vocabulary) ==
          KRONECKER_OK);
  CHECK(kronecker_vocabulary_size(vocabulary) == 3);
  const char* bytes = nullptr;
  std::size_t length = 0;
  REQUIRE(kronecker_vocabulary_bytes(vocabulary, 2, &bytes, &length) == KRONECKER_OK);
  CHECK(std::string(bytes, length) == "abcdefgh\u00e9");
  CHECK(kronecker_vocabulary_bytes(vocabulary, 3, &bytes, &length) == KRONECKER_OUT_OF_RANGE);
  CHECK(std::string(kronecker_error_message()) == "token id 3 is outside the vocabulary of 3 tokens");
  kronecker_code code{256, 9, 1, 1, 1e-6f};
  std::vector<std::uint8_t> all(3 * 9, 42), lengths(3);
  REQUIRE(kronecker_vocabulary_arrays(vocabulary, &code, all.data(), lengths.data()) == KRONECKER_OK);
  CHECK(lengths == std::vector<std::uint8_t>{3, 1, 8});
  CHECK(std::string(all.begin(), all.end()) ==
        std::string("\1\2\3\0\0\0\0\0\0a\0\0\0\0\0\0\0\0abcdefgh\0", 27));
  code.char_dim = 100;
  CHECK(kronecker_vocabulary_arrays(vocabulary, &code, all.data(), lengths.data()) ==
        KRONECKER_INVALID_ARGUMENT);
  CHECK(std::string(kronecker_error_message()) ==
        "token id 2: byte 100 at position 3 is outside the alphabet of char_dim 100");
  CHECK(kronecker_vocabulary_note(vocabulary, 0) == nullptr);
  kronecker_vocabulary_close(vocabulary);

  REQUIRE(kronecker_vocabulary_open((folder / "ranks").generic_string().c_str(), 1, &vocabulary) ==
          KRONECKER_OK);
  kronecker_vocabulary_close(vocabulary);
  kronecker_vocabulary_close(nullptr);
  CHECK(kronecker_vocabulary_size(nullptr) == 0);
  CHECK(kronecker_vocabulary_note(nullptr, 0) == nullptr);

  test_support::write_content(folder / "hole", "AQID 0\nYQ== 2\n");
  REQUIRE(kronecker_vocabulary_open((folder / "hole").generic_string().c_str(), 0, &vocabulary) ==
          KRONECKER_OK);
  REQUIRE(kronecker_vocabulary_note(vocabulary, 0) != nullptr);
  CHECK(std::string(kronecker_vocabulary_note(vocabulary, 0)) ==
        "ids without a token are read as empty ones: 1 of 3, from 1 to 1");
  CHECK(kronecker_vocabulary_note(vocabulary, 1) == nullptr);
  kronecker_vocabulary_close(vocabulary);
}

TEST_CASE("what is wrong with a file is said behind a path of any length") {
  kronecker_vocabulary* none = nullptr;
  const auto message_for = [&](const std::string& path) {
    CHECK(kronecker_vocabulary_open(path.c_str(), 0, &none) == KRONECKER_FILE_ERROR);
    return std::string(kronecker_error_message());
  };
  const std::string reason = message_for("/absent").substr(std::string("/absent").size());
  CHECK(reason.starts_with(": "));
  const std::string name = "/abs\u00e9nt";
  for (std::size_t size = 200; size < 3000; size += 199) {
    std::string path = "/";
    while (path.size() < size) path += name.substr(1) + "/";
    path += "x";
    CHECK(message_for(path) == path + reason);
  }
  CHECK(none == nullptr);
}
