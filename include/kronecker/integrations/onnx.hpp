#pragma once

/// The embedding as an ONNX model, for ONNX Runtime and everything else that runs such models. Needs the ONNX
/// project's own definitions (libonnx, protobuf).
///
///     input_ids, int64 (batch, sequence)  ->  embeddings, float32 (batch, sequence, d_model)
///
/// Standard operators of opset 13 do what the forward pass does:
///
///     slots = token_slots[input_ids]            the rows that each token lights, and the row of zeros
///     embeddings = ReduceSum(rows[slots]) * token_scales[input_ids]
///
/// The model holds the rows that some token lights and no others, so it knows the vocabulary alone; ids that
/// are out of range are left to the runtime's own check, which takes -1 for the last token.

#include <kronecker/cell.hpp>
#include <kronecker/embedding.hpp>
#include <kronecker/error.hpp>
#include <kronecker/files/little_endian.hpp>
#include <kronecker/files/replace_file.hpp>
#include <kronecker/namespace.hpp>
#include <kronecker/types.hpp>
#include <kronecker/version.hpp>

#include <onnx/onnx_pb.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <ostream>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

namespace KRONECKER_NAMESPACE {
namespace detail {

inline constexpr int onnx_opset = 13;
inline constexpr int onnx_ir_version = 7;  // that of opset 13

/// Builds a graph of nodes one after the other.
class OnnxGraph {
 public:
  explicit OnnxGraph(onnx::GraphProto& graph) : graph_(graph) {}

  /// A constant tensor. ONNX keeps numbers little-endian.
  template <class T>
  std::string constant(const std::string& name, onnx::TensorProto::DataType type,
                       const std::vector<std::size_t>& shape, std::vector<T> values) {
    onnx::TensorProto& tensor = *graph_.add_initializer();
    tensor.set_name(name);
    tensor.set_data_type(type);
    for (const std::size_t size : shape) tensor.add_dims(static_cast<std::int64_t>(size));
    swap_unless_little_endian(std::span<T>(values));
    tensor.set_raw_data(values.data(), values.size() * sizeof(T));
    return name;
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

  /// An integer attribute of the node that was added last.
  void attribute(const std::string& name, std::int64_t value) {
    onnx::AttributeProto& attribute = *graph_.mutable_node(graph_.node_size() - 1)->add_attribute();
    attribute.set_name(name);
    attribute.set_type(onnx::AttributeProto::INT);
    attribute.set_i(value);
  }

  std::string cast(const std::string& input, onnx::TensorProto::DataType type, const std::string& output) {
    node("Cast", {input}, output);
    attribute("to", type);
    return output;
  }

 private:
  onnx::GraphProto& graph_;
};

/// A tensor of a graph's interface; a dimension is a name or a size.
inline void describe(onnx::ValueInfoProto& value, const std::string& name, onnx::TensorProto::DataType type,
                     const std::vector<std::string>& names, int last_size = 0) {
  value.set_name(name);
  auto& tensor = *value.mutable_type()->mutable_tensor_type();
  tensor.set_elem_type(type);
  for (const std::string& dimension : names) tensor.mutable_shape()->add_dim()->set_dim_param(dimension);
  if (last_size > 0) tensor.mutable_shape()->add_dim()->set_dim_value(last_size);
}

/// Which rows a vocabulary lights, and for each token the places of its rows among them.
struct OnnxSlots {
  std::vector<std::uint32_t> cells;      ///< Ascending; the row of zeros comes after them.
  std::vector<std::uint16_t> of_tokens;  ///< (V, width), filled up with the row of zeros.
  std::size_t width = 1;                 ///< Bytes of the longest token.
  std::vector<float> scales;             ///< (V), a_L.
};

template <class Scalar>
OnnxSlots onnx_slots(const KroneckerEmbedding<Scalar>& embedding) {
  const TokenBytes& tokens = embedding.token_bytes();
  const std::span<const std::uint8_t> lengths = tokens.lengths();
  const auto pos_dim = static_cast<std::size_t>(tokens.pos_dim());
  OnnxSlots found;
  found.cells = tokens.reached_cells();
  found.width = (std::max)(std::size_t{1}, std::size_t{*std::max_element(lengths.begin(), lengths.end())});
  // At most 256 * 255 cells: the row of zeros has a 16-bit number too.
  std::vector<std::uint16_t> slot_of_cell(static_cast<std::size_t>(embedding.encoder().code_dim()));
  for (std::size_t slot = 0; slot < found.cells.size(); ++slot)
    slot_of_cell[found.cells[slot]] = static_cast<std::uint16_t>(slot);
  found.of_tokens.assign(lengths.size() * found.width, static_cast<std::uint16_t>(found.cells.size()));
  const std::vector<float> scales = embedding.encoder().scales();
  for (std::size_t id = 0; id < lengths.size(); ++id) {
    for (std::size_t p = 0; p < lengths[id]; ++p)
      found.of_tokens[id * found.width + p] =
          slot_of_cell[cell_of(tokens.bytes()[id * pos_dim + p], p, pos_dim)];
    found.scales.push_back(scales[lengths[id]]);
  }
  return found;
}

/// The rows that are lit, then one of zeros, as `Stored`.
template <class Stored, class Scalar>
std::vector<Stored> lit_rows(const ProjectionRows<Scalar>& rows, const std::vector<std::uint32_t>& cells) {
  const auto width = static_cast<std::size_t>(rows.d_model());
  std::vector<Stored> lit;
  lit.reserve((cells.size() + 1) * width);
  for (const std::uint32_t cell : cells)
    for (const Scalar value : rows.values().span().subspan(cell * width, width))
      lit.push_back(static_cast<Stored>(value));
  lit.resize(lit.size() + width, Stored(0));
  return lit;
}

}  // namespace detail

/// The ONNX model of an embedding. Rows are stored as they are: float32, float16, or int8 with the scales of
/// the columns; bfloat16, which runtimes hardly know, as float32. Outputs of int8 rows have our bits; others
/// differ by the order in which the runtime sums. Throws std::invalid_argument if codes are rounded, tokens
/// have rows of their own, or a norm follows. O(V * pos_dim + D * d_model).
template <class Scalar>
onnx::ModelProto to_onnx(const KroneckerEmbedding<Scalar>& embedding) {
  using onnx::TensorProto;
  if (embedding.length_rows().size() > 0 || embedding.own_rows() || embedding.norm())
    detail::fail<std::invalid_argument>("an embedding with ",
                                        embedding.norm()       ? "a norm"
                                        : embedding.own_rows() ? "rows of their own"
                                                               : "rounded codes",
                                        " cannot be exported to ONNX");
  constexpr bool is_half = std::is_same_v<Scalar, Eigen::half>, is_int8 = std::is_same_v<Scalar, std::int8_t>;
  const detail::OnnxSlots token_slots = detail::onnx_slots(embedding);
  const auto vocab_size = static_cast<std::size_t>(embedding.vocab_size());
  const auto d_model = static_cast<std::size_t>(embedding.d_model());
  const CodeOptions options = embedding.encoder().options();

  onnx::ModelProto model;
  model.set_ir_version(detail::onnx_ir_version);
  model.add_opset_import()->set_version(detail::onnx_opset);
  model.set_producer_name("kronecker");
  std::string version;
  for (const int part : {KRONECKER_VERSION_MAJOR, KRONECKER_VERSION_MINOR, KRONECKER_VERSION_PATCH}) {
    if (!version.empty()) version += '.';
    version += std::to_string(part);
  }
  model.set_producer_version(version);
  model.set_doc_string(
      "Kronecker embedding (arXiv 2605.29459): token ids to vectors by the bytes of the tokens");
  const auto document = [&](const char* key, const std::string& value) {
    auto& entry = *model.add_metadata_props();
    entry.set_key(key);
    entry.set_value(value);
  };
  document("vocab_size", std::to_string(vocab_size));
  document("d_model", std::to_string(d_model));
  document("char_dim", std::to_string(embedding.encoder().char_dim()));
  document("pos_dim", std::to_string(embedding.encoder().pos_dim()));
  document("length_normalize", options.length_normalize ? "true" : "false");
  document("z_normalize", options.z_normalize ? "true" : "false");
  document("rows", std::to_string(token_slots.cells.size()) + " of " +
                       std::to_string(embedding.encoder().code_dim()) + " are lit by a token and stored");

  onnx::GraphProto& proto = *model.mutable_graph();
  proto.set_name("kronecker_embedding");
  detail::describe(*proto.add_input(), "input_ids", TensorProto::INT64, {"batch", "sequence"});
  detail::describe(*proto.add_output(), "embeddings", TensorProto::FLOAT, {"batch", "sequence"},
                   embedding.d_model());
  detail::OnnxGraph graph(proto);
  graph.constant("token_slots", TensorProto::UINT16, {vocab_size, token_slots.width}, token_slots.of_tokens);
  graph.constant("token_scales", TensorProto::FLOAT, {vocab_size, 1}, token_slots.scales);
  graph.constant("position_axis", TensorProto::INT64, {1}, std::vector<std::int64_t>{2});
  const std::vector<std::size_t> rows_shape = {token_slots.cells.size() + 1, d_model};
  if constexpr (is_int8) {
    graph.constant("rows", TensorProto::INT8, rows_shape,
                   detail::lit_rows<std::int8_t>(embedding.rows(), token_slots.cells));
    const auto scales = embedding.rows().column_scales().span();
    graph.constant("column_scales", TensorProto::FLOAT, {d_model},
                   std::vector<float>(scales.begin(), scales.end()));
  } else if constexpr (is_half) {
    graph.constant("rows", TensorProto::FLOAT16, rows_shape,
                   detail::lit_rows<Eigen::half>(embedding.rows(), token_slots.cells));
  } else {
    graph.constant("rows", TensorProto::FLOAT, rows_shape,
                   detail::lit_rows<float>(embedding.rows(), token_slots.cells));
  }

  graph.node("Gather", {"token_slots", "input_ids"}, "slots_16");
  graph.cast("slots_16", TensorProto::INT32, "slots");
  std::string lit = graph.node("Gather", {"rows", "slots"}, "lit_rows");
  if (is_half || is_int8) lit = graph.cast(lit, TensorProto::FLOAT, "lit_rows_32");
  graph.node("ReduceSum", {lit, "position_axis"}, "sums");
  graph.attribute("keepdims", 0);
  std::string scales = graph.node("Gather", {"token_scales", "input_ids"}, "scales");
  if (is_int8) scales = graph.node("Mul", {scales, "column_scales"}, "scales_of_columns");
  graph.node("Mul", {"sums", scales}, "embeddings");
  return model;
}

/// Writes the ONNX model of an embedding. Throws FileError if the file cannot be written, and then leaves an
/// old file as it was; std::invalid_argument if the model is over protobuf's 2 GB.
template <class Scalar>
void export_onnx(const std::filesystem::path& path, const KroneckerEmbedding<Scalar>& embedding) {
  const onnx::ModelProto model = to_onnx(embedding);
  constexpr std::size_t most = 0x7FFFFFFF;
  if (model.ByteSizeLong() > most)
    detail::fail<std::invalid_argument>("an ONNX model of ", model.ByteSizeLong(),
                                        " bytes is over the limit of ", most);
  replace_file(path, [&](std::ostream& file) {
    if (!model.SerializeToOstream(&file)) file.setstate(std::ios::badbit);
  });
}

}  // namespace KRONECKER_NAMESPACE
