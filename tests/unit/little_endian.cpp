// The bytes are those that IEEE 754 and two's complement give the numbers, the least first.

#include "catch.hpp"
#include "scratch.hpp"

#include <kronecker/files/little_endian.hpp>
#include <kronecker/files/mapped_file.hpp>
#include <kronecker/files/table.hpp>

#include <array>
#include <sstream>

namespace {

template <class T>
std::string written(const std::vector<T>& numbers) {
  std::ostringstream file;
  kronecker::write_little_endian<T>(file, numbers);
  return file.str();
}

}  // namespace

TEST_CASE("numbers are written with the least byte first, on every machine") {
  CHECK(written<float>({1.0f, -2.5f}) == std::string("\0\0\x80\x3f\0\0\x20\xc0", 8));
  CHECK(written<double>({1.0}) == std::string("\0\0\0\0\0\0\xf0\x3f", 8));
  CHECK(written<Eigen::half>({Eigen::half(1.0f)}) == std::string("\0\x3c", 2));
  CHECK(written<Eigen::bfloat16>({Eigen::bfloat16(1.0f)}) == std::string("\x80\x3f", 2));
  CHECK(written<std::int32_t>({0x01020304, -2}) == "\4\3\2\1\xfe\xff\xff\xff");
  CHECK(written<std::int8_t>({1, -2}) == "\1\xfe");
  kronecker::detail::Q8_0 block{Eigen::half(1.0f), {}};
  block.multiples = {1, 2, -1};
  CHECK(written<kronecker::detail::Q8_0>({block}) ==
        std::string("\0\x3c\1\2\xff", 5) + std::string(29, '\0'));
  CHECK(written<float>(std::vector<float>(10000, 1.0f)).size() == 40000);
}

TEST_CASE("numbers of a mapped file are read with the least byte first, on every machine") {
  const test_support::ScratchFolder folder("little_endian");
  test_support::write_content(folder / "numbers", std::string("\4\3\2\1\0\0\x80\x3f\0\x3c", 10));
  const kronecker::MappedFile file(folder / "numbers");
  CHECK(file.values<std::int32_t>(0, 1)[0] == 0x01020304);
  CHECK(file.values<float>(4, 1)[0] == 1.0f);
  CHECK(static_cast<float>(file.values<Eigen::half>(8, 1)[0]) == 1.0f);
  CHECK(file.values<std::uint16_t>(1, 1)[0] == 0x0203);  // not aligned
}
