#include "catch.hpp"

#include <kronecker/files/tensor_type.hpp>

using kronecker::detail::size_in_words;
using kronecker::detail::tensor_type_bits;
using kronecker::detail::tensor_type_name;

TEST_CASE("a type that can be held in memory is as large in a file") {
  CHECK(tensor_type_bits(tensor_type_name<float>()) == 8 * sizeof(float));
  CHECK(tensor_type_bits(tensor_type_name<Eigen::half>()) == 8 * sizeof(Eigen::half));
  CHECK(tensor_type_bits(tensor_type_name<Eigen::bfloat16>()) == 8 * sizeof(Eigen::bfloat16));
  CHECK(tensor_type_bits(tensor_type_name<std::uint8_t>()) == 8);
  CHECK(tensor_type_bits(tensor_type_name<std::int8_t>()) == 8);
}

TEST_CASE("types that are only listed have a size, others none") {
  CHECK(tensor_type_bits("F4") == 4);
  CHECK(tensor_type_bits("F6_E2M3") == 6);
  CHECK(tensor_type_bits("F8_E8M0") == 8);
  CHECK(tensor_type_bits("C64") == 64);
  CHECK(tensor_type_bits("f32") == 0);
  CHECK(tensor_type_bits("") == 0);
  CHECK(size_in_words(tensor_type_bits("F6_E3M2")) == "6 bits");
  CHECK(size_in_words(tensor_type_bits("I64")) == "8 bytes");
}
