#pragma once

/// One file for a whole embedding: rows, token bytes and every option, so that loading takes no tokenizer. It
/// is a safetensors file with the tensors
///
///     projection.rows           F32, BF16, F16 or I8 (D, d_model)   as KroneckerEmbedding::rows() gives them
///     projection.column_scales  F32 (d_model)                       for I8 alone
///     token_bytes               U8 (V, pos_dim)
///     token_lengths             U8 (V)
///
/// and the options as metadata. Opening maps it: no row is read before a token lights it, and processes that
/// open one file share its memory.

#include <kronecker/embedding.hpp>
#include <kronecker/error.hpp>
#include <kronecker/files/safetensors.hpp>
#include <kronecker/namespace.hpp>
#include <kronecker/shared_array.hpp>
#include <kronecker/token_bytes.hpp>

#include <charconv>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <limits>
#include <map>
#include <ostream>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

namespace KRONECKER_NAMESPACE {

/// The version of the model file's layout that this library writes; it reads this one and older ones.
inline constexpr int model_format_version = 1;

namespace detail {

inline constexpr std::string_view model_format = "kronecker-embedding";

template <class T>
std::function<void(std::ostream&)> writer_of(std::span<const T> values) {
  return [values](std::ostream& file) {
    file.write(reinterpret_cast<const char*>(values.data()),
               static_cast<std::streamsize>(values.size_bytes()));
  };
}

/// A number, as the shortest text that reads back as the same.
template <class T>
std::string number_text(T value) {
  char text[64];
  return {text, std::to_chars(text, text + sizeof text, value).ptr};
}

/// The metadata of a model file, read and checked one by one.
class ModelMetadata {
 public:
  explicit ModelMetadata(const SafetensorsFile& file) : file_(file) {}

  const std::string& text(const std::string& key) const {
    const auto found = file_.metadata().find(key);
    if (found == file_.metadata().end())
      fail<FileError>(file_.path(), ": not a saved embedding: the metadata '", key, "' is missing");
    return found->second;
  }

  template <class T>
  T number(const std::string& key) const {
    const std::string& digits = text(key);
    T value{};
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (error != std::errc() || end != digits.data() + digits.size())
      fail<FileError>(file_.path(), ": the metadata '", key, "' is '", digits, "', not a number");
    return value;
  }

  int number_within(const std::string& key, int least, int most) const {
    const int value = number<int>(key);
    if (value < least || value > most)
      fail<FileError>(file_.path(), ": the metadata '", key, "' is ", value, ", outside ", least, " to ",
                      most);
    return value;
  }

  bool flag(const std::string& key) const {
    const std::string& value = text(key);
    if (value != "true" && value != "false")
      fail<FileError>(file_.path(), ": the metadata '", key, "' is '", value, "', not true or false");
    return value == "true";
  }

 private:
  const SafetensorsFile& file_;
};

/// The tensor `name` of that type and number of dimensions.
inline const TensorInfo& model_tensor(const SafetensorsFile& file, std::string_view name,
                                      std::size_t dimensions) {
  const TensorInfo* tensor = file.find(name);
  if (tensor == nullptr)
    fail<FileError>(file.path(), ": not a saved embedding: the tensor '", name, "' is missing");
  if (tensor->shape.size() != dimensions)
    fail<FileError>(file.path(), ": tensor '", name, "' has ", tensor->shape.size(), " dimensions, not ",
                    dimensions);
  return *tensor;
}

}  // namespace detail

/// Writes `embedding` to a model file. Throws FileError if it cannot be written; an old file then stays as it
/// was.
template <class Encoder, class Scalar>
void save(const std::filesystem::path& path, const KroneckerEmbedding<Encoder, Scalar>& embedding) {
  const Encoder& encoder = embedding.encoder();
  const CodeOptions options = encoder.options();
  const TokenBytes& tokens = embedding.token_bytes();
  const ProjectionRows<Scalar>& rows = embedding.rows();
  const auto size = [](int value) { return static_cast<std::size_t>(value); };
  const auto flag = [](bool value) { return std::string(value ? "true" : "false"); };
  std::vector<TensorToWrite> tensors = {
      {"projection.rows",
       std::string(detail::tensor_type_name<Scalar>()),
       {size(encoder.code_dim()), size(embedding.d_model())},
       detail::writer_of(rows.values().span())},
      {"token_bytes",
       "U8",
       {size(tokens.size()), size(encoder.pos_dim())},
       detail::writer_of(tokens.bytes())},
      {"token_lengths", "U8", {size(tokens.size())}, detail::writer_of(tokens.lengths())}};
  if (rows.column_scales().size() > 0)
    tensors.push_back({"projection.column_scales",
                       "F32",
                       {size(embedding.d_model())},
                       detail::writer_of(rows.column_scales().span())});
  write_safetensors(path, tensors,
                    {{"format", std::string(detail::model_format)},
                     {"format_version", std::to_string(model_format_version)},
                     {"char_dim", std::to_string(encoder.char_dim())},
                     {"pos_dim", std::to_string(encoder.pos_dim())},
                     {"length_normalize", flag(options.length_normalize)},
                     {"z_normalize", flag(options.z_normalize)},
                     {"epsilon", detail::number_text(options.epsilon)},
                     {"truncated_tokens", std::to_string(embedding.truncated_tokens())}});
}

/// Opens a model file that `save` wrote: embeddings have the same bits as before saving. The rows stay in the
/// file. Throws FileError if the file is none or is damaged, if a newer version wrote it, or if it is of
/// another encoder size or row type than asked for. Header, shapes and lengths are checked; the rows are not
/// looked at. O(V).
template <class Encoder = KroneckerEncoder<>, class Scalar = float>
KroneckerEmbedding<Encoder, Scalar> load(const std::filesystem::path& path) {
  const SafetensorsFile file(path);
  const detail::ModelMetadata metadata(file);
  if (metadata.text("format") != detail::model_format)
    detail::fail<FileError>(file.path(), ": not a saved embedding: the format is '", metadata.text("format"),
                            "'");
  if (const int version = metadata.number<int>("format_version");
      version < 1 || version > model_format_version)
    detail::fail<FileError>(file.path(), ": format version ", version,
                            " is unknown: this library reads versions 1 to ", model_format_version);

  const int char_dim = metadata.number_within("char_dim", 2, 256);
  const int pos_dim = metadata.number_within("pos_dim", 1, 255);
  if (!Encoder::has_sizes(char_dim, pos_dim))
    detail::fail<FileError>(file.path(), ": the file is for char_dim ", char_dim, " and pos_dim ", pos_dim,
                            ", not for the sizes that the encoder's type fixes");
  const CodeOptions options{metadata.flag("length_normalize"), metadata.flag("z_normalize"),
                            metadata.number<float>("epsilon")};
  if (!detail::is_finite(options.epsilon) || options.epsilon < 0)
    detail::fail<FileError>(file.path(), ": the metadata 'epsilon' is ", options.epsilon,
                            ", not a finite number >= 0");
  const Encoder encoder(char_dim, pos_dim, options);

  const TensorInfo& rows = detail::model_tensor(file, "projection.rows", 2);
  const TensorInfo& bytes = detail::model_tensor(file, "token_bytes", 2);
  const TensorInfo& lengths = detail::model_tensor(file, "token_lengths", 1);
  constexpr std::size_t most = (std::numeric_limits<std::int32_t>::max)();
  if (rows.shape[0] != static_cast<std::size_t>(encoder.code_dim()) || rows.shape[1] < 1 ||
      rows.shape[1] > most)
    detail::fail<FileError>(file.path(), ": 'projection.rows' is ", rows.shape[0], " x ", rows.shape[1],
                            ", not code_dim ", encoder.code_dim(), " x d_model");
  if (lengths.count < 1 || lengths.count > most || bytes.shape[0] != lengths.count ||
      bytes.shape[1] != static_cast<std::size_t>(pos_dim))
    detail::fail<FileError>(file.path(), ": 'token_bytes' of ", bytes.shape[0], " x ", bytes.shape[1],
                            " and ", lengths.count, " 'token_lengths' do not fit pos_dim ", pos_dim);
  const auto vocab_size = static_cast<TokenId>(lengths.count);
  const TokenId truncated = metadata.number_within("truncated_tokens", 0, vocab_size);
  const auto token_bytes = file.values<std::uint8_t>(bytes);
  const auto token_lengths = file.values<std::uint8_t>(lengths);
  for (std::size_t id = 0; id < token_lengths.size(); ++id) {
    const std::size_t length = token_lengths[id];
    if (length > bytes.shape[1])
      detail::fail<FileError>(file.path(), ": token id ", id, " has a length of ", length, " over pos_dim ",
                              pos_dim);
    if (char_dim == 256) continue;
    for (std::size_t p = 0; p < length; ++p)
      if (token_bytes[id * bytes.shape[1] + p] >= char_dim)
        detail::fail<FileError>(file.path(), ": token id ", id, " has the byte ",
                                token_bytes[id * bytes.shape[1] + p], " outside the alphabet of char_dim ",
                                char_dim);
  }
  SharedArray<float> column_scales;
  if constexpr (ProjectionRows<Scalar>::type == kernels::RowType::int8) {
    const TensorInfo& scales = detail::model_tensor(file, "projection.column_scales", 1);
    if (scales.count != rows.shape[1])
      detail::fail<FileError>(file.path(), ": 'projection.column_scales' has ", scales.count,
                              " values, not d_model ", rows.shape[1]);
    column_scales = file.values<float>(scales);
  }
  return KroneckerEmbedding<Encoder, Scalar>::from_parts(
      encoder, TokenBytes(token_bytes, token_lengths, pos_dim, truncated),
      ProjectionRows<Scalar>(static_cast<int>(rows.shape[1]), encoder.code_dim(), file.values<Scalar>(rows),
                             column_scales));
}

/// Opens a model file of any sizes and row type, and returns what `visit(embedding)` does. Throws FileError
/// as `load`.
template <class Visit>
auto load_any(const std::filesystem::path& path, Visit&& visit) {
  using Encoder = KroneckerEncoder<Eigen::Dynamic, Eigen::Dynamic>;
  const SafetensorsFile file(path);
  const TensorInfo* rows = file.find("projection.rows");
  const std::string type = rows != nullptr ? rows->type : "F32";  // if it is missing, `load` says so
  if (type == "BF16") return visit(load<Encoder, Eigen::bfloat16>(path));
  if (type == "F16") return visit(load<Encoder, Eigen::half>(path));
  if (type == "I8") return visit(load<Encoder, std::int8_t>(path));
  return visit(load<Encoder, float>(path));
}

}  // namespace KRONECKER_NAMESPACE
