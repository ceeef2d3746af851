#pragma once

/// One file for a whole embedding: rows, token bytes and every option, so that loading takes no tokenizer. It
/// is a safetensors file with the tensors
///
///     projection.rows           F32, BF16, F16 or I8 (D, d_model)   as KroneckerEmbedding::rows() gives them
///     projection.column_scales  F32 (d_model)                       for I8 alone
///     token_bytes               U8 (V, pos_dim)
///     token_lengths             U8 (V)
///     own_rows.ids              I32 (n), ascending                  if tokens have rows of their own
///     own_rows.rows             as projection.rows (n, d_model)
///     own_rows.column_scales    F32 (d_model)                       for I8 alone
///     norm.weight               F32 (d_model)                       if a norm follows
///     head.bias, ...            as head_correction.hpp says         if an output head is corrected
///
/// and the options as metadata. Opening maps it: no row is read before a token lights it, and processes that
/// open one file share their memory. The tokens' bytes and lengths are copied, since they are trusted: in a
/// file that is written into while it is open, rows change, and nothing else does.

#include <kronecker/embedding.hpp>
#include <kronecker/error.hpp>
#include <kronecker/files/head_correction.hpp>
#include <kronecker/files/little_endian.hpp>
#include <kronecker/files/model_metadata.hpp>
#include <kronecker/files/safetensors.hpp>
#include <kronecker/head_correction.hpp>
#include <kronecker/namespace.hpp>
#include <kronecker/number_text.hpp>
#include <kronecker/shared_array.hpp>
#include <kronecker/token_bytes.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <limits>
#include <map>
#include <ostream>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace KRONECKER_NAMESPACE {

/// The newest version of the model file's layout: this library reads it and older ones. It is written only
/// for what version 1, that of 0.1, does not know: rounded codes, rows of their own, norms and heads that are
/// corrected.
inline constexpr int model_format_version = 2;

namespace detail {

inline constexpr std::string_view model_format = "kronecker-embedding";

template <class T>
std::function<void(std::ostream&)> writer_of(std::span<const T> values) {
  return [values](std::ostream& file) { write_little_endian(file, values); };
}

/// The encoder that a model file is for.
inline DynamicEncoder read_encoder(const SafetensorsFile& file) {
  const ModelMetadata metadata(file);
  if (metadata.text("format") != model_format)
    fail<FileError>(file.path(), ": not a saved embedding: the format is '", metadata.text("format"), "'");
  if (const int version = metadata.number<int>("format_version");
      version < 1 || version > model_format_version)
    fail<FileError>(file.path(), ": format version ", version,
                    " is unknown: this library reads versions 1 to ", model_format_version);
  const int char_dim = metadata.number_within("char_dim", 2, 256);
  const int pos_dim = metadata.number_within("pos_dim", 1, 255);
  CodeOptions options{metadata.flag("length_normalize"), metadata.flag("z_normalize"),
                      metadata.number<float>("epsilon")};
  if (metadata.has("code_rounding")) {
    if (const std::string& rounding = metadata.text("code_rounding"); rounding != "bfloat16")
      fail<FileError>(file.path(), ": the metadata 'code_rounding' is '", rounding, "', not bfloat16");
    options.rounding = CodeRounding::bfloat16;
  }
  if (!is_finite(options.epsilon) || options.epsilon < 0)
    fail<FileError>(file.path(), ": the metadata 'epsilon' is ", options.epsilon,
                    ", not a finite number >= 0");
  return {char_dim, pos_dim, options};
}

/// Numbers of a file, in memory of our own: what is checked once must stay what it was, and the file may be
/// written into.
template <class T>
SharedArray<T> kept(const SafetensorsFile& file, const TensorInfo& tensor) {
  const SharedArray<T> mapped = file.values<T>(tensor);
  return SharedArray<T>::make(
      mapped.size(), [&](std::span<T> copy) { std::copy_n(mapped.data(), copy.size(), copy.begin()); });
}

/// The token bytes of a model file, within the alphabet of its encoder.
inline TokenBytes read_token_bytes(const SafetensorsFile& file, int char_dim, int pos_dim) {
  const TensorInfo& bytes = model_tensor(file, "token_bytes", 2);
  const TensorInfo& lengths = model_tensor(file, "token_lengths", 1);
  constexpr std::size_t most = (std::numeric_limits<TokenId>::max)();
  if (lengths.count < 1 || lengths.count > most || bytes.shape[0] != lengths.count ||
      bytes.shape[1] != static_cast<std::size_t>(pos_dim))
    fail<FileError>(file.path(), ": 'token_bytes' of ", bytes.shape[0], " x ", bytes.shape[1], " and ",
                    lengths.count, " 'token_lengths' do not fit pos_dim ", pos_dim);
  const TokenId truncated =
      ModelMetadata(file).number_within("truncated_tokens", 0, static_cast<TokenId>(lengths.count));
  const auto token_bytes = kept<std::uint8_t>(file, bytes), token_lengths = kept<std::uint8_t>(file, lengths);
  for (std::size_t id = 0; id < token_lengths.size(); ++id) {
    const std::size_t length = token_lengths[id];
    if (length > bytes.shape[1])
      fail<FileError>(file.path(), ": token id ", id, " has a length of ", length, " over pos_dim ", pos_dim);
    if (char_dim == 256) continue;
    for (std::size_t p = 0; p < length; ++p)
      if (token_bytes[id * bytes.shape[1] + p] >= char_dim)
        fail<FileError>(file.path(), ": token id ", id, " has the byte ",
                        token_bytes[id * bytes.shape[1] + p], " outside the alphabet of char_dim ", char_dim);
  }
  return {token_bytes, token_lengths, char_dim, pos_dim, truncated};
}

/// The rows `name` + "rows" of a model file, with their column scales; as many as `count`, if that is not 0,
/// and at least one, of any d_model, or of `d_model`.
template <class Scalar>
ProjectionRows<Scalar> read_rows(const SafetensorsFile& file, const std::string& name, std::size_t count,
                                 std::string_view counted, std::size_t d_model, bool is_centered) {
  const TensorInfo& rows = model_tensor(file, name + ".rows", 2);
  constexpr std::size_t most = (std::numeric_limits<std::int32_t>::max)();
  if (rows.shape[0] != count || rows.shape[1] < 1 || rows.shape[1] > most ||
      (d_model != 0 && rows.shape[1] != d_model))
    fail<FileError>(file.path(), ": '", name, ".rows' is ", rows.shape[0], " x ", rows.shape[1], ", not ",
                    counted, " ", count, " x d_model");
  SharedArray<float> column_scales;
  if constexpr (ProjectionRows<Scalar>::type == kernels::RowType::int8) {
    const TensorInfo& scales = model_tensor(file, name + ".column_scales", 1);
    if (scales.count != rows.shape[1])
      fail<FileError>(file.path(), ": '", name, ".column_scales' has ", scales.count, " values, not d_model ",
                      rows.shape[1]);
    column_scales = file.values<float>(scales);
  }
  return ProjectionRows<Scalar>::trusted(static_cast<int>(rows.shape[1]), static_cast<int>(count),
                                         is_centered, file.values<Scalar>(rows), column_scales);
}

/// The rows that tokens of a model file have of their own.
template <class Scalar>
OwnRows<Scalar> read_own_rows(const SafetensorsFile& file, TokenId vocab_size, std::size_t d_model) {
  const TensorInfo& ids = model_tensor(file, "own_rows.ids", 1);
  if (ids.count < 1 || ids.count > static_cast<std::size_t>(vocab_size))
    fail<FileError>(file.path(), ": 'own_rows.ids' has ", ids.count, " ids of a vocabulary of ", vocab_size);
  const SharedArray<TokenId> tokens = kept<TokenId>(file, ids);
  for (std::size_t i = 0; i < tokens.size(); ++i)
    if (tokens[i] < 0 || tokens[i] >= vocab_size || (i > 0 && tokens[i] <= tokens[i - 1]))
      fail<FileError>(file.path(), ": 'own_rows.ids' has the id ", tokens[i], " at index ", i,
                      ": they must ascend within the vocabulary of ", vocab_size, " tokens");
  return {OwnTokens(vocab_size, tokens),
          read_rows<Scalar>(file, "own_rows", tokens.size(), "the number of ids", d_model, false)};
}

/// The norm of a model file.
inline EmbeddingNorm read_norm(const SafetensorsFile& file, std::size_t d_model) {
  const TensorInfo& weight = model_tensor(file, "norm.weight", 1);
  if (weight.count != d_model)
    fail<FileError>(file.path(), ": 'norm.weight' has ", weight.count, " values, not d_model ", d_model);
  const float epsilon = ModelMetadata(file).number<float>("norm_epsilon");
  if (!is_finite(epsilon) || epsilon < 0)
    fail<FileError>(file.path(), ": the metadata 'norm_epsilon' is ", epsilon, ", not a finite number >= 0");
  const SharedArray<float> values = kept<float>(file, weight);
  if (const std::size_t at = first_not_finite(values.span()); at < values.size())
    fail<FileError>(file.path(), ": 'norm.weight' has the value ", values[at], " at ", at,
                    ": it must be finite");
  return EmbeddingNorm(values.span(), epsilon);
}

/// The embedding of a model file, with rows of type Scalar.
template <class Scalar>
KroneckerEmbedding<Scalar> read_model(const SafetensorsFile& file) {
  const auto encoder = read_encoder(file);
  ProjectionRows<Scalar> rows =
      read_rows<Scalar>(file, "projection", static_cast<std::size_t>(encoder.code_dim()), "code_dim", 0,
                        encoder.centers_rows());
  const auto d_model = static_cast<std::size_t>(rows.d_model());
  KroneckerEmbedding<Scalar> embedding(encoder, read_token_bytes(file, encoder.char_dim(), encoder.pos_dim()),
                                       std::move(rows));
  if (file.find("own_rows.ids") != nullptr || file.find("own_rows.rows") != nullptr)
    embedding = embedding.with_own_rows(read_own_rows<Scalar>(file, embedding.vocab_size(), d_model));
  if (file.find("norm.weight") != nullptr || ModelMetadata(file).has("norm_epsilon"))
    embedding = embedding.with_norm(read_norm(file, d_model));
  return embedding;
}

/// Adds rows to what is written.
template <class Scalar>
void add_rows(std::vector<TensorToWrite>& tensors, const std::string& name,
              const ProjectionRows<Scalar>& rows) {
  tensors.push_back({name + ".rows",
                     std::string(tensor_type_name<Scalar>()),
                     {static_cast<std::size_t>(rows.code_dim()), static_cast<std::size_t>(rows.d_model())},
                     writer_of(rows.values().span())});
  if (rows.column_scales().size() > 0)
    tensors.push_back({name + ".column_scales",
                       "F32",
                       {rows.column_scales().size()},
                       writer_of(rows.column_scales().span())});
}

}  // namespace detail

/// Writes `embedding` to a model file, with what corrects its output head, if that is given. Throws FileError
/// if it cannot be written; an old file then stays as it was. Throws std::invalid_argument if the correction
/// does not fit the embedding.
template <class Scalar>
void save(const std::filesystem::path& path, const KroneckerEmbedding<Scalar>& embedding,
          const HeadCorrection* correction = nullptr) {
  const DynamicEncoder& encoder = embedding.encoder();
  const CodeOptions options = encoder.options();
  const TokenBytes& tokens = embedding.token_bytes();
  const auto size = [](int value) { return static_cast<std::size_t>(value); };
  const auto flag = [](bool value) { return std::string(value ? "true" : "false"); };
  std::vector<TensorToWrite> tensors;
  detail::add_rows(tensors, "projection", embedding.rows());
  tensors.push_back({"token_bytes",
                     "U8",
                     {size(tokens.size()), size(encoder.pos_dim())},
                     detail::writer_of(tokens.bytes())});
  tensors.push_back({"token_lengths", "U8", {size(tokens.size())}, detail::writer_of(tokens.lengths())});
  std::map<std::string, std::string> metadata = {
      {"format", std::string(detail::model_format)},
      {"format_version", "1"},
      {"char_dim", std::to_string(encoder.char_dim())},
      {"pos_dim", std::to_string(encoder.pos_dim())},
      {"length_normalize", flag(options.length_normalize)},
      {"z_normalize", flag(options.z_normalize)},
      {"epsilon", detail::number_text(options.epsilon)},
      {"truncated_tokens", std::to_string(embedding.truncated_tokens())}};
  if (const auto& own = embedding.own_rows()) {
    metadata["format_version"] = "2";
    tensors.push_back({"own_rows.ids", "I32", {own->size()}, detail::writer_of(own->tokens().ids())});
    detail::add_rows(tensors, "own_rows", own->rows());
  }
  if (const auto& norm = embedding.norm()) {
    metadata["format_version"] = "2";
    metadata["norm_epsilon"] = detail::number_text(norm->epsilon());
    tensors.push_back(
        {"norm.weight", "F32", {norm->weight().size()}, detail::writer_of(norm->weight().span())});
  }
  if (correction != nullptr) {
    correction->check_vocabulary(embedding.vocab_size());
    correction->check_width(embedding.d_model());
    metadata["format_version"] = "2";
    detail::add_head_correction(tensors, *correction);
  }
  if (options.rounding == CodeRounding::bfloat16) {
    metadata["format_version"] = "2";
    metadata["code_rounding"] = "bfloat16";
  }
  write_safetensors(path, tensors, metadata);
}

/// Opens a model file that `save` wrote: embeddings have the same bits as before saving. What corrects an
/// output head is opened apart (load_head_correction). The rows stay in the file; those of rounded codes are
/// read once, for their mean. Throws FileError if the file is none or is damaged, if a newer version wrote
/// it, or if its rows are of another type than Scalar. Header, shapes, lengths and bytes are checked; the
/// rows are not looked at. O(V * pos_dim).
template <class Scalar = float>
KroneckerEmbedding<Scalar> load(const std::filesystem::path& path) {
  return detail::read_model<Scalar>(SafetensorsFile(path));
}

/// An embedding with rows of any type.
using AnyEmbedding = std::variant<KroneckerEmbedding<float>, KroneckerEmbedding<Eigen::bfloat16>,
                                  KroneckerEmbedding<Eigen::half>, KroneckerEmbedding<std::int8_t>>;

/// Opens a model file with rows of any type. Throws FileError as `load`.
inline AnyEmbedding load_any(const std::filesystem::path& path) {
  const SafetensorsFile file(path);
  const TensorInfo* rows = file.find("projection.rows");
  const std::string type = rows != nullptr ? rows->type : "F32";  // if it is missing, reading says so
  if (type == "BF16") return detail::read_model<Eigen::bfloat16>(file);
  if (type == "F16") return detail::read_model<Eigen::half>(file);
  if (type == "I8") return detail::read_model<std::int8_t>(file);
  return detail::read_model<float>(file);
}

}  // namespace KRONECKER_NAMESPACE
