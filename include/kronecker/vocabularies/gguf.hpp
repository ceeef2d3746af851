#pragma once

/// The vocabulary in a GGUF file's metadata, as llama.cpp takes it: byte-level BPE ("gpt2"), SentencePiece
/// ("llama", "t5", "gemma4", and "gpt2" with a pre-tokenizer that says so), "rwkv", "plamo2" and "hybriddna".

#include <kronecker/error.hpp>
#include <kronecker/files/gguf.hpp>
#include <kronecker/namespace.hpp>
#include <kronecker/vocabularies/python_literal.hpp>
#include <kronecker/vocabularies/token_table.hpp>
#include <kronecker/vocabulary.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace KRONECKER_NAMESPACE {
namespace detail {

/// GGUF's token types, by their numbers. Undefined ones are those of converters that knew none: normal.
enum class GgufTokenType { undefined, normal, unknown, control, user_defined, unused, byte };

/// How a GGUF vocabulary writes its tokens.
enum class GgufTokens {
  byte_level,  ///< In GPT-2's byte map; all but normal tokens are plain text.
  pieces,      ///< As SentencePiece does: U+2581 is a space, and tokens of the type byte are "<0x0A>".
  text,        ///< As text, with such bytes.
  escaped,     ///< With the escapes of Python's literals.
};

/// How the vocabulary `model` of a GGUF file with the pre-tokenizer `pre` writes its tokens, as llama.cpp
/// takes them (llama-vocab.cpp); nothing if they do not say what bytes a token stands for, or if it is not
/// known. WordPiece is read only `as_words`.
constexpr std::optional<GgufTokens> gguf_tokens(std::string_view model, std::string_view pre,
                                                bool as_words) noexcept {
  if (model == "bert" && as_words) return GgufTokens::pieces;
  if (model == "llama" || model == "t5" || model == "gemma4") return GgufTokens::pieces;
  if (model == "plamo2") return GgufTokens::text;
  if (model == "rwkv") return GgufTokens::escaped;
  if (model != "gpt2" && model != "hybriddna") return std::nullopt;
  const bool has_pieces = pre == "gemma4" || pre == "granite-embed-multi-311m" || pre == "sarvam-moe";
  return has_pieces ? GgufTokens::pieces : GgufTokens::byte_level;
}

/// What a normal or user-defined token is.
constexpr TokenKind kind_of_normal_token(GgufTokens tokens) noexcept {
  return tokens == GgufTokens::byte_level ? TokenKind::byte_level
         : tokens == GgufTokens::pieces   ? TokenKind::piece
                                          : TokenKind::bytes;
}

/// The token of that string and type. One that is unused, as converters fill a vocabulary up to the rows of a
/// table, has no string.
inline TokenString gguf_token(const std::string& string, GgufTokenType type, GgufTokens tokens) {
  const bool is_byte = tokens != GgufTokens::escaped && byte_of_byte_piece(string);
  switch (type) {
    case GgufTokenType::unused:
      return {"", TokenKind::unused};
    case GgufTokenType::unknown:
    case GgufTokenType::control:
      return {string, TokenKind::special};
    case GgufTokenType::user_defined:
      if (tokens == GgufTokens::byte_level) return {string, TokenKind::text};
      break;
    case GgufTokenType::byte:
      if (is_byte || tokens == GgufTokens::pieces) return {string, TokenKind::byte_piece};
      break;
    case GgufTokenType::undefined:
    case GgufTokenType::normal:
      break;
  }
  return {string, kind_of_normal_token(tokens)};
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
    fail<FileError>(path, ": '", key, "' has ", counted(types.size(), "value"), " for ",
                    counted(token_count, "token"));
  for (std::size_t id = 0; id < types.size(); ++id)
    if (types[id] < static_cast<std::int64_t>(GgufTokenType::undefined) ||
        types[id] > static_cast<std::int64_t>(GgufTokenType::byte))
      fail<FileError>(path, ": '", key, "': token ", id, " is of the unknown type ", types[id]);
  return types;
}

/// Refuses the vocabulary `model`, whose tokens' bytes are not known.
[[noreturn]] inline void refuse_gguf_tokens(const std::string& path, const std::string& model) {
  if (model == "none" || model == "no_vocab")
    fail<FileError>(path, ": 'tokenizer.ggml.model' is '", model,
                    "': the file has no vocabulary; give the tokenizer's own file");
  const char* const why =
      model == "bert"
          ? " (WordPiece), whose strings do not say what bytes a token stands for: spaces and case are lost"
      : model == "whitespace" ? ", whose strings do not say what bytes a token stands for: spaces are lost"
                              : "";
  fail<FileError>(path, ": 'tokenizer.ggml.model' is '", excerpt(model), "'", std::string_view(why),
                  "; 'gpt2' and 'hybriddna' (byte-level BPE), 'llama', 't5' and 'gemma4' (SentencePiece), "
                  "'rwkv' and 'plamo2' ",
                  "are supported, and 'bert' as words (TokenText::words; kron --words)");
}

/// Takes U+E000 off the end of the tokens after "<oov>", where it tells the k-mers of a "hybriddna"
/// vocabulary from other tokens of the same letters.
inline void unmark_kmers(std::vector<TokenString>& tokens) {
  constexpr std::string_view mark = "\xEE\x80\x80";
  auto token = std::find_if(tokens.begin(), tokens.end(),
                            [](const TokenString& other) { return other.string == "<oov>"; });
  for (; token != tokens.end(); ++token)
    if (token->string.size() > mark.size() && token->string.ends_with(mark))
      token->string.resize(token->string.size() - mark.size());
}

/// The vocabulary in the metadata of the file at `path`.
inline Vocabulary gguf_vocabulary(const std::string& path, const GgufMetadata& metadata, TokenText text) {
  constexpr std::string_view model_key = "tokenizer.ggml.model", pre_key = "tokenizer.ggml.pre",
                             tokens_key = "tokenizer.ggml.tokens";
  const auto* model = metadata.find<std::string>(model_key);
  if (!model) fail<FileError>(path, ": no text '", model_key, "': the file has no vocabulary");
  const auto* pre = metadata.find<std::string>(pre_key);
  const std::optional<GgufTokens> tokens = gguf_tokens(*model, pre ? *pre : "", text == TokenText::words);
  if (!tokens) refuse_gguf_tokens(path, *model);
  const auto* strings = metadata.find<std::vector<std::string>>(tokens_key);
  if (!strings) fail<FileError>(path, ": no array of texts '", tokens_key, "'");

  const std::vector<std::int64_t> types = gguf_token_types(path, metadata, strings->size());
  const bool tells_types = metadata.values.contains("tokenizer.ggml.token_type");
  TokenTable table(path, (std::numeric_limits<TokenId>::max)());
  for (std::size_t id = 0; id < strings->size(); ++id) {
    TokenString token = gguf_token((*strings)[id], static_cast<GgufTokenType>(types[id]), *tokens);
    if (!tells_types && token.kind == TokenKind::piece && byte_of_byte_piece(token.string))
      token.kind = TokenKind::byte_piece;
    if (*tokens == GgufTokens::escaped && token.kind == TokenKind::bytes) {
      std::optional<std::string> bytes = unescape_python(token.string, /*is_bytes=*/true);
      if (!bytes)
        fail<FileError>(path, ": token ", id, ": expected bytes with Python's escapes, found '",
                        excerpt(token.string), "'");
      token.string = std::move(*bytes);
    }
    table.token(id) = std::move(token);
  }
  if (*model == "hybriddna") unmark_kmers(table.tokens());
  if (*model == "bert")
    table.note("WordPiece: what the tokenizer's normalizer changed (case, accents), and which spaces a text ",
               "really had around punctuation, is lost");
  if (*model == "llama") {
    const auto* adds_space = metadata.find<bool>("tokenizer.ggml.add_space_prefix");
    table.assume(adds_space && !*adds_space ? LeadingSpace::kept : LeadingSpace::dropped);
  }
  return std::move(table).vocabulary(text);
}

}  // namespace detail

/// Reads the vocabulary of a GGUF file, a model or a vocabulary alone. Control tokens and the unknown token
/// are special; unused ones are empty. Throws FileError, naming the byte or the key, if the file's metadata
/// is damaged, it has no vocabulary, one whose strings do not say what bytes a token stands for (WordPiece,
/// "bert", unless `text` is TokenText::words), or one whose tokens contradict what it says it is.
/// O(size of the metadata + V log V); the tensors are not read.
inline Vocabulary load_gguf(const std::filesystem::path& path, TokenText text = TokenText::raw) {
  return detail::gguf_vocabulary(detail::path_text(path), read_gguf_metadata(path), text);
}

}  // namespace KRONECKER_NAMESPACE
