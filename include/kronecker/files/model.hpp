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
/// open one file share their memory. The tokens' bytes and lengths are copied, since they are trusted: in a
/// file that is written into while it is open, rows change, and nothing else does.

#include <kronecker/embedding.hpp>
#include <kronecker/error.hpp>
#include <kronecker/files/safetensors.hpp>
#include <kronecker/namespace.hpp>
#include <kronecker/shared_array.hpp>
#include <kronecker/token_bytes.hpp>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <limits>
#include <ostream>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <variant>
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
    fail<FileError>(file.path(), ": tensor '", name, "' has ", counted(tensor->shape.size(), "dimension"),
                    ", not ", dimensions);
  return *tensor;
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
  const CodeOptions options{metadata.flag("length_normalize"), metadata.flag("z_normalize"),
                            metadata.number<float>("epsilon")};
  if (!is_finite(options.epsilon) || options.epsilon < 0)
    fail<FileError>(file.path(), ": the metadata 'epsilon' is ", options.epsilon,
                    ", not a finite number >= 0");
  return {char_dim, pos_dim, options};
}

/// Numbers of a file, in memory of our own: what is checked once must stay what it was, and the file may be
/// written into.
inline SharedArray<std::uint8_t> kept_bytes(const SafetensorsFile& file, const TensorInfo& tensor) {
  const SharedArray<std::uint8_t> mapped = file.values<std::uint8_t>(tensor);
  return SharedArray<std::uint8_t>::make(mapped.size(), [&](std::span<std::uint8_t> copy) {
    std::copy_n(mapped.data(), copy.size(), copy.begin());
  });
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
  const auto token_bytes = kept_bytes(file, bytes), token_lengths = kept_bytes(file, lengths);
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

/// The embedding of a model file, with rows of type Scalar.
template <class Scalar>
KroneckerEmbedding<Scalar> read_model(const SafetensorsFile& file) {
  const auto encoder = read_encoder(file);
  const TensorInfo& rows = model_tensor(file, "projection.rows", 2);
  constexpr std::size_t most = (std::numeric_limits<std::int32_t>::max)();
  if (rows.shape[0] != static_cast<std::size_t>(encoder.code_dim()) || rows.shape[1] < 1 ||
      rows.shape[1] > most)
    fail<FileError>(file.path(), ": 'projection.rows' is ", rows.shape[0], " x ", rows.shape[1],
                    ", not code_dim ", encoder.code_dim(), " x d_model");
  TokenBytes tokens = read_token_bytes(file, encoder.char_dim(), encoder.pos_dim());
  SharedArray<float> column_scales;
  if constexpr (ProjectionRows<Scalar>::type == kernels::RowType::int8) {
    const TensorInfo& scales = model_tensor(file, "projection.column_scales", 1);
    if (scales.count != rows.shape[1])
      fail<FileError>(file.path(), ": 'projection.column_scales' has ", scales.count, " values, not d_model ",
                      rows.shape[1]);
    column_scales = file.values<float>(scales);
  }
  return {encoder, std::move(tokens),
          ProjectionRows<Scalar>::trusted(static_cast<int>(rows.shape[1]), encoder.code_dim(),
                                          encoder.options().z_normalize, file.values<Scalar>(rows),
                                          column_scales)};
}

}  // namespace detail

/// Writes `embedding` to a model file. Throws FileError if it cannot be written; an old file then stays as it
/// was.
template <class Scalar>
void save(const std::filesystem::path& path, const KroneckerEmbedding<Scalar>& embedding) {
  const DynamicEncoder& encoder = embedding.encoder();
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
/// file. Throws FileError if the file is none or is damaged, if a newer version wrote it, or if its rows are
/// of another type than Scalar. Header, shapes, lengths and bytes are checked; the rows are not looked at.
/// O(V * pos_dim).
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
