#include "catch.hpp"

#include <kronecker/shared_array.hpp>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <numeric>

using kronecker::SharedArray;

TEST_CASE("copies of an array share its values") {
  auto array = SharedArray<float>::make(
      5, [](std::span<float> values) { std::iota(values.begin(), values.end(), 1.0f); });
  const SharedArray<float> copy = array;
  CHECK(copy.data() == array.data());
  array = {};
  REQUIRE(copy.size() == 5);
  CHECK(copy[4] == 5.0f);
  CHECK(std::accumulate(copy.span().begin(), copy.span().end(), 0.0f) == 15.0f);
}

TEST_CASE("an array starts on a cache line") {
  for (std::size_t size = 1; size < 40; ++size) {
    const auto array = SharedArray<std::uint8_t>::make(
        size, [](std::span<std::uint8_t> v) { std::fill(v.begin(), v.end(), std::uint8_t{0}); });
    CHECK(reinterpret_cast<std::uintptr_t>(array.data()) % 64 == 0);
  }
}

TEST_CASE("a large array starts where a huge page can") {
  constexpr std::size_t size = (std::size_t{2} << 20) + 5;
  const auto array = SharedArray<std::uint8_t>::make(
      size, [](std::span<std::uint8_t> v) { std::fill(v.begin(), v.end(), std::uint8_t{7}); });
  CHECK(reinterpret_cast<std::uintptr_t>(array.data()) % (std::size_t{2} << 20) == 0);
  CHECK(std::count(array.data(), array.data() + size, 7) == static_cast<std::ptrdiff_t>(size));
}

TEST_CASE("an empty array has no values") {
  const SharedArray<float> none;
  CHECK(none.span().empty());
  CHECK(SharedArray<float>::make(0, [](std::span<float>) {}).size() == 0);
}

TEST_CASE("values are changed where they lie, unless others share them") {
  auto array = SharedArray<float>::make(
      3, [](std::span<float> values) { std::fill(values.begin(), values.end(), 1.0f); });
  const float* const values = array.data();
  array.mutable_values()[0] = 2;
  CHECK(array.data() == values);
  const SharedArray<float> copy = array;
  array.mutable_values()[0] = 3;
  CHECK(copy[0] == 2);
  CHECK(array[0] == 3);
  CHECK(array.data() != values);

  const auto elsewhere = std::make_shared<const float>(5.0f);
  SharedArray<float> of_a_file(elsewhere, 1);
  of_a_file.mutable_values()[0] = 6;
  CHECK(*elsewhere == 5);
  SharedArray<float> none;
  CHECK(none.mutable_values().empty());
}
