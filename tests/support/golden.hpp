#pragma once

/// What the tests compare with: tests/golden, produced by running the PyTorch reference (kronecker-embeddings
/// 0.1.1) and published with it, and real vocabularies, which are not part of this project and may be absent.

#include "catch.hpp"
#include "token_file.hpp"

#include <kronecker/encoder.hpp>
#include <kronecker/files/npy.hpp>
#include <kronecker/types.hpp>
#include <nlohmann/json.hpp>

#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

namespace test_support {

inline std::filesystem::path golden_path(const std::string& name) {
  return std::filesystem::path(KRONECKER_GOLDEN_DIR) / name;
}

inline nlohmann::json golden_json(const std::string& name) {
  std::ifstream file(golden_path(name));
  return nlohmann::json::parse(file);
}

inline kronecker::RowMajorMatrix<float> golden_matrix(const std::string& name) {
  const auto array = kronecker::read_npy<float>(golden_path(name));
  const auto columns = static_cast<Eigen::Index>(array.shape.back());
  const auto rows = static_cast<Eigen::Index>(array.values.size()) / columns;
  return Eigen::Map<const kronecker::RowMajorMatrix<float>>(array.values.data(), rows, columns);
}

/// The token files of the real vocabularies, by name. Empty, with a warning, where they are absent.
inline std::vector<std::filesystem::path> real_token_files() {
  const std::filesystem::path folder = std::filesystem::path(KRONECKER_DATA_DIR) / "truth";
  std::vector<std::filesystem::path> files;
  if (std::filesystem::exists(folder))
    for (const auto& entry : std::filesystem::directory_iterator(folder))
      if (entry.path().generic_string().ends_with(".tokens.bin")) files.push_back(entry.path());
  if (files.empty()) WARN("skipped: no real vocabularies in " << folder);
  return files;
}

inline std::string from_hex(const std::string& hex) {
  std::string bytes;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2)
    bytes += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
  return bytes;
}

/// The four modes by the names that the golden files give them: length-normalised, z-normalised.
inline std::vector<std::pair<std::string, kronecker::CodeOptions>> modes() {
  return {{"TT", {true, true}}, {"TF", {true, false}}, {"FT", {false, true}}, {"FF", {false, false}}};
}

}  // namespace test_support
