#pragma once

/// Trained weights as commands take them: the file, the name in it, and the codes and ids that they are for.

#include "report.hpp"

#include <kronecker/files/checkpoint.hpp>
#include <kronecker/files/file_kind.hpp>
#include <kronecker/files/mapped_file.hpp>
#include <kronecker/files/npy.hpp>
#include <kronecker/vocabularies/resized.hpp>

#include <cstdio>
#include <filesystem>
#include <string>

namespace kron {

/// How codes are normalized, as options.
inline void add_code_options(CLI::App& command, kronecker::CodeOptions& options) {
  command.add_flag("!--no-length-normalize", options.length_normalize,
                   "The weights were trained without length normalization");
  command.add_flag("!--no-z-normalize", options.z_normalize,
                   "The weights were trained without z-normalization");
}

/// A matrix of a checkpoint (a safetensors file or the index of several, or a GGUF model, with the tensor's
/// name) or of a .npy file, which may come from standard input ("-"). Many names in a GGUF model end in
/// "weight": there it is the table's.
inline kronecker::RowMajorMatrix<float> read_weights(const std::filesystem::path& path,
                                                     const std::string& name) {
  if (path.extension() == ".json") return kronecker::read_matrix(path, name);
  const kronecker::MappedFile file(path == "-" ? "/dev/stdin" : path);
  const kronecker::FileKind kind = kronecker::kind_of_content(file.text());
  if (kind == kronecker::FileKind::npy || path.extension() == ".npy") return kronecker::read_npy_matrix(file);
  const bool is_table = kind == kronecker::FileKind::gguf && name == "weight";
  return kronecker::read_matrix(file, is_table ? "token_embd.weight" : name);
}

/// A matrix of trained weights: the file, and the name in it.
struct WeightsOption {
  std::string path, name;

  void add(CLI::App& command, const char* positional, const char* shape) {
    command
        .add_option(
            positional, path,
            fmt::format(
                "Checkpoint (safetensors, the index of several, or GGUF) or .npy of {}; - for standard input",
                shape))
        ->type_name("FILE")
        ->required();
    command.add_option("--name", name, "Name of the tensor, or a unique end of it")
        ->type_name("NAME")
        ->capture_default_str();
  }
  kronecker::RowMajorMatrix<float> read() const { return read_weights(path, name); }

  /// Throws FileError if writing to `output` would replace what is read.
  void check_kept(const std::string& output) const {
    check_replaces_none(output, {path});
    if (!path.ends_with(".json")) return;
    for (const std::filesystem::path& file : kronecker::checkpoint_files(path))
      check_replaces_none(output, {file});
  }
};

/// Such a vocabulary of `size` ids; which tokens are left out is said.
inline kronecker::Vocabulary resized_to(const kronecker::Vocabulary& vocabulary, kronecker::TokenId size) {
  kronecker::Vocabulary resized = kronecker::resized(vocabulary, size);
  for (std::size_t i = vocabulary.notes().size(); i < resized.notes().size(); ++i)
    fmt::print(stderr, "kron: {}\n", resized.notes()[i]);
  return resized;
}

}  // namespace kron
