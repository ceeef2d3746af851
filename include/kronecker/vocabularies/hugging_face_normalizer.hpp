#pragma once

/// The normalizer of a tokenizer.json, for an added token: in tokenizers 0.23 and later, and so in the
/// PyTorch reference (TokenText::reference), those that are marked so are what it makes of their content.

#include <kronecker/namespace.hpp>
#include <kronecker/token_strings.hpp>
#include <kronecker/utf8.hpp>
#include <kronecker/vocabularies/hugging_face_decoder.hpp>
#include <kronecker/vocabularies/text_step.hpp>

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace KRONECKER_NAMESPACE::detail {

/// Bytes in GPT-2's byte map. O(size).
inline std::string byte_level_text(std::string_view bytes) {
  constexpr char32_t characters = 0x144;
  static const std::vector<std::string> text_of_byte = [] {
    std::vector<std::string> texts(256);
    for (char32_t c = 0; c < characters; ++c) {
      const auto byte = byte_of_gpt2_character(c);
      if (!byte) continue;
      texts[*byte] =
          c < 0x80 ? std::string(1, static_cast<char>(c))
                   : std::string{static_cast<char>(0xC0 | c >> 6), static_cast<char>(0x80 | (c & 0x3F))};
    }
    return texts;
  }();
  std::string text;
  for (const char byte : bytes) text += text_of_byte[static_cast<unsigned char>(byte)];
  return text;
}

/// `text` after one step of a normalizer, or nothing where that takes Unicode's tables or a regular
/// expression.
inline std::optional<std::string> normalized(const TextStep& step, std::string text) {
  const auto all_of = [&text](auto&& is_one) { return std::all_of(text.begin(), text.end(), is_one); };
  const bool is_plain = all_of([](char c) { return c >= ' ' && c <= '~'; });
  const bool has_upper_case = !all_of([](char c) { return c < 'A' || c > 'Z'; });
  const std::string_view type = step["type"];
  if (text.size() > longest_text) return std::nullopt;
  if (type == "Sequence") return text;
  if (type == "Prepend") return text.empty() ? text : std::string(step["prepend"]) + text;
  if (type == "ByteLevel") return byte_level_text(text);
  if (type == "Replace" && !step["pattern.String"].empty()) {
    const bool is_done = replace_all(text, step["pattern.String"], step["content"]);
    return is_done ? std::optional(text) : std::nullopt;
  }
  if (type == "NFC") {  // no letter below U+0300 combines with another
    const bool has_marks = !all_of([](char c) { return static_cast<unsigned char>(c) < 0xCC; });
    return has_marks ? std::nullopt : std::optional(text);
  }
  if (!is_plain) return std::nullopt;
  if (type == "NFD" || type == "NFKC" || type == "NFKD" || type == "StripAccents" || type == "Nmt")
    return text;
  if (type == "Precompiled") return has_upper_case ? std::nullopt : std::optional(text);
  if (type == "Strip") {
    if (step["strip_left"] == "true") text.erase(0, (std::min)(text.find_first_not_of(' '), text.size()));
    if (step["strip_right"] == "true") text.erase(text.find_last_not_of(' ') + 1);
    return text;
  }
  if (type == "Lowercase" || (type == "BertNormalizer" && step["lowercase"] == "true"))
    for (char& c : text)
      if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return type == "Lowercase" || type == "BertNormalizer" ? std::optional(text) : std::nullopt;
}

/// `content` after all steps of a normalizer, or nothing where it is not known.
inline std::optional<std::string> normalized(const std::vector<TextStep>& steps, std::string_view content) {
  std::optional<std::string> text(content);
  for (const TextStep& step : steps)
    if (text) text = normalized(step, std::move(*text));
  return text;
}

}  // namespace KRONECKER_NAMESPACE::detail
