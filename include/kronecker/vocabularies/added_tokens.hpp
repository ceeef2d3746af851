#pragma once

/// Tokens that were added to a vocabulary, and the files that have them beside a vocab.json:
/// added_tokens.json and tokenizer_config.json. Needs nlohmann/json 3.11.

#include <kronecker/error.hpp>
#include <kronecker/files/mapped_file.hpp>
#include <kronecker/namespace.hpp>
#include <kronecker/number_text.hpp>
#include <kronecker/vocabularies/json_events.hpp>
#include <kronecker/vocabularies/token_table.hpp>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace KRONECKER_NAMESPACE::detail {

/// A token that was added to a vocabulary.
struct AddedToken {
  std::optional<std::uint64_t> id;
  std::optional<std::string> content;
  bool is_special = false;
  bool is_normalized = false;
};

/// Reads an added_tokens.json, {"<s>": 1}, or "added_tokens_decoder" of a tokenizer_config.json,
/// {"1": {"content": "<s>", "special": true}}; any other object of settings has no added tokens.
class AddedTokensReader final : public JsonEvents {
 public:
  using JsonEvents::JsonEvents;

  /// The tokens, once the file is read.
  std::vector<AddedToken> finish() {
    for (const AddedToken& token : decoder_)
      if (!token.content)
        fail<FileError>(path(), ": added_tokens_decoder: token ", *token.id, " has no content");
    return has_settings_ ? std::move(decoder_) : std::move(ids_);
  }

 private:
  void on_open(char bracket) override {
    ++depth_;
    if (depth_ == 1 && bracket != '{')
      fail<FileError>(path(), ": expected an object, found ", std::string_view(&bracket, 1));
    if (depth_ == 2) {
      has_settings_ = true;
      is_decoder_ = key_ == "added_tokens_decoder";
    }
    if (depth_ == 3 && is_decoder_) decoder_.push_back({id_of_key(), std::nullopt, false, false});
  }
  void on_close() override { --depth_; }
  void on_key(std::string& name) override { key_.swap(name); }
  void on_text(std::string& value) override {
    has_settings_ |= depth_ == 1;
    if (is_of_decoder() && key_ == "content") decoder_.back().content = value;
  }
  void on_number(std::uint64_t value) override {
    if (depth_ == 1) ids_.push_back({value, key_, false, false});
  }
  void on_other_value(std::string_view value) override {
    has_settings_ |= depth_ == 1;
    if (is_of_decoder() && key_ == "special") decoder_.back().is_special = value == "true";
    if (is_of_decoder() && key_ == "normalized") decoder_.back().is_normalized = value == "true";
  }

  bool is_of_decoder() const noexcept { return depth_ == 3 && is_decoder_; }

  std::uint64_t id_of_key() const {
    const auto id = number_in<std::uint64_t>(key_);
    if (!id) fail<FileError>(path(), ": added_tokens_decoder: expected an id, found '", excerpt(key_), "'");
    return *id;
  }

  std::string key_;
  std::vector<AddedToken> ids_, decoder_;
  std::size_t depth_ = 0;
  bool is_decoder_ = false;
  bool has_settings_ = false;
};

/// The added tokens in the file at `path`.
inline std::vector<AddedToken> read_added_tokens(const std::filesystem::path& path) {
  const MappedFile file(path);
  AddedTokensReader reader(file.path());
  reader.read(file.text());
  return reader.finish();
}

/// Puts the added tokens of the file at `path` into `table`, in the place of those that have their ids.
inline void add_tokens(const std::filesystem::path& path, TokenTable& table) {
  const std::vector<AddedToken> added_tokens = read_added_tokens(path);
  std::size_t replaced = 0;
  for (const AddedToken& added : added_tokens) {
    TokenString& token = table.token(*added.id, path.filename(), ": '", excerpt(*added.content), "'");
    replaced += token.kind != TokenKind::hole && token.string != *added.content;
    token = {*added.content, added.is_special ? TokenKind::special : TokenKind::text};
  }
  if (added_tokens.empty()) return;
  table.note(counted(added_tokens.size(), "added token"), " from ", path);
  if (replaced > 0)
    table.note("added tokens take the place of ", counted(replaced, "token"),
               " of the vocabulary: do the two files belong together?");
}

/// The file beside a vocabulary, vocab.json or encoder.json, that has its added tokens; an empty path if
/// there is none.
inline std::filesystem::path added_tokens_beside(const std::filesystem::path& vocabulary) {
  if (vocabulary.filename() != "vocab.json" && vocabulary.filename() != "encoder.json") return {};
  for (const char* name : {"tokenizer_config.json", "added_tokens.json"}) {
    std::error_code error;
    std::filesystem::path file = vocabulary.parent_path() / name;
    if (std::filesystem::is_regular_file(file, error) && !read_added_tokens(file).empty()) return file;
  }
  return {};
}

}  // namespace KRONECKER_NAMESPACE::detail
