#pragma once

/// What is in an ONNX model, read from its protobuf messages (onnx.proto of ONNX 1.16): nothing is linked.

#include <kronecker/files/mapped_file.hpp>
#include <kronecker/files/protobuf.hpp>

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

using kronecker::detail::ProtobufField;
using kronecker::detail::ProtobufMessage;

/// Calls `visit` with each field of a message.
template <class Visit>
void for_each_field(ProtobufMessage message, Visit visit) {
  while (!message.at_end()) visit(message.next());
}

/// What the other programs call the values of a tensor: TensorProto.DataType.
inline std::string onnx_type(std::uint64_t type) {
  constexpr std::string_view names[] = {"?",    "F32", "U8",  "I8",  "U16", "I16", "I32",  "I64", "text",
                                        "BOOL", "F16", "F64", "U32", "U64", "C64", "C128", "BF16"};
  return type < std::size(names) ? std::string(names[type]) : "type " + std::to_string(type);
}

inline OnnxTensor onnx_tensor(const ProtobufMessage& message) {
  OnnxTensor tensor{"", onnx_type(0), {}};
  for_each_field(message, [&](const ProtobufField& field) {
    if (field.number == 1)
      for (const std::uint64_t size : message.numbers(field)) tensor.shape.push_back(std::to_string(size));
    if (field.number == 2) tensor.type = onnx_type(field.value);
    if (field.number == 8) tensor.name = field.bytes;
  });
  return tensor;
}

/// A size of a shape, a number or a name.
inline std::string onnx_size(const ProtobufMessage& dimension) {
  std::string size = "?";
  for_each_field(dimension, [&](const ProtobufField& field) {
    if (field.number == 1) size = std::to_string(field.value);
    if (field.number == 2) size = field.bytes;
  });
  return size;
}

/// An input or output of the graph: its name, and a type that has a tensor's type and shape within.
inline OnnxTensor onnx_value(const ProtobufMessage& value) {
  OnnxTensor tensor{"", onnx_type(0), {}};
  const auto read_shape = [&](const ProtobufMessage& shape) {
    for_each_field(shape, [&](const ProtobufField& field) {
      if (field.number == 1) tensor.shape.push_back(onnx_size(shape.part(field)));
    });
  };
  const auto read_tensor_type = [&](const ProtobufMessage& type) {
    for_each_field(type, [&](const ProtobufField& field) {
      if (field.number == 1) tensor.type = onnx_type(field.value);
      if (field.number == 2) read_shape(type.part(field));
    });
  };
  const auto read_type = [&](const ProtobufMessage& type) {
    for_each_field(type, [&](const ProtobufField& field) {
      if (field.number == 1) read_tensor_type(type.part(field));
    });
  };
  for_each_field(value, [&](const ProtobufField& field) {
    if (field.number == 1) tensor.name = field.bytes;
    if (field.number == 2) read_type(value.part(field));
  });
  return tensor;
}

/// The version of a set of operators if it is the standard one, else 0.
inline std::uint64_t onnx_standard_version(const ProtobufMessage& operators) {
  std::uint64_t version = 0;
  std::string_view domain;
  for_each_field(operators, [&](const ProtobufField& field) {
    if (field.number == 1) domain = field.bytes;
    if (field.number == 2) version = field.value;
  });
  return domain.empty() || domain == "ai.onnx" ? version : 0;
}

inline void read_onnx_graph(const ProtobufMessage& graph, OnnxModel& model) {
  for_each_field(graph, [&](const ProtobufField& field) {
    if (field.number == 1) ++model.node_count;
    if (field.number == 5) model.tensors.push_back(onnx_tensor(graph.part(field)));
    if (field.number == 11) model.inputs.push_back(onnx_value(graph.part(field)));
    if (field.number == 12) model.outputs.push_back(onnx_value(graph.part(field)));
  });
}

/// Reads the model at `path`. Throws FileError if it is not one.
inline OnnxModel read_onnx(const std::filesystem::path& path) {
  const kronecker::MappedFile file(path);
  const ProtobufMessage message(file.path(), "an ONNX model", file.text());
  OnnxModel model;
  for_each_field(message, [&](const ProtobufField& field) {
    if (field.number == 7) read_onnx_graph(message.part(field), model);
    if (field.number != 8) return;
    if (const std::uint64_t version = onnx_standard_version(message.part(field))) model.opset = version;
  });
  return model;
}

}  // namespace kron
