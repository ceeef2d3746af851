#include "golden.hpp"
#include "scratch.hpp"

#include <kronecker/files/npy.hpp>

#include <array>
#include <limits>
#include <string>

using kronecker::FileError;
using kronecker::read_npy;
using kronecker::write_npy;
using test_support::content_of;
using test_support::ScratchFolder;

namespace {

template <class T>
void check_round_trip(const std::filesystem::path& path, const std::vector<T>& values,
                      const std::vector<std::size_t>& shape) {
  write_npy<T>(path, values, shape);
  const auto read = read_npy<T>(path);
  CHECK(read.shape == shape);
  CHECK(read.values == values);
}

}  // namespace

TEST_CASE("arrays of every type and shape survive a .npy file") {
  const ScratchFolder folder("npy");
  const auto path = folder / "array.npy";
  check_round_trip<float>(path, {1.5f, -0.0f, 3e38f, 1e-45f, 0, 7}, {2, 3});
  check_round_trip<double>(path, {0.1, 0.2}, {2});
  check_round_trip<std::int32_t>(path, {-1, 2, 2147483647}, {3, 1, 1});
  check_round_trip<std::int64_t>(path, {-1}, {});
  check_round_trip<std::uint8_t>(path, {0, 255}, {1, 2});
  check_round_trip<float>(path, {}, {0, 5});
  check_round_trip<float>(path, {}, {5, 0});
  CHECK(std::distance(std::filesystem::directory_iterator(folder.path()), {}) == 1);
}

TEST_CASE("a .npy file has NumPy's layout") {
  const ScratchFolder folder("npy");
  const auto path = folder / "array.npy";
  write_npy<float>(path, std::array{1.0f, 2.0f}, std::array<std::size_t, 1>{2});
  const std::string content = content_of(path);
  REQUIRE(content.size() == 128 + 2 * sizeof(float));
  CHECK(content.substr(0, 10) == std::string("\x93NUMPY\1\0\x76\0", 10));
  CHECK(content.substr(10, 59) == "{'descr': '<f4', 'fortran_order': False, 'shape': (2, ), } ");
  CHECK(content[127] == '\n');
}

TEST_CASE("files that NumPy wrote are read") {
  const auto ids = read_npy<std::int64_t>(test_support::golden_path("emb_d8_p8_ids.npy"));
  CHECK(ids.shape == std::vector<std::size_t>{2, 7});
  CHECK(ids.values == std::vector<std::int64_t>{0, 1, 2, 8, 10, 21, 29, 63, 40, 2, 2, 26, 30, 22});
}

TEST_CASE("headers of every version and of more than 255 bytes are read") {
  const ScratchFolder folder("npy");
  const auto path = folder / "array.npy";
  std::string header =
      "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }" + std::string(300, ' ') + "\n";
  const std::string size = {static_cast<char>(header.size() & 0xFF), static_cast<char>(header.size() >> 8)};
  const std::string value("\0\0\x80\x3f", 4);
  for (const std::string& preamble : {"\x93NUMPY\1" + std::string(1, '\0') + size,
                                      "\x93NUMPY\2" + std::string(1, '\0') + size + std::string(2, '\0'),
                                      "\x93NUMPY\3" + std::string(1, '\0') + size + std::string(2, '\0')}) {
    std::ofstream(path, std::ios::binary) << preamble << header << value;
    CHECK(read_npy<float>(path).values == std::vector<float>{1});
  }
}

TEST_CASE("a damaged .npy file is refused with its path and what is wrong") {
  const ScratchFolder folder("npy");
  const auto path = folder / "array.npy";
  write_npy<float>(path, std::array{1.0f, 2.0f}, std::array<std::size_t, 1>{2});
  const std::string good = content_of(path);
  const auto message = [&](const std::string& content) {
    std::ofstream(path, std::ios::binary) << content;
    const std::string text = message_of<FileError>([&] { read_npy<float>(path); });
    REQUIRE(text.starts_with(path.generic_string() + ": "));
    return text.substr(path.generic_string().size() + 2);
  };
  const auto replaced = [&](std::string_view what, std::string_view by) {
    std::string content = good;
    return content.replace(content.find(what), what.size(), by);
  };
  CHECK(message("") == "expected a NumPy array (.npy), found an empty file");
  CHECK(message("\x93NUMP") == "not a .npy file: the first 6 bytes are not its magic string");
  CHECK(message(replaced(std::string("Y\1", 2), "Y\4")) ==
        ".npy format version 4 is unknown; versions 1 to 3 are supported");
  CHECK(message(good.substr(0, 100)) == "the header is said to take 118 bytes of a file of 100");
  CHECK(message(good.substr(0, 135)) == "the file ends before the array does: 7 bytes of data");
  CHECK(message(replaced("<f4", "<f8")) == "expected values of type '<f4', found '<f8'");
  CHECK(message(replaced("False", "True ")) == "the array is in Fortran order; C order is supported");
  CHECK(message(replaced("'shape'", "'shade'")) == "the .npy header has no key 'shape'");
  CHECK(message(replaced("(2, )", "2    ")) == "the .npy header's 'shape' is not a tuple");
  CHECK(message(replaced("(2, )", "(x, )")) ==
        "the .npy header's 'shape' has 'x, ' where a size is expected");
  CHECK(message(replaced("(2, ), }  ", "(9999999,)")) ==
        "the file ends before the array does: 8 bytes of data");
  const std::string overflowing = "(2, " + std::to_string(~std::size_t{0} / 2 + 1) + "), }";
  CHECK(message(replaced("(2, ), }" + std::string(overflowing.size() - 8, ' '), overflowing)) ==
        "the file ends before the array does: 8 bytes of data");
  CHECK(message_of<FileError>([&] {
          read_npy<float>(folder / "none.npy");
        }).find("cannot open the file: No such file") != std::string::npos);
}

TEST_CASE("an array written in parts is the array") {
  const ScratchFolder folder("npy");
  const auto path = folder / "array.npy";
  const std::vector<float> values = {1, 2, 3, 4, 5, 6};
  const std::array<std::size_t, 2> shape = {3, 2};
  std::size_t at = 0;
  const auto two_more = [&] { return std::span(values).subspan(at += 2, 2); };
  at -= 2;
  kronecker::write_npy_in_parts<float>(path, shape, two_more);
  CHECK(read_npy<float>(path).values == values);

  const std::string good = content_of(path);
  CHECK(message_of<std::invalid_argument>([&] {
          kronecker::write_npy_in_parts<float>(path, shape,
                                               [&] { return std::span<const float>(values).first(4); });
        }) == "an array of shape (3, 2) has 6 values, not 8");
  CHECK(message_of<std::invalid_argument>([&] {
          kronecker::write_npy_in_parts<float>(path, shape, [] { return std::span<const float>(); });
        }) == "an array of shape (3, 2) has 6 values, not 0");
  CHECK(content_of(path) == good);
}

TEST_CASE("a shape that does not fit the values is refused before anything is written") {
  const ScratchFolder folder("npy");
  constexpr std::size_t root = std::size_t{1} << std::numeric_limits<std::size_t>::digits / 2;
  const std::string size = std::to_string(root);
  CHECK(message_of<std::invalid_argument>([&] {
          write_npy<float>(folder / "array.npy", std::array{1.0f, 2.0f}, std::array<std::size_t, 2>{2, 3});
        }) == "an array of shape (2, 3) does not have 2 values");
  CHECK(message_of<std::invalid_argument>([&] {
          write_npy<float>(folder / "array.npy", {}, std::array<std::size_t, 2>{root, root});
        }) == "an array of shape (" + size + ", " + size + ") does not have 0 values");
  CHECK(std::filesystem::is_empty(folder.path()));
}

namespace {

/// A .npy file of a type that this library does not write, with these bytes of values.
void write_file(const std::filesystem::path& path, const std::string& type, const std::string& fortran_order,
                const std::string& shape, const std::string& values) {
  const std::string header =
      "{'descr': " + type + ", 'fortran_order': " + fortran_order + ", 'shape': " + shape + ", }\n";
  test_support::write_content(path, "\x93NUMPY\1" + std::string(1, '\0') + static_cast<char>(header.size()) +
                                        std::string(1, '\0') + header + values);
}

}  // namespace

TEST_CASE("a matrix of floats is read whatever their size and order") {
  const ScratchFolder folder("npy");
  const auto path = folder / "matrix";
  kronecker::RowMajorMatrix<float> expected(2, 3);
  expected << 1, 2, 3, -4, 0.5f, 0;
  // 1, 2, 3, -4, 0.5 and 0 begin with these bytes as half, float and double; the rest are zeros.
  const std::vector<std::string> starts[] = {
      {"\x3C", "\x40", "\x42", "\xC4", "\x38", ""},
      {"\x3F\x80", {"\x40\0", 2}, "\x40\x40", "\xC0\x80", {"\x3F\0", 2}, ""},
      {"\x3F\xF0", {"\x40\0", 2}, "\x40\x08", "\xC0\x10", "\x3F\xE0", ""}};
  const std::size_t in_c_order[] = {0, 1, 2, 3, 4, 5}, in_fortran_order[] = {0, 3, 1, 4, 2, 5};
  for (std::size_t i = 0; i < 3; ++i)
    for (const bool is_fortran : {false, true})
      for (const bool is_big : {false, true}) {
        const std::size_t size = std::size_t{2} << i;
        std::string values;
        for (const std::size_t index : is_fortran ? in_fortran_order : in_c_order) {
          std::string value = starts[i][index];
          value.resize(size);
          values += is_big ? value : std::string(value.rbegin(), value.rend());
        }
        const std::string type = std::string(is_big ? "'>f" : "'<f") + std::to_string(size) + "'";
        CAPTURE(type, is_fortran);
        write_file(path, type, is_fortran ? "True" : "False", "(2, 3)", values);
        CHECK(kronecker::read_npy_matrix(path) == expected);
        test_support::write_content(path, content_of(path).substr(0, content_of(path).size() - 1));
        CHECK_THROWS_AS(kronecker::read_npy_matrix(path), FileError);
      }
  CHECK(kronecker::read_npy_matrix(test_support::golden_path("emb_d8_p8_weight.npy")) ==
        test_support::golden_matrix("emb_d8_p8_weight.npy"));
}

TEST_CASE("what is no matrix of floats is refused") {
  const ScratchFolder folder("npy");
  const auto path = folder / "matrix";
  const auto message = [&](const std::string& type, const std::string& shape) {
    write_file(path, type, "False", shape, "abcd");
    const std::string text = message_of<FileError>([&] { kronecker::read_npy_matrix(path); });
    return text.substr(path.generic_string().size() + 2);
  };
  for (const std::string type : {"'<i4'", "'|u1'", "'<f3'", "'<f16'", "'=f4'", "[('a', '<f4')]", "f"})
    CHECK(message(type, "(1, 1)").starts_with("expected floats, 'f2', 'f4' or 'f8', found "));
  CHECK(message("'<f4'", "(1,)") == "the array has 1 dimension, not 2");
  CHECK(message("'<f4'", "(1, 2)") == "the file ends before the array does: 4 bytes of data");
  CHECK(message("'<f4'", "(0, 2147483648)") ==
        "the array is 0 x 2147483648: over the limit of 2147483647 rows or columns");
}
