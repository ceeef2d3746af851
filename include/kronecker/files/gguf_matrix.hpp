#pragma once

/// A matrix of a GGUF model as float32, whatever ggml made of its values: the table of a model that people
/// have.

#include <kronecker/error.hpp>
#include <kronecker/files/ggml_blocks.hpp>
#include <kronecker/files/gguf.hpp>
#include <kronecker/files/gguf_data.hpp>
#include <kronecker/files/mapped_file.hpp>
#include <kronecker/files/tensor_name.hpp>
#include <kronecker/namespace.hpp>
#include <kronecker/types.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace KRONECKER_NAMESPACE {
namespace detail {

/// The tensor whose name is `wanted` or ends in "." + wanted.
inline const GgufTensor& gguf_tensor(const std::string& path, const GgufDirectory& directory,
                                     std::string_view wanted) {
  std::vector<std::string> names;
  for (const GgufTensor& tensor : directory.tensors) names.push_back(tensor.name);
  if (names.empty()) fail<FileError>(path, ": a GGUF file without tensors: a vocabulary alone");
  const auto* const parts = directory.metadata.find<std::uint64_t>("split.count");
  const bool is_there = std::any_of(names.begin(), names.end(),
                                    [&](const std::string& name) { return name.ends_with(wanted); });
  if (parts && *parts > 1 && !is_there)
    fail<FileError>(path, ": one of the ", *parts, " parts of a model, without a tensor '", wanted,
                    "': give another, or merge them (llama-gguf-split --merge)");
  return *directory.find(unique_name(path, names, wanted));
}

}  // namespace detail

/// The matrix `name`, or the only one whose name ends so after a dot, of a GGUF model: (V, d_model) for a
/// "token_embd.weight". Its values are F32, F16, BF16, F64, Q8_0, Q4_0, Q5_0, Q4_K, Q5_K or Q6_K, and have
/// the bits that llama.cpp and gguf-py make of them; an F64 is rounded. Throws FileError if the file is no
/// GGUF file, is damaged, or has no such matrix or several, or if it is of another type. O(number of values).
inline RowMajorMatrix<float> read_gguf_matrix(const MappedFile& file, std::string_view name) {
  const GgufDirectory directory = parse_gguf_directory(file.path(), file.text());
  const GgufTensor& tensor = detail::gguf_tensor(file.path(), directory, name);
  const auto fail = [&](const auto&... parts) {
    detail::fail<FileError>(file.path(), ": tensor '", detail::excerpt(tensor.name), "' ", parts...);
  };
  const detail::Dequantize dequantize = detail::dequantize_of(tensor.type);
  if (!dequantize)
    fail("is of ggml's type ", ggml_type_name(tensor.type),
         "; F32, F16, BF16, F64, Q8_0, Q4_0, Q5_0, Q4_K, Q5_K and Q6_K are read: make one of them with "
         "llama-quantize --allow-requantize MODEL.gguf NEW.gguf Q8_0");
  if (tensor.shape.size() != 2) fail("has ", detail::counted(tensor.shape.size(), "dimension"), ", not 2");
  detail::check_matrix_size(file.path(), tensor.name, tensor.shape[1], tensor.shape[0]);

  const std::string_view data = detail::GgufData(file, directory).of(tensor);
  const auto& block = *detail::ggml_block(tensor.type);
  RowMajorMatrix<float> matrix(static_cast<Eigen::Index>(tensor.shape[1]),
                               static_cast<Eigen::Index>(tensor.shape[0]));
  float* to = matrix.data();
  const auto values = static_cast<std::size_t>(block.values), size = static_cast<std::size_t>(block.bytes);
  const auto* const bytes = reinterpret_cast<const unsigned char*>(data.data());
  for (std::size_t at = 0; at < data.size(); at += size, to += values) dequantize(bytes + at, to);
  return matrix;
}

/// The same of the file at `path`.
inline RowMajorMatrix<float> read_gguf_matrix(const std::filesystem::path& path,
                                              std::string_view name = "token_embd.weight") {
  return read_gguf_matrix(MappedFile(path), name);
}

}  // namespace KRONECKER_NAMESPACE
