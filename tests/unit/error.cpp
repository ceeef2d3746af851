#include "catch.hpp"

#include <kronecker/error.hpp>

#include <cstdint>
#include <limits>
#include <stdexcept>
#include <string>

using kronecker::detail::is_finite;
using kronecker::detail::is_finite_and_not_positive;

TEST_CASE("a message is made of texts and numbers") {
  const std::string name = "x";
  CHECK(message_of<std::out_of_range>([&] {
          kronecker::detail::fail<std::out_of_range>("id ", -3, " of ", name, ": ",
                                                     std::uint64_t{18446744073709551615u}, " ", 0.5f,
                                                     std::uint8_t{200});
        }) == "id -3 of x: 18446744073709551615 0.5200");
}

TEST_CASE("a file error is a runtime error") {
  CHECK_THROWS_AS(kronecker::detail::fail<kronecker::FileError>("broken"), std::runtime_error);
}

TEST_CASE("finite numbers are told from the rest by their bits") {
  using Limits = std::numeric_limits<float>;
  for (const float x : {0.0f, -0.0f, 1.0f, Limits::max(), Limits::lowest(), Limits::denorm_min()})
    CHECK(is_finite(x));
  for (const float x :
       {Limits::infinity(), -Limits::infinity(), Limits::quiet_NaN(), Limits::signaling_NaN()})
    CHECK_FALSE(is_finite(x));
  for (const float x : {0.0f, -0.0f, -1.0f, Limits::lowest(), -Limits::denorm_min()})
    CHECK(is_finite_and_not_positive(x));
  for (const float x : {Limits::denorm_min(), 1.0f, Limits::max(), Limits::infinity(), -Limits::infinity(),
                        Limits::quiet_NaN(), -Limits::quiet_NaN()})
    CHECK_FALSE(is_finite_and_not_positive(x));
}

TEST_CASE("a shape is told from a product that was too large for its type") {
  using kronecker::detail::check_shape;
  constexpr std::size_t half = std::numeric_limits<std::size_t>::max() / 2 + 1;
  CHECK_NOTHROW(check_shape("x", 6, 2, 3));
  CHECK_NOTHROW(check_shape("x", 0, 2, 0));
  CHECK_NOTHROW(check_shape("x", 0, 0, 3));
  CHECK_THROWS_WITH(check_shape("x", 0, half, 2),
                    "x has 0 numbers instead of " + std::to_string(half) + " x 2");
  CHECK_THROWS_AS(check_shape("x", 6, 3, 3), std::invalid_argument);
  CHECK_THROWS_AS(check_shape("x", 7, 2, 3), std::invalid_argument);
  CHECK_THROWS_AS(check_shape("x", 1, 1, 0), std::invalid_argument);
}

TEST_CASE("what is counted is in the plural, but for one") {
  using kronecker::detail::counted;
  CHECK(counted(0, "byte") == "0 bytes");
  CHECK(counted(1, "byte") == "1 byte");
  CHECK(counted(std::uint64_t{2}, "byte") == "2 bytes");
}

TEST_CASE("a quote is escaped in a text that is quoted, and in no other") {
  using kronecker::detail::message_from;
  const std::string text = "it's", rest = ": the file's", empty;
  CHECK(message_from("'", text, "'", rest) == "'it\\'s': the file's");
  CHECK(message_from("found '", text, "', not '", text, "'") == "found 'it\\'s', not 'it\\'s'");
  CHECK(message_from(text, ": '", empty, "' is '", 3, text, "'", rest, "s'", text) ==
        "it's: '' is '3it\\'s': the file'ss'it\\'s");
}
