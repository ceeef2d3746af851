#pragma once

/// The decoder of a tokenizer.json, for a single token: what the PyTorch reference makes of it
/// (TokenText::reference).

#include <kronecker/error.hpp>
#include <kronecker/namespace.hpp>
#include <kronecker/number_text.hpp>
#include <kronecker/utf8.hpp>
#include <kronecker/vocabularies/reference_text.hpp>
#include <kronecker/vocabularies/text_step.hpp>
#include <kronecker/vocabularies/token_table.hpp>

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace KRONECKER_NAMESPACE::detail {

/// The longest text that is made of a token: replacements after replacements could fill the memory.
inline constexpr std::size_t longest_text = std::size_t{1} << 20;

/// Puts `content` for every `pattern`, which is not empty; unless that would be too long a text.
inline bool replace_all(std::string& text, std::string_view pattern, std::string_view content) {
  std::string changed;
  std::size_t begin = 0;  // of what is not in `changed`
  for (std::size_t at = text.find(pattern); at != text.npos; at = text.find(pattern, begin)) {
    changed.append(text, begin, at - begin).append(content);
    begin = at + pattern.size();
    if (content.size() > pattern.size() && changed.size() + text.size() - begin > longest_text) return false;
  }
  text.replace(0, begin, changed);
  return true;
}

/// What tokenizers' WordPiece and CTC do to spaces before punctuation and to English contractions.
inline void clean_up(std::string& text) {
  constexpr std::pair<std::string_view, std::string_view> rules[] = {
      {" .", "."},   {" ?", "?"},           {" !", "!"},   {" ,", ","},     {" ' ", "'"},   {" n't", "n't"},
      {" 'm", "'m"}, {" do not", " don't"}, {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"}};
  for (const auto& [pattern, content] : rules) replace_all(text, pattern, content);
}

/// Takes up to `start` of `character` off the front and up to `stop` off the end.
inline void strip(std::string& text, std::string_view character, std::size_t start, std::size_t stop) {
  std::string_view rest = text;
  for (; start > 0 && rest.starts_with(character); --start) rest.remove_prefix(character.size());
  for (; stop > 0 && rest.ends_with(character); --stop) rest.remove_suffix(character.size());
  text = std::string(rest);
}

/// A change of a token's text, one step of its decoding.
using TextChange = std::function<void(std::string&)>;

/// Decodes tokens, each alone, by the steps of a tokenizer.json's decoder.
class HuggingFaceDecoder {
 public:
  HuggingFaceDecoder(const HuggingFaceDecoder&) = delete;
  HuggingFaceDecoder& operator=(const HuggingFaceDecoder&) = delete;

  /// Throws FileError if a step is not known or is a replacement of a regular expression.
  HuggingFaceDecoder(std::string path, const std::vector<TextStep>& steps) : path_(std::move(path)) {
    for (const TextStep& step : steps) changes_.push_back(change_of(step));
  }

  /// The text of a token, decoded alone. Throws FileError if that is longer than any token could be.
  std::string operator()(std::string token) const {
    for (const TextChange& change : changes_) change(token);
    return token;
  }

 private:
  TextChange change_of(const TextStep& step) const {
    const std::string_view type = step["type"];
    if (type == "Sequence" || type == "Fuse") return [](std::string&) {};
    if (type == "ByteLevel") return decode_byte_level;
    if (type == "ByteFallback") return decode_byte_piece;
    if (type == "Metaspace") return metaspace(step);
    if (type == "Replace") return replacement(required(step, "pattern.String"), std::string(step["content"]));
    if (type == "BPEDecoder") return replacement(required(step, "suffix"), {});
    if (type == "Strip") {
      return [character = required(step, "content"), start = count(step, "start"),
              stop = count(step, "stop")](std::string& text) { strip(text, character, start, stop); };
    }
    if (type == "WordPiece") return step["cleanup"] == "true" ? clean_up : TextChange([](std::string&) {});
    if (type == "CTC") return connectionist(step);
    fail<FileError>(path_, ": decoder: the step '", excerpt(type), "' is not one that is known", no_strings);
  }

  /// Text from bytes in GPT-2's byte map. A token with any other character stays as it is.
  static void decode_byte_level(std::string& token) {
    if (const auto bytes = byte_level_bytes(token)) token = replace_invalid_utf8(*bytes);
  }

  static void decode_byte_piece(std::string& token) {
    if (const auto byte = byte_of_any_byte_piece(token))
      token = replace_invalid_utf8(std::string(1, static_cast<char>(*byte)));
  }

  TextChange replacement(std::string pattern, std::string content) const {
    return [this, pattern = std::move(pattern), content = std::move(content)](std::string& text) {
      if (!replace_all(text, pattern, content))
        fail<FileError>(path_, ": decoder: '", excerpt(text), "' would become a text of more than ",
                        longest_text, " bytes");
    };
  }

  /// The first token of a text loses every space, unless the text did not get one.
  TextChange metaspace(const TextStep& step) const {
    const bool is_kept = step["prepend_scheme"] == "never" || step["add_prefix_space"] == "false";
    return replacement(required(step, "replacement"), is_kept ? " " : "");
  }

  TextChange connectionist(const TextStep& step) const {
    return [padding = required(step, "pad_token"), delimiter = required(step, "word_delimiter_token"),
            cleans_up = step["cleanup"] == "true"](std::string& text) {
      replace_all(text, padding, "");
      if (!cleans_up) return;
      clean_up(text);
      replace_all(text, delimiter, " ");
    };
  }

  std::string required(const TextStep& step, std::string_view name) const {
    if (step[name].empty())
      fail<FileError>(path_, ": decoder: the step ", step["type"], ": expected a string ", name, ", found ",
                      step["pattern.Regex"].empty() ? "none" : "a regular expression", no_strings);
    return std::string(step[name]);
  }

  std::size_t count(const TextStep& step, std::string_view name) const {
    const std::string_view digits = step[name];
    const auto number = number_in<std::size_t>(digits);
    if (!number)
      fail<FileError>(path_, ": decoder: the step ", step["type"], ": expected a number ", name, ", found '",
                      excerpt(digits), "'", no_strings);
    return *number;
  }

  static constexpr const char* no_strings =
      ": the reference's strings are not known; the tokens' true bytes are";

  std::string path_;
  std::vector<TextChange> changes_;
};

}  // namespace KRONECKER_NAMESPACE::detail
