#pragma once

/// The tokenizer that a command is about.

#include <kronecker/vocabularies/token_text.hpp>
#include <kronecker/vocabulary.hpp>

#include <CLI/CLI.hpp>

#include <string>

namespace kron {

/// A tokenizer file, as an argument or as --vocabulary.
struct VocabularyArgument {
  std::string path;

  CLI::Option* add(CLI::App& command);

  /// What people call the file's format.
  std::string format() const;

  /// Its vocabulary. What its reader wants known is said on standard error.
  kronecker::Vocabulary load(kronecker::TokenText text = kronecker::TokenText::raw) const;
};

}  // namespace kron
