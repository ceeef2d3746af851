#pragma once

/// A GGUF model with another table: `token_embd.weight` made of a Kronecker embedding, so that llama.cpp, or
/// anything else that reads GGUF, runs it as it is.

#include <kronecker/embedding.hpp>
#include <kronecker/error.hpp>
#include <kronecker/files/gguf.hpp>
#include <kronecker/files/gguf_data.hpp>
#include <kronecker/files/little_endian.hpp>
#include <kronecker/files/mapped_file.hpp>
#include <kronecker/files/replace_file.hpp>
#include <kronecker/files/table.hpp>
#include <kronecker/namespace.hpp>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <ostream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace KRONECKER_NAMESPACE {

/// Types in which ggml can hold a table, by its numbers for them. Q8_0 takes 34 bytes for 32 values.
enum class GgmlType : std::uint32_t { f32 = 0, f16 = 1, q8_0 = 8, bf16 = 30 };

/// What becomes of the output head of a model that has no `output.weight`, and so takes the table for it. A
/// model that has no head at all, such as one that embeds texts, is right with `new_table`.
enum class TiedHead {
  refuse,     ///< It is an error: the head would change with the table.
  old_table,  ///< It stays as it was: the old table is kept as `output.weight`.
  new_table   ///< It becomes the new table.
};

/// How a table is put into a GGUF model.
struct GgufTableOptions {
  GgmlType type = GgmlType::f32;          ///< Of the table's values.
  TiedHead tied_head = TiedHead::refuse;  ///< Has no meaning for a model that has an `output.weight`.
};

namespace detail {

/// A tensor on its way into a file. Its entry's offset is not looked at.
struct GgufTensorToWrite {
  GgufTensor entry;
  std::uint64_t size;                        // of its data, in bytes
  std::function<void(std::ostream&)> write;  // called once
};

/// Writes a GGUF file: `front` is the content up to the end of the metadata, but for the number of tensors.
inline void write_gguf(std::ostream& file, std::string front, std::uint64_t alignment,
                       const std::vector<GgufTensorToWrite>& tensors) {
  const auto padding = [&](std::uint64_t size) {
    return std::string(static_cast<std::size_t>((alignment - size % alignment) % alignment), '\0');
  };
  constexpr std::size_t count_at = 8;
  std::string count;
  append_little_endian(count, std::uint64_t{tensors.size()});
  front.replace(count_at, count.size(), count);
  std::uint64_t offset = 0;
  for (const auto& [entry, size, write] : tensors) {
    append_little_endian(front, std::uint64_t{entry.name.size()});
    front += entry.name;
    append_little_endian(front, static_cast<std::uint32_t>(entry.shape.size()));
    for (const std::uint64_t extent : entry.shape) append_little_endian(front, extent);
    append_little_endian(front, entry.type);
    append_little_endian(front, offset);
    offset += size + padding(size).size();
  }
  file << front << padding(front.size());
  for (const GgufTensorToWrite& tensor : tensors) {
    tensor.write(file);
    file << padding(tensor.size);
  }
}

/// What writes the table of an embedding as values of a type.
template <class Embedding>
std::function<void(std::ostream&)> table_writer(GgmlType type, const Embedding& embedding) {
  switch (type) {
    case GgmlType::f16:
      return [&](std::ostream& file) { write_table<Eigen::half>(file, embedding); };
    case GgmlType::bf16:
      return [&](std::ostream& file) { write_table<Eigen::bfloat16>(file, embedding); };
    case GgmlType::q8_0:
      return [&](std::ostream& file) { write_table<Q8_0>(file, embedding); };
    default:
      return [&](std::ostream& file) { write_table<float>(file, embedding); };
  }
}

inline constexpr std::string_view gguf_table_name = "token_embd.weight", gguf_head_name = "output.weight";

/// The table of a model, which must be one that an embedding of d_model and V can take the place of.
inline const GgufTensor& table_to_replace(const std::string& path, const GgufDirectory& directory,
                                          std::uint64_t d_model, std::uint64_t vocab_size,
                                          const GgufTableOptions& options) {
  if (const auto* parts = directory.metadata.find<std::uint64_t>("split.count"); parts && *parts > 1)
    fail<FileError>(path, ": one of the ", *parts,
                    " parts of a model; merge them (llama-gguf-split --merge) first");
  const GgufTensor* table = directory.find(gguf_table_name);
  if (!table) fail<FileError>(path, ": there is no tensor '", gguf_table_name, "'");
  if (table->shape != std::vector{d_model, vocab_size}) {
    std::string shape;
    for (const std::uint64_t extent : table->shape)
      shape += (shape.empty() ? "" : ", ") + std::to_string(extent);
    fail<std::invalid_argument>(path, ": '", gguf_table_name, "' is (", shape,
                                "), not the embedding's (d_model ", d_model, ", V ", vocab_size, ")");
  }
  if (options.type == GgmlType::q8_0 && d_model % Q8_0::values != 0)
    fail<std::invalid_argument>("d_model ", d_model, " is not a multiple of the ", Q8_0::values,
                                " values in a block of Q8_0");
  if (!directory.find(gguf_head_name) && options.tied_head == TiedHead::refuse)
    fail<std::invalid_argument>(path, ": there is no '", gguf_head_name,
                                "', so the output head, if there is one, is the table: choose the old one "
                                "or the new one for it (TiedHead; kron export --head)");
  return *table;
}

}  // namespace detail

/// Writes the GGUF model `source` to `path` with the table of `embedding` as its `token_embd.weight`. All
/// metadata and all other tensors have the bytes they had; `path` may be `source` itself. Throws FileError if
/// `source` is no GGUF file, is damaged, is one part of a model in several files, or has no such tensor;
/// std::invalid_argument if its table is not (d_model, V) as the embedding's is, if Q8_0 is asked for and
/// d_model is not a multiple of 32, if a value is beyond the range of the type, or for a tied head that
/// `options` say nothing about; FileError if the file cannot be written. A file that was at `path` then stays
/// as it was. O(V * d_model + size of the model); the table is never held in memory as a whole.
template <class Scalar>
void export_gguf(const std::filesystem::path& path, const KroneckerEmbedding<Scalar>& embedding,
                 const std::filesystem::path& source, const GgufTableOptions& options = {}) {
  const MappedFile file(source);
  const GgufDirectory directory = parse_gguf_directory(file.path(), file.text());
  const GgufTensor& table =
      detail::table_to_replace(file.path(), directory, static_cast<std::uint64_t>(embedding.d_model()),
                               static_cast<std::uint64_t>(embedding.vocab_size()), options);

  const detail::GgufData data(file, directory);
  std::vector<detail::GgufTensorToWrite> tensors;
  const auto keep = [&](GgufTensor entry) {
    const std::string_view kept = data.of(entry);
    tensors.push_back({std::move(entry), kept.size(), [kept](std::ostream& out) { out << kept; }});
  };
  for (const GgufTensor& tensor : directory.tensors) {
    if (&tensor != &table) {
      keep(tensor);
      continue;
    }
    GgufTensor entry = tensor;
    entry.type = static_cast<std::uint32_t>(options.type);
    const std::uint64_t size = detail::data_size(entry).value();
    tensors.push_back({std::move(entry), size, detail::table_writer(options.type, embedding)});
  }
  if (!directory.find(detail::gguf_head_name) && options.tied_head == TiedHead::old_table) {
    GgufTensor head = table;
    head.name = detail::gguf_head_name;
    keep(std::move(head));
  }
  replace_file(path, [&](std::ostream& out) {
    detail::write_gguf(out, std::string(file.text().substr(0, directory.metadata_end)), directory.alignment,
                       tensors);
  });
}

}  // namespace KRONECKER_NAMESPACE
