#pragma once

/// The calls of the GPU integration: which kernels they start, one after the other, on anything that runs
/// them. `Device` is a stream (cuda.cuh), or, in the tests, a loop over blocks and threads:
///
///     device.run(kernel, shape)     starts a kernel after those before it
///     device.processors()           how many multiprocessors there are to fill
///     device.shared_bytes()         shared memory that a block can have
///
/// Nothing here allocates. Embeddings, gradients and logits have the CPU's bits, whatever the launch is, but
/// for the bits of what is not a number.

#include <kronecker/error.hpp>
#include <kronecker/integrations/gpu/arrays.hpp>
#include <kronecker/integrations/gpu/backward_kernels.hpp>
#include <kronecker/integrations/gpu/forward_kernels.hpp>
#include <kronecker/integrations/gpu/mean_kernels.hpp>
#include <kronecker/integrations/gpu/norm_kernels.hpp>
#include <kronecker/integrations/gpu/sort_kernels.hpp>
#include <kronecker/integrations/gpu/steps.hpp>
#include <kronecker/kernels/row_type.hpp>
#include <kronecker/namespace.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <type_traits>

namespace KRONECKER_NAMESPACE::gpu {

/// Bytes of workspace of a forward pass of `count` tokens: none without a norm.
inline std::size_t forward_workspace(const EmbeddingArrays& arrays, std::size_t count) {
  return arrays.norm_weight != nullptr ? count * sizeof(float) : 0;
}

/// Writes the embeddings of N tokens, as KroneckerEmbedding::forward does. `workspace` is of
/// forward_workspace bytes, aligned to 4. Throws std::invalid_argument for an output of int8 or a stride
/// below d_model; nothing is written then. O(N * d_model * bytes per token).
template <class Device>
void forward(Device& device, const EmbeddingArrays& arrays, Forward call, void* workspace = nullptr,
             Launch launch = {}) {
  detail::check_arrays(arrays);
  detail::check_float_type(call.out_type, "embeddings");
  const std::size_t width = detail::width_of(arrays), count = call.ids.count;
  if (call.stride == 0) call.stride = width;
  if (call.stride < width)
    kronecker::detail::fail<std::invalid_argument>("a stride of ", call.stride, " is below d_model ", width);
  if (count == 0) return;
  auto* const factors = arrays.norm_weight != nullptr ? static_cast<float*>(workspace) : nullptr;
  if (factors != nullptr) {
    constexpr std::uint32_t threads = 256;
    detail::with_type<true>(arrays.type, [&](auto type) {
      device.run(detail::NormFactorKernel<type.value>{arrays, call.ids, call.gain, factors},
                 {detail::blocks_for(count, threads / detail::norm_lanes), threads, threads * sizeof(float)});
    });
  }
  const bool is_aligned = call.stride * kernels::size_of(call.out_type) % 16 == 0 &&
                          detail::is_aligned({call.out, arrays.rows, arrays.column_scales, arrays.length_rows,
                                              arrays.own_rows, arrays.own_column_scales, arrays.norm_weight});
  const auto start = [&](auto type, auto out_type, auto columns, auto pieces) {
    using Kernel = detail::ForwardKernel<type.value, out_type.value, columns.value, pieces.value>;
    detail::start_forward<Kernel>(device, arrays, call, factors, launch);
  };
  detail::with_type<true>(arrays.type, [&](auto type) {
    constexpr int columns = detail::columns_at_once<type.value>;
    using Columns = std::integral_constant<int, columns>;
    // A thread takes two pieces where they fit, but of int8, of which a piece is twice as many columns.
    using One = std::integral_constant<int, 1>;
    using Two = std::integral_constant<int, type.value == RowType::int8 ? 1 : 2>;
    detail::with_type<false>(call.out_type, [&](auto out_type) {
      if (!is_aligned || width % columns != 0)
        start(type, out_type, One(), One());
      else if (width % (2 * warp * columns) != 0)
        start(type, out_type, Columns(), One());
      else
        start(type, out_type, Columns(), Two());
    });
  });
}

/// Bytes of workspace of a backward pass of `count` tokens: about 10 KB times pos_dim for every 1,024
/// tokens, and with a norm another 4 * d_model for each token.
inline std::size_t backward_workspace(const EmbeddingArrays& arrays, std::size_t count, bool subtracts_mean) {
  detail::Division counted(nullptr);
  detail::BackwardMemory(arrays, count, subtracts_mean, counted);
  return counted.size();
}

/// Adds to the gradients what accumulate_gradient (training/gradient.hpp) does, or, without `accumulate`,
/// writes all rows, as the functions for frameworks do: minus the mean term first. `workspace` is of
/// backward_workspace bytes, aligned to 256. Throws std::invalid_argument for gradients of int8, or if there
/// is a norm and no gradient of its weight. O(d_model * (N * bytes per token + D)).
template <class Device>
void backward(Device& device, const EmbeddingArrays& arrays, const Backward& call, void* workspace,
              Launch launch = {}) {
  detail::check_arrays(arrays);
  detail::check_float_type(call.type, "gradients");
  if (arrays.norm_weight != nullptr && call.grad_norm_weight == nullptr)
    kronecker::detail::fail<std::invalid_argument>("the gradient of the norm's weight has no place");
  const std::size_t width = detail::width_of(arrays), count = call.ids.count;
  const std::size_t blocks = detail::blocks_for(count, detail::tokens_in_block);
  detail::Division division(workspace);
  const detail::BackwardMemory memory(arrays, count, call.subtracts_mean, division);
  const detail::SortedTokens& sorted = memory.sorted;
  device.run(detail::ClearKernel{sorted.counts, 2 * blocks}, {detail::blocks_for(2 * blocks, 256), 256});
  device.run(detail::SortKernel{arrays, call.ids, call.outside, sorted},
             {blocks * sorted.groups, 256, sizeof(detail::SortKernel::Shared)});
  const void* grad_sums = call.grad_out;
  RowType type = call.type;
  if (arrays.norm_weight != nullptr && count > 0) {
    detail::norm_gradient(device, arrays, call, memory);
    grad_sums = memory.grad_sums;
    type = RowType::float32;
  }
  if (call.subtracts_mean)
    detail::sum_parts(device, type, grad_sums, count, width, sorted.scales, sorted.lengths, memory.part_sums);
  if (!call.accumulate || call.subtracts_mean) {
    constexpr std::size_t rows_of_block = 32;
    const auto code_dim = static_cast<std::size_t>(arrays.code_dim),
               own = static_cast<std::size_t>(arrays.own_count);
    const std::size_t column_blocks = detail::blocks_for(width, 256);
    device.run(detail::StartKernel{call, code_dim * width, own * width, width,
                                   call.subtracts_mean ? memory.part_sums : nullptr, detail::parts_of(count),
                                   code_dim, rows_of_block, column_blocks},
               {detail::blocks_for(code_dim + own, rows_of_block) * column_blocks, 256});
  }
  if (count == 0) return;
  const bool is_wide = width % 4 == 0 && detail::is_aligned({grad_sums, call.grad_rows});
  detail::with_type<false>(type, [&](auto of) {
    if (is_wide)
      detail::add_block_sums<Device, of.value, 4>(device, sorted, count, grad_sums, call.grad_rows, width,
                                                  launch);
    else
      detail::add_block_sums<Device, of.value, 1>(device, sorted, count, grad_sums, call.grad_rows, width,
                                                  launch);
    if (call.shared != nullptr && arrays.unlit_values != nullptr)
      device.run(detail::UnlitTermsKernel<of.value>{grad_sums, count, width, sorted.lengths,
                                                    arrays.unlit_values, call.shared},
                 {detail::blocks_for(width, 64), 64});
  });
}

/// Bytes of workspace of `length_rows`.
inline std::size_t length_rows_workspace(const EmbeddingArrays& arrays) {
  return detail::parts_of(static_cast<std::size_t>(arrays.code_dim)) * detail::width_of(arrays) *
         sizeof(double);
}

/// Writes the rows of the lengths of weights as they lie, -L times the mean of all D rows, (pos_dim + 1,
/// d_model): with `arrays.length_rows` pointing to them, a forward pass makes z-normalized embeddings of
/// weights that change in training, of which nothing is copied. `workspace` is of length_rows_workspace
/// bytes, aligned to 8. Throws std::invalid_argument for int8 rows. O(D * d_model).
template <class Device>
void length_rows(Device& device, const EmbeddingArrays& arrays, float* length_rows, void* workspace) {
  detail::check_arrays(arrays);
  detail::check_float_type(arrays.type, "weights as they lie");
  const std::size_t width = detail::width_of(arrays);
  const auto code_dim = static_cast<std::size_t>(arrays.code_dim);
  auto* const sums = static_cast<double*>(workspace);
  detail::sum_parts(device, arrays.type, arrays.rows, code_dim, width, nullptr, nullptr, sums);
  device.run(detail::LengthRowsKernel{sums, detail::parts_of(code_dim), width, code_dim, arrays.pos_dim,
                                      length_rows},
             {detail::blocks_for(width, 64), 64});
}

/// Products that a hidden state has with all cells: D, those of rows of their own, and, for rounded codes,
/// those of the lengths 0 to pos_dim.
inline std::size_t cell_count(const EmbeddingArrays& arrays) {
  const std::int32_t lengths = arrays.length_rows != nullptr ? arrays.pos_dim + 1 : 0;
  return static_cast<std::size_t>(arrays.code_dim + arrays.own_count + lengths);
}

/// The additive half of a tied head: the logits of all tokens, (states, V), from the products of all cells
/// with hidden states, (states, cell_count), which are a matrix product of the caller's; as
/// KroneckerHead::token_logits, `gain` multiplies them. Only those of cells that tokens light are read.
/// O(states * V * bytes per token).
template <class Device>
void logits(Device& device, const EmbeddingArrays& arrays, const float* products, std::size_t states,
            float gain, float* out) {
  detail::check_arrays(arrays);
  const std::size_t blocks = detail::blocks_for(static_cast<std::size_t>(arrays.vocab_size), 256);
  device.run(detail::LogitsKernel{arrays, products, cell_count(arrays), gain, out, blocks},
             {states * blocks, 256});
}

}  // namespace KRONECKER_NAMESPACE::gpu
