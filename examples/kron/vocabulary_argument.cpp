#include "vocabulary_argument.hpp"

#include <kronecker/shown_text.hpp>
#include <kronecker/vocabularies/load.hpp>

#include <fmt/core.h>

#include <cstdio>
#include <string>

namespace kron {

CLI::Option* VocabularyArgument::add(CLI::App& command) {
  return command
      .add_option(
          "VOCABULARY,--vocabulary", path,
          "Tokenizer file: tokenizer.json, encoder.json, tiktoken ranks, SentencePiece model or GGUF; "
          "also as --vocabulary FILE")
      ->type_name("FILE");
}

std::string VocabularyArgument::format() const {
  return std::string(name_of(kronecker::vocabulary_format(path)));
}

kronecker::Vocabulary VocabularyArgument::load(kronecker::TokenText text) const {
  kronecker::Vocabulary vocabulary = kronecker::load_vocabulary(path, text);
  for (const std::string& note : vocabulary.notes())
    fmt::print(stderr, "kron: {}: {}\n", kronecker::shown_text(path), kronecker::shown_text(note));
  return vocabulary;
}

}  // namespace kron
