#pragma once

/// What a file is, told by its first bytes and not by its name: every magic string that this library knows,
/// in one place. Readers ask it what they were handed instead of what they read.

#include <kronecker/namespace.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace KRONECKER_NAMESPACE {

/// The kinds of files that are told apart.
enum class FileKind : std::uint8_t {
  unknown,          ///< None of these.
  empty,            ///< No bytes at all.
  safetensors,      ///< Weights, or a saved embedding.
  gguf,             ///< llama.cpp's model or vocabulary.
  old_ggml,         ///< What llama.cpp wrote before GGUF.
  npy,              ///< One NumPy array.
  npz,              ///< A zip archive of NumPy arrays.
  torch_zip,        ///< What torch.save writes: a pickle in a zip archive.
  zip,              ///< Any other zip archive.
  pickle,           ///< A pickle by itself: what torch.save wrote before version 1.6.
  hdf5,             ///< Keras' weights.
  onnx,             ///< A computation graph.
  fasttext,         ///< fastText's model, a .bin file.
  gzip,             ///< Compressed.
  xz,               ///< Compressed.
  zstd,             ///< Compressed.
  bzip2,            ///< Compressed.
  git_lfs_pointer,  ///< What a clone without git-lfs leaves in the place of a large file.
  html,             ///< A page, as a failed download leaves it.
  json,             ///< An object or an array.
  sentencepiece,    ///< A .model file.
  tiktoken,         ///< Ranks: lines of base64 and a number.
  rwkv,             ///< RWKV's vocabulary: lines of a number, a Python literal and a length.
  merges,           ///< BPE's merges.txt or vocab.bpe.
  word_vectors,     ///< Lines of a word and numbers: GloVe, word2vec, fastText's .vec.
};

/// How many bytes of a file's front are enough to tell its kind.
inline constexpr std::size_t file_kind_head_size = 4096;

namespace detail {

constexpr bool is_digit(char character) noexcept { return character >= '0' && character <= '9'; }

/// The part of `text` up to `end`, taken off its front together with it; all if it is not there.
constexpr std::string_view take_until(std::string_view& text, char end) noexcept {
  const std::string_view part = text.substr(0, text.find(end));
  text.remove_prefix((std::min)(part.size() + 1, text.size()));
  return part;
}

/// The next line, taken off the front of `text`, without its end.
constexpr std::string_view take_line(std::string_view& text) noexcept {
  std::string_view line = take_until(text, '\n');
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

constexpr bool is_natural(std::string_view text) noexcept {
  return !text.empty() && std::all_of(text.begin(), text.end(), is_digit);
}

/// Whether it has the letters of a number: "-0.25", "1e-5", "3".
constexpr bool looks_like_number(std::string_view text) noexcept {
  return text.find_first_not_of("+-.0123456789eE") == text.npos &&
         std::any_of(text.begin(), text.end(), is_digit);
}

/// Whether `line` starts with a word and two numbers or more; of a long line the first ones are looked at.
constexpr bool is_word_vector(std::string_view line) noexcept {
  if (take_until(line, ' ').empty()) return false;
  constexpr int enough = 8;
  int count = 0;
  for (; count < enough && !line.empty() && line != " "; ++count)
    if (!looks_like_number(take_until(line, ' '))) return false;
  return count >= 2;
}

/// Whether `line` is base64, a space and a number: "IQ== 0".
constexpr bool is_tiktoken_line(std::string_view line) noexcept {
  std::string_view encoded = take_until(line, ' ');
  if (!is_natural(line) || encoded == "=") return is_natural(line);
  if (encoded.empty() || encoded.size() % 4 != 0) return false;
  encoded.remove_suffix(encoded.ends_with("==") ? 2 : encoded.ends_with('=') ? 1 : 0);
  return encoded.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/") ==
         encoded.npos;
}

/// Whether `line` is a number, a Python literal of text or bytes, and a number: `1 '\x00' 1`.
constexpr bool is_rwkv_line(std::string_view line) noexcept {
  const std::size_t last = line.rfind(' ');
  if (last == line.npos || !is_natural(line.substr(last + 1))) return false;
  line = line.substr(0, last);
  if (!is_natural(take_until(line, ' '))) return false;
  if (line.starts_with('b')) line.remove_prefix(1);
  return line.size() >= 2 && (line.front() == '\'' || line.front() == '"') && line.back() == line.front();
}

/// The length of the JSON in front of a safetensors file's values is no more than the format allows, and that
/// JSON is an object.
constexpr bool is_safetensors(std::string_view head) noexcept {
  constexpr std::size_t length_size = 8;
  if (head.size() <= length_size || head[length_size] != '{') return false;
  std::uint64_t length = 0;
  for (std::size_t i = length_size; i-- > 0;) length = length << 8 | static_cast<unsigned char>(head[i]);
  return length <= 100'000'000;
}

/// A SentencePiece model's field 1 is a message, which starts with a field 1 that is a string; what follows
/// in it, a score or a type, starts with a byte that no text has.
constexpr bool is_sentencepiece(std::string_view head) noexcept {
  constexpr char string_field_1 = 1 << 3 | 2, score = 2 << 3 | 5, type = 3 << 3;
  if (head.size() <= 2 || head[0] != string_field_1 || head[2] != string_field_1) return false;
  const std::string_view message = head.substr(2, static_cast<unsigned char>(head[1]));
  const std::size_t next = message.size() > 1 ? 2u + static_cast<unsigned char>(message[1]) : message.size();
  return next >= message.size() || message[next] == score || message[next] == type;
}

/// A zip archive's kind, told by the name of the first file in it.
constexpr FileKind kind_of_zip(std::string_view head) noexcept {
  constexpr std::size_t name_size_at = 26, name_at = 30;
  if (head.size() < name_at) return FileKind::zip;
  const std::size_t name_size =
      static_cast<unsigned char>(head[name_size_at]);  // two bytes, but names are short
  const std::string_view name = head.substr(name_at, name_size);
  if (name.ends_with(".npy")) return FileKind::npz;
  for (const std::string_view end : {".pkl", "/data/0", "/version", "/byteorder", "/.format_version"})
    if (name.ends_with(end)) return FileKind::torch_zip;
  return FileKind::zip;
}

/// Whether `text` starts with `start`, of which the letters are lower-case and may be upper-case in the text.
constexpr bool starts_with_any_case(std::string_view text, std::string_view start) noexcept {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
  return text.size() >= start.size() &&
         std::equal(start.begin(), start.end(), text.begin(), [&](char a, char b) { return a == lower(b); });
}

/// The kind of a text; unknown if it is none.
constexpr FileKind kind_of_text(std::string_view text) noexcept {
  constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF", blanks = " \t\r\n";
  if (text.starts_with(byte_order_mark)) text.remove_prefix(byte_order_mark.size());
  text.remove_prefix((std::min)(text.find_first_not_of(blanks), text.size()));
  if (text.starts_with("version https://git-lfs")) return FileKind::git_lfs_pointer;
  if (text.starts_with("#version: ")) return FileKind::merges;
  for (const std::string_view start : {"<!doctype", "<html", "<head", "<?xml"})
    if (starts_with_any_case(text, start)) return FileKind::html;

  if (text.starts_with('{')) return FileKind::json;
  if (text.starts_with('[')) {
    const std::string_view value = text.substr((std::min)(text.find_first_not_of(blanks, 1), text.size()));
    if (value.find_first_of("{[]\"-0123456789") == 0) return FileKind::json;
    for (const std::string_view literal : {"true", "false", "null"})
      if (value.starts_with(literal)) return FileKind::json;
  }

  const std::string_view first = take_line(text), second = take_line(text);
  std::string_view columns = first;
  const bool is_two_numbers = is_natural(take_until(columns, ' ')) && is_natural(columns);
  if (is_word_vector(first) || (is_two_numbers && is_word_vector(second))) return FileKind::word_vectors;
  if (is_tiktoken_line(first)) return FileKind::tiktoken;
  if (is_two_numbers) return FileKind::word_vectors;  // word2vec's binary form
  return is_rwkv_line(first) ? FileKind::rwkv : FileKind::unknown;
}

}  // namespace detail

/// The kind of the file that starts with `head`: its first `file_kind_head_size` bytes, or more, or all that
/// it has. That the rest of the file fits is for its reader to see. O(size of the head).
constexpr FileKind kind_of_content(std::string_view head) noexcept {
  using namespace std::string_view_literals;
  head = head.substr(0, file_kind_head_size);
  if (head.empty()) return FileKind::empty;
  if (detail::is_safetensors(head)) return FileKind::safetensors;  // the only one whose first bytes are any

  struct Magic {
    std::string_view bytes;
    FileKind kind;
  };
  constexpr std::array magics{
      Magic{"GGUF"sv, FileKind::gguf},
      Magic{"lmgg"sv, FileKind::old_ggml},  // "ggml" and its like as little-endian numbers
      Magic{"fmgg"sv, FileKind::old_ggml},
      Magic{"tjgg"sv, FileKind::old_ggml},
      Magic{"algg"sv, FileKind::old_ggml},
      Magic{"\x93NUMPY"sv, FileKind::npy},
      Magic{"\x80\x02"sv, FileKind::pickle},  // by protocol
      Magic{"\x80\x03"sv, FileKind::pickle},
      Magic{"\x80\x04"sv, FileKind::pickle},
      Magic{"\x80\x05"sv, FileKind::pickle},
      Magic{"\x89HDF\r\n\x1A\n"sv, FileKind::hdf5},
      Magic{"\xBA\x16\x4F\x2F"sv, FileKind::fasttext},
      Magic{"\x1F\x8B"sv, FileKind::gzip},
      Magic{"\xFD\x37zXZ\0"sv, FileKind::xz},
      Magic{"\x28\xB5\x2F\xFD"sv, FileKind::zstd},
      Magic{"BZh"sv, FileKind::bzip2},
  };
  for (const Magic& magic : magics)
    if (head.starts_with(magic.bytes)) return magic.kind;
  if (head.starts_with("PK\3\4") || head.starts_with("PK\5\6")) return detail::kind_of_zip(head);

  if (detail::is_sentencepiece(head)) return FileKind::sentencepiece;

  // An ONNX model: its field 1, a number, is the format's version; a string, the graph or the operators' set
  // is next.
  constexpr char number_field_1 = 1 << 3;
  constexpr std::string_view next_fields = "\x12\x1A\x22\x32\x3A\x42";
  if (head.size() > 2 && head[0] == number_field_1 && next_fields.find(head[2]) != head.npos)
    return FileKind::onnx;
  return detail::kind_of_text(head);
}

/// What people call such a file, for the end of the sentence "expected ..., found ...".
constexpr std::string_view name_of(FileKind kind) noexcept {
  switch (kind) {
    case FileKind::unknown:
      break;
    case FileKind::empty:
      return "an empty file";
    case FileKind::safetensors:
      return "a safetensors file";
    case FileKind::gguf:
      return "a GGUF file";
    case FileKind::old_ggml:
      return "a file in ggml's format from before GGUF: convert the model again";
    case FileKind::npy:
      return "a NumPy array (.npy)";
    case FileKind::npz:
      return "a zip archive of NumPy arrays (.npz): unpack it and give one .npy file";
    case FileKind::torch_zip:
      return "what torch.save writes, a pickle in a zip archive";
    case FileKind::zip:
      return "a zip archive";
    case FileKind::pickle:
      return "a Python pickle";
    case FileKind::hdf5:
      return "an HDF5 file";
    case FileKind::onnx:
      return "an ONNX model";
    case FileKind::fasttext:
      return "a fastText model (.bin)";
    case FileKind::gzip:
      return "a file compressed by gzip: unpack it first";
    case FileKind::xz:
      return "a file compressed by xz: unpack it first";
    case FileKind::zstd:
      return "a file compressed by zstd: unpack it first";
    case FileKind::bzip2:
      return "a file compressed by bzip2: unpack it first";
    case FileKind::git_lfs_pointer:
      return "a git-lfs pointer: run git lfs pull";
    case FileKind::html:
      return "an HTML or XML page, as failed downloads leave it";
    case FileKind::json:
      return "JSON";
    case FileKind::sentencepiece:
      return "a SentencePiece model";
    case FileKind::tiktoken:
      return "tiktoken ranks";
    case FileKind::rwkv:
      return "an RWKV vocabulary";
    case FileKind::merges:
      return "BPE merges, which belong to a vocab.json or encoder.json";
    case FileKind::word_vectors:
      return "word vectors as text";
  }
  return "no format that is known";
}

}  // namespace KRONECKER_NAMESPACE
