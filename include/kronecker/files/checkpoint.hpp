#pragma once

/// Weights from and to the checkpoints of PyTorch models, as safetensors: a projection that was trained
/// there, and the ordinary table for engines that want one.

#include <kronecker/embedding.hpp>
#include <kronecker/error.hpp>
#include <kronecker/files/safetensors.hpp>
#include <kronecker/files/table.hpp>
#include <kronecker/namespace.hpp>
#include <kronecker/projection.hpp>
#include <kronecker/types.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <iterator>
#include <limits>
#include <ostream>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace KRONECKER_NAMESPACE {

/// A matrix of a checkpoint as float32. `name` is its tensor's full name, or a suffix after a dot that is
/// unique: "projection.weight" finds "transformer.wte.projection.weight". `path` is a safetensors file, or
/// the `model.safetensors.index.json` of a checkpoint in several. The tensor is F32, F16 or BF16. Throws
/// FileError if there is no such matrix, or several.
RowMajorMatrix<float> read_matrix(const std::filesystem::path& path, std::string_view name);

/// The safetensors files of a checkpoint, sorted: `path` itself, or those that its index names, whether they
/// are there or not. Throws FileError if a .json file is no index.
std::vector<std::filesystem::path> checkpoint_files(const std::filesystem::path& path);

/// The weight of a projection, (d_model, D), that PyTorch trained: `read_matrix` of its name.
inline LearnedProjection import_projection(const std::filesystem::path& path,
                                           std::string_view name = "projection.weight") {
  return LearnedProjection::from_torch(read_matrix(path, name));
}

/// Writes learned weights, (d_model, D), as the float32 tensor `name` of a safetensors file: what
/// `import_projection` and PyTorch's side read. Throws FileError if the file cannot be written; an old one
/// then stays as it was.
inline void export_projection(const std::filesystem::path& path, const LearnedProjection& projection,
                              const std::string& name = "projection.weight") {
  const RowMajorMatrix<float> weight = projection.to_torch();
  write_safetensors(
      path, {{name,
              "F32",
              {static_cast<std::size_t>(weight.rows()), static_cast<std::size_t>(weight.cols())},
              [&](std::ostream& file) {
                file.write(
                    reinterpret_cast<const char*>(weight.data()),
                    static_cast<std::streamsize>(static_cast<std::size_t>(weight.size()) * sizeof(float)));
              }}});
}

/// Writes the ordinary table of an embedding, (V, d_model), as the tensor `name` of a safetensors file, so
/// that an engine can run it unmodified: "model.embed_tokens.weight" or "transformer.wte.weight". `Scalar` is
/// float, Eigen::half or Eigen::bfloat16. The table is never held in memory as a whole. Throws FileError if
/// the file cannot be written, and std::invalid_argument if a value is beyond the range of Scalar; an old
/// file then stays as it was.
template <class Scalar = float, class Rows>
void export_table(const std::filesystem::path& path, const KroneckerEmbedding<Rows>& embedding,
                  const std::string& name) {
  write_safetensors(
      path,
      {{name,
        std::string(detail::tensor_type_name<Scalar>()),
        {static_cast<std::size_t>(embedding.vocab_size()), static_cast<std::size_t>(embedding.d_model())},
        [&](std::ostream& file) { detail::write_table<Scalar>(file, embedding); }}});
}

namespace detail {

template <class Stored>
RowMajorMatrix<float> matrix_of(const SafetensorsFile& file, const TensorInfo& tensor) {
  const auto rows = static_cast<Eigen::Index>(tensor.shape[0]);
  const auto columns = static_cast<Eigen::Index>(tensor.shape[1]);
  const SharedArray<Stored> values = file.values<Stored>(tensor);
  return Eigen::Map<const RowMajorMatrix<Stored>>(values.data(), rows, columns).template cast<float>();
}

/// The object of an index that says which file a tensor is in.
inline nlohmann::json read_weight_map(const std::filesystem::path& path) {
  const MappedFile file(path);
  const auto index = nlohmann::json::parse(file.text(), nullptr, /*allow_exceptions=*/false);
  if (!index.is_object() || !index.contains("weight_map") || !index["weight_map"].is_object())
    fail<FileError>(path.string(), ": not the index of a checkpoint: it has no object 'weight_map'");
  return index["weight_map"];
}

/// The file in which the entry of a weight map says that its tensor is.
inline std::filesystem::path shard_of(const std::filesystem::path& path, const std::string& name,
                                      const nlohmann::json& entry) {
  if (!entry.is_string()) fail<FileError>(path.string(), ": 'weight_map' names no file for '", name, "'");
  return path.parent_path() / entry.get<std::string>();
}

/// The file that holds the tensor, and its full name: the checkpoint itself, or the one its index names.
inline std::pair<std::filesystem::path, std::string> locate_tensor(const std::filesystem::path& path,
                                                                   std::string_view name) {
  std::vector<std::string> names;
  if (path.extension() != ".json") {
    const SafetensorsFile file(path);
    for (const TensorInfo& tensor : file.tensors()) names.push_back(tensor.name);
    return {path, unique_name(path.string(), names, name)};
  }
  const auto files = read_weight_map(path);
  for (const auto& entry : files.items()) names.push_back(entry.key());
  const std::string found = unique_name(path.string(), names, name);
  return {shard_of(path, found, files[found]), found};
}

}  // namespace detail

inline std::vector<std::filesystem::path> checkpoint_files(const std::filesystem::path& path) {
  if (path.extension() != ".json") return {path};
  const auto weight_map = detail::read_weight_map(path);
  std::set<std::filesystem::path> files;
  for (const auto& [name, entry] : weight_map.items()) files.insert(detail::shard_of(path, name, entry));
  return {files.begin(), files.end()};
}

inline RowMajorMatrix<float> read_matrix(const std::filesystem::path& path, std::string_view name) {
  const auto [shard, full_name] = detail::locate_tensor(path, name);
  const SafetensorsFile file(shard);
  const TensorInfo* tensor = file.find(full_name);
  if (tensor == nullptr)
    detail::fail<FileError>(file.path(), ": the tensor '", full_name, "' is not in this file");
  if (tensor->shape.size() != 2)
    detail::fail<FileError>(file.path(), ": tensor '", full_name, "' has ", tensor->shape.size(),
                            " dimensions, not 2");
  detail::check_matrix_size(file.path(), full_name, tensor->shape[0], tensor->shape[1]);
  if (tensor->type == "F32") return detail::matrix_of<float>(file, *tensor);
  if (tensor->type == "F16") return detail::matrix_of<Eigen::half>(file, *tensor);
  if (tensor->type == "BF16") return detail::matrix_of<Eigen::bfloat16>(file, *tensor);
  detail::fail<FileError>(file.path(), ": tensor '", full_name, "' is of type ", tensor->type,
                          "; F32, F16 and BF16 are supported");
}

}  // namespace KRONECKER_NAMESPACE
