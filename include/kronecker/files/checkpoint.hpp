#pragma once

/// Weights from and to the checkpoints of PyTorch models, as safetensors: a projection that was trained
/// there, and the ordinary table for engines that want one.

#include <kronecker/embedding.hpp>
#include <kronecker/error.hpp>
#include <kronecker/files/gguf_matrix.hpp>
#include <kronecker/files/little_endian.hpp>
#include <kronecker/files/mapped_file.hpp>
#include <kronecker/files/safetensors.hpp>
#include <kronecker/files/table.hpp>
#include <kronecker/files/tensor_name.hpp>
#include <kronecker/files/wrong_file.hpp>
#include <kronecker/namespace.hpp>
#include <kronecker/projection.hpp>
#include <kronecker/types.hpp>

#include <nlohmann/json.hpp>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <ostream>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace KRONECKER_NAMESPACE {

/// A matrix of a checkpoint as float32. `name` is its tensor's full name, or a suffix after a dot that is
/// unique: "projection.weight" finds "transformer.wte.projection.weight". `path` is a safetensors file, the
/// `model.safetensors.index.json` of a checkpoint in several, or a GGUF model. The tensor is F64, F32, F16,
/// BF16, F8_E4M3 or F8_E5M2, or one that `read_gguf_matrix` reads; F64 is rounded, and becomes infinite
/// beyond the range of float32. The `embeddings` of a Model2Vec file become the table that its `mapping` and
/// its `weights` make of them. Throws FileError if there is no such matrix, or several.
RowMajorMatrix<float> read_matrix(const std::filesystem::path& path, std::string_view name);

/// The same of a safetensors file or a GGUF model that is open.
RowMajorMatrix<float> read_matrix(const MappedFile& file, std::string_view name);

/// A tensor of one dimension, the weight of a norm for example, of a safetensors file or the index of
/// several; otherwise as `read_matrix`.
std::vector<float> read_vector(const std::filesystem::path& path, std::string_view name);

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
                write_little_endian<float>(file, {weight.data(), static_cast<std::size_t>(weight.size())});
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
void read_floats_of(const SafetensorsFile& file, const TensorInfo& tensor, std::span<float> to) {
  const SharedArray<Stored> values = file.values<Stored>(tensor);
  for (std::size_t i = 0; i < to.size(); ++i) to[i] = static_cast<float>(values[i]);
}

/// The values of a tensor of floats, which are as many as `to` takes.
inline void read_floats(const SafetensorsFile& file, const TensorInfo& tensor, std::span<float> to) {
  if (tensor.type == "F32") return read_floats_of<float>(file, tensor, to);
  if (tensor.type == "F16") return read_floats_of<Eigen::half>(file, tensor, to);
  if (tensor.type == "BF16") return read_floats_of<Eigen::bfloat16>(file, tensor, to);
  if (tensor.type == "F64") return read_floats_of<double>(file, tensor, to);
  if (tensor.type.starts_with("F8"))
    for (const TensorInfo& other : file.tensors())
      if (other.name.starts_with(tensor.name + "_scale"))
        fail<FileError>(file.path(), ": tensor '", tensor.name, "' is of type ", tensor.type,
                        " and is to be multiplied by '", other.name,
                        "', which is not done here: give a table of another type");
  if (tensor.type == "F8_E4M3") return read_floats_of<Float8E4M3>(file, tensor, to);
  if (tensor.type == "F8_E5M2") return read_floats_of<Float8E5M2>(file, tensor, to);
  fail<FileError>(file.path(), ": tensor '", tensor.name, "' is of type ", tensor.type,
                  "; F64, F32, F16, BF16, F8_E4M3 and F8_E5M2 are supported");
}

template <class Index>
RowMajorMatrix<float> mapped_rows(const SafetensorsFile& file, const TensorInfo& mapping,
                                  const RowMajorMatrix<float>& rows) {
  const SharedArray<Index> indices = file.values<Index>(mapping);
  check_matrix_size(file.path(), mapping.name, indices.size(), static_cast<std::size_t>(rows.cols()));
  RowMajorMatrix<float> table(static_cast<Eigen::Index>(indices.size()), rows.cols());
  for (std::size_t id = 0; id < indices.size(); ++id) {
    const Index index = indices[id];
    if (index < 0 || index >= rows.rows())
      fail<FileError>(file.path(), ": 'mapping' gives token id ", id, " row ", index, " of the ", rows.rows(),
                      " of 'embeddings'");
    table.row(static_cast<Eigen::Index>(id)) = rows.row(static_cast<Eigen::Index>(index));
  }
  return table;
}

/// The table that a file of Model2Vec stands for: a `mapping`, if it is there, says which row each token has,
/// and `weights`, if they are there, what it is multiplied by.
inline RowMajorMatrix<float> model2vec_table(const SafetensorsFile& file, RowMajorMatrix<float> rows) {
  const auto vector_of = [&](std::string_view name, std::string_view types) -> const TensorInfo* {
    const TensorInfo* const tensor = file.find(name);
    const bool fits = tensor && tensor->shape.size() == 1 && types.find(tensor->type) != types.npos;
    return fits ? tensor : nullptr;
  };
  if (const TensorInfo* const mapping = vector_of("mapping", "I32 I64"))
    rows = mapping->type == "I32" ? mapped_rows<std::int32_t>(file, *mapping, rows)
                                  : mapped_rows<std::int64_t>(file, *mapping, rows);
  const TensorInfo* const weights = vector_of("weights", "F64 F32 F16 BF16");
  if (!weights || weights->count != static_cast<std::size_t>(rows.rows())) return rows;
  std::vector<float> factors(weights->count);
  read_floats(file, *weights, factors);
  for (std::size_t id = 0; id < factors.size(); ++id) rows.row(static_cast<Eigen::Index>(id)) *= factors[id];
  return rows;
}

/// The tensor of that name, or with that end of a name, and of so many dimensions in a safetensors file.
inline const TensorInfo& named_tensor(const SafetensorsFile& file, std::string_view name,
                                      std::size_t dimensions) {
  std::vector<std::string> names;
  for (const TensorInfo& tensor : file.tensors()) names.push_back(tensor.name);
  const TensorInfo& tensor = *file.find(unique_name(file.path(), names, name));
  if (tensor.shape.size() != dimensions)
    fail<FileError>(file.path(), ": tensor '", tensor.name, "' has ",
                    counted(tensor.shape.size(), "dimension"), ", not ", dimensions);
  return tensor;
}

/// The matrix of that name in a safetensors file.
inline RowMajorMatrix<float> matrix_in(const SafetensorsFile& file, std::string_view name) {
  const TensorInfo& tensor = named_tensor(file, name, 2);
  check_matrix_size(file.path(), tensor.name, tensor.shape[0], tensor.shape[1]);
  RowMajorMatrix<float> matrix(static_cast<Eigen::Index>(tensor.shape[0]),
                               static_cast<Eigen::Index>(tensor.shape[1]));
  read_floats(file, tensor, {matrix.data(), tensor.count});
  return tensor.name == "embeddings" ? model2vec_table(file, std::move(matrix)) : matrix;
}

/// The object of an index that says which file a tensor is in.
inline nlohmann::json read_weight_map(const std::filesystem::path& path) {
  const MappedFile file(path);
  refuse_other_kind(file.path(), file.text(), FileKind::json);
  const auto index = nlohmann::json::parse(std::string(file.text()), nullptr, /*allow_exceptions=*/false);
  // The parser takes a NUL byte for the end of the text.
  const std::size_t nul = file.text().find('\0');
  if (nul != std::string_view::npos) fail<FileError>(path, ": not valid JSON: a NUL byte at offset ", nul);
  if (!index.is_object() || !index.contains("weight_map") || !index["weight_map"].is_object())
    fail<FileError>(path, ": not the index of a checkpoint: it has no object 'weight_map'");
  return index["weight_map"];
}

/// The file in which the entry of a weight map says that its tensor is.
inline std::filesystem::path shard_of(const std::filesystem::path& path, const std::string& name,
                                      const nlohmann::json& entry) {
  if (!entry.is_string()) fail<FileError>(path, ": 'weight_map' names no file for '", name, "'");
  const auto file = entry.get<std::string>();  // UTF-8, as JSON is
  return path.parent_path() / std::u8string(file.begin(), file.end());
}

/// The file of a checkpoint that has the tensor with that name, or with that end of a name, and its name.
inline std::pair<SafetensorsFile, std::string> open_shard(const std::filesystem::path& path,
                                                          std::string_view name) {
  const auto files = read_weight_map(path);
  std::vector<std::string> names;
  for (const auto& entry : files.items()) names.push_back(entry.key());
  std::string found = unique_name(path_text(path), names, name);
  SafetensorsFile file(shard_of(path, found, files[found]));
  if (!file.find(found)) fail<FileError>(file.path(), ": the tensor '", found, "' is not in this file");
  return {std::move(file), std::move(found)};
}

}  // namespace detail

inline std::vector<std::filesystem::path> checkpoint_files(const std::filesystem::path& path) {
  if (path.extension() != ".json") return {path};
  const auto weight_map = detail::read_weight_map(path);
  std::set<std::filesystem::path> files;
  for (const auto& [name, entry] : weight_map.items()) files.insert(detail::shard_of(path, name, entry));
  return {files.begin(), files.end()};
}

inline RowMajorMatrix<float> read_matrix(const MappedFile& mapped, std::string_view name) {
  if (kind_of_content(mapped.text()) == FileKind::gguf) return read_gguf_matrix(mapped, name);
  return detail::matrix_in(SafetensorsFile(mapped), name);
}

inline RowMajorMatrix<float> read_matrix(const std::filesystem::path& path, std::string_view name) {
  if (path.extension() != ".json") return read_matrix(MappedFile(path), name);
  const auto [file, found] = detail::open_shard(path, name);
  return detail::matrix_in(file, found);
}

inline std::vector<float> read_vector(const std::filesystem::path& path, std::string_view name) {
  const auto read = [](const SafetensorsFile& file, std::string_view of) {
    const TensorInfo& tensor = detail::named_tensor(file, of, 1);
    std::vector<float> values(tensor.count);
    detail::read_floats(file, tensor, values);
    return values;
  };
  if (path.extension() != ".json") return read(SafetensorsFile(path), name);
  const auto [file, found] = detail::open_shard(path, name);
  return read(file, found);
}

}  // namespace KRONECKER_NAMESPACE
