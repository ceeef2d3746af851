#pragma once

/// The embedding in torch's own operations, for the devices and types that this library's kernels do not
/// serve; torch differentiates it, and adds the terms of a row's gradient token by token. Needs
/// LibTorch, 1.13 or newer.

#include <kronecker/encoder.hpp>
#include <kronecker/error.hpp>
#include <kronecker/namespace.hpp>

#include <torch/torch.h>

#include <cstdint>

namespace KRONECKER_NAMESPACE::torch_module {

/// The tokens of a vocabulary as plain tensors: what the functions here need to know of it.
struct TokenTensors {
  torch::Tensor bytes;    ///< (V, pos_dim) uint8, padded with anything.
  torch::Tensor lengths;  ///< (V) uint8.

  /// The same on a device; these, if they are there.
  TokenTensors to(torch::Device device) const { return {bytes.to(device), lengths.to(device)}; }
  /// Number of tokens, V.
  std::int64_t size() const { return lengths.size(0); }
};

namespace detail {

/// a_L * (sum of the lit rows - L * mean row) of N ids, (N, columns), for rows of (D, columns); everything on
/// one device. Rows of 16 bits are summed in float32, and rounded once.
inline torch::Tensor embed_with_operations(const torch::Tensor& rows, const TokenTensors& tokens,
                                           const torch::Tensor& ids, const DynamicEncoder& encoder) {
  const torch::Tensor exact = rows.scalar_type() == torch::kDouble ? rows : rows.to(torch::kFloat);
  const torch::Tensor lengths = tokens.lengths.index_select(0, ids).to(torch::kLong).unsqueeze(1);
  const torch::Tensor bytes = tokens.bytes.index_select(0, ids).to(torch::kLong);
  const std::int64_t longest = ids.numel() == 0 ? 0 : (lengths.max)().item<std::int64_t>();
  if (longest > encoder.pos_dim())
    kronecker::detail::fail<std::invalid_argument>("a token has a length of ", longest, " over pos_dim ",
                                                   encoder.pos_dim());
  torch::Tensor sum = torch::zeros({ids.numel(), rows.size(1)}, exact.options());
  for (std::int64_t p = 0; p < longest; ++p) {
    const torch::Tensor is_lit = lengths > p, byte = bytes.select(1, p).masked_fill(~is_lit.squeeze(1), 0);
    sum = sum + exact.index_select(0, byte * encoder.pos_dim() + p) * is_lit.to(exact.scalar_type());
  }
  if (encoder.options().z_normalize) sum = sum - lengths.to(exact.scalar_type()) * exact.mean(0);
  const torch::Tensor scales = torch::tensor(encoder.scales(), torch::kFloat).to(exact.options());
  return (sum * scales.index_select(0, lengths.squeeze(1)).unsqueeze(1)).to(rows.scalar_type());
}

}  // namespace detail
}  // namespace KRONECKER_NAMESPACE::torch_module
