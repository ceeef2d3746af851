#pragma once

/// A vocabulary from a tokenizer file of any supported format, told apart by what is in the file. Needs
/// nlohmann/json 3.11.

#include <kronecker/error.hpp>
#include <kronecker/files/file_kind.hpp>
#include <kronecker/files/gguf.hpp>
#include <kronecker/files/mapped_file.hpp>
#include <kronecker/namespace.hpp>
#include <kronecker/vocabularies/gguf.hpp>
#include <kronecker/vocabularies/gpt2.hpp>
#include <kronecker/vocabularies/hugging_face.hpp>
#include <kronecker/vocabularies/json_events.hpp>
#include <kronecker/vocabularies/json_file.hpp>
#include <kronecker/vocabularies/rwkv.hpp>
#include <kronecker/vocabularies/sentencepiece.hpp>
#include <kronecker/vocabularies/tekken.hpp>
#include <kronecker/vocabularies/tiktoken.hpp>
#include <kronecker/vocabularies/tokenizer_folder.hpp>
#include <kronecker/vocabularies/vocabulary_options.hpp>
#include <kronecker/vocabulary.hpp>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>

namespace KRONECKER_NAMESPACE {

/// The formats of vocabulary files that are told apart.
enum class VocabularyFormat {
  hugging_face,   ///< tokenizer.json
  gpt2,           ///< encoder.json, vocab.json
  tekken,         ///< tekken.json
  tiktoken,       ///< Ranks.
  sentencepiece,  ///< A .model file.
  gguf,           ///< A model, or its vocabulary alone.
  rwkv,           ///< rwkv_vocab_v20230424.txt
};

/// What people call the format.
constexpr std::string_view name_of(VocabularyFormat format) noexcept {
  switch (format) {
    case VocabularyFormat::hugging_face:
      return "Hugging Face tokenizer.json";
    case VocabularyFormat::gpt2:
      return "GPT-2 encoder.json";
    case VocabularyFormat::tekken:
      return "Mistral tekken.json";
    case VocabularyFormat::tiktoken:
      return "tiktoken ranks";
    case VocabularyFormat::sentencepiece:
      return "SentencePiece model";
    case VocabularyFormat::gguf:
      return "GGUF";
    case VocabularyFormat::rwkv:
      return "RWKV vocabulary";
  }
  return "unknown";
}

namespace detail {

/// Finds out which vocabulary a JSON file has from the values of its outermost object.
class JsonVocabularyFinder final : public JsonEvents {
 public:
  using JsonEvents::JsonEvents;
  bool has_model() const noexcept { return has_model_; }
  bool is_tekken() const noexcept { return is_tekken_; }
  bool has_only_ids() const noexcept { return has_only_ids_; }

 private:
  void on_open(char bracket) override {
    if (depth_ == 1) has_only_ids_ = false;
    if (depth_ == 1 && bracket == '{' && key_ == "model") {
      has_model_ = true;
      stop();
    }
    ++depth_;
  }
  void on_close() override { --depth_; }
  void on_key(std::string& name) override {
    if (depth_ == 2 && key_ == "config" && name == "default_num_special_tokens") {
      is_tekken_ = true;
      stop();
    }
    if (depth_ == 1) key_.swap(name);
  }
  void on_text(std::string& value) override { on_other_value(value); }
  void on_number(std::uint64_t) override {}
  void on_other_value(std::string_view) override {
    if (depth_ == 1) has_only_ids_ = false;
  }

  std::size_t depth_ = 0;
  std::string key_;  // in the outermost object
  bool has_model_ = false;
  bool is_tekken_ = false;
  bool has_only_ids_ = true;
};

[[noreturn]] inline void refuse_vocabulary_file(const std::string& path, std::string_view found) {
  const bool has_advice = found.find(':') != found.npos;
  fail<FileError>(path, ": expected a vocabulary, found ", found,
                  has_advice
                      ? std::string_view()
                      : "; supported are Hugging Face's tokenizer.json, GPT-2's encoder.json, Mistral's "
                        "tekken.json, tiktoken ranks, SentencePiece models, GGUF and RWKV's vocabularies");
}

inline VocabularyFormat json_vocabulary_format(const std::string& path, std::string_view content) {
  JsonVocabularyFinder finder(path);
  finder.read(content);
  if (finder.has_model()) return VocabularyFormat::hugging_face;
  if (finder.is_tekken()) return VocabularyFormat::tekken;
  if (finder.has_only_ids()) return VocabularyFormat::gpt2;
  if (const std::string_view name = name_of_settings(path, content); !name.empty())
    refuse_vocabulary_file(path, name);
  refuse_vocabulary_file(path, "JSON without an object 'model', and with other values than ids");
}

/// The format of the vocabulary in `content`.
inline VocabularyFormat format_of_vocabulary(const std::string& path, std::string_view content) {
  switch (const FileKind kind = kind_of_content(content)) {
    case FileKind::gguf:
      return VocabularyFormat::gguf;
    case FileKind::json:
      return json_vocabulary_format(path, content);
    case FileKind::sentencepiece:
      return VocabularyFormat::sentencepiece;
    case FileKind::tiktoken:
      return VocabularyFormat::tiktoken;
    case FileKind::rwkv:
      return VocabularyFormat::rwkv;
    default:
      refuse_vocabulary_file(path, name_of(kind));
  }
}

/// The file that `path` stands for: "-" for standard input, a folder for the tokenizer's file in it.
inline std::filesystem::path vocabulary_path(const std::filesystem::path& path) {
  if (path == "-") return "/dev/stdin";
  std::error_code error;
  return std::filesystem::is_directory(path, error) ? tokenizer_file_in(path) : path;
}

}  // namespace detail

/// A file with a vocabulary, opened once, so that it may be a pipe. Copies share what was read.
class VocabularyFile {
 public:
  /// Opens the file at `path` and tells its format by its content; "-" is standard input (as far as the
  /// system has /dev/stdin). Of a folder, as models are downloaded, the tokenizer's file is taken:
  /// tokenizer.json, or else tekken.json, vocab.json, encoder.json, tokenizer.model, spiece.model, spm.model,
  /// sentencepiece.bpe.model, or else the one file *.tiktoken, *_vocab_v20230424.txt or *.gguf (of a model in
  /// parts the first). Throws FileError if there is none, or if the format is none that is supported, saying
  /// what the file is. A JSON file is read to its end, or to what tells; of others the start is.
  explicit VocabularyFile(const std::filesystem::path& path)
      : place_(detail::vocabulary_path(path)),
        file_(place_),
        format_(detail::format_of_vocabulary(file_.path(), file_.text())) {}

  const std::string& path() const noexcept { return file_.path(); }  ///< Of the file that is read.
  VocabularyFormat format() const noexcept { return format_; }       ///< Told by the content.

  /// Reads the vocabulary. Errors are those of the format's `load_` function; std::invalid_argument if there
  /// are special tokens for a format that has its own.
  Vocabulary vocabulary(const VocabularyOptions& options = {}) const {
    if (!options.specials.empty() && format_ != VocabularyFormat::tiktoken)
      detail::fail<std::invalid_argument>(
          path(), ": special tokens are given for tiktoken ranks, and this file is: ", name_of(format_));
    const std::string_view content = file_.text();
    switch (format_) {
      case VocabularyFormat::hugging_face:
        return detail::parse_hugging_face(path(), content, options.text);
      case VocabularyFormat::gpt2:
        return detail::parse_gpt2(path(), content, detail::added_tokens_beside(place_), options.text);
      case VocabularyFormat::tekken:
        return detail::parse_tekken(path(), content, options.text);
      case VocabularyFormat::tiktoken:
        return detail::parse_tiktoken(path(), content, options.specials, options.text);
      case VocabularyFormat::sentencepiece:
        return detail::parse_sentencepiece(path(), content, options.text);
      case VocabularyFormat::rwkv:
        return detail::parse_rwkv(path(), content, options.text);
      case VocabularyFormat::gguf:
        break;
    }
    return detail::gguf_vocabulary(path(), parse_gguf_metadata(path(), content), options.text);
  }

 private:
  std::filesystem::path place_;
  MappedFile file_;
  VocabularyFormat format_;
};

/// The format of the vocabulary at `path`; errors are those of VocabularyFile.
inline VocabularyFormat vocabulary_format(const std::filesystem::path& path) {
  return VocabularyFile(path).format();
}

/// Reads the vocabulary at `path`, a file of any supported format, whose name does not matter, a folder of a
/// model, or "-" (see VocabularyFile).
inline Vocabulary load_vocabulary(const std::filesystem::path& path, const VocabularyOptions& options) {
  return VocabularyFile(path).vocabulary(options);
}

/// The same with nothing else to tell.
inline Vocabulary load_vocabulary(const std::filesystem::path& path, TokenText text = TokenText::raw) {
  return load_vocabulary(path, VocabularyOptions{text, {}});
}

}  // namespace KRONECKER_NAMESPACE
