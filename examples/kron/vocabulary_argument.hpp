#pragma once

/// The tokenizer that a command is about.

#include <kronecker/vocabularies/token_text.hpp>
#include <kronecker/vocabulary.hpp>

#include <CLI/CLI.hpp>

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace kron {

/// What a vocabulary was read from, as people call it.
struct VocabularySource {
  std::string_view format;
  std::string_view bytes;  ///< How the format writes tokens of the kind TokenKind::bytes.
};

/// A tokenizer, and how it is to be read.
class VocabularyArgument {
 public:
  std::string path;  ///< Of a file, or the folder of a model; "-" for standard input.

  /// Adds it as an argument and as --vocabulary, and how it is read.
  CLI::Option* add(CLI::App& command);

  /// Adds how it is read alone.
  void add_reading(CLI::App& command);

  /// Its vocabulary, and what it was read from if `source` is given. What its reader wants known is said on
  /// standard error.
  kronecker::Vocabulary load(VocabularySource* source = nullptr) const;

  /// Throws std::invalid_argument if it is said how to read it, and `file` is what is read instead.
  void check_no_reading(const std::string& file) const;

  /// Throws FileError if writing to `output` would replace a file of it.
  void check_kept(const std::filesystem::path& output) const;

 private:
  std::vector<std::string> specials_;
  bool is_reference_ = false;
  bool is_words_ = false;
};

/// Says on standard error what is to be known of a vocabulary.
void say_notes(const std::string& path, const std::vector<std::string>& notes);

}  // namespace kron
