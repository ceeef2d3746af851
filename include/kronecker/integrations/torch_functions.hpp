#pragma once

/// What rows, as a torch tensor, make of ids and hidden states: differentiable functions of plain tensors,
/// for the module in torch.hpp and for modules of one's own. Needs LibTorch, 1.13 or newer.
///
/// Rows are the weights as they lie, (D, d_model), the transpose of the W of (d_model, D) of the PyTorch
/// reference. Nothing that follows from them is kept, so however they were changed, a call sees it.
///
/// On the CPU, and on CUDA with torch_cuda.hpp, rows of float32, bfloat16 and float16 take this library's
/// kernels, forward and backward; other types and devices, torch's own operations.

#include <kronecker/encoder.hpp>
#include <kronecker/error.hpp>
#include <kronecker/integrations/torch_autograd.hpp>
#include <kronecker/integrations/torch_operations.hpp>
#include <kronecker/namespace.hpp>

#include <torch/torch.h>

#include <cstdint>
#include <vector>

namespace KRONECKER_NAMESPACE::torch_module {
namespace detail {

inline void check_rows(const torch::Tensor& rows, const TokenTensors& tokens, const DynamicEncoder& encoder) {
  using kronecker::detail::fail;
  if (rows.dim() != 2 || rows.size(0) != encoder.code_dim() || rows.size(1) < 1)
    fail<std::invalid_argument>("rows of ", c10::str(rows.sizes()), " are not (", encoder.code_dim(),
                                ", d_model)");
  if (!rows.is_floating_point())
    fail<std::invalid_argument>("rows are of type ", c10::toString(rows.scalar_type()),
                                ", not a floating one");
  if (tokens.bytes.dim() != 2 || tokens.bytes.size(1) != encoder.pos_dim() || tokens.lengths.dim() != 1 ||
      tokens.lengths.size(0) != tokens.bytes.size(0) || tokens.bytes.scalar_type() != torch::kByte ||
      tokens.lengths.scalar_type() != torch::kByte)
    fail<std::invalid_argument>("bytes of ", c10::str(tokens.bytes.sizes()), " and lengths of ",
                                c10::str(tokens.lengths.sizes()), " are not (V, ", encoder.pos_dim(),
                                ") and (V), both of type Byte");
}

/// Ids of any shape and integer type, flat and of 64 bits.
inline torch::Tensor flat_ids(const torch::Tensor& ids) {
  if (!c10::isIntegralType(ids.scalar_type(), /*includeBool=*/false))
    kronecker::detail::fail<std::invalid_argument>("ids are of type ", c10::toString(ids.scalar_type()),
                                                   ", not integers");
  return ids.reshape(-1).to(torch::kLong);
}

/// Throws std::out_of_range if one of N ids on the CPU is outside the vocabulary.
inline void check_ids(const torch::Tensor& ids, std::int64_t vocab_size) {
  if (ids.numel() == 0) return;
  const torch::Tensor outside = (ids < 0).logical_or(ids >= vocab_size);
  if (!outside.any().item<bool>()) return;
  const auto index = outside.to(torch::kByte).argmax().item<std::int64_t>();
  kronecker::detail::fail<std::out_of_range>("token id ", ids[index].item<std::int64_t>(), " at index ",
                                             index, " is outside the vocabulary of ", vocab_size, " tokens");
}

/// Ids of one dimension -> (N, columns), of codes whose mean no row of the length takes care of.
inline torch::Tensor embed_without_length_rows(const torch::Tensor& rows, const TokenTensors& tokens,
                                               const torch::Tensor& ids, const DynamicEncoder& encoder) {
  const bool checks_ids = rows.is_cpu() && has_kernels(rows);
  if (ids.is_cpu() && !checks_ids) check_ids(ids, tokens.size());  // on other devices, index_select does
  const TokenTensors here = tokens.to(rows.device());
  if (!has_kernels(rows)) return embed_with_operations(rows, here, ids.to(rows.device()), encoder);
  return Embed::apply(rows, c10::make_intrusive<Call>(
                                encoder, TokenTensors{here.bytes.contiguous(), here.lengths.contiguous()},
                                ids.to(rows.device()).contiguous()));
}

/// Ids of one dimension -> (N, columns). Of rounded codes, a_L * (sum of the lit rows + r_L), where the row
/// of the length, r_L, is a multiple of the mean row.
inline torch::Tensor embed_flat(const torch::Tensor& rows, const TokenTensors& tokens,
                                const torch::Tensor& ids, const DynamicEncoder& encoder) {
  if (!encoder.has_length_rows()) return embed_without_length_rows(rows, tokens, ids, encoder);
  const torch::Tensor exact = rows.scalar_type() == torch::kDouble ? rows : rows.to(torch::kFloat);
  const DynamicEncoder of_ones(encoder.char_dim(), encoder.pos_dim(),
                               {.length_normalize = false, .z_normalize = false});
  const torch::Tensor sums = embed_without_length_rows(exact, tokens, ids, of_ones);
  const torch::Tensor lengths =
      tokens.lengths.to(rows.device()).index_select(0, ids.to(rows.device())).to(torch::kLong);
  const auto of_length = [&](const std::vector<double>& values) {
    return torch::tensor(values, torch::kDouble).to(exact.options()).index_select(0, lengths).unsqueeze(1);
  };
  std::vector<double> factors, scales;
  for (int length = 0; length <= encoder.pos_dim(); ++length) {
    factors.push_back(encoder.length_row_factor(length));
    scales.push_back(encoder.scale(length));
  }
  return ((sums + of_length(factors) * exact.mean(0)) * of_length(scales)).to(rows.scalar_type());
}

}  // namespace detail

/// The embeddings of ids of any shape and integer type, (..., d_model), of the type of `rows`, (D, d_model).
/// Tokens and ids are best on their device. Throws std::out_of_range if an id on the CPU is outside the
/// vocabulary, std::invalid_argument if ids are no integers, a size or type does not fit, or, by the CPU's
/// kernels, the length or a byte of a token that is used is outside the code. What is on a GPU is checked
/// there, and nothing waits for it: the next call that does throws c10::Error.
inline torch::Tensor embed(const torch::Tensor& rows, const TokenTensors& tokens, const torch::Tensor& ids,
                           const DynamicEncoder& encoder) {
  detail::check_rows(rows, tokens, encoder);
  std::vector<std::int64_t> shape = ids.sizes().vec();
  shape.push_back(rows.size(1));
  return detail::embed_flat(rows, tokens, detail::flat_ids(ids), encoder).reshape(shape);
}

/// The logits of all tokens for hidden states, (..., d_model) -> (..., V), of their type: products with the
/// embeddings of all tokens. Throws std::invalid_argument if the last dimension is not d_model, if they are
/// not floating or on another device than the rows, or a size or type does not fit.
inline torch::Tensor logits(const torch::Tensor& rows, const TokenTensors& tokens,
                            const torch::Tensor& hidden, const DynamicEncoder& encoder) {
  using kronecker::detail::fail;
  detail::check_rows(rows, tokens, encoder);
  const std::int64_t d_model = rows.size(1);
  if (hidden.dim() == 0 || hidden.size(-1) != d_model)
    fail<std::invalid_argument>("hidden states whose last dimension is ",
                                hidden.dim() == 0 ? 0 : hidden.size(-1), " do not fit d_model ", d_model);
  if (!hidden.is_floating_point() || hidden.device() != rows.device())
    fail<std::invalid_argument>("hidden states are of type ", c10::toString(hidden.scalar_type()), " on ",
                                hidden.device().str(), "; a floating type on the rows' ", rows.device().str(),
                                " is expected");
  std::vector<std::int64_t> shape = hidden.sizes().vec();
  shape.back() = tokens.size();
  const torch::ScalarType exact = rows.scalar_type() == torch::kDouble ? torch::kDouble : torch::kFloat;
  const torch::Tensor states = hidden.reshape({-1, d_model}).to(exact);
  const torch::Tensor all = torch::arange(tokens.size(), torch::dtype(torch::kLong).device(rows.device()));
  if (states.size(0) == 0) return hidden.new_empty(shape);
  // Without kernels sums cost most, and those of many states are longer than the embeddings.
  if (!detail::has_kernels(rows) && states.size(0) > d_model) {
    const torch::Tensor table = detail::embed_flat(rows.to(exact), tokens, all, encoder);
    return states.matmul(table.t()).to(hidden.scalar_type()).reshape(shape);
  }
  // A product with an embedding is the embedding made of products: first those with the rows, then their
  // sums.
  const torch::Tensor products = rows.to(exact).matmul(states.t());
  return detail::embed_flat(products, tokens, all, encoder).t().to(hidden.scalar_type()).reshape(shape);
}

}  // namespace KRONECKER_NAMESPACE::torch_module
