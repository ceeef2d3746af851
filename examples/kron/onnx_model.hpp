#pragma once

/// What is in an ONNX model, read from its protobuf messages (onnx.proto of ONNX 1.16): nothing is linked.

#include <kronecker/error.hpp>
#include <kronecker/files/mapped_file.hpp>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

namespace kron {

/// A tensor of an ONNX model, or an input or output of its graph.
struct OnnxTensor {
  std::string name, type;
  std::vector<std::string> shape;  ///< Sizes, or names of sizes that are not fixed.
};

struct OnnxModel {
  std::uint64_t opset = 0;  ///< Of the standard operators.
  std::size_t node_count = 0;
  std::vector<OnnxTensor> inputs, outputs, tensors;
};

/// The fields of a protobuf message, one after the other.
class OnnxMessage {
 public:
  OnnxMessage(const std::string& path, std::string_view bytes) : path_(path), rest_(bytes) {}

  /// Goes to the next field; false at the end.
  bool next() {
    if (rest_.empty()) return false;
    const std::uint64_t tag = varint();
    number_ = 0;
    bytes_ = {};
    field = tag >> 3;
    switch (tag & 7) {
      case 0:
        number_ = varint();
        break;
      case 1:
        bytes_ = take(8);
        break;
      case 2:
        bytes_ = take(varint());
        is_message_ = true;
        return true;
      case 5:
        bytes_ = take(4);
        break;
      default:
        refuse();
    }
    is_message_ = false;
    return true;
  }

  std::uint64_t field = 0;
  std::uint64_t number() const { return number_; }  ///< 0 if it is none.
  std::string_view bytes() const { return bytes_; }
  OnnxMessage message() const { return {path_, is_message_ ? bytes_ : std::string_view()}; }

  /// One number, or several in a packed field.
  std::vector<std::uint64_t> numbers() const {
    if (!is_message_) return {number_};
    std::vector<std::uint64_t> numbers;
    for (OnnxMessage packed(path_, bytes_); !packed.rest_.empty();) numbers.push_back(packed.varint());
    return numbers;
  }

 private:
  std::uint64_t varint() {
    std::uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      const auto byte = static_cast<unsigned char>(take(1).front());
      value |= std::uint64_t{byte & 0x7Fu} << shift;
      if (byte < 0x80) return value;
    }
    refuse();
  }
  std::string_view take(std::uint64_t size) {
    if (size > rest_.size()) refuse();
    const std::string_view bytes = rest_.substr(0, static_cast<std::size_t>(size));
    rest_.remove_prefix(bytes.size());
    return bytes;
  }
  [[noreturn]] void refuse() const {
    kronecker::detail::fail<kronecker::FileError>(path_,
                                                  ": not a whole ONNX model: a message of it is damaged");
  }

  const std::string& path_;
  std::string_view rest_, bytes_;
  std::uint64_t number_ = 0;
  bool is_message_ = false;
};

/// What the other programs call the values of a tensor: TensorProto.DataType.
inline std::string onnx_type(std::uint64_t type) {
  constexpr std::string_view names[] = {"?",    "F32", "U8",  "I8",  "U16", "I16", "I32",  "I64", "text",
                                        "BOOL", "F16", "F64", "U32", "U64", "C64", "C128", "BF16"};
  return type < std::size(names) ? std::string(names[type]) : "type " + std::to_string(type);
}

inline OnnxTensor onnx_tensor(OnnxMessage message) {
  OnnxTensor tensor{"", onnx_type(0), {}};
  while (message.next()) {
    if (message.field == 1)
      for (const std::uint64_t size : message.numbers()) tensor.shape.push_back(std::to_string(size));
    if (message.field == 2) tensor.type = onnx_type(message.number());
    if (message.field == 8) tensor.name = message.bytes();
  }
  return tensor;
}

/// An input or output of the graph: its name, and a type that has a tensor's type and shape within.
inline OnnxTensor onnx_value(OnnxMessage value) {
  OnnxTensor tensor{"", onnx_type(0), {}};
  const auto read_dimension = [&](OnnxMessage dimension) {
    tensor.shape.emplace_back("?");
    while (dimension.next()) {
      if (dimension.field == 1) tensor.shape.back() = std::to_string(dimension.number());
      if (dimension.field == 2) tensor.shape.back() = dimension.bytes();
    }
  };
  const auto read_tensor_type = [&](OnnxMessage type) {
    while (type.next()) {
      if (type.field == 1) tensor.type = onnx_type(type.number());
      if (type.field != 2) continue;
      for (OnnxMessage shape = type.message(); shape.next();)
        if (shape.field == 1) read_dimension(shape.message());
    }
  };
  while (value.next()) {
    if (value.field == 1) tensor.name = value.bytes();
    if (value.field != 2) continue;
    for (OnnxMessage type = value.message(); type.next();)
      if (type.field == 1) read_tensor_type(type.message());
  }
  return tensor;
}

/// Reads the model at `path`. Throws FileError if it is not one.
inline OnnxModel read_onnx(const std::filesystem::path& path) {
  const kronecker::MappedFile file(path);
  OnnxModel model;
  for (OnnxMessage message(file.path(), file.text()); message.next();) {
    if (message.field == 8) {  // an operator set: of no domain, or of one by name
      std::uint64_t version = 0;
      std::string_view domain;
      for (OnnxMessage opset = message.message(); opset.next();) {
        if (opset.field == 1) domain = opset.bytes();
        if (opset.field == 2) version = opset.number();
      }
      if (domain.empty() || domain == "ai.onnx") model.opset = version;
    }
    if (message.field != 7) continue;
    for (OnnxMessage graph = message.message(); graph.next();) {
      if (graph.field == 1) ++model.node_count;
      if (graph.field == 5) model.tensors.push_back(onnx_tensor(graph.message()));
      if (graph.field == 11) model.inputs.push_back(onnx_value(graph.message()));
      if (graph.field == 12) model.outputs.push_back(onnx_value(graph.message()));
    }
  }
  return model;
}

}  // namespace kron
