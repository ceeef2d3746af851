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

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <iterator>
#include <optional>
#include <ostream>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace KRONECKER_NAMESPACE {

/// Types in which ggml can hold a table, by its numbers for them. Q8_0 takes 34 bytes for 32 values; all but
/// it and those of single values take ggml's own quantizer.
enum class GgmlType : std::uint32_t {
  f32 = 0,
  f16 = 1,
  q4_0 = 2,
  q4_1 = 3,
  q5_0 = 6,
  q5_1 = 7,
  q8_0 = 8,
  q2_k = 10,
  q3_k = 11,
  q4_k = 12,
  q5_k = 13,
  q6_k = 14,
  iq1_s = 19,
  iq4_nl = 20,
  iq4_xs = 23,
  bf16 = 30
};

/// Whether a table of that type takes ggml's own quantizer.
inline bool takes_quantizer(GgmlType type) noexcept {
  return type != GgmlType::f32 && type != GgmlType::f16 && type != GgmlType::q8_0 && type != GgmlType::bf16;
}

/// What becomes of the output head of a model that has no `output.weight`, and so takes the table for it. A
/// model that has no head at all, such as one that embeds texts, is right with `new_table`.
enum class TiedHead {
  refuse,     ///< It is an error: the head would change with the table.
  old_table,  ///< It stays as it was: the old table is kept as `output.weight`.
  new_table   ///< It becomes the new table.
};

/// Makes blocks of a type of some rows of so many values, as ggml does: `quantize_as_ggml` of
/// integrations/ggml.hpp.
using GgmlQuantizer = std::function<std::string(GgmlType, std::span<const float> rows, std::size_t row_size)>;

/// How a table is put into a GGUF model.
struct GgufTableOptions {
  std::optional<GgmlType> type = std::nullopt;  ///< Of the table's values; the old table's if it is left out.
  TiedHead tied_head = TiedHead::refuse;        ///< Has no meaning for a model that has an `output.weight`.
  GgmlQuantizer quantizer = nullptr;            ///< For the types that take one.
  /// The model will be given vectors, so that nothing reads its table, which llama.cpp wants all the same: it
  /// is zeros of the smallest type that d_model allows, and `type` has no meaning.
  bool for_vectors = false;
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

/// Writes zero bytes, which are zeros in every type.
inline void write_zeros(std::ostream& file, std::uint64_t count) {
  const std::string some(std::size_t{1} << 16, '\0');
  for (; count > 0 && file; count -= (std::min)(count, std::uint64_t{some.size()}))
    file.write(some.data(), static_cast<std::streamsize>((std::min)(count, std::uint64_t{some.size()})));
}

/// What writes the table of an embedding as values of a type.
template <class Embedding>
std::function<void(std::ostream&)> table_writer(GgmlType type, const GgmlQuantizer& quantizer,
                                                const Embedding& embedding) {
  switch (type) {
    case GgmlType::f32:
      return [&](std::ostream& file) { write_table<float>(file, embedding); };
    case GgmlType::f16:
      return [&](std::ostream& file) { write_table<Eigen::half>(file, embedding); };
    case GgmlType::bf16:
      return [&](std::ostream& file) { write_table<Eigen::bfloat16>(file, embedding); };
    case GgmlType::q8_0:
      return [&](std::ostream& file) { write_table<Q8_0>(file, embedding); };
    default:
      return [&, type](std::ostream& file) {
        write_rows(file, embedding, [&](std::span<const float> rows, TokenId) {
          return quantizer(type, rows, static_cast<std::size_t>(embedding.d_model()));
        });
      };
  }
}

/// The type of which a table of zeros takes least.
inline GgmlType smallest_type(std::uint64_t d_model) noexcept {
  return d_model % 256 == 0 ? GgmlType::iq1_s : d_model % 32 == 0 ? GgmlType::q4_0 : GgmlType::f16;
}

/// Whether llama.cpp takes an output head from a file of that architecture. Those where it does not have the
/// table for it, or no head, and a tensor too many is a file that it does not load.
inline bool may_have_head(std::string_view architecture) noexcept {
  constexpr std::string_view without[] = {"bert",           "bitnet",      "cohere2",  "command-r",
                                          "eurobert",       "gemma",       "gemma2",   "jina-bert-v2",
                                          "jina-bert-v3",   "modern-bert", "neo-bert", "nomic-bert",
                                          "nomic-bert-moe", "openelm",     "plm"};
  return std::find(std::begin(without), std::end(without), architecture) == std::end(without);
}

inline constexpr std::string_view gguf_table_name = "token_embd.weight", gguf_head_name = "output.weight";

/// The type of the new table.
inline GgmlType type_to_write(const GgufTensor& table, std::uint64_t d_model,
                              const GgufTableOptions& options) {
  if (options.for_vectors) return smallest_type(d_model);
  return options.type.value_or(static_cast<GgmlType>(table.type));
}

/// Throws if a model without a head of its own cannot have the one that the options say.
inline void check_tied_head(const std::string& path, const GgufDirectory& directory,
                            const GgufTableOptions& options) {
  if (options.tied_head == TiedHead::refuse)
    fail<std::invalid_argument>(path, ": there is no '", gguf_head_name,
                                "', so the output head, if there is one, is the table: choose the old one "
                                "or the new one for it (TiedHead; kron export --head)");
  const auto* architecture = directory.metadata.find<std::string>("general.architecture");
  if (options.tied_head == TiedHead::old_table && architecture && !may_have_head(*architecture))
    fail<std::invalid_argument>(path, ": llama.cpp takes no '", gguf_head_name,
                                "' in a model of architecture '", *architecture,
                                "', so the old table cannot be kept for the output head");
  if (options.tied_head == TiedHead::new_table && options.for_vectors)
    fail<std::invalid_argument>(path, ": the output head would be a table of zeros; keep the old one for it");
}

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
  const GgmlType type = type_to_write(*table, d_model, options);
  const std::string type_name = ggml_type_name(static_cast<std::uint32_t>(type));
  const GgmlBlock* const block = ggml_block(static_cast<std::uint32_t>(type));
  if (!block)
    fail<std::invalid_argument>(path, ": the table is of ", type_name,
                                ", which is not known here: say of which type the new one is to be");
  if (takes_quantizer(type) && !options.quantizer && !options.for_vectors)
    fail<std::invalid_argument>(
        "a table of ", type_name,
        " takes ggml's own quantizer (quantize_as_ggml); F32, F16, BF16 and Q8_0 do not");
  if (d_model % block->values != 0)
    fail<std::invalid_argument>("d_model ", d_model, " is not a multiple of the ", block->values,
                                " values in a block of ", type_name);
  if (!directory.find(gguf_head_name)) check_tied_head(path, directory, options);
  return *table;
}

}  // namespace detail

/// The type of the table of a GGUF model. Throws FileError if it has none.
inline GgmlType gguf_table_type(const std::filesystem::path& source) {
  const MappedFile file(source);
  const GgufDirectory directory = parse_gguf_directory(file.path(), file.text());
  const GgufTensor* table = directory.find(detail::gguf_table_name);
  if (!table) detail::fail<FileError>(file.path(), ": there is no tensor '", detail::gguf_table_name, "'");
  return static_cast<GgmlType>(table->type);
}

/// Writes the GGUF model `source` to `path` with the table of `embedding` as its `token_embd.weight`. All
/// metadata and all other tensors have the bytes they had; `path` may be `source` itself. Throws FileError if
/// `source` is no GGUF file, is damaged, is one part of a model in several files, or has no such tensor;
/// std::invalid_argument if its table is not (d_model, V) as the embedding's is, if d_model is not a multiple
/// of the values in a block of the type, if a value is beyond its range, if it takes a quantizer and there is
/// none, or for a tied head that `options` say nothing about or that llama.cpp would not load; FileError if
/// the file cannot be written. A file that was at `path` then stays as it was. O(V * d_model + size of the
/// model); the table is never held in memory as a whole.
template <class Scalar>
void export_gguf(const std::filesystem::path& path, const KroneckerEmbedding<Scalar>& embedding,
                 const std::filesystem::path& source, const GgufTableOptions& options = {}) {
  std::optional<MappedFile> file(source);
  const GgufDirectory directory = parse_gguf_directory(file->path(), file->text());
  const GgufTensor& table =
      detail::table_to_replace(file->path(), directory, static_cast<std::uint64_t>(embedding.d_model()),
                               static_cast<std::uint64_t>(embedding.vocab_size()), options);

  const detail::GgufData data(*file, directory);
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
    const GgmlType type =
        detail::type_to_write(table, static_cast<std::uint64_t>(embedding.d_model()), options);
    entry.type = static_cast<std::uint32_t>(type);
    const std::uint64_t size = detail::data_size(entry).value();
    std::function<void(std::ostream&)> write = [size](std::ostream& out) { detail::write_zeros(out, size); };
    if (!options.for_vectors) write = detail::table_writer(type, options.quantizer, embedding);
    tensors.push_back({std::move(entry), size, std::move(write)});
  }
  if (!directory.find(detail::gguf_head_name) && options.tied_head == TiedHead::old_table) {
    GgufTensor head = table;
    head.name = detail::gguf_head_name;
    keep(std::move(head));
  }
  replace_file(path, [&](std::ostream& out) {
    detail::write_gguf(out, std::string(file->text().substr(0, directory.metadata_end)), directory.alignment,
                       tensors);
    file.reset();  // Windows replaces no file that is mapped
  });
}

}  // namespace KRONECKER_NAMESPACE
