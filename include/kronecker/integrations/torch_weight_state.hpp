#pragma once

/// Whether a torch tensor still has the numbers that it had. Needs LibTorch, 1.13 or newer.

#include <kronecker/namespace.hpp>

#include <torch/torch.h>

#include <cstdint>
#include <vector>

namespace KRONECKER_NAMESPACE::torch_module::detail {

/// Which numbers a weight has: the same ones if all of this is the same. Of what is done behind autograd's
/// back it knows nothing, and tensors of the inference mode have no version.
struct WeightState {
  explicit WeightState(const torch::Tensor& weight)
      : storage(c10::intrusive_ptr<c10::StorageImpl>::reclaim_copy(weight.storage().unsafeGetStorageImpl())),
        data(weight.data_ptr()),
        strides(weight.strides().vec()),
        version(weight._version()) {}
  bool operator==(const WeightState& other) const {
    return storage._unsafe_get_target() == other.storage._unsafe_get_target() && data == other.data &&
           strides == other.strides && version == other.version;
  }

  c10::weak_intrusive_ptr<c10::StorageImpl> storage;  ///< Its address is not used again while this is there.
  const void* data;                                   ///< Where the numbers begin.
  std::vector<std::int64_t> strides;                  ///< How they lie there.
  std::int64_t version;                               ///< Autograd's count of changes.
};

}  // namespace KRONECKER_NAMESPACE::torch_module::detail
