#pragma once

/// What stands before the weights in GGUF files (ggml's format, versions 2 and 3, little-endian): named
/// values, the metadata, and the directory of the tensors.

#include <kronecker/bit_cast.hpp>
#include <kronecker/error.hpp>
#include <kronecker/files/mapped_file.hpp>
#include <kronecker/files/wrong_file.hpp>
#include <kronecker/namespace.hpp>

#include <algorithm>
#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace KRONECKER_NAMESPACE {

/// A value, or an array of them. Numbers are as wide as the widest of their kind.
using GgufValue = std::variant<bool, std::uint64_t, std::int64_t, double, std::string, std::vector<bool>,
                               std::vector<std::uint64_t>, std::vector<std::int64_t>, std::vector<double>,
                               std::vector<std::string>>;

/// The metadata of a GGUF file, by key: "general.architecture", "tokenizer.ggml.tokens", ... A key whose
/// value is an array of arrays is left out.
struct GgufMetadata {
  std::map<std::string, GgufValue, std::less<>> values;  ///< By key.

  /// The value of `key` if it is there and is a T; else null. O(log n).
  template <class T>
  const T* find(std::string_view key) const {
    const auto found = values.find(key);
    return found == values.end() ? nullptr : std::get_if<T>(&found->second);
  }
};

/// A tensor's entry in the directory of a GGUF file.
struct GgufTensor {
  std::string name;                  ///< "token_embd.weight", ...
  std::vector<std::uint64_t> shape;  ///< Values along the first dimension lie side by side: (d_model, V).
  std::uint32_t type = 0;            ///< ggml's number for the type of the values.
  std::uint64_t offset = 0;          ///< Of the first byte, from where the data begins.
};

/// Everything before the data of a GGUF file, and where it ends.
struct GgufDirectory {
  GgufMetadata metadata;            ///< The named values.
  std::vector<GgufTensor> tensors;  ///< In the file's order.
  std::uint64_t alignment = 32;     ///< Offsets of tensors, and of the data, are multiples of it.
  std::size_t metadata_end = 0;     ///< Where the metadata ends and the tensors' entries begin, in bytes.
  std::size_t data_begin = 0;       ///< Where the data begins, in bytes.

  /// The tensor of that name; null if there is none. O(number of tensors).
  const GgufTensor* find(std::string_view name) const {
    const auto found = std::find_if(tensors.begin(), tensors.end(),
                                    [&](const GgufTensor& tensor) { return tensor.name == name; });
    return found == tensors.end() ? nullptr : &*found;
  }
};

namespace detail {

/// Reads what stands before the weights, in its order, every size checked against what is left of the file.
class GgufParser {
 public:
  GgufParser(const std::string& path, std::string_view content) : path_(path), content_(content) {}

  GgufMetadata metadata() {
    refuse_other_kind(path_, content_, FileKind::gguf);
    if (content_.substr(0, 4) != "GGUF") refuse("expected the magic string GGUF");
    at_ = 4;
    const auto version = read<std::uint32_t>();
    if (version == 0x2000000 || version == 0x3000000)
      refuse(
          "a big-endian GGUF file; little-endian ones are supported: convert it with "
          "gguf-convert-endian, ",
          "which comes with gguf-py");
    if (version != 2 && version != 3)
      refuse("GGUF version ", version, "; versions 2 and 3, little-endian, are supported");
    tensor_count_ = read<std::uint64_t>();
    const auto value_count = read<std::uint64_t>();

    GgufMetadata metadata;
    for (std::uint64_t i = 0; i < value_count; ++i) {
      key_ = read<std::string>();
      const auto type = read<std::uint32_t>();
      std::optional<GgufValue> read_value = value(type, std::nullopt, 0);
      if (!read_value) continue;
      if (!metadata.values.emplace(key_, std::move(*read_value)).second) refuse("the key is there twice");
    }
    key_.clear();
    return metadata;
  }

  /// The directory, of which `metadata` is the first part.
  GgufDirectory directory() {
    GgufDirectory directory;
    directory.metadata = metadata();
    directory.metadata_end = at_;
    constexpr std::string_view alignment_key = "general.alignment";
    if (directory.metadata.values.contains(alignment_key)) {
      const auto* alignment = directory.metadata.find<std::uint64_t>(alignment_key);
      constexpr std::uint64_t most = 1 << 16;
      if (!alignment || !std::has_single_bit(*alignment) || *alignment > most)
        fail<FileError>(path_, ": '", alignment_key, "' is not a power of two up to ", most);
      directory.alignment = *alignment;
    }
    for (std::uint64_t i = 0; i < tensor_count_; ++i)
      directory.tensors.push_back(tensor(directory.alignment));
    check_names(directory.tensors);
    const std::uint64_t padding = (directory.alignment - at_ % directory.alignment) % directory.alignment;
    directory.data_begin = at_ + static_cast<std::size_t>((std::min)(padding, bytes_left()));
    return directory;
  }

 private:
  using Count = std::optional<std::uint64_t>;  // of an array; nothing if it is a single value

  /// Nothing for an array of arrays, which is read over. `depth` is the number of arrays around the value.
  std::optional<GgufValue> value(std::uint32_t type, Count count, int depth) {
    switch (type) {
      case 0:
        return values<std::uint64_t, std::uint8_t>(count);
      case 1:
        return values<std::int64_t, std::int8_t>(count);
      case 2:
        return values<std::uint64_t, std::uint16_t>(count);
      case 3:
        return values<std::int64_t, std::int16_t>(count);
      case 4:
        return values<std::uint64_t, std::uint32_t>(count);
      case 5:
        return values<std::int64_t, std::int32_t>(count);
      case 6:
        return values<double, float>(count);
      case 7:
        return values<bool, bool>(count);
      case 8:
        return values<std::string, std::string>(count);
      case 9:
        return array(count, depth);
      case 10:
        return values<std::uint64_t, std::uint64_t>(count);
      case 11:
        return values<std::int64_t, std::int64_t>(count);
      case 12:
        return values<double, double>(count);
      default:
        refuse("a value of the unknown type ", type);
    }
  }

  GgufTensor tensor(std::uint64_t alignment) {
    GgufTensor tensor;
    tensor.name = read<std::string>();
    const auto dimensions = read<std::uint32_t>();
    constexpr std::uint32_t most = 8;  // ggml has four
    if (dimensions > most) refuse("tensor '", excerpt(tensor.name), "' has ", dimensions, " dimensions");
    for (std::uint32_t i = 0; i < dimensions; ++i) tensor.shape.push_back(read<std::uint64_t>());
    tensor.type = read<std::uint32_t>();
    tensor.offset = read<std::uint64_t>();
    if (tensor.offset % alignment != 0)
      refuse("tensor '", excerpt(tensor.name), "' has the offset ", tensor.offset, ", not a multiple of ",
             alignment);
    return tensor;
  }

  void check_names(const std::vector<GgufTensor>& tensors) const {
    std::vector<std::string_view> names;
    for (const GgufTensor& tensor : tensors) names.push_back(tensor.name);
    std::sort(names.begin(), names.end());
    const auto twice = std::adjacent_find(names.begin(), names.end());
    if (twice != names.end()) fail<FileError>(path_, ": two tensors are named '", excerpt(*twice), "'");
  }

  std::optional<GgufValue> array(Count outer_count, int depth) {
    constexpr int deepest = 8;
    if (depth == deepest) refuse("arrays are nested deeper than ", deepest);
    if (!outer_count) return one_array(depth + 1);
    for (std::uint64_t i = 0; i < *outer_count; ++i) one_array(depth + 1);
    return std::nullopt;
  }

  std::optional<GgufValue> one_array(int depth) {
    const auto type = read<std::uint32_t>();
    return value(type, read<std::uint64_t>(), depth);
  }

  template <class Held, class InFile>
  GgufValue values(Count count) {
    if (!count) return Held(read<InFile>());
    constexpr std::size_t least_size =
        std::same_as<InFile, std::string> ? sizeof(std::uint64_t) : sizeof(InFile);
    if (*count > bytes_left() / least_size)
      refuse("an array of ", counted(*count, "value"), " in ", counted(bytes_left(), "byte"));
    std::vector<Held> held;
    held.reserve(static_cast<std::size_t>(*count));
    for (std::uint64_t i = 0; i < *count; ++i) held.push_back(read<InFile>());
    return held;
  }

  template <class T>
  T read() {
    if constexpr (std::same_as<T, std::string>) {
      return std::string(take(read<std::uint64_t>()));
    } else if constexpr (std::same_as<T, bool>) {
      const auto byte = read<std::uint8_t>();
      if (byte > 1) refuse("a truth value of ", byte);
      return byte == 1;
    } else {
      std::uint64_t bits = 0;
      int shift = 0;
      for (const char byte : take(sizeof(T))) {
        bits |= std::uint64_t{static_cast<unsigned char>(byte)} << shift;
        shift += 8;
      }
      if constexpr (std::same_as<T, float>)
        return bit_cast<float>(static_cast<std::uint32_t>(bits));
      else if constexpr (std::same_as<T, double>)
        return bit_cast<double>(bits);
      else
        return static_cast<T>(bits);
    }
  }

  std::string_view take(std::uint64_t size) {
    if (size > bytes_left()) refuse("expected ", counted(size, "byte"), " more, found ", bytes_left());
    at_ += static_cast<std::size_t>(size);
    return content_.substr(at_ - static_cast<std::size_t>(size), static_cast<std::size_t>(size));
  }

  std::uint64_t bytes_left() const noexcept { return content_.size() - at_; }

  template <class... Parts>
  [[noreturn]] void refuse(const Parts&... parts) const {
    fail<FileError>(path_, ": byte ", at_, key_.empty() ? "" : ", in the value of '", excerpt(key_),
                    key_.empty() ? ": " : "': ", parts...);
  }

  const std::string& path_;
  std::string_view content_;
  std::size_t at_ = 0;
  std::uint64_t tensor_count_ = 0;
  std::string key_;  // of the value that is being read
};

}  // namespace detail

/// The metadata in `content`, a whole GGUF file or its front with all metadata; `name` is what errors call
/// it. Throws FileError, naming the byte, if it is not complete GGUF metadata of a supported version. Holds
/// no more than eight times the content's size. O(size).
inline GgufMetadata parse_gguf_metadata(const std::string& name, std::string_view content) {
  return detail::GgufParser(name, content).metadata();
}

/// The same with the tensors' entries after it, each of which may take nine times its size in the file. Where
/// the tensors' data lies is not checked; that no two have one name is.
inline GgufDirectory parse_gguf_directory(const std::string& name, std::string_view content) {
  return detail::GgufParser(name, content).directory();
}

/// The metadata of the GGUF file at `path`, of which no more than the metadata is read. Errors are those of
/// `parse_gguf_metadata`, and a FileError if the file cannot be opened.
inline GgufMetadata read_gguf_metadata(const std::filesystem::path& path) {
  const MappedFile file(path);
  return parse_gguf_metadata(file.path(), file.text());
}

}  // namespace KRONECKER_NAMESPACE
