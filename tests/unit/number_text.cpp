#include "catch.hpp"

#include <kronecker/number_text.hpp>

#include <cstdint>
#include <limits>
#include <locale>
#include <optional>
#include <random>
#include <string>

using kronecker::detail::number_in;
using kronecker::detail::number_text;

TEST_CASE("a number is all of a text, or none") {
  CHECK(number_in<int>("-12") == -12);
  CHECK(number_in<int>("010") == 10);
  CHECK(number_in<float>("1e-06") == 1e-6f);
  CHECK(number_in<double>("0.1") == 0.1);
  CHECK(number_in<double>("464") == 464.0);
  for (const char* const text : {"", " 1", "1 ", "+1", "1,5", "1x", "x", "0x10", "1e"}) {
    INFO('\'' << text << '\'');
    CHECK_FALSE(number_in<int>(text));
    CHECK_FALSE(number_in<float>(text));
    CHECK_FALSE(number_in<double>(text));
  }
  CHECK_FALSE(number_in<int>("1.5"));
  CHECK_FALSE(number_in<float>("1e99"));
}

TEST_CASE("a number of digits alone is natural") {
  CHECK(number_in<std::uint64_t>("0") == 0u);
  CHECK(number_in<std::uint64_t>("010") == 10u);
  CHECK(number_in<std::uint64_t>("18446744073709551615") == 18446744073709551615u);
  for (const std::string none : {"", "-1", "+1", " 1", "1 ", "1x", "0x1", "18446744073709551616"})
    CHECK(number_in<std::uint64_t>(none) == std::nullopt);
  CHECK_FALSE(number_in<std::uint8_t>("256"));
}

TEST_CASE("the text of a number reads back as the same, in every locale") {
  struct Commas : std::numpunct<char> {
    char do_decimal_point() const override { return ','; }
  };
  const std::locale before = std::locale::global(std::locale(std::locale::classic(), new Commas));
  std::mt19937 random(1);
  int lost = 0;
  for (int i = 0; i < 1000; ++i) {
    const float value = static_cast<float>(random()) / static_cast<float>(1 + random());
    if (number_in<float>(number_text(value)) != value) ++lost;
    if (number_in<float>(number_text(-1 / value)) != -1 / value) ++lost;
  }
  std::locale::global(before);
  CHECK(lost == 0);
  for (const float value :
       {0.0f, 1e-6f, std::numeric_limits<float>::max(), std::numeric_limits<float>::min()})
    CHECK(number_in<float>(number_text(value)) == value);
  CHECK(number_text(-12) == "-12");
  CHECK(number_text(0.5f) == "0.5");
  CHECK(number_text(1e-6f) == "1e-06");  // as saved embeddings have it
}
