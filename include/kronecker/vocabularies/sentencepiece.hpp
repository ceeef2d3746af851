#pragma once

/// SentencePiece's .model files: a protobuf message whose field 1, once for each token, is its piece
/// (sentencepiece_model.proto).

#include <kronecker/error.hpp>
#include <kronecker/files/file_kind.hpp>
#include <kronecker/files/mapped_file.hpp>
#include <kronecker/files/protobuf.hpp>
#include <kronecker/files/wrong_file.hpp>
#include <kronecker/namespace.hpp>
#include <kronecker/vocabularies/token_table.hpp>
#include <kronecker/vocabulary.hpp>

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>

namespace KRONECKER_NAMESPACE {
namespace detail {

/// A SentencePiece message -> the token.
inline TokenString sentencepiece_token(ProtobufMessage message) {
  constexpr std::uint64_t piece_field = 1, type_field = 3;
  enum : std::uint64_t { normal = 1, unknown, control, user_defined, unused, byte };

  std::string piece;
  std::uint64_t type = normal;
  while (!message.at_end()) {
    const ProtobufField field = message.next();
    if (field.number == piece_field && field.wire_type == ProtobufField::length_delimited)
      piece = field.bytes;
    if (field.number == type_field && field.wire_type == ProtobufField::varint) type = field.value;
  }
  if (piece.empty()) message.refuse("a piece has no string");
  switch (type) {
    case normal:
    case user_defined:
    case unused:
      return {std::move(piece), TokenKind::piece};
    case unknown:
    case control:
      return {std::move(piece), TokenKind::special};
    case byte:
      return {std::move(piece), TokenKind::byte_piece};
    default:
      message.refuse("a piece has an unknown type");
  }
}

/// What a SentencePiece model says besides its pieces, as far as it is needed.
struct SentencePieceSettings {
  bool is_bpe = false;
  bool has_byte_fallback = false;
  bool adds_space = true;  ///< A space is put in front of every text.
};

/// Reads one of the two messages of a model that have settings: that of the trainer or of the normalizer.
inline void read_sentencepiece_settings(bool is_trainer, ProtobufMessage message,
                                        SentencePieceSettings& settings) {
  constexpr std::uint64_t model_type_field = 3, byte_fallback_field = 35, bpe = 2;  // of the trainer
  constexpr std::uint64_t adds_space_field = 3;                                     // of the normalizer
  while (!message.at_end()) {
    const ProtobufField field = message.next();
    if (field.wire_type != ProtobufField::varint) continue;
    if (is_trainer && field.number == model_type_field) settings.is_bpe = field.value == bpe;
    if (is_trainer && field.number == byte_fallback_field) settings.has_byte_fallback = field.value != 0;
    if (!is_trainer && field.number == adds_space_field) settings.adds_space = field.value != 0;
  }
}

/// Notes that a model may number its tokens in another way than this file. Files of the models that do
/// (XLM-R, mBART, NLLB, XGLM, CamemBERT) all have that name.
inline void note_other_ids(TokenTable& table) {
  const auto& tokens = table.tokens();
  constexpr std::string_view usual_name = "sentencepiece.bpe.model";
  if (!table.path().ends_with(usual_name) || tokens.size() < 3 || tokens[0].string != "<unk>" ||
      tokens[1].string != "<s>" || tokens[2].string != "</s>")
    return;
  table.note(
      "files of this name come with models that number their tokens in another way (XLM-R: <s> 0, <pad> 1, ",
      "</s> 2, <unk> 3, and every other token one higher than here): if this is one of them, give its ",
      "tokenizer.json");
}

/// The vocabulary in the content of a .model file.
inline Vocabulary parse_sentencepiece(const std::string& path, std::string_view content, TokenText text) {
  constexpr std::uint64_t pieces_field = 1, trainer_field = 2, normalizer_field = 3;
  refuse_other_kind(path, content, FileKind::sentencepiece);
  TokenTable table(path, content.size());
  ProtobufMessage model(path, "a SentencePiece model", content);
  SentencePieceSettings settings;
  const bool is_reference = text == TokenText::reference;
  while (!model.at_end()) {
    const ProtobufField field = model.next();
    const bool is_message = field.wire_type == ProtobufField::length_delimited;
    if (is_reference && is_message && (field.number == trainer_field || field.number == normalizer_field))
      read_sentencepiece_settings(field.number == trainer_field, model.part(field), settings);
    if (field.number != pieces_field) continue;
    if (!is_message) model.refuse("a piece is not a message");
    table.tokens().push_back(sentencepiece_token(model.part(field)));
  }
  if (settings.is_bpe && settings.has_byte_fallback)
    table.assume(settings.adds_space ? LeadingSpace::dropped : LeadingSpace::kept);
  note_other_ids(table);
  return std::move(table).vocabulary(text);
}

}  // namespace detail

/// Reads a .model file: BPE, unigram, word or character model. Control pieces (`<s>`) and the unknown piece
/// are special, and their bytes are their literal piece. Ids are the file's; where a model's may be others,
/// the vocabulary's notes say so. TokenText::reference is for BPE with byte fallback: the model of Llama,
/// which puts a space before every text, or of Gemma, which does not. Throws FileError, naming the byte or
/// the token, if the file is not such a message, or has no pieces. O(file size + V log V).
inline Vocabulary load_sentencepiece(const std::filesystem::path& path, TokenText text = TokenText::raw) {
  const MappedFile file(path);
  return detail::parse_sentencepiece(file.path(), file.text(), text);
}

}  // namespace KRONECKER_NAMESPACE
