#pragma once

/// Builds the graph of an ONNX model, node after node. Needs the ONNX project's own definitions (libonnx,
/// protobuf).

#include <kronecker/error.hpp>
#include <kronecker/files/little_endian.hpp>
#include <kronecker/namespace.hpp>
#include <kronecker/types.hpp>

#include <onnx/onnx_pb.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

namespace KRONECKER_NAMESPACE::detail {

inline constexpr int onnx_opset = 13;
inline constexpr int onnx_ir_version = 7;  // that of opset 13

template <class T>
constexpr onnx::TensorProto::DataType onnx_type_of() {
  using onnx::TensorProto;
  if constexpr (std::is_same_v<T, float>)
    return TensorProto::FLOAT;
  else if constexpr (std::is_same_v<T, Eigen::half>)
    return TensorProto::FLOAT16;
  else if constexpr (std::is_same_v<T, std::int8_t>)
    return TensorProto::INT8;
  else if constexpr (std::is_same_v<T, std::int16_t>)
    return TensorProto::INT16;
  else if constexpr (std::is_same_v<T, std::uint16_t>)
    return TensorProto::UINT16;
  else if constexpr (std::is_same_v<T, std::int32_t>)
    return TensorProto::INT32;
  else {
    static_assert(std::is_same_v<T, std::int64_t>);
    return TensorProto::INT64;
  }
}

/// The names that exported language models have for them.
inline std::vector<std::string> names_of_dimensions(int rank) {
  if (rank < 0) fail<std::invalid_argument>("ids cannot have ", rank, " dimensions");
  std::vector<std::string> names;
  for (int i = 0; i < rank; ++i)
    names.push_back(i == rank - 1 ? "sequence" : i == 0 ? "batch" : "axis_" + std::to_string(i));
  return names;
}

/// Adds to the metadata.
inline void document(onnx::ModelProto& model, const char* key, const std::string& value) {
  auto& entry = *model.add_metadata_props();
  entry.set_key(key);
  entry.set_value(value);
}

/// A graph to which nodes are added. Names are those of their outputs.
class OnnxGraph {
 public:
  explicit OnnxGraph(onnx::GraphProto& graph) : graph_(graph) {}

  /// An input; dimensions have names.
  std::string input(const std::string& name, onnx::TensorProto::DataType type,
                    const std::vector<std::string>& dimensions) {
    describe(*graph_.add_input(), name, type, dimensions);
    return name;
  }
  /// An output, with a dimension of a known size behind those that have names.
  void output(const std::string& name, onnx::TensorProto::DataType type,
              const std::vector<std::string>& dimensions, int last_size) {
    describe(*graph_.add_output(), name, type, dimensions).add_dim()->set_dim_value(last_size);
  }

  /// A constant tensor, still without values.
  onnx::TensorProto& constant(const std::string& name, onnx::TensorProto::DataType type,
                              const std::vector<std::size_t>& shape) {
    onnx::TensorProto& tensor = *graph_.add_initializer();
    tensor.set_name(name);
    tensor.set_data_type(type);
    for (const std::size_t size : shape) tensor.add_dims(static_cast<std::int64_t>(size));
    return tensor;
  }
  /// A constant tensor. ONNX keeps numbers little-endian.
  template <class T>
  std::string constant(const std::string& name, const std::vector<std::size_t>& shape,
                       std::vector<T> values) {
    swap_unless_little_endian(std::span<T>(values));
    constant(name, onnx_type_of<T>(), shape).set_raw_data(values.data(), values.size() * sizeof(T));
    return name;
  }
  /// A constant number.
  template <class T>
  std::string number(const std::string& name, T value) {
    return constant(name, {}, std::vector<T>{value});
  }

  /// A node with one output, whose name it returns.
  std::string node(const std::string& type, const std::vector<std::string>& inputs,
                   const std::string& output) {
    onnx::NodeProto& node = *graph_.add_node();
    node.set_op_type(type);
    node.set_name(output);
    for (const std::string& input : inputs) node.add_input(input);
    node.add_output(output);
    return output;
  }

  /// One more output of the node that was added last. An empty name is for an output that nothing takes.
  void another_output(const std::string& name) { last_node().add_output(name); }

  /// An integer attribute of the node that was added last.
  void attribute(const std::string& name, std::int64_t value) {
    onnx::AttributeProto& attribute = *last_node().add_attribute();
    attribute.set_name(name);
    attribute.set_type(onnx::AttributeProto::INT);
    attribute.set_i(value);
  }

  /// The same, of several integers.
  void attribute(const std::string& name, const std::vector<std::int64_t>& values) {
    onnx::AttributeProto& attribute = *last_node().add_attribute();
    attribute.set_name(name);
    attribute.set_type(onnx::AttributeProto::INTS);
    for (const std::int64_t value : values) attribute.add_ints(value);
  }

  std::string cast(const std::string& input, onnx::TensorProto::DataType type, const std::string& output) {
    node("Cast", {input}, output);
    attribute("to", type);
    return output;
  }

 private:
  static onnx::TensorShapeProto& describe(onnx::ValueInfoProto& value, const std::string& name,
                                          onnx::TensorProto::DataType type,
                                          const std::vector<std::string>& dimensions) {
    value.set_name(name);
    onnx::TypeProto::Tensor& tensor = *value.mutable_type()->mutable_tensor_type();
    tensor.set_elem_type(type);
    for (const std::string& dimension : dimensions)
      tensor.mutable_shape()->add_dim()->set_dim_param(dimension);
    return *tensor.mutable_shape();
  }

  onnx::NodeProto& last_node() { return *graph_.mutable_node(graph_.node_size() - 1); }

  onnx::GraphProto& graph_;
};

/// Ids that Gather refuses if they are out of range: it would take negative ones from the end.
inline std::string add_checked_ids(OnnxGraph& graph, const std::string& ids, std::int64_t vocab_size) {
  graph.number<std::int64_t>("zero", 0);
  graph.number<std::int64_t>("vocab_size", vocab_size);
  graph.node("Less", {ids, "zero"}, "is_negative");
  return graph.node("Where", {"is_negative", "vocab_size", ids}, "checked_ids");
}

}  // namespace KRONECKER_NAMESPACE::detail
