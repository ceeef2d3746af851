#pragma once

/// A vocabulary from a tokenizer file of any supported format, told apart by what is in the file. Needs
/// nlohmann/json 3.11.

#include <kronecker/error.hpp>
#include <kronecker/files/mapped_file.hpp>
#include <kronecker/namespace.hpp>
#include <kronecker/vocabularies/gguf.hpp>
#include <kronecker/vocabularies/gpt2.hpp>
#include <kronecker/vocabularies/hugging_face.hpp>
#include <kronecker/vocabularies/json_events.hpp>
#include <kronecker/vocabularies/json_file.hpp>
#include <kronecker/vocabularies/sentencepiece.hpp>
#include <kronecker/vocabularies/tiktoken.hpp>
#include <kronecker/vocabulary.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <ios>
#include <string>
#include <string_view>

namespace KRONECKER_NAMESPACE {

/// The formats of vocabulary files that are told apart.
enum class VocabularyFormat {
  hugging_face,   ///< tokenizer.json
  gpt2,           ///< encoder.json, vocab.json
  tiktoken,       ///< Ranks.
  sentencepiece,  ///< A .model file.
  gguf,           ///< A model, or its vocabulary alone.
};

/// What people call the format.
constexpr std::string_view name_of(VocabularyFormat format) noexcept {
  switch (format) {
    case VocabularyFormat::hugging_face:
      return "Hugging Face tokenizer.json";
    case VocabularyFormat::gpt2:
      return "GPT-2 encoder.json";
    case VocabularyFormat::tiktoken:
      return "tiktoken ranks";
    case VocabularyFormat::sentencepiece:
      return "SentencePiece model";
    case VocabularyFormat::gguf:
      return "GGUF";
  }
  return "unknown";
}

namespace detail {

enum class FileKind { gguf, gzip, json, sentencepiece, tiktoken, unknown };

/// The kind of a file that starts with `head`.
inline FileKind file_kind(std::string_view head) {
  if (head.starts_with("GGUF")) return FileKind::gguf;
  if (head.starts_with("\x1F\x8B")) return FileKind::gzip;

  constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";
  std::string_view json = head.substr(head.starts_with(byte_order_mark) ? byte_order_mark.size() : 0);
  json.remove_prefix((std::min)(json.find_first_not_of(" \t\r\n"), json.size()));
  if (json.starts_with('{')) return FileKind::json;

  // Field 1 of a SentencePiece model is a message, and that starts with a field 1 that is a string.
  constexpr char string_field_1 = 1 << 3 | 2;
  if (head.size() > 2 && head[0] == string_field_1 && head[2] == string_field_1)
    return FileKind::sentencepiece;

  std::string_view lines = head;
  return ranked_token(take_line(lines)) ? FileKind::tiktoken : FileKind::unknown;
}

/// Finds out which vocabulary a JSON file has from the values of its outermost object.
class JsonVocabularyFinder final : public JsonEvents {
 public:
  using JsonEvents::JsonEvents;
  bool has_model() const noexcept { return has_model_; }
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
  bool has_only_ids_ = true;
};

[[noreturn]] inline void refuse_vocabulary_file(const std::filesystem::path& path, std::string_view found) {
  fail<FileError>(path.string(), ": expected a vocabulary, found ", found,
                  "; supported are Hugging Face's tokenizer.json, GPT-2's encoder.json, tiktoken ranks, ",
                  "SentencePiece models and GGUF");
}

inline VocabularyFormat json_vocabulary_format(const std::filesystem::path& path, std::string_view content) {
  JsonVocabularyFinder finder(path.string());
  finder.read(content);
  if (finder.has_model()) return VocabularyFormat::hugging_face;
  if (finder.has_only_ids()) return VocabularyFormat::gpt2;
  if (const std::string_view name = name_of_settings(path.string(), content); !name.empty())
    refuse_vocabulary_file(path, name);
  refuse_vocabulary_file(path, "JSON without an object 'model', and with other values than ids");
}

}  // namespace detail

/// The format of the vocabulary file at `path`, told by its content. Throws FileError if it is none that is
/// supported, or compressed. A JSON file is read to its end, or to what tells; of others the start is.
inline VocabularyFormat vocabulary_format(const std::filesystem::path& path) {
  constexpr std::size_t head_size = 4096;
  const MappedFile file(path);
  const std::string_view head = file.text().substr(0, head_size);
  switch (detail::file_kind(head)) {
    case detail::FileKind::gguf:
      return VocabularyFormat::gguf;
    case detail::FileKind::json:
      return detail::json_vocabulary_format(path, file.text());
    case detail::FileKind::sentencepiece:
      return VocabularyFormat::sentencepiece;
    case detail::FileKind::tiktoken:
      return VocabularyFormat::tiktoken;
    case detail::FileKind::gzip:
      detail::fail<FileError>(path.string(), ": the file is gzip-compressed: unpack it first");
    case detail::FileKind::unknown:
      break;
  }
  detail::refuse_vocabulary_file(path, head.empty() ? "an empty file" : "no format that is known");
}

/// Reads the vocabulary file at `path`: Hugging Face's tokenizer.json, GPT-2's encoder.json, tiktoken ranks
/// (without special tokens, see `load_tiktoken`), a SentencePiece model or GGUF; its name does not matter.
/// Errors are those of `vocabulary_format` and of the format's `load_` function.
inline Vocabulary load_vocabulary(const std::filesystem::path& path, TokenText text = TokenText::raw) {
  switch (vocabulary_format(path)) {
    case VocabularyFormat::hugging_face:
      return load_hugging_face(path, text);
    case VocabularyFormat::gpt2:
      return load_gpt2(path, text);
    case VocabularyFormat::tiktoken:
      return load_tiktoken(path, {}, text);
    case VocabularyFormat::sentencepiece:
      return load_sentencepiece(path, text);
    case VocabularyFormat::gguf:
      break;
  }
  return load_gguf(path, text);
}

}  // namespace KRONECKER_NAMESPACE
