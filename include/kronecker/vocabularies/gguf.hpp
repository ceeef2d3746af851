#pragma once

/// The vocabulary in a GGUF file's metadata, as llama.cpp has it: "gpt2" (byte-level BPE), "llama" and "t5"
/// (SentencePiece).

#include <kronecker/error.hpp>
#include <kronecker/files/gguf.hpp>
#include <kronecker/namespace.hpp>
#include <kronecker/vocabularies/token_table.hpp>
#include <kronecker/vocabulary.hpp>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace KRONECKER_NAMESPACE {
namespace detail {

/// GGUF's token types, by their numbers. Undefined ones are those of converters that knew none: normal.
enum class GgufTokenType { undefined, normal, unknown, control, user_defined, unused, byte };

/// What a token of that type is in a byte-level vocabulary, where all but normal ones are plain text.
constexpr TokenKind kind_of_byte_level_token(GgufTokenType type) noexcept {
  switch (type) {
    case GgufTokenType::undefined:
    case GgufTokenType::normal:
    case GgufTokenType::byte:
      return TokenKind::byte_level;
    case GgufTokenType::unknown:
    case GgufTokenType::control:
      return TokenKind::special;
    default:
      return TokenKind::text;
  }
}

/// What it is in a SentencePiece vocabulary.
constexpr TokenKind kind_of_sentencepiece_token(GgufTokenType type) noexcept {
  switch (type) {
    case GgufTokenType::byte:
      return TokenKind::byte_piece;
    case GgufTokenType::unknown:
    case GgufTokenType::control:
      return TokenKind::special;
    default:
      return TokenKind::piece;
  }
}

/// The types of `token_count` tokens as numbers; all are normal if the file does not tell.
inline std::vector<std::int64_t> gguf_token_types(const std::string& path, const GgufMetadata& metadata,
                                                  std::size_t token_count) {
  constexpr std::string_view key = "tokenizer.ggml.token_type";
  std::vector<std::int64_t> types(token_count, static_cast<std::int64_t>(GgufTokenType::normal));
  const auto found = metadata.values.find(key);
  if (found == metadata.values.end()) return types;
  if (const auto* integers = std::get_if<std::vector<std::int64_t>>(&found->second))
    types = *integers;
  else if (const auto* naturals = std::get_if<std::vector<std::uint64_t>>(&found->second))
    types.assign(naturals->begin(), naturals->end());
  else
    fail<FileError>(path, ": '", key, "' is not an array of whole numbers");
  if (types.size() != token_count)
    fail<FileError>(path, ": '", key, "' has ", types.size(), " values for ", token_count, " tokens");
  for (std::size_t id = 0; id < types.size(); ++id)
    if (types[id] < static_cast<std::int64_t>(GgufTokenType::undefined) ||
        types[id] > static_cast<std::int64_t>(GgufTokenType::byte))
      fail<FileError>(path, ": '", key, "': token ", id, " is of the unknown type ", types[id]);
  return types;
}

/// The vocabulary in the metadata of the file at `path`.
inline Vocabulary gguf_vocabulary(const std::string& path, const GgufMetadata& metadata, TokenText text) {
  constexpr std::string_view model_key = "tokenizer.ggml.model", tokens_key = "tokenizer.ggml.tokens";
  const auto* model = metadata.find<std::string>(model_key);
  if (!model) fail<FileError>(path, ": no text '", model_key, "': the file has no vocabulary");
  const bool is_byte_level = *model == "gpt2";
  if (!is_byte_level && *model != "llama" && *model != "t5")
    fail<FileError>(path, ": '", model_key, "' is '", excerpt(*model), "'",
                    *model == "bert"
                        ? " (WordPiece), whose strings do not say what bytes a token stands for: "
                          "spaces and case are lost"
                        : "",
                    "; 'gpt2' (byte-level BPE), 'llama' and 't5' (SentencePiece) are supported");
  const auto* strings = metadata.find<std::vector<std::string>>(tokens_key);
  if (!strings) fail<FileError>(path, ": no array of texts '", tokens_key, "'");

  const std::vector<std::int64_t> types = gguf_token_types(path, metadata, strings->size());
  const bool tells_types = metadata.values.contains("tokenizer.ggml.token_type");
  TokenTable table(path, (std::numeric_limits<TokenId>::max)());
  for (std::size_t id = 0; id < strings->size(); ++id) {
    const auto type = static_cast<GgufTokenType>(types[id]);
    TokenKind kind = is_byte_level ? kind_of_byte_level_token(type) : kind_of_sentencepiece_token(type);
    if (!tells_types && kind == TokenKind::piece && byte_of_byte_piece((*strings)[id]))
      kind = TokenKind::byte_piece;
    table.token(id) = {(*strings)[id], kind};
  }
  if (*model == "llama") {
    const auto* adds_space = metadata.find<bool>("tokenizer.ggml.add_space_prefix");
    table.assume(adds_space && !*adds_space ? LeadingSpace::kept : LeadingSpace::dropped);
  }
  return std::move(table).vocabulary(text);
}

}  // namespace detail

/// Reads the vocabulary of a GGUF file, a model or a vocabulary alone. Control tokens and the unknown token
/// are special. Throws FileError, naming the byte or the key, if the file's metadata is damaged, it has no
/// vocabulary, or one whose strings do not say what bytes a token stands for (WordPiece, "bert").
/// O(size of the metadata + V log V); the tensors are not read.
inline Vocabulary load_gguf(const std::filesystem::path& path, TokenText text = TokenText::raw) {
  return detail::gguf_vocabulary(path.string(), read_gguf_metadata(path), text);
}

}  // namespace KRONECKER_NAMESPACE
