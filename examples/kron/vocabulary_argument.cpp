#include "vocabulary_argument.hpp"

#include "files.hpp"

#include <kronecker/shown_text.hpp>
#include <kronecker/vocabularies/load.hpp>
#include <kronecker/vocabularies/special_tokens.hpp>

#include <fmt/core.h>

#include <cstdio>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>

namespace kron {
namespace {

VocabularySource source_of(kronecker::VocabularyFormat format) {
  using Format = kronecker::VocabularyFormat;
  const bool is_base64 = format == Format::tiktoken || format == Format::tekken;
  return {name_of(format), is_base64 ? "base64" : format == Format::rwkv ? "Python literal" : "bytes"};
}

}  // namespace

CLI::Option* VocabularyArgument::add(CLI::App& command) {
  CLI::Option* const option =
      command
          .add_option(
              "VOCABULARY,--vocabulary", path,
              "Tokenizer: tokenizer.json, tekken.json, encoder.json, tiktoken ranks, SentencePiece "
              "model, GGUF or RWKV's; the folder of a model; - for standard input. Also as --vocabulary "
              "FILE")
          ->type_name("FILE");
  add_reading(command);
  return option;
}

void VocabularyArgument::add_reading(CLI::App& command) {
  command
      .add_option("--special", specials_,
                  "Special token of tiktoken ranks, such as '<|eot_id|>=128009', or a file of them; may be "
                  "repeated")
      ->type_name("TEXT=ID")
      ->allow_extra_args(false);
  auto* const reference = command.add_flag(
      "--reference", is_reference_, "Take the strings that the PyTorch reference takes, not true bytes");
  command
      .add_flag("--words", is_words_, "Read WordPiece too, a space before each word; what that loses is said")
      ->excludes(reference);
}

kronecker::Vocabulary VocabularyArgument::load(VocabularySource* source) const {
  kronecker::VocabularyOptions options;
  if (is_reference_) options.text = kronecker::TokenText::reference;
  if (is_words_) options.text = kronecker::TokenText::words;
  const auto add = [&](const auto& special) {
    if (!options.specials.insert(special).second)
      throw std::invalid_argument("--special: " + kronecker::quoted_text(special.first) + " is there twice");
  };
  for (const std::string& special : specials_) {
    std::error_code ignored;
    if (!std::filesystem::exists(special, ignored)) {
      add(kronecker::parse_special_token(special));
      continue;
    }
    for (const auto& token : kronecker::load_special_tokens(special)) add(token);
  }
  const kronecker::VocabularyFile file(path);
  kronecker::Vocabulary vocabulary = file.vocabulary(options);
  if (source != nullptr) *source = source_of(file.format());
  say_notes(file.path(), vocabulary.notes());
  return vocabulary;
}

void VocabularyArgument::check_no_reading(const std::string& file) const {
  if (!specials_.empty() || is_reference_ || is_words_)
    throw std::invalid_argument(fmt::format("{}: {} is for tokenizers, and this is none",
                                            kronecker::shown_text(file),
                                            is_reference_ ? "--reference"
                                            : is_words_   ? "--words"
                                                          : "--special"));
}

void VocabularyArgument::check_kept(const std::filesystem::path& output) const {
  namespace fs = std::filesystem;
  std::error_code error;
  if (!fs::is_directory(path, error)) return examples::check_replaces_none(output, {path});
  for (fs::directory_iterator entry(path, error), end; !error && entry != end; entry.increment(error))
    for (const std::string_view extension : {".json", ".model", ".txt", ".tiktoken", ".gguf"})
      if (entry->path().extension() == extension) examples::check_replaces_none(output, {entry->path()});
}

void say_notes(const std::string& path, const std::vector<std::string>& notes) {
  for (const std::string& note : notes) {
    std::string shown;
    kronecker::detail::append_shown(shown, note, "");
    fmt::print(stderr, "kron: {}: {}\n", kronecker::shown_text(path), shown);
  }
}

}  // namespace kron
