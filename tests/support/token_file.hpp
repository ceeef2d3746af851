#pragma once

/// Reads the token files that tests and benchmarks compare with: little-endian uint32 V, then for each id a
/// uint8 flag (0 normal, 1 special, 2 no such token), a uint16 length and the bytes.

#include <kronecker/error.hpp>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

namespace test_support {

inline std::vector<std::string> read_token_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string content{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  std::size_t at = 0;
  const auto take = [&](std::size_t size) {
    if (content.size() - at < size)
      throw kronecker::FileError(path.generic_string() + ": cut short at " + std::to_string(at));
    at += size;
    return content.substr(at - size, size);
  };
  const auto take_number = [&](std::size_t size) {
    const std::string bytes = take(size);
    std::size_t value = 0;
    for (std::size_t i = size; i-- > 0;) value = value << 8 | static_cast<unsigned char>(bytes[i]);
    return value;
  };
  std::vector<std::string> tokens(take_number(4));
  for (std::string& token : tokens) {
    take_number(1);
    token = take(take_number(2));
  }
  return tokens;
}

}  // namespace test_support
