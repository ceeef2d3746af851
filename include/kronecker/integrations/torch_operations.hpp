#pragma once

/// The embedding in torch's own operations, for the devices and types that this library's kernels do not
/// serve. Needs LibTorch, 1.13 or newer.

#include <kronecker/encoder.hpp>
#include <kronecker/integrations/torch_autograd.hpp>
#include <kronecker/namespace.hpp>
#include <kronecker/token_bytes.hpp>

#include <torch/torch.h>

#include <cstdint>
#include <vector>

namespace KRONECKER_NAMESPACE::torch_module::detail {

/// What a device needs to know of the tokens, for torch's operations.
class DeviceTokens {
 public:
  DeviceTokens(const DynamicEncoder& encoder, const TokenBytes& tokens, const torch::TensorOptions& like) {
    const std::int64_t count = tokens.size(), pos_dim = encoder.pos_dim();
    const auto bytes =
        torch::from_blob(const_cast<std::uint8_t*>(tokens.bytes().data()), {count, pos_dim}, torch::kUInt8);
    const auto lengths =
        torch::from_blob(const_cast<std::uint8_t*>(tokens.lengths().data()), {count}, torch::kUInt8);
    lengths_ = lengths.to(torch::kLong).to(like.device());
    cells_ = (bytes.to(torch::kLong) * pos_dim + torch::arange(pos_dim)).to(like.device());
    scales_ = torch::tensor(encoder.scales()).to(like.device(), c10::typeMetaToScalarType(like.dtype()));
    is_centered_ = encoder.options().z_normalize;
  }

  /// a_L * sum_p (rows[cell_p] - mean row), for some tokens; `rows` is (D, columns). Differentiable.
  torch::Tensor sums(const torch::Tensor& rows, const torch::Tensor& ids) const {
    const torch::Tensor cells = cells_.index_select(0, ids), lengths = lengths_.index_select(0, ids);
    const std::int64_t longest = ids.numel() == 0 ? 0 : (lengths.max)().item<std::int64_t>();
    torch::Tensor sum = torch::zeros({ids.numel(), rows.size(1)}, rows.options());
    for (std::int64_t p = 0; p < longest; ++p)
      sum =
          sum + rows.index_select(0, cells.select(1, p)) * (lengths > p).to(rows.scalar_type()).unsqueeze(1);
    if (is_centered_) sum = sum - lengths.to(rows.scalar_type()).unsqueeze(1) * rows.mean(0);
    return sum * scales_.index_select(0, lengths).unsqueeze(1);
  }

  std::int64_t size() const { return lengths_.size(0); }

 private:
  torch::Tensor cells_, lengths_, scales_;
  bool is_centered_ = true;
};

}  // namespace KRONECKER_NAMESPACE::torch_module::detail
