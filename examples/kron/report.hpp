#pragma once

/// What the commands of kron share: how they report, and how they take their inputs.

#include "files.hpp"
#include "options.hpp"
#include "shown.hpp"

#include <kronecker/encoder.hpp>
#include <kronecker/files/checkpoint.hpp>
#include <kronecker/files/file_kind.hpp>
#include <kronecker/files/mapped_file.hpp>
#include <kronecker/files/npy.hpp>
#include <kronecker/version.hpp>
#include <kronecker/vocabulary.hpp>

#include <fmt/core.h>
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace kron {

using Encoder = kronecker::DynamicEncoder;
using examples::check_output;
using examples::on_values_of;
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

/// A matrix of a checkpoint (a safetensors file or the index of several, or a GGUF model, with the tensor's
/// name) or of a .npy file. Many names in a GGUF model end in "weight": there it is the table's.
inline kronecker::RowMajorMatrix<float> read_weights(const std::filesystem::path& path,
                                                     const std::string& name) {
  if (path.extension() == ".json") return kronecker::read_matrix(path, name);
  const kronecker::MappedFile file(path);
  const kronecker::FileKind kind = kronecker::kind_of_content(file.text());
  if (kind == kronecker::FileKind::npy || path.extension() == ".npy") return kronecker::read_npy_matrix(file);
  const bool is_table = kind == kronecker::FileKind::gguf && name == "weight";
  return kronecker::read_matrix(file, is_table ? "token_embd.weight" : name);
}

/// The vocabulary with tokens that have no bytes added, until there are `size`. Models have more ids than
/// their tokenizers, so that V is a multiple of something.
inline kronecker::Vocabulary padded(const kronecker::Vocabulary& vocabulary, kronecker::TokenId size) {
  std::vector<std::string> tokens(static_cast<std::size_t>(size));
  std::vector<kronecker::TokenId> special_ids;
  for (kronecker::TokenId id = 0; id < vocabulary.size(); ++id) {
    tokens[static_cast<std::size_t>(id)] = vocabulary.bytes(id);
    if (vocabulary.is_special(id)) special_ids.push_back(id);
  }
  return kronecker::Vocabulary::with_special_ids(std::move(tokens), std::move(special_ids));
}

/// Options that several commands have.
inline void add_json(CLI::App& command, bool& as_json) {
  command.add_flag("--json", as_json, "Report as JSON, for programs");
}
inline CLI::Option* add_pos_dim(CLI::App& command, int& pos_dim) {
  return command.add_option("--pos-dim", pos_dim, "Bytes kept of a token")
      ->type_name("NUMBER")
      ->check(CLI::Range(1, 255))
      ->capture_default_str();
}
inline CLI::Option* add_vocabulary(CLI::App& command, std::string& path) {
  return command
      .add_option("--vocabulary", path,
                  "Tokenizer file: tokenizer.json, encoder.json, tiktoken ranks, SentencePiece model or GGUF")
      ->type_name("FILE");
}

}  // namespace kron
