#pragma once

/// The safetensors format: a header in JSON that names tensors, then their values without gaps. Files are
/// mapped, and a tensor is read in place.

#include <kronecker/error.hpp>
#include <kronecker/files/counting_buffer.hpp>
#include <kronecker/files/little_endian.hpp>
#include <kronecker/files/mapped_file.hpp>
#include <kronecker/files/replace_file.hpp>
#include <kronecker/files/tensor_type.hpp>
#include <kronecker/files/wrong_file.hpp>
#include <kronecker/namespace.hpp>
#include <kronecker/shared_array.hpp>
#include <kronecker/utf8.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <ostream>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace KRONECKER_NAMESPACE {

/// A tensor of a safetensors file.
struct TensorInfo {
  std::string name;                ///< Unique in its file.
  std::string type;                ///< The format's name for it: "F32", "BF16", "U8", ...
  std::vector<std::size_t> shape;  ///< One size for each dimension; none for a single value.
  std::size_t offset = 0;          ///< Where its values start in the file, in bytes.
  std::size_t count = 0;           ///< Number of values: the product of the sizes.
};

/// A tensor to write: `write` puts as many bytes as the shape's values take, in C order, little-endian
/// (`write_little_endian`).
struct TensorToWrite {
  std::string name;                          ///< Unique in its file.
  std::string type;                          ///< "F32", "BF16", "U8", ...
  std::vector<std::size_t> shape;            ///< One size for each dimension.
  std::function<void(std::ostream&)> write;  ///< Called once.
};

namespace detail {

/// Whether the brackets of a JSON text are nested at most `limit` deep. What a parser accepts of the text is
/// counted as it counts it, so that a parser may then be let loose on it.
constexpr bool is_nested_within(std::string_view json, int limit) noexcept {
  int depth = 0;
  bool is_in_string = false;
  for (std::size_t i = 0; i < json.size(); ++i) {
    const char character = json[i];
    if (character == '"')
      is_in_string = !is_in_string;
    else if (is_in_string)
      i += character == '\\' ? 1 : 0;
    else if (character == '{' || character == '[')
      ++depth;
    else if (character == '}' || character == ']')
      --depth;
    if (depth > limit) return false;
  }
  return true;
}

}  // namespace detail

/// A safetensors file, opened. Copies share the mapping.
class SafetensorsFile {
 public:
  /// Maps the file and checks its whole header: that it is complete, unique names, known types, and offsets
  /// that fit the shapes and cover the rest of the file without holes or overlaps. Values are not looked at.
  /// Throws FileError with the path and the tensor, or with what the file is instead. O(size of the header).
  explicit SafetensorsFile(const std::filesystem::path& path) : SafetensorsFile(MappedFile(path)) {}

  /// The same for a file that is open.
  explicit SafetensorsFile(MappedFile file) : file_(std::move(file)) {
    constexpr std::size_t length_size = 8;
    detail::refuse_other_kind(path(), file_.text(), FileKind::safetensors);
    if (file_.size() < length_size)
      fail("the file has ", detail::counted(file_.size(), "byte"), ", not even the 8 of the header's length");
    const auto header_size =
        detail::little_endian_at<std::uint64_t>(reinterpret_cast<const unsigned char*>(file_.text().data()));
    constexpr std::uint64_t largest_header = 100'000'000;
    if (header_size > largest_header || header_size > file_.size() - length_size)
      fail("the header is said to take ", header_size, " bytes of a file of ", file_.size());
    const auto data_begin = length_size + static_cast<std::size_t>(header_size);
    // A copy: the file may be written into, and is trusted to be what was checked.
    read_header(std::string(file_.text().substr(length_size, static_cast<std::size_t>(header_size))),
                data_begin);
    check_coverage(data_begin);
  }

  const std::string& path() const noexcept { return file_.path(); }  ///< As it was given.
  /// In the order of their values.
  const std::vector<TensorInfo>& tensors() const& noexcept { return tensors_; }
  const std::vector<TensorInfo>& tensors() const&& = delete;
  /// Free-form texts.
  const std::map<std::string, std::string>& metadata() const& noexcept { return metadata_; }
  const std::map<std::string, std::string>& metadata() const&& = delete;

  /// The tensor of that name, or null.
  const TensorInfo* find(std::string_view name) const& noexcept {
    const auto found =
        std::find_if(tensors_.begin(), tensors_.end(), [&](const TensorInfo& t) { return t.name == name; });
    return found == tensors_.end() ? nullptr : &*found;
  }
  const TensorInfo* find(std::string_view) const&& = delete;

  /// The values of a tensor that is stored as T, in C order and in the file's own memory. Throws FileError if
  /// it is stored as another type. O(1), unless the file did not align them.
  template <class T>
  SharedArray<T> values(const TensorInfo& tensor) const {
    if (tensor.type != detail::tensor_type_name<T>())
      fail("tensor '", tensor.name, "' is of type ", tensor.type, ", not ", detail::tensor_type_name<T>());
    return file_.values<T>(tensor.offset, tensor.count);
  }

 private:
  template <class... Parts>
  [[noreturn]] void fail(const Parts&... parts) const {
    detail::fail<FileError>(path(), ": ", parts...);
  }

  void read_header(const std::string& text, std::size_t data_begin) {
    using nlohmann::json;
    std::vector<std::set<std::string>> keys(1);  // of the objects that are open
    std::optional<std::string> duplicate;
    const auto note_duplicates = [&](int, json::parse_event_t event, json& parsed) {
      if (event == json::parse_event_t::object_start) keys.emplace_back();
      if (event == json::parse_event_t::object_end) keys.pop_back();
      if (event == json::parse_event_t::key &&
          !keys.back().insert(parsed.get_ref<const std::string&>()).second)
        duplicate = parsed.get_ref<const std::string&>();
      return true;
    };
    constexpr int deepest = 16;  // the format needs 3; the parser's memory grows with the depth
    if (!text.starts_with('{')) fail("the header does not begin with '{'");
    if (text.find('\0') != text.npos) fail("the header has a NUL byte at offset ", text.find('\0'));
    if (!detail::is_nested_within(text, deepest)) fail("the header nests values deeper than ", deepest);
    const json header = json::parse(text, note_duplicates, /*allow_exceptions=*/false);
    if (!header.is_object()) fail("the header is not a JSON object in UTF-8");
    if (duplicate) fail("the header has the key '", *duplicate, "' twice");

    for (const auto& [name, entry] : header.items()) {
      if (name == "__metadata__")
        read_metadata(entry);
      else
        tensors_.push_back(read_tensor(name, entry, data_begin));
    }
    std::sort(tensors_.begin(), tensors_.end(), [](const TensorInfo& a, const TensorInfo& b) {
      return std::pair(a.offset, a.count) < std::pair(b.offset, b.count);
    });
  }

  void read_metadata(const nlohmann::json& entry) {
    if (!entry.is_object()) fail("'__metadata__' is not an object");
    for (const auto& [key, value] : entry.items()) {
      if (!value.is_string()) fail("the metadata '", key, "' is not a string");
      metadata_[key] = value.get_ref<const std::string&>();
    }
  }

  TensorInfo read_tensor(const std::string& name, const nlohmann::json& entry, std::size_t data_begin) const {
    const auto is_sizes = [](const nlohmann::json& value) {
      return value.is_array() &&
             std::all_of(value.begin(), value.end(), [](const auto& v) { return v.is_number_unsigned(); });
    };
    if (!entry.is_object() || !entry.contains("dtype") || !entry["dtype"].is_string())
      fail("tensor '", name, "' has no 'dtype'");
    if (!entry.contains("shape") || !is_sizes(entry["shape"]))
      fail("tensor '", name, "' has no 'shape' of sizes");
    if (!entry.contains("data_offsets") || !is_sizes(entry["data_offsets"]) ||
        entry["data_offsets"].size() != 2)
      fail("tensor '", name, "' has no 'data_offsets' of two offsets");

    TensorInfo tensor{name, entry["dtype"].get<std::string>(), {}, 0, 1};
    const std::size_t value_bits = detail::tensor_type_bits(tensor.type);
    if (value_bits == 0) fail("tensor '", name, "' is of the unknown type '", tensor.type, "'");
    const auto begin = entry["data_offsets"][0].get<std::uint64_t>();
    const auto end = entry["data_offsets"][1].get<std::uint64_t>();
    if (begin > end || end > file_.size() - data_begin)
      fail("tensor '", name, "' has the offsets ", begin, " to ", end, " in ",
           detail::counted(file_.size() - data_begin, "byte"), " of values");

    const bool is_empty = std::find(entry["shape"].begin(), entry["shape"].end(), 0) != entry["shape"].end();
    const std::uint64_t bits = (end - begin) * 8;
    std::uint64_t count = is_empty ? 0 : 1;
    for (const auto& size : entry["shape"]) {
      const auto extent = size.get<std::uint64_t>();
      tensor.shape.push_back(static_cast<std::size_t>(extent));
      if (is_empty) continue;
      if (count > bits / extent)
        fail("tensor '", name, "' has a shape larger than its ", detail::counted(end - begin, "byte"));
      count *= extent;
    }
    if (count * value_bits != bits)
      fail("tensor '", name, "' has ", detail::counted(count, "value"), " of ",
           detail::size_in_words(value_bits), ", but ", detail::counted(end - begin, "byte"), " of values");
    tensor.count = static_cast<std::size_t>(count);
    tensor.offset = data_begin + static_cast<std::size_t>(begin);
    return tensor;
  }

  void check_coverage(std::size_t data_begin) const {
    std::size_t end = data_begin;
    for (const TensorInfo& tensor : tensors_) {
      if (tensor.offset != end)
        fail("tensor '", tensor.name, "' starts at byte ", tensor.offset, " of the file, not at ", end,
             " where the one before it ends");
      end += tensor.count * detail::tensor_type_bits(tensor.type) / 8;
    }
    if (end != file_.size()) fail("the tensors end at byte ", end, " of a file of ", file_.size());
  }

  MappedFile file_;
  std::vector<TensorInfo> tensors_;
  std::map<std::string, std::string> metadata_;
};

/// Writes a safetensors file whose values start on a cache line, in the order given. Throws FileError if it
/// cannot be written, and then leaves an old file as it was; std::invalid_argument if two tensors have one
/// name or one is named "__metadata__", a type is unknown, or `write` did not write what the shape says.
inline void write_safetensors(const std::filesystem::path& path, const std::vector<TensorToWrite>& tensors,
                              const std::map<std::string, std::string>& metadata = {}) {
  for (const auto& [key, value] : metadata)
    if (!is_valid_utf8(key) || !is_valid_utf8(value))
      detail::fail<std::invalid_argument>("the metadata '", key, "' is not UTF-8");
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  std::uint64_t end = 0;
  std::vector<std::uint64_t> ends;
  for (const TensorToWrite& tensor : tensors) {
    std::uint64_t bits = detail::tensor_type_bits(tensor.type);
    if (bits == 0)
      detail::fail<std::invalid_argument>("tensor '", tensor.name, "' is of the unknown type '", tensor.type,
                                          "'");
    if (!is_valid_utf8(tensor.name))
      detail::fail<std::invalid_argument>("the tensor name '", tensor.name, "' is not UTF-8");
    if (tensor.name == "__metadata__")
      detail::fail<std::invalid_argument>(
          "a tensor cannot be named '__metadata__', under which the format keeps the metadata");
    if (header.contains(tensor.name))
      detail::fail<std::invalid_argument>("two tensors are named '", tensor.name, "'");
    for (const std::size_t dimension : tensor.shape) bits *= dimension;
    if (bits % 8 != 0)
      detail::fail<std::invalid_argument>("tensor '", tensor.name, "' takes ", bits,
                                          " bits, no whole number of bytes");
    const std::uint64_t size = bits / 8;
    header[tensor.name] = {
        {"dtype", tensor.type}, {"shape", tensor.shape}, {"data_offsets", {end, end + size}}};
    ends.push_back(end += size);
  }
  constexpr std::size_t cache_line = 64, length_size = 8;
  std::string text = header.dump();
  text.append((cache_line - (length_size + text.size()) % cache_line) % cache_line, ' ');

  replace_file(path, [&](std::ostream& file) {
    std::string length;
    detail::append_little_endian(length, std::uint64_t{text.size()});
    file << length << text;
    detail::CountingBuffer counted(file);
    for (std::size_t i = 0; i < tensors.size() && file; ++i) {
      std::ostream values(&counted);
      tensors[i].write(values);
      if (!values) file.setstate(std::ios::badbit);
      if (file && counted.count() != ends[i])
        detail::fail<std::invalid_argument>("tensor '", tensors[i].name, "' ended at byte ", counted.count(),
                                            " instead of ", ends[i]);
    }
  });
}

}  // namespace KRONECKER_NAMESPACE
