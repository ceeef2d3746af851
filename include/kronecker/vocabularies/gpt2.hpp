#pragma once

/// GPT-2's original encoder.json (others call it vocab.json): one JSON object, token string -> id, in GPT-2's
/// byte map. Needs nlohmann/json 3.11.

#include <kronecker/files/mapped_file.hpp>
#include <kronecker/vocabularies/json_events.hpp>
#include <kronecker/vocabularies/token_table.hpp>
#include <kronecker/vocabulary.hpp>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>

namespace kronecker {
namespace detail {

class Gpt2Reader final : public JsonEvents {
 public:
  Gpt2Reader(const std::string& path, std::size_t file_size) : JsonEvents(path), table_(path, file_size) {}

  TokenTable& table() noexcept { return table_; }

 private:
  void on_open(char bracket) override {
    if (is_open_ || bracket != '{') refuse(std::string_view(&bracket, 1));
    is_open_ = true;
  }
  void on_close() override {}
  void on_key(std::string& name) override { token_.swap(name); }
  void on_text(std::string& value) override { refuse(value); }
  void on_number(std::uint64_t id) override {
    if (!is_open_) refuse(std::to_string(id));
    TokenString& token = table_.new_token(id, "'", excerpt(token_), "'");
    token.string.swap(token_);
    token.kind = TokenKind::byte_level;
  }
  void on_other_value(std::string_view value) override { refuse(value); }

  [[noreturn]] void refuse(std::string_view found) const {
    if (!is_open_) fail<FileError>(path(), ": expected an object of tokens and ids, found ", excerpt(found));
    fail<FileError>(path(), ": '", excerpt(token_), "': expected an id, found ", excerpt(found));
  }

  TokenTable table_;
  std::string token_;
  bool is_open_ = false;
};

/// The vocabulary in the content of an encoder.json.
inline Vocabulary parse_gpt2(const std::string& path, std::string_view content, TokenText text) {
  Gpt2Reader reader(path, content.size());
  reader.read(content);
  return std::move(reader.table()).vocabulary(text);
}

}  // namespace detail

/// Reads an encoder.json. The file does not say which tokens are special: none is. Ids that it leaves out are
/// empty tokens. Throws FileError, naming the key, if it is not an object of tokens and ids, or if an id
/// occurs twice or is not below the file's size. O(file size + V log V).
inline Vocabulary load_gpt2(const std::filesystem::path& path, TokenText text = TokenText::raw) {
  const MappedFile file(path);
  return detail::parse_gpt2(file.path(), file.text(), text);
}

}  // namespace kronecker
