#pragma once

/// Special tokens as people write them down for formats that have none: "<|eot_id|>=128009". Needs
/// nlohmann/json 3.11.

#include <kronecker/error.hpp>
#include <kronecker/files/file_kind.hpp>
#include <kronecker/files/mapped_file.hpp>
#include <kronecker/namespace.hpp>
#include <kronecker/number_text.hpp>
#include <kronecker/types.hpp>
#include <kronecker/vocabularies/json_events.hpp>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace KRONECKER_NAMESPACE {
namespace detail {

/// "<|eot_id|>=128009" -> its text and id; nothing for anything else. The last '=' counts.
inline std::optional<std::pair<std::string, TokenId>> special_token(std::string_view text) {
  const std::size_t equals = text.rfind('=');
  if (equals == text.npos || equals == 0) return std::nullopt;
  const auto id = number_in<TokenId>(text.substr(equals + 1));
  if (!id || *id < 0) return std::nullopt;
  return std::pair(std::string(text.substr(0, equals)), *id);
}

/// Reads a JSON object of texts and ids.
class SpecialTokensReader final : public JsonEvents {
 public:
  using JsonEvents::JsonEvents;
  std::map<std::string, TokenId>& tokens() noexcept { return tokens_; }

 private:
  void on_open(char bracket) override {
    if (is_open_ || bracket != '{') refuse(std::string_view(&bracket, 1));
    is_open_ = true;
  }
  void on_close() override {}
  void on_key(std::string& name) override { key_.swap(name); }
  void on_text(std::string& value) override { refuse(value); }
  void on_number(std::uint64_t id) override {
    if (!is_open_ || key_.empty() || id > static_cast<std::uint64_t>((std::numeric_limits<TokenId>::max)()))
      refuse(std::to_string(id));
    if (!tokens_.emplace(key_, static_cast<TokenId>(id)).second)
      fail<FileError>(path(), ": '", excerpt(key_), "' is there twice");
  }
  void on_other_value(std::string_view value) override { refuse(value); }

  [[noreturn]] void refuse(std::string_view found) const {
    fail<FileError>(path(), ": '", excerpt(key_), "': expected the id of a special token, found ",
                    excerpt(found));
  }

  std::map<std::string, TokenId> tokens_;
  std::string key_;
  bool is_open_ = false;
};

}  // namespace detail

/// "<|eot_id|>=128009" -> its text and id. The last '=' separates them. Throws std::invalid_argument for
/// anything else.
inline std::pair<std::string, TokenId> parse_special_token(std::string_view text) {
  auto token = detail::special_token(text);
  if (!token)
    detail::fail<std::invalid_argument>(
        "expected a special token and its id, such as <|end|>=128009, found '", text, "'");
  return std::move(*token);
}

/// Reads a file of special tokens: a JSON object of texts and ids, or a line such as "<|eot_id|>=128009" for
/// each. Throws FileError, naming the line or the key, at anything else, or if a text is there twice.
/// O(size log of their number).
inline std::map<std::string, TokenId> load_special_tokens(const std::filesystem::path& path) {
  const MappedFile file(path);
  if (kind_of_content(file.text()) == FileKind::json) {
    detail::SpecialTokensReader reader(file.path());
    reader.read(file.text());
    return std::move(reader.tokens());
  }
  std::map<std::string, TokenId> tokens;
  std::string_view rest = file.text();
  for (std::size_t line_number = 1; !rest.empty(); ++line_number) {
    const std::string_view line = detail::take_line(rest);
    if (line.empty()) continue;
    auto token = detail::special_token(line);
    if (!token)
      detail::fail<FileError>(file.path(), ": line ", line_number,
                              ": expected a special token and its id, such as <|end|>=128009, found '",
                              detail::excerpt(line), "'");
    if (!tokens.insert(std::move(*token)).second)
      detail::fail<FileError>(file.path(), ": line ", line_number, ": '", detail::excerpt(line),
                              "' is there twice");
  }
  return tokens;
}

}  // namespace KRONECKER_NAMESPACE
