#pragma once

/// For engines that are built on ggml: the embedding as a node of a graph, in the place of `ggml_get_rows`,
/// and ggml's quantizer for tables in files. Needs ggml. With it come the batches and files of llama.cpp.

#include <kronecker/embedding.hpp>
#include <kronecker/error.hpp>
#include <kronecker/files/gguf_table.hpp>
#include <kronecker/integrations/llama.hpp>
#include <kronecker/namespace.hpp>
#include <kronecker/types.hpp>

#include <ggml.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>

namespace KRONECKER_NAMESPACE {
namespace detail {

/// What ggml calls in thread `thread` of `threads`: embeds its share of the ids.
template <class Embedding>
void run_embedding_node(ggml_tensor* out, const ggml_tensor*, const ggml_tensor* ids, int thread, int threads,
                        void* embedding) {
  const auto& layer = *static_cast<const Embedding*>(embedding);
  const std::int64_t first = ids->ne[0] * thread / threads, last = ids->ne[0] * (thread + 1) / threads;
  const std::span<const TokenId> share(static_cast<const TokenId*>(ids->data) + first,
                                       static_cast<std::size_t>(last - first));
  for (const TokenId id : share)  // no exception may pass through ggml
    if (id < 0 || id >= layer.vocab_size())
      GGML_ABORT("kronecker: token id %d is outside the vocabulary of %d tokens", id, layer.vocab_size());
  const auto d_model = static_cast<std::size_t>(layer.d_model());
  layer.forward(share, {static_cast<float*>(out->data) + static_cast<std::size_t>(first) * d_model,
                        share.size() * d_model});
}

}  // namespace detail

/// Whether ggml can make values of a type without a matrix of what matters.
inline bool ggml_can_quantize(GgmlType type) {
  const auto number = static_cast<enum ggml_type>(type);
  return number < GGML_TYPE_COUNT && ggml_get_type_traits(number)->from_float_ref &&
         !ggml_quantize_requires_imatrix(number);
}

/// The blocks that ggml makes of some rows, for `GgufTableOptions::quantizer`. Throws std::invalid_argument
/// if ggml cannot make the type or the values are beyond its range.
inline std::string quantize_as_ggml(GgmlType type, std::span<const float> rows, std::size_t row_size) {
  const auto number = static_cast<enum ggml_type>(type);
  if (!ggml_can_quantize(type))
    detail::fail<std::invalid_argument>("ggml does not make values of ",
                                        ggml_type_name(static_cast<std::uint32_t>(type)));
  std::string blocks(ggml_row_size(number, static_cast<std::int64_t>(rows.size())), '\0');
  ggml_quantize_chunk(number, rows.data(), blocks.data(), 0,
                      static_cast<std::int64_t>(rows.size() / row_size), static_cast<std::int64_t>(row_size),
                      nullptr);
  if (!ggml_validate_row_data(number, blocks.data(), blocks.size()))
    detail::fail<std::invalid_argument>("a value of the table is beyond the range of ",
                                        ggml_type_name(static_cast<std::uint32_t>(type)));
  return blocks;
}

/// Adds a node that embeds `ids`, an I32 tensor (N), into F32 (d_model, N), as `ggml_get_rows` of the table
/// would: the same bits as `forward` with any number of threads. It runs on the CPU backend, and an id
/// outside the vocabulary aborts there, as it does in ggml's own operations. The embedding is not copied: it
/// must outlive the graph. Throws std::invalid_argument if `ids` is of another type or shape.
template <class Scalar>
ggml_tensor* embedding_node(ggml_context* context, const KroneckerEmbedding<Scalar>& embedding,
                            ggml_tensor* ids) {
  if (ids->type != GGML_TYPE_I32 || ggml_nelements(ids) != ids->ne[0] || !ggml_is_contiguous(ids))
    detail::fail<std::invalid_argument>("the ids of an embedding node must be an I32 tensor (N), not ",
                                        ggml_type_name(ids->type), " (", ids->ne[0], ", ", ids->ne[1], ", ",
                                        ids->ne[2], ", ", ids->ne[3], ")");
  using Embedding = KroneckerEmbedding<Scalar>;
  // A custom operation takes its shape from its first input; in place, that input is its output's memory.
  ggml_tensor* out = ggml_new_tensor_2d(context, GGML_TYPE_F32, embedding.d_model(), ids->ne[0]);
  return ggml_map_custom2_inplace(context, out, ids, detail::run_embedding_node<Embedding>, GGML_N_TASKS_MAX,
                                  const_cast<Embedding*>(&embedding));
}
/// The node keeps the embedding's address.
template <class Scalar>
ggml_tensor* embedding_node(ggml_context*, const KroneckerEmbedding<Scalar>&&, ggml_tensor*) = delete;

}  // namespace KRONECKER_NAMESPACE
