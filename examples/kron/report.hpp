#pragma once

/// What the commands of kron share: how they report, and how they take their inputs.

#include "shown.hpp"

#include <kronecker/encoder.hpp>
#include <kronecker/files/checkpoint.hpp>
#include <kronecker/files/model.hpp>
#include <kronecker/files/npy.hpp>
#include <kronecker/version.hpp>

#include <fmt/core.h>
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <filesystem>
#include <string>
#include <string_view>

namespace kron {

using Encoder = kronecker::KroneckerEncoder<256, Eigen::Dynamic>;
using Embedding = kronecker::KroneckerEmbedding<Encoder>;
using nlohmann::ordered_json;

/// Prints a report for programs.
inline void print_json(const ordered_json& report) {
  fmt::print("{}\n", report.dump(2, ' ', false, ordered_json::error_handler_t::replace));
}

/// Bytes as they go into a report for programs: the text, if they are text, and always the hexadecimal
/// digits.
inline ordered_json json_bytes(std::string_view bytes) {
  std::string hexadecimal;
  for (const char byte : bytes) hexadecimal += fmt::format("{:02x}", static_cast<unsigned char>(byte));
  ordered_json report{{"hex", hexadecimal}};
  if (kronecker::is_valid_utf8(bytes)) report["text"] = bytes;
  return report;
}

/// A matrix of a checkpoint (a safetensors file or the index of several, with the tensor's name) or of a .npy
/// file.
inline kronecker::RowMajorMatrix<float> read_weights(const std::filesystem::path& path,
                                                     const std::string& name) {
  if (path.extension() != ".npy") return kronecker::read_matrix(path, name);
  const auto array = kronecker::read_npy<float>(path);
  if (array.shape.size() != 2)
    throw kronecker::FileError(
        fmt::format("{}: the array has {} dimensions, not 2", path.string(), array.shape.size()));
  return Eigen::Map<const kronecker::RowMajorMatrix<float>>(array.values.data(),
                                                            static_cast<Eigen::Index>(array.shape[0]),
                                                            static_cast<Eigen::Index>(array.shape[1]));
}

/// Options that several commands have.
inline void add_json(CLI::App& command, bool& as_json) {
  command.add_flag("--json", as_json, "Report as JSON, for programs");
}
inline void add_pos_dim(CLI::App& command, int& pos_dim) {
  command.add_option("--pos-dim", pos_dim, "Bytes kept of a token")
      ->type_name("NUMBER")
      ->check(CLI::Range(1, 255))
      ->capture_default_str();
}
inline void add_vocabulary(CLI::App& command, std::string& path) {
  command
      .add_option("--vocabulary", path,
                  "Tokenizer file: tokenizer.json, encoder.json, tiktoken ranks, SentencePiece model or GGUF")
      ->type_name("FILE")
      ->required();
}

}  // namespace kron
