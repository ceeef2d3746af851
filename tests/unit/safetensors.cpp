#include "catch.hpp"
#include "scratch.hpp"

#include <kronecker/files/safetensors.hpp>

#include <array>

using kronecker::FileError;
using kronecker::SafetensorsFile;
using kronecker::TensorToWrite;
using kronecker::write_safetensors;
using test_support::content_of;
using test_support::ScratchFolder;

namespace {

template <class T>
TensorToWrite tensor_of(std::string name, std::string type, std::vector<std::size_t> shape,
                        const std::vector<T>& values) {
  return {std::move(name), std::move(type), std::move(shape),
          [&values](std::ostream& file) { kronecker::write_little_endian<T>(file, values); }};
}

/// A file with this header, as it stands, and so many bytes of values.
std::string file_with(const std::string& header, std::size_t value_bytes) {
  std::string file;
  for (std::size_t i = 0; i < 8; ++i)
    file += static_cast<char>(std::uint64_t{header.size()} >> (8 * i) & 0xFF);
  return file + header + std::string(value_bytes, '\0');
}

std::string entry(const std::string& type, const std::string& shape, const std::string& offsets) {
  return R"({"dtype":")" + type + R"(","shape":)" + shape + R"(,"data_offsets":)" + offsets + "}";
}

}  // namespace

TEST_CASE("tensors and metadata survive a file, byte for byte") {
  const ScratchFolder folder("safetensors");
  const std::vector<float> floats = {1.5f, -0.0f, 3e38f, 1e-45f, 0, 7};
  const std::vector<std::uint8_t> bytes = {0, 255, 3};
  const std::vector<float> none;
  const auto write = [&](const std::string& name) {
    write_safetensors(folder / name,
                      {tensor_of("x.weight", "F32", {2, 3}, floats), tensor_of("b\u00e9", "U8", {3}, bytes),
                       tensor_of("none", "F32", {0, 4}, none)},
                      {{"key", "value \u65e5"}});
  };
  write("a");
  const SafetensorsFile file(folder / "a");
  REQUIRE(file.tensors().size() == 3);
  CHECK(file.metadata() == std::map<std::string, std::string>{{"key", "value \u65e5"}});
  REQUIRE(file.find("x.weight"));
  CHECK(file.find("x.weight")->shape == std::vector<std::size_t>{2, 3});
  CHECK(file.find("x.weight")->offset % 64 == 0);
  const auto read = file.values<float>(*file.find("x.weight"));
  CHECK(std::memcmp(read.data(), floats.data(), 24) == 0);
  CHECK(file.values<std::uint8_t>(*file.find("b\u00e9"))[1] == 255);
  CHECK(file.values<float>(*file.find("none")).size() == 0);
  CHECK(file.find("y") == nullptr);
  CHECK(message_of<FileError>([&] {
          file.values<float>(*file.find("b\u00e9"));
        }).ends_with("tensor 'b\u00e9' is of type U8, not F32"));
  write("b");
  CHECK(content_of(folder / "a") == content_of(folder / "b"));
}

TEST_CASE("every breach of the format is refused with the path and the place") {
  const ScratchFolder folder("safetensors");
  const auto path = folder / "broken";
  const auto message = [&](const std::string& content) {
    test_support::write_content(path, content);
    const std::string text = message_of<FileError>([&] { SafetensorsFile{path}; });
    REQUIRE(text.starts_with(path.generic_string() + ": "));
    return text.substr(path.generic_string().size() + 2);
  };
  const auto message_of_tensor = [&](const std::string& type, const std::string& shape,
                                     const std::string& offsets, std::size_t value_bytes) {
    return message(file_with(R"({"t":)" + entry(type, shape, offsets) + "}", value_bytes));
  };
  CHECK(message("") == "expected a safetensors file, found an empty file");
  CHECK(message("1234567") == "the file has 7 bytes, not even the 8 of the header's length");
  CHECK(message(file_with("{}", 0).substr(0, 9)) == "the header is said to take 2 bytes of a file of 9");
  CHECK(message(std::string(8, '\xff') + "{}") ==
        "the header is said to take 18446744073709551615 bytes of a file of 10");
  CHECK(message(file_with("[]", 0)) == "the header does not begin with '{'");
  CHECK(message(file_with(" {}", 0)) == "the header does not begin with '{'");
  CHECK(message(file_with("", 0)) == "the header does not begin with '{'");
  CHECK(message(file_with(std::string("{}\0", 3), 0)) == "the header has a NUL byte at offset 2");
  CHECK(message(file_with(
            "{\"\":" + entry("U8", "[1]", "[0,1]") + ",\"\":" + entry("U8", "[1]", "[0,1]") + "}", 1)) ==
        "the header has the key '' twice");
  CHECK(message(file_with("{\"a\":", 0)) == "the header is not a JSON object in UTF-8");
  CHECK(message(file_with("{\"\xff\":{}}", 0)) == "the header is not a JSON object in UTF-8");
  CHECK(message(file_with("{\"__metadata__\":3}", 0)) == "'__metadata__' is not an object");
  CHECK(message(file_with("{\"__metadata__\":{\"k\":1}}", 0)) == "the metadata 'k' is not a string");
  CHECK(message(file_with(
            "{\"t\":" + entry("U8", "[1]", "[0,1]") + ",\"t\":" + entry("U8", "[1]", "[0,1]") + "}", 1)) ==
        "the header has the key 't' twice");
  CHECK(message(file_with(R"({"t":{"dtype":"U8","dtype":"I8","shape":[1],"data_offsets":[0,1]}})", 1)) ==
        "the header has the key 'dtype' twice");
  CHECK(message(file_with("{\"t\":{}}", 0)) == "tensor 't' has no 'dtype'");
  CHECK(message(file_with(R"({"t":{"dtype":"U8","data_offsets":[0,1]}})", 1)) ==
        "tensor 't' has no 'shape' of sizes");
  CHECK(message(file_with(R"({"t":{"dtype":"U8","shape":[1]}})", 1)) ==
        "tensor 't' has no 'data_offsets' of two offsets");
  CHECK(message_of_tensor("U9", "[1]", "[0,1]", 1) == "tensor 't' is of the unknown type 'U9'");
  CHECK(message_of_tensor("U8", "[-1]", "[0,1]", 1) == "tensor 't' has no 'shape' of sizes");
  CHECK(message_of_tensor("U8", "[1.5]", "[0,1]", 1) == "tensor 't' has no 'shape' of sizes");
  CHECK(message_of_tensor("U8", "[1]", "[0]", 1) == "tensor 't' has no 'data_offsets' of two offsets");
  CHECK(message_of_tensor("U8", "[1]", "[1,0]", 1) ==
        "tensor 't' has the offsets 1 to 0 in 1 byte of values");
  CHECK(message_of_tensor("U8", "[2]", "[0,2]", 1) ==
        "tensor 't' has the offsets 0 to 2 in 1 byte of values");
  CHECK(message_of_tensor("F32", "[2]", "[0,4]", 4) ==
        "tensor 't' has 2 values of 4 bytes, but 4 bytes of values");
  CHECK(message_of_tensor("U8", "[9223372036854775808]", "[0,1]", 1) ==
        "tensor 't' has a shape larger than its 1 byte");
  CHECK(message_of_tensor("U8", "[2,9223372036854775808]", "[0,2]", 2) ==
        "tensor 't' has a shape larger than its 2 bytes");
  CHECK(message_of_tensor("F64", "[0]", "[0,1]", 1) ==
        "tensor 't' has 0 values of 8 bytes, but 1 byte of values");
  const std::string hole =
      "{\"a\":" + entry("U8", "[1]", "[0,1]") + ",\"b\":" + entry("U8", "[1]", "[2,3]") + "}";
  CHECK(message(file_with(hole, 3)) == "tensor 'b' starts at byte " + std::to_string(8 + hole.size() + 2) +
                                           " of the file, not at " + std::to_string(8 + hole.size() + 1) +
                                           " where the one before it ends");
  const std::string overlap =
      "{\"a\":" + entry("U8", "[2]", "[0,2]") + ",\"b\":" + entry("U8", "[2]", "[1,3]") + "}";
  CHECK(message(file_with(overlap, 3)).starts_with("tensor 'b' starts at byte"));
  const std::string rest = "{\"a\":" + entry("U8", "[1]", "[0,1]") + "}";
  CHECK(message(file_with(rest, 2)) == "the tensors end at byte " + std::to_string(9 + rest.size()) +
                                           " of a file of " + std::to_string(10 + rest.size()));
  CHECK(message_of_tensor("F6_E2M3", "[2]", "[0,1]", 1) ==
        "tensor 't' has 2 values of 6 bits, but 1 byte of values");
  CHECK(message_of_tensor("F4", "[1]", "[0,1]", 1) ==
        "tensor 't' has 1 value of 4 bits, but 1 byte of values");
}

TEST_CASE("a header that is nested deeply is refused before it costs memory") {
  const ScratchFolder folder("safetensors");
  const auto path = folder / "deep";
  std::string keys;
  for (int i = 0; i < 100000; ++i) keys += "{\"\":";
  for (const std::string& header : {keys, "{\"\":" + std::string(100000, '[')}) {
    test_support::write_content(path, file_with(header, 0));
    CHECK(message_of<FileError>([&] {
            SafetensorsFile{path};
          }).ends_with(": the header nests values deeper than 16"));
  }
  // Brackets and quotes in a text are no nesting.
  const std::string text = std::string(100, '[') + R"(\"{)" + std::string(100, '{') + R"(\\)";
  test_support::write_content(path, file_with(R"({"__metadata__":{"k":")" + text + R"("}})", 0));
  const SafetensorsFile nested(path);
  CHECK(nested.metadata().at("k").size() == 203);
}

TEST_CASE("tensors of every type of the format are listed") {
  const ScratchFolder folder("safetensors");
  const auto path = folder / "types";
  struct Case {
    std::string type;
    std::size_t bytes_of_8_values;
  };
  for (const Case& c : {Case{"F4", 4},
                        {"F6_E2M3", 6},
                        {"F6_E3M2", 6},
                        {"F8_E8M0", 8},
                        {"F8_E4M3", 8},
                        {"F8_E5M2", 8},
                        {"F8_E4M3FNUZ", 8},
                        {"F8_E5M2FNUZ", 8},
                        {"BOOL", 8},
                        {"U16", 16},
                        {"I32", 32},
                        {"C64", 64},
                        {"U64", 64}}) {
    CAPTURE(c.type);
    const std::string offsets = "[0," + std::to_string(c.bytes_of_8_values) + "]";
    test_support::write_content(
        path, file_with("{\"t\":" + entry(c.type, "[2,4]", offsets) + "}", c.bytes_of_8_values));
    const SafetensorsFile file(path);
    CHECK(file.find("t")->count == 8);
    CHECK(message_of<FileError>([&] { file.values<float>(*file.find("t")); }).ends_with(", not F32"));
  }
}

TEST_CASE("a tensor that the file did not align is read all the same") {
  const ScratchFolder folder("safetensors");
  std::string header = "{\"t\":" + entry("F32", "[1]", "[0,4]") + "}";
  while (header.size() % 4 != 1) header += ' ';
  std::string content = file_with(header, 0) + std::string("\0\0\x80\x3f", 4);
  test_support::write_content(folder / "file", content);
  const SafetensorsFile file(folder / "file");
  CHECK(file.values<float>(*file.find("t"))[0] == 1.0f);
}

TEST_CASE("a failed write leaves the old file as it was") {
  const ScratchFolder folder("safetensors");
  const auto path = folder / "file";
  const std::vector<std::uint8_t> bytes = {1, 2, 3};
  write_safetensors(path, {tensor_of("t", "U8", {3}, bytes)});
  const std::string old = content_of(path);
  CHECK(message_of<std::invalid_argument>([&] {
          write_safetensors(path, {tensor_of("t", "U8", {4}, bytes)});
        }) == "tensor 't' ended at byte 3 instead of 4");
  CHECK(message_of<std::invalid_argument>([&] {
          write_safetensors(path, {tensor_of("t", "U8", {3}, bytes), tensor_of("t", "U8", {3}, bytes)});
        }) == "two tensors are named 't'");
  CHECK(message_of<std::invalid_argument>([&] {
          write_safetensors(path, {tensor_of("t", "U9", {3}, bytes)});
        }) == "tensor 't' is of the unknown type 'U9'");
  CHECK(message_of<std::invalid_argument>([&] {
          write_safetensors(path, {tensor_of("__metadata__", "U8", {3}, bytes)});
        }) == "a tensor cannot be named '__metadata__', under which the format keeps the metadata");
  CHECK(message_of<std::invalid_argument>([&] {
          write_safetensors(path, {tensor_of("t", "F4", {3}, bytes)});
        }) == "tensor 't' takes 12 bits, no whole number of bytes");
  CHECK(message_of<std::invalid_argument>([&] {
          write_safetensors(path, {tensor_of("\xff", "U8", {3}, bytes)});
        }).ends_with("is not UTF-8"));
  CHECK_THROWS_AS(write_safetensors(
                      path, {{"t", "U8", {3}, [](std::ostream& file) { file.setstate(std::ios::badbit); }}}),
                  FileError);
  CHECK(content_of(path) == old);
  CHECK(std::distance(std::filesystem::directory_iterator(folder.path()), {}) == 1);
}
