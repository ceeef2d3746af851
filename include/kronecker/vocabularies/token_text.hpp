#pragma once

/// Which bytes a vocabulary reader takes for a token's.

#include <kronecker/namespace.hpp>

namespace KRONECKER_NAMESPACE {

/// What a token's bytes are.
enum class TokenText {
  /// The bytes that the token stands for: what a text consists of. Use this.
  raw,
  /// The string that the PyTorch reference encodes: the token decoded alone, as text. For weights that were
  /// trained with it. Byte-level tokens are decoded as UTF-8 with U+FFFD for each maximal invalid part;
  /// SentencePiece tokens lose one leading space; special tokens are literal (docs/differences.md).
  reference,
};

}  // namespace KRONECKER_NAMESPACE
