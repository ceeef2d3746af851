#pragma once

/// Which bytes a vocabulary reader takes for a token's.

#include <kronecker/namespace.hpp>

namespace KRONECKER_NAMESPACE {

/// What a token's bytes are.
enum class TokenText {
  /// The bytes that the token stands for: what a text consists of. Use this.
  raw,
  /// The string that the PyTorch reference encodes, for weights that were trained with it: what looks like
  /// "<0x0A>" is that byte, special tokens are literal, and any other is the text that its tokenizer decodes
  /// from that token alone. tokenizer.json says how it is decoded. Byte-level formats are unambiguous; what
  /// else is assumed is among the vocabulary's notes, or refused (docs/differences.md).
  reference,
  /// As `raw`, and vocabularies that do not say what bytes a token stands for are read by what words are:
  /// in a WordPiece model "##ing" is "ing", and any other token has a space before it. What that loses is
  /// among the vocabulary's notes.
  words,
};

}  // namespace KRONECKER_NAMESPACE
