#pragma once

/// The embedding as an ONNX model, for ONNX Runtime and everything else that runs such models. Needs the ONNX
/// project's own definitions (libonnx, protobuf).
///
///     input_ids, int64 or int32 (batch, sequence)  ->  embeddings, float32 (batch, sequence, d_model)
///
/// Standard operators of opset 13 do what the forward pass does, with chunks of bytes in the place of bytes
/// (onnx_chunks.hpp), and once for each different id:
///
///     ids, places = Unique(input_ids)
///     rows = chunk_rows[token_chunks[ids]]
///     embeddings = (ReduceSum(rows) * factors[token_kinds[ids]])[places]
///
/// A token's kind is its length, or that it has a row of its own. MatMul takes the place of ReduceSum and the
/// product where the sums of rows are not exact in any order: it is faster. An id that is out of range, or
/// negative, is one that the runtime's Gather refuses. The model holds what some token lights and nothing
/// else, so it knows the vocabulary alone.

#include <kronecker/embedding.hpp>
#include <kronecker/error.hpp>
#include <kronecker/files/little_endian.hpp>
#include <kronecker/files/replace_file.hpp>
#include <kronecker/integrations/onnx_chunks.hpp>
#include <kronecker/integrations/onnx_graph.hpp>
#include <kronecker/integrations/onnx_plan.hpp>
#include <kronecker/integrations/onnx_rows.hpp>
#include <kronecker/namespace.hpp>
#include <kronecker/token_sequence.hpp>
#include <kronecker/types.hpp>
#include <kronecker/version.hpp>

#include <onnx/onnx_pb.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <optional>
#include <ostream>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace KRONECKER_NAMESPACE {

/// The type of a model's input.
enum class OnnxIds {
  int64,  ///< What tokenizers and exported language models have.
  int32,  ///< For those who have no other.
};

/// What is written into an ONNX model.
struct OnnxOptions {
  /// The ordinary table, for the fastest model, in the place of rows of chunks.
  bool is_table = false;
  /// Bytes that a model of chunks may take, 0 for as few as possible. The fewest chunks for a token that fit
  /// are the fastest. Without it: a sixth of the ordinary table's, if that is possible.
  std::optional<std::size_t> max_size = {};
  OnnxIds ids = OnnxIds::int64;  ///< The input's type.
  int rank = 2;                  ///< How many dimensions it has: 2 are (batch, sequence), none is one id.
};

namespace detail {

/// The numbers of all tokens' rows: of their chunks, or of their own and rows of zeros.
template <class Scalar>
std::string add_token_chunks(OnnxGraph& graph, const OnnxPlan<Scalar>& plan, ChunkedTokens& cut) {
  const std::size_t chunks = plan.cut.ends.size(), zeros = cut.chunks.size();
  for (std::size_t row = 0; row < plan.own_rows; ++row) {
    const auto id = static_cast<std::size_t>(plan.embedding.own_rows()->tokens().ids()[row]);
    cut.of_tokens[id * chunks] = static_cast<std::uint32_t>(zeros + 1 + row);
  }
  const std::vector<std::size_t> shape = {plan.tokens.size(), chunks};
  if (plan.has_short_numbers(zeros + 1 + plan.own_rows)) {
    std::vector<std::uint16_t> short_numbers;
    for (const std::uint32_t number : cut.of_tokens)
      short_numbers.push_back(static_cast<std::uint16_t>(number));
    graph.constant("token_chunks", shape, short_numbers);
    graph.node("Gather", {"token_chunks", "checked_ids"}, "chunks_16");
    return graph.cast("chunks_16", onnx::TensorProto::INT32, "chunks");
  }
  graph.constant("token_chunks", shape,
                 std::vector<std::int32_t>(cut.of_tokens.begin(), cut.of_tokens.end()));
  return graph.node("Gather", {"token_chunks", "checked_ids"}, "chunks");
}

/// The rows of chunks, one of zeros, and the tokens' own, as `Stored`; they are gathered as floats.
template <class Stored, class Scalar>
std::string add_rows(OnnxGraph& graph, const OnnxPlan<Scalar>& plan, const std::vector<Chunk>& chunks) {
  std::vector<Stored> rows = chunk_rows<Stored>(plan.embedding.rows(), chunks, plan.pos_dim());
  if (plan.own_rows > 0)
    for (const Scalar value : plan.embedding.own_rows()->rows().values().span())
      rows.push_back(static_cast<Stored>(value));
  const std::vector<std::size_t> shape = {rows.size() / plan.d_model(), plan.d_model()};
  graph.constant("chunk_rows", shape, std::move(rows));
  const std::string lit = graph.node("Gather", {"chunk_rows", "chunks"}, "lit_rows");
  if constexpr (std::is_same_v<Stored, float>) return lit;
  return graph.cast(lit, onnx::TensorProto::FLOAT, "lit_rows_32");
}

/// What multiplies a sum of rows, for every kind of token: a_L, or 1 for a row of its own; of int8 rows times
/// the scales of the columns. For a product of matrices it is there once for each chunk.
template <class Scalar>
std::string add_factors(OnnxGraph& graph, const OnnxPlan<Scalar>& plan) {
  std::vector<float> scales = plan.embedding.encoder().scales();
  scales.resize(plan.kinds(), 1.0f);
  std::vector<std::size_t> shape = {plan.kinds(), 1};
  std::vector<float> factors = scales;
  if constexpr (std::is_same_v<Scalar, std::int8_t>) {
    shape.back() = plan.d_model();
    factors.clear();
    for (std::size_t kind = 0; kind < plan.kinds(); ++kind) {
      const bool is_own = kind == plan.own_kind() && plan.own_rows > 0;
      const auto& rows = is_own ? plan.embedding.own_rows()->rows() : plan.embedding.rows();
      for (const float scale : rows.column_scales().span()) factors.push_back(scales[kind] * scale);
    }
  } else if (plan.takes_product()) {
    shape.push_back(plan.cut.ends.size());
    factors.clear();
    for (const float scale : scales) factors.insert(factors.end(), shape.back(), scale);
  }
  graph.constant("kind_factors", shape, factors);
  return graph.node("Gather", {"kind_factors", "kinds"}, "factors");
}

/// What each token is: its length, or one more than pos_dim.
template <class Scalar>
void add_kinds(OnnxGraph& graph, const OnnxPlan<Scalar>& plan) {
  std::vector<std::int32_t> kinds;
  for (const std::string_view token : plan.tokens) kinds.push_back(static_cast<std::int32_t>(token.size()));
  if (plan.own_rows > 0)
    for (const TokenId id : plan.embedding.own_rows()->tokens().ids())
      kinds[static_cast<std::size_t>(id)] = static_cast<std::int32_t>(plan.own_kind());
  graph.constant("token_kinds", {kinds.size()}, kinds);
  graph.node("Gather", {"token_kinds", "checked_ids"}, "kinds");
}

/// Adds the row of a token's length, which rounded codes have.
template <class Scalar>
std::string add_length_rows(OnnxGraph& graph, const OnnxPlan<Scalar>& plan, const std::string& sums) {
  const std::span<const float> rows = plan.embedding.length_rows().span();
  std::vector<float> of_kinds(rows.begin(), rows.end());
  of_kinds.resize(plan.kinds() * plan.d_model());  // zeros for tokens with rows of their own
  graph.constant("kind_rows", {plan.kinds(), plan.d_model()}, of_kinds);
  graph.node("Gather", {"kind_rows", "kinds"}, "length_rows");
  return graph.node("Add", {sums, "length_rows"}, "sums_with_lengths");
}

/// The norm that follows, of (ids, d_model). Vectors of zeros stay so, whatever epsilon is.
inline std::string add_norm(OnnxGraph& graph, const EmbeddingNorm& norm, const std::string& vectors) {
  const std::span<const float> weight = norm.weight().span();
  graph.number("norm_epsilon", (std::max)(norm.epsilon(), (std::numeric_limits<float>::min)()));
  graph.constant("norm_weight", {weight.size()}, std::vector<float>(weight.begin(), weight.end()));
  graph.node("Mul", {vectors, vectors}, "squares");
  graph.node("ReduceMean", {"squares"}, "mean_squares");
  graph.attribute("axes", std::vector<std::int64_t>{-1});
  graph.node("Add", {"mean_squares", "norm_epsilon"}, "mean_squares_and_epsilon");
  graph.node("Sqrt", {"mean_squares_and_epsilon"}, "root_mean_squares");
  graph.node("Div", {vectors, "root_mean_squares"}, "normed");
  return graph.node("Mul", {"normed", "norm_weight"}, "normed_and_weighted");
}

template <class Scalar>
void add_chunks(OnnxGraph& graph, const OnnxPlan<Scalar>& plan, const std::string& ids) {
  graph.node("Unique", {ids}, "different_ids");
  for (const char* const output : {"", "places_in_order"}) graph.another_output(output);
  add_checked_ids(graph, "different_ids", plan.embedding.vocab_size());
  ChunkedTokens cut = cut_tokens(plan.tokens, plan.cut);
  add_token_chunks(graph, plan, cut);
  add_kinds(graph, plan);
  const std::string rows = plan.cut.is_by_bytes()
                               ? add_rows<typename OnnxPlan<Scalar>::Single>(graph, plan, cut.chunks)
                               : add_rows<typename OnnxPlan<Scalar>::Summed>(graph, plan, cut.chunks);
  const std::string factors = add_factors(graph, plan);
  graph.constant("chunk_axis", {1}, std::vector<std::int64_t>{1});
  std::string vectors;
  if (plan.takes_product()) {
    graph.node("MatMul", {factors, rows}, "products");
    vectors = graph.node("Squeeze", {"products", "chunk_axis"}, "vectors");
  } else {
    std::string sums = graph.node("ReduceSum", {rows, "chunk_axis"}, "sums");
    graph.attribute("keepdims", 0);
    if (plan.has_length_rows()) sums = add_length_rows(graph, plan, sums);
    vectors = graph.node("Mul", {sums, factors}, "vectors");
  }
  if (plan.embedding.norm()) vectors = add_norm(graph, *plan.embedding.norm(), vectors);
  graph.node("Shape", {ids}, "shape");
  graph.node("Reshape", {"places_in_order", "shape"}, "places");
  graph.node("Gather", {vectors, "places"}, "embeddings");
}

/// The ordinary table, which has the library's bits.
template <class Scalar>
void add_table(OnnxGraph& graph, const KroneckerEmbedding<Scalar>& embedding, const std::string& ids) {
  const TokenId vocab_size = embedding.vocab_size();
  onnx::TensorProto& table =
      graph.constant("table", onnx::TensorProto::FLOAT,
                     {static_cast<std::size_t>(vocab_size), static_cast<std::size_t>(embedding.d_model())});
  constexpr TokenId block = 1024;
  for (TokenId first = 0; first < vocab_size; first += block) {
    const TokenId end = (std::min)(first + block, vocab_size);
    RowMajorMatrix<float> rows = embedding.forward(TokenSequence::in_order(first, end));
    swap_unless_little_endian(std::span<float>(rows.data(), static_cast<std::size_t>(rows.size())));
    table.mutable_raw_data()->append(reinterpret_cast<const char*>(rows.data()),
                                     static_cast<std::size_t>(rows.size()) * sizeof(float));
  }
  add_checked_ids(graph, ids, vocab_size);
  graph.node("Gather", {"table", "checked_ids"}, "embeddings");
}

/// What the model is, without its graph.
template <class Scalar>
onnx::ModelProto described_model(const KroneckerEmbedding<Scalar>& embedding) {
  onnx::ModelProto model;
  model.set_ir_version(onnx_ir_version);
  model.add_opset_import()->set_version(onnx_opset);
  model.set_producer_name("kronecker");
  std::string version;
  for (const int part : {KRONECKER_VERSION_MAJOR, KRONECKER_VERSION_MINOR, KRONECKER_VERSION_PATCH}) {
    if (!version.empty()) version += '.';
    version += std::to_string(part);
  }
  model.set_producer_version(version);
  model.set_doc_string(
      "Kronecker embedding (arXiv 2605.29459): token ids to vectors by the bytes of the tokens");
  const CodeOptions options = embedding.encoder().options();
  const auto yes_or_no = [](bool value) { return std::string(value ? "true" : "false"); };
  document(model, "vocab_size", std::to_string(embedding.vocab_size()));
  document(model, "d_model", std::to_string(embedding.d_model()));
  document(model, "char_dim", std::to_string(embedding.encoder().char_dim()));
  document(model, "pos_dim", std::to_string(embedding.encoder().pos_dim()));
  document(model, "length_normalize", yes_or_no(options.length_normalize));
  document(model, "z_normalize", yes_or_no(options.z_normalize));
  document(model, "rounding", options.rounding == CodeRounding::bfloat16 ? "bfloat16" : "none");
  document(model, "own_rows", std::to_string(embedding.own_rows() ? embedding.own_rows()->size() : 0));
  document(model, "norm", yes_or_no(embedding.norm().has_value()));
  return model;
}

}  // namespace detail

/// The ONNX model of an embedding: rows of chunks as float32, as int16 with the scales of the columns for
/// int8 rows, and rows of single bytes as they are, only bfloat16 as float32; or the ordinary table. The
/// metadata says which. Embeddings have the library's bits from a table, and wherever sums are exact and no
/// norm follows: always with int8 rows, mostly with float16. Others differ from the library's in each number
/// by at most 1e-6 of the vector's Euclidean length. Throws std::invalid_argument if no model is as small as
/// asked for. O(V * (pos_dim log V + chunks) + rows * d_model), O(V * pos_dim * d_model) for a table.
template <class Scalar>
onnx::ModelProto to_onnx(const KroneckerEmbedding<Scalar>& embedding, const OnnxOptions& options = {}) {
  onnx::ModelProto model = detail::described_model(embedding);
  model.mutable_graph()->set_name("kronecker_embedding");
  detail::OnnxGraph graph(*model.mutable_graph());
  const bool is_64_bit = options.ids == OnnxIds::int64;
  const std::vector<std::string> dimensions = detail::names_of_dimensions(options.rank);
  std::string ids =
      graph.input("input_ids", is_64_bit ? onnx::TensorProto::INT64 : onnx::TensorProto::INT32, dimensions);
  graph.output("embeddings", onnx::TensorProto::FLOAT, dimensions, embedding.d_model());
  if (!is_64_bit) ids = graph.cast(ids, onnx::TensorProto::INT64, "ids_64");
  if (options.is_table) {
    detail::add_table(graph, embedding, ids);
    detail::document(model, "form", "table");
    detail::document(model, "bits", "the library's");
    return model;
  }
  const detail::OnnxPlan<Scalar> plan(embedding, options.max_size);
  detail::add_chunks(graph, plan, ids);
  std::string ends;
  for (const std::size_t end : plan.cut.ends) ends += (ends.empty() ? "" : ", ") + std::to_string(end);
  detail::document(model, "form", "chunks of bytes that end before " + ends);
  detail::document(model, "rows", std::to_string(plan.cut.rows) + " of chunks");
  detail::document(model, "bits",
                   plan.is_exact && !embedding.norm()
                       ? "the library's"
                       : "within 1e-6 of a vector's Euclidean length of the library's");
  return model;
}

/// Writes the ONNX model of an embedding. Throws FileError if the file cannot be written, and then leaves an
/// old file as it was; std::invalid_argument if the model is over protobuf's 2 GB.
template <class Scalar>
void export_onnx(const std::filesystem::path& path, const KroneckerEmbedding<Scalar>& embedding,
                 const OnnxOptions& options = {}) {
  const onnx::ModelProto model = to_onnx(embedding, options);
  constexpr std::size_t most = 0x7FFFFFFF;
  if (model.ByteSizeLong() > most)
    detail::fail<std::invalid_argument>("an ONNX model of ", model.ByteSizeLong(),
                                        " bytes is over the limit of ", most);
  replace_file(path, [&](std::ostream& file) {
    if (!model.SerializeToOstream(&file)) file.setstate(std::ios::badbit);
  });
}

}  // namespace KRONECKER_NAMESPACE
