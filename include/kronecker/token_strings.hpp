#pragma once

/// The strings with which tokenizers print their tokens, turned back into the bytes that the tokens stand
/// for.

#include <kronecker/error.hpp>
#include <kronecker/namespace.hpp>
#include <kronecker/utf8.hpp>

#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace KRONECKER_NAMESPACE {
namespace detail {

/// GPT-2's byte map, inverted. It prints a byte that is a visible Latin-1 character as that character, and
/// the other 68 bytes, in order, as U+0100, U+0101, ...
constexpr std::optional<unsigned char> byte_of_gpt2_character(char32_t character) noexcept {
  constexpr auto is_visible = [](char32_t c) {
    return (c >= 0x21 && c <= 0x7E) || (c >= 0xA1 && c <= 0xAC) || (c >= 0xAE && c <= 0xFF);
  };
  constexpr auto hidden_bytes = [=] {
    std::array<unsigned char, 68> bytes{};
    std::size_t count = 0;
    for (unsigned byte = 0; byte < 256; ++byte)
      if (!is_visible(byte)) bytes[count++] = static_cast<unsigned char>(byte);
    return bytes;
  }();
  if (is_visible(character)) return static_cast<unsigned char>(character);
  if (character >= 0x100 && character < 0x100 + hidden_bytes.size()) return hidden_bytes[character - 0x100];
  return std::nullopt;
}

/// The byte that a SentencePiece byte piece, "<0x0A>", stands for; nothing for any other piece.
constexpr std::optional<unsigned char> byte_of_byte_piece(std::string_view piece) noexcept {
  constexpr std::string_view hexadecimal = "0123456789ABCDEF";
  if (piece.size() != 6 || piece.substr(0, 3) != "<0x" || piece[5] != '>') return std::nullopt;
  const std::size_t high = hexadecimal.find(piece[3]);
  const std::size_t low = hexadecimal.find(piece[4]);
  if (high == std::string_view::npos || low == std::string_view::npos) return std::nullopt;
  return static_cast<unsigned char>(high * 16 + low);
}

}  // namespace detail

/// The bytes of a token of a byte-level BPE vocabulary (GPT-2, Llama 3, Qwen), undoing GPT-2's byte map:
/// "\u0120the" -> " the". Control and added tokens are plain text in such vocabularies: do not pass them.
/// Throws std::invalid_argument if `token` is not UTF-8 or has a character that stands for no byte.
inline std::string bytes_from_byte_level_bpe(std::string_view token) {
  std::string bytes;
  bytes.reserve(token.size());
  for (std::size_t at = 0; at < token.size();) {
    const Utf8CodePoint character = read_code_point(token.substr(at));
    if (character.length == 0)
      detail::fail<std::invalid_argument>("a byte-level token must be UTF-8: byte ",
                                          static_cast<unsigned char>(token[at]), " at offset ", at,
                                          " is not");
    const auto byte = detail::byte_of_gpt2_character(character.value);
    if (!byte)
      detail::fail<std::invalid_argument>("not a byte-level token: code point ",
                                          static_cast<std::uint32_t>(character.value), " at offset ", at,
                                          " stands for no byte");
    bytes += static_cast<char>(*byte);
    at += character.length;
  }
  return bytes;
}

/// The bytes of a SentencePiece piece: "\u2581the" -> " the", and a byte piece is its byte: "<0x0A>" -> "\n"
/// (two upper-case digits, as SentencePiece prints them; anything else of that look is text). Throws
/// std::invalid_argument if `piece` is not UTF-8.
inline std::string bytes_from_sentencepiece(std::string_view piece) {
  if (const auto byte = detail::byte_of_byte_piece(piece)) return {static_cast<char>(*byte)};

  std::string bytes;
  bytes.reserve(piece.size());
  for (std::size_t at = 0; at < piece.size();) {
    const Utf8CodePoint character = read_code_point(piece.substr(at));
    if (character.length == 0)
      detail::fail<std::invalid_argument>("a SentencePiece piece must be UTF-8: byte ",
                                          static_cast<unsigned char>(piece[at]), " at offset ", at,
                                          " is not");
    constexpr char32_t word_boundary = 0x2581;
    if (character.value == word_boundary)
      bytes += ' ';
    else
      bytes += piece.substr(at, character.length);
    at += character.length;
  }
  return bytes;
}

}  // namespace KRONECKER_NAMESPACE
