#include "catch.hpp"

#include <kronecker/files/safetensors.hpp>
#include <kronecker/head.hpp>
#include <kronecker/training/training.hpp>

#include <type_traits>
#include <utility>

/// Whether a view of a T that is about to end can be asked for, and of one that stays.
#define CAN_CALL(T, call)                                                   \
  [](auto tag) {                                                            \
    return requires { std::declval<typename decltype(tag)::type>().call; }; \
  }(std::type_identity<T>())
#define ONLY_OF_WHAT_STAYS(T, call) \
  STATIC_REQUIRE((CAN_CALL(const T&, call) && !CAN_CALL(T, call) && !CAN_CALL(const T, call)))

TEST_CASE("views of temporaries do not compile") {
  using namespace kronecker;
  ONLY_OF_WHAT_STAYS(Vocabulary, bytes(0));
  ONLY_OF_WHAT_STAYS(TokenBytes, bytes());
  ONLY_OF_WHAT_STAYS(TokenBytes, lengths());
  ONLY_OF_WHAT_STAYS(TokenBytes, bytes_of(0));
  ONLY_OF_WHAT_STAYS(SharedArray<float>, span());
  ONLY_OF_WHAT_STAYS(SharedArray<float>, data());
  ONLY_OF_WHAT_STAYS(KroneckerHead, cells());
  ONLY_OF_WHAT_STAYS(KroneckerHead, scales());
  ONLY_OF_WHAT_STAYS(ProjectionGradient, values());
  ONLY_OF_WHAT_STAYS(Vocabulary, notes());
  ONLY_OF_WHAT_STAYS(SafetensorsFile, tensors());
  ONLY_OF_WHAT_STAYS(SafetensorsFile, metadata());
  ONLY_OF_WHAT_STAYS(SafetensorsFile, find(""));
  ONLY_OF_WHAT_STAYS(AdamW, options());
  ONLY_OF_WHAT_STAYS(AdamW, means());
  ONLY_OF_WHAT_STAYS(AdamW, squares());
  ONLY_OF_WHAT_STAYS(Sgd, options());
  ONLY_OF_WHAT_STAYS(Sgd, velocity());
}

TEST_CASE("parts of a temporary are copies, which share its arrays") {
  using namespace kronecker;
  STATIC_REQUIRE(std::is_same_v<decltype(std::declval<KroneckerEmbedding<>>().encoder()), DynamicEncoder>);
  STATIC_REQUIRE(std::is_same_v<decltype(std::declval<KroneckerEmbedding<>>().token_bytes()), TokenBytes>);
  STATIC_REQUIRE(
      std::is_same_v<decltype(std::declval<KroneckerEmbedding<>>().rows()), ProjectionRows<float>>);
  STATIC_REQUIRE(std::is_same_v<decltype(std::declval<LearnedProjection>().weights()), SharedArray<float>>);
}
