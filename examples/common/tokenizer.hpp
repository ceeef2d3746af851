#pragma once

/// SentencePiece's tokenizer, for texts.

#include "files.hpp"
#include "progress.hpp"

#include <kronecker/kronecker.hpp>

#include <sentencepiece_processor.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace examples {

/// The front of a text that is tokenized at once, since SentencePiece takes 90 bytes of memory for each byte
/// of what it is given. It ends at a line's end, or else before a space, where no token goes on.
inline std::string_view first_piece(std::string_view text) {
  constexpr std::size_t most = 1 << 18;
  if (text.size() <= most) return text;
  const std::string_view window = text.substr(0, most);
  const std::size_t line_end = window.rfind('\n');
  if (line_end != window.npos) return window.substr(0, line_end + 1);
  for (std::size_t space = window.rfind(' '); space != window.npos && space > 0;
       space = window.rfind(' ', space - 1))
    if (window[space - 1] != ' ') return window.substr(0, space);
  return kronecker::utf8_safe_prefix(text, most);
}

class Tokenizer {
 public:
  /// Opens a SentencePiece model; throws FileError if the file is none.
  explicit Tokenizer(const std::filesystem::path& model) {
    const auto status = processor_.LoadFromSerializedProto(read_file(model));
    if (!status.ok())
      throw kronecker::FileError(kronecker::shown_text(model.string()) + ": not a SentencePiece model");
  }

  /// The tokens of a text, a piece at a time.
  std::vector<kronecker::TokenId> encode(std::string_view text) const {
    std::vector<kronecker::TokenId> ids;
    examples::Progress progress("tokenizing", text.size());
    for (std::size_t at = 0; at < text.size();) {
      const std::string_view piece = first_piece(text.substr(at));
      std::vector<int> piece_ids;
      const auto status = processor_.Encode({piece.data(), piece.size()}, &piece_ids);
      if (!status.ok())
        throw std::runtime_error("SentencePiece could not encode the text: " + status.ToString());
      ids.insert(ids.end(), piece_ids.begin(), piece_ids.end());
      at += piece.size();
      progress.update(at);
    }
    return ids;
  }

 private:
  sentencepiece::SentencePieceProcessor processor_;
};

}  // namespace examples
