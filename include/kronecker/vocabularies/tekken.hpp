#pragma once

/// Mistral's tekken.json: an array of tokens with their bytes in base64, before which the special tokens
/// come. Needs nlohmann/json 3.11.

#include <kronecker/error.hpp>
#include <kronecker/files/mapped_file.hpp>
#include <kronecker/namespace.hpp>
#include <kronecker/vocabularies/base64.hpp>
#include <kronecker/vocabularies/json_events.hpp>
#include <kronecker/vocabularies/token_table.hpp>
#include <kronecker/vocabularies/token_text.hpp>
#include <kronecker/vocabulary.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace KRONECKER_NAMESPACE {
namespace detail {

/// The special tokens of files that name none: those that all of Mistral's files up to version 7 share.
inline constexpr std::array<std::string_view, 20> tekken_special_tokens{"<unk>",
                                                                        "<s>",
                                                                        "</s>",
                                                                        "[INST]",
                                                                        "[/INST]",
                                                                        "[AVAILABLE_TOOLS]",
                                                                        "[/AVAILABLE_TOOLS]",
                                                                        "[TOOL_RESULTS]",
                                                                        "[/TOOL_RESULTS]",
                                                                        "[TOOL_CALLS]",
                                                                        "[IMG]",
                                                                        "<pad>",
                                                                        "[IMG_BREAK]",
                                                                        "[IMG_END]",
                                                                        "[PREFIX]",
                                                                        "[MIDDLE]",
                                                                        "[SUFFIX]",
                                                                        "[SYSTEM_PROMPT]",
                                                                        "[/SYSTEM_PROMPT]",
                                                                        "[TOOL_CONTENT]"};

class TekkenReader final : public JsonEvents {
 public:
  TekkenReader(const std::string& path, std::size_t file_size) : JsonEvents(path), table_(path, file_size) {}

  /// The table of all tokens, once the file is read.
  TokenTable& finish() {
    if (!vocab_size_ || !special_count_)
      fail<FileError>(path(), ": expected numbers 'config.default_vocab_size' and ",
                      "'config.default_num_special_tokens', found none");
    if (*special_count_ > *vocab_size_)
      fail<FileError>(path(), ": config: ", counted(*vocab_size_, "token"), ", and ", *special_count_,
                      " special ones");
    add_special_tokens();
    if (*vocab_size_ - *special_count_ > tokens_.size())
      table_.note("the file says that it has ", counted(*vocab_size_, "token"), ", and has ",
                  *special_count_ + tokens_.size());
    const std::size_t count =
        static_cast<std::size_t>((std::min<std::uint64_t>)(tokens_.size(), *vocab_size_ - *special_count_));
    for (std::size_t rank = 0; rank < count; ++rank)
      table_.new_token(*special_count_ + rank, "vocab[", rank, "]") = {std::move(tokens_[rank]),
                                                                       TokenKind::bytes};
    return table_;
  }

 private:
  enum class Place : std::uint8_t { file, config, tokens, token, special_tokens, special_token, ignored };

  struct Entry {
    std::optional<std::uint64_t> rank;
    std::optional<std::string> string;  // the bytes in base64, or a special token's text
  };

  void add_special_tokens() {
    if (*special_count_ > table_.id_limit())
      fail<FileError>(path(), ": config.default_num_special_tokens: ", *special_count_, " is over ",
                      table_.id_limit(), ", the limit for a file of this size");
    if (!has_special_tokens_) {
      table_.note(
          "the file does not name its special tokens: those that Mistral's files up to version 7 share are ",
          "taken");
      for (std::size_t rank = 0; rank < tekken_special_tokens.size() && rank < *special_count_; ++rank)
        table_.token(rank) = {std::string(tekken_special_tokens[rank]), TokenKind::special};
    }
    for (std::size_t i = 0; i < special_tokens_.size(); ++i) {
      Entry& special = special_tokens_[i];
      if (*special.rank >= *special_count_)
        fail<FileError>(path(), ": special_tokens[", i, "]: the rank ", *special.rank, " is not below ",
                        *special_count_, ", the number of special tokens");
      table_.new_token(*special.rank, "special_tokens[", i, "]") = {std::move(*special.string),
                                                                    TokenKind::special};
    }
    std::uint64_t unnamed = 0;
    for (std::uint64_t rank = 0; rank < *special_count_; ++rank) {
      TokenString& token = table_.token(rank);
      if (token.kind != TokenKind::hole) continue;
      token = {"<SPECIAL_" + std::to_string(rank) + ">", TokenKind::special};
      ++unnamed;
    }
    if (unnamed > 0)
      table_.note("special tokens without a name in the file: ", unnamed,
                  "; they are called <SPECIAL_n> by their id n, as by Mistral's own tokenizer");
  }

  void on_open(char bracket) override { places_.push_back(place_of_child(bracket)); }

  void on_close() override {
    const Place closed = places_.back();
    places_.pop_back();
    if (closed == Place::token) {
      const std::size_t rank = tokens_.size();
      if (!entry_.rank || !entry_.string)
        fail<FileError>(path(), ": vocab[", rank, "]: expected a rank and token_bytes");
      if (*entry_.rank != rank)
        fail<FileError>(path(), ": vocab[", rank, "]: expected the rank ", rank, ", found ", *entry_.rank);
      std::optional<std::string> bytes = from_base64(*entry_.string);
      if (!bytes)
        fail<FileError>(path(), ": vocab[", rank, "].token_bytes: expected base64, found '",
                        excerpt(*entry_.string), "'");
      tokens_.push_back(std::move(*bytes));
    }
    if (closed == Place::special_token) {
      if (!entry_.rank || !entry_.string)
        fail<FileError>(path(), ": special_tokens[", special_tokens_.size(),
                        "]: expected a rank and a token_str");
      special_tokens_.push_back(std::exchange(entry_, {}));
    }
  }

  void on_key(std::string& name) override { key_.swap(name); }

  void on_text(std::string& value) override {
    if (place() == Place::token && key_ == "token_bytes") entry_.string = value;
    if (place() == Place::special_token && key_ == "token_str") entry_.string = value;
    check_element("a string");
  }

  void on_number(std::uint64_t value) override {
    if ((place() == Place::token || place() == Place::special_token) && key_ == "rank") entry_.rank = value;
    if (place() == Place::config && key_ == "default_vocab_size") vocab_size_ = value;
    if (place() == Place::config && key_ == "default_num_special_tokens") special_count_ = value;
    check_element("a number");
  }

  void on_other_value(std::string_view value) override { check_element(value); }

  Place place() const noexcept { return places_.empty() ? Place::ignored : places_.back(); }

  Place place_of_child(char bracket) {
    const bool is_object = bracket == '{';
    if (places_.empty()) return is_object ? Place::file : Place::ignored;
    if (place() == Place::file) {
      if (key_ == "config" && is_object) return Place::config;
      if (key_ == "vocab" && !is_object) return Place::tokens;
      if (key_ == "special_tokens" && !is_object) {
        has_special_tokens_ = true;
        return Place::special_tokens;
      }
    }
    if (place() == Place::tokens || place() == Place::special_tokens) {
      if (!is_object) check_element("an array");
      entry_ = {};
      return place() == Place::tokens ? Place::token : Place::special_token;
    }
    return Place::ignored;
  }

  /// Refuses what is not an object directly in an array of tokens.
  void check_element(std::string_view found) const {
    if (place() == Place::tokens)
      fail<FileError>(path(), ": vocab[", tokens_.size(), "]: expected an object, found ", excerpt(found));
    if (place() == Place::special_tokens)
      fail<FileError>(path(), ": special_tokens[", special_tokens_.size(), "]: expected an object, found ",
                      excerpt(found));
  }

  TokenTable table_;
  std::vector<Place> places_;
  std::string key_;
  Entry entry_;                      // that is being read
  std::vector<std::string> tokens_;  // by rank
  std::vector<Entry> special_tokens_;
  std::optional<std::uint64_t> vocab_size_;
  std::optional<std::uint64_t> special_count_;
  bool has_special_tokens_ = false;
};

/// The vocabulary in the content of a tekken.json.
inline Vocabulary parse_tekken(const std::string& path, std::string_view content, TokenText text) {
  TekkenReader reader(path, content.size());
  reader.read(content);
  return std::move(reader.finish()).vocabulary(text);
}

}  // namespace detail

/// Reads a tekken.json. Its special tokens have the first `config.default_num_special_tokens` ids, and a
/// token of rank r the id after them by r; of the file's tokens as many are taken as make
/// `config.default_vocab_size`. Special tokens that the file does not name have the names that Mistral's own
/// tokenizer gives them, and the vocabulary's notes say so. Throws FileError, naming the key, if the file is
/// not of that form. O(file size + V log V).
inline Vocabulary load_tekken(const std::filesystem::path& path, TokenText text = TokenText::raw) {
  const MappedFile file(path);
  return detail::parse_tekken(file.path(), file.text(), text);
}

}  // namespace KRONECKER_NAMESPACE
