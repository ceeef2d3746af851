#pragma once

/// The tokenizer that a command is about.

#include <kronecker/vocabularies/token_text.hpp>
#include <kronecker/vocabulary.hpp>

#include <CLI/CLI.hpp>

#include <filesystem>
#include <string>
#include <vector>

namespace kron {

/// A tokenizer, and how it is to be read.
class VocabularyArgument {
 public:
  std::string path;  ///< Of a file, or the folder of a model; "-" for standard input.

  /// Adds it as an argument and as --vocabulary, and how it is read.
  CLI::Option* add(CLI::App& command);

  /// Adds how it is read alone.
  void add_reading(CLI::App& command);

  /// Its vocabulary, and what people call its format if `format` is given. What its reader wants known is
  /// said on standard error.
  kronecker::Vocabulary load(std::string* format = nullptr) const;

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
