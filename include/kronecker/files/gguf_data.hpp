#pragma once

/// Where the values of a GGUF file's tensors lie, and how ggml stores them.

#include <kronecker/error.hpp>
#include <kronecker/files/gguf.hpp>
#include <kronecker/files/mapped_file.hpp>
#include <kronecker/namespace.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace KRONECKER_NAMESPACE {
namespace detail {

/// How ggml stores values of a type: in blocks of so many values, which take so many bytes.
struct GgmlBlock {
  std::uint32_t type;
  std::uint64_t values, bytes;
  std::string_view name;
};

/// Null for a type that is not known here.
inline const GgmlBlock* ggml_block(std::uint32_t type) noexcept {
  static constexpr GgmlBlock blocks[] = {
      {0, 1, 4, "F32"},         {1, 1, 2, "F16"},         {2, 32, 18, "Q4_0"},      {3, 32, 20, "Q4_1"},
      {6, 32, 22, "Q5_0"},      {7, 32, 24, "Q5_1"},      {8, 32, 34, "Q8_0"},      {9, 32, 36, "Q8_1"},
      {10, 256, 84, "Q2_K"},    {11, 256, 110, "Q3_K"},   {12, 256, 144, "Q4_K"},   {13, 256, 176, "Q5_K"},
      {14, 256, 210, "Q6_K"},   {15, 256, 292, "Q8_K"},   {16, 256, 66, "IQ2_XXS"}, {17, 256, 74, "IQ2_XS"},
      {18, 256, 98, "IQ3_XXS"}, {19, 256, 50, "IQ1_S"},   {20, 32, 18, "IQ4_NL"},   {21, 256, 110, "IQ3_S"},
      {22, 256, 82, "IQ2_S"},   {23, 256, 136, "IQ4_XS"}, {24, 1, 1, "I8"},         {25, 1, 2, "I16"},
      {26, 1, 4, "I32"},        {27, 1, 8, "I64"},        {28, 1, 8, "F64"},        {29, 256, 56, "IQ1_M"},
      {30, 1, 2, "BF16"},       {34, 256, 54, "TQ1_0"},   {35, 256, 66, "TQ2_0"},   {39, 32, 17, "MXFP4"},
      {40, 64, 36, "NVFP4"},    {41, 128, 18, "Q1_0"},    {42, 64, 18, "Q2_0"}};
  for (const GgmlBlock& block : blocks)
    if (block.type == type) return &block;
  return nullptr;
}

/// Size in bytes of a tensor's data, at most 2^64 - 1; nothing if its type is not known.
inline std::optional<std::uint64_t> data_size(const GgufTensor& tensor) {
  if (std::find(tensor.shape.begin(), tensor.shape.end(), 0u) != tensor.shape.end()) return 0;
  const GgmlBlock* const block = ggml_block(tensor.type);
  if (!block) return std::nullopt;
  constexpr std::uint64_t most = (std::numeric_limits<std::uint64_t>::max)();
  std::uint64_t size = block->bytes;
  for (std::size_t i = 0; i < tensor.shape.size(); ++i) {
    const std::uint64_t count = i == 0 ? tensor.shape[0] / block->values : tensor.shape[i];
    size = size > most / (std::max)(count, std::uint64_t{1}) ? most : size * count;
  }
  return size;
}

/// The data of the tensors of a file.
class GgufData {
 public:
  GgufData(const MappedFile& file, const GgufDirectory& directory)
      : path_(file.path()), data_(file.text().substr(directory.data_begin)) {
    for (const GgufTensor& tensor : directory.tensors)
      if (data_size(tensor) != 0) ends_.push_back(tensor.offset);
    ends_.push_back(data_.size());
    std::sort(ends_.begin(), ends_.end());
  }

  /// A tensor's, to its last byte; to where the next one begins if its type is not known here.
  std::string_view of(const GgufTensor& tensor) const {
    const GgmlBlock* const block = ggml_block(tensor.type);
    if (block && !tensor.shape.empty() && tensor.shape[0] % block->values != 0)
      fail<FileError>(path_, ": tensor '", excerpt(tensor.name), "' has rows of ", tensor.shape[0],
                      " values, not a multiple of the ", block->values, " in a block of its type");
    const auto [begin, end] = std::equal_range(ends_.begin(), ends_.end(), tensor.offset);
    const std::uint64_t room = end == ends_.end() || *end > data_.size() ? 0 : *end - tensor.offset;
    const std::uint64_t size = data_size(tensor).value_or((std::max)(room, std::uint64_t{1}));
    if (size > room)
      fail<FileError>(path_, ": tensor '", excerpt(tensor.name), "' takes ", counted(size, "byte"),
                      " and has ", room, " before the next one or the file's end");
    if (size == 0) return {};
    if (end - begin > 1)
      fail<FileError>(path_, ": tensor '", excerpt(tensor.name), "' begins where another one does");
    return data_.substr(static_cast<std::size_t>(tensor.offset), static_cast<std::size_t>(size));
  }

 private:
  const std::string& path_;
  std::string_view data_;
  std::vector<std::uint64_t> ends_;  // where tensors begin, and where the file ends
};

}  // namespace detail

/// ggml's name for the type of a tensor's values: "F16", "Q4_K", ...; "type 99" for one that is not known
/// here.
inline std::string ggml_type_name(std::uint32_t type) {
  const detail::GgmlBlock* const block = detail::ggml_block(type);
  return block ? std::string(block->name) : "type " + std::to_string(type);
}

}  // namespace KRONECKER_NAMESPACE
