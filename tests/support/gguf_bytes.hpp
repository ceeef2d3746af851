#pragma once

/// The bytes of GGUF files, put together by hand.

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace test_support::gguf {

enum Type : std::uint32_t { u8, i8, u16, i16, u32, i32, f32, boolean, text, array, u64, i64, f64 };

template <class T>
std::string bytes(T number) {
  std::uint64_t bits = static_cast<std::uint64_t>(number);
  std::string little_endian;
  for (std::size_t i = 0; i < sizeof(T); ++i, bits >>= 8) little_endian += static_cast<char>(bits & 0xFF);
  return little_endian;
}

inline std::string string(const std::string& value) { return bytes(std::uint64_t{value.size()}) + value; }

inline std::string entry(const std::string& key, Type type, const std::string& value) {
  return string(key) + bytes(static_cast<std::uint32_t>(type)) + value;
}

inline std::string array_of(Type type, std::uint64_t count, const std::string& values) {
  return bytes(static_cast<std::uint32_t>(type)) + bytes(count) + values;
}

inline std::string file(const std::vector<std::string>& entries, std::uint32_t version = 3) {
  std::string content =
      "GGUF" + bytes(version) + bytes(std::uint64_t{0}) + bytes(std::uint64_t{entries.size()});
  for (const std::string& one : entries) content += one;
  return content;
}

/// A tensor with its data.
struct Tensor {
  std::string name;
  std::vector<std::uint64_t> shape;  // the first dimension is the innermost
  std::uint32_t type;
  std::string data;
};

/// A whole file: metadata, directory and data, each tensor at a multiple of `alignment`.
inline std::string model_file(const std::vector<std::string>& entries, const std::vector<Tensor>& tensors,
                              std::size_t alignment = 32) {
  const auto pad = [&](std::string& content) {
    while (content.size() % alignment != 0) content += '\0';
  };
  std::string content = file(entries), data;
  content.replace(8, 8, bytes(std::uint64_t{tensors.size()}));
  for (const Tensor& tensor : tensors) {
    content += string(tensor.name) + bytes(static_cast<std::uint32_t>(tensor.shape.size()));
    for (const std::uint64_t extent : tensor.shape) content += bytes(extent);
    content += bytes(tensor.type) + bytes(std::uint64_t{data.size()});
    data += tensor.data;
    pad(data);
  }
  pad(content);
  return content + data;
}

}  // namespace test_support::gguf
