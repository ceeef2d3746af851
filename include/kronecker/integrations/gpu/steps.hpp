#pragma once

/// The steps of the calls of the GPU integration (calls.hpp): what they check, the workspace, and how kernels
/// are started.

#include <kronecker/error.hpp>
#include <kronecker/integrations/gpu/arrays.hpp>
#include <kronecker/integrations/gpu/backward_kernels.hpp>
#include <kronecker/integrations/gpu/forward_kernels.hpp>
#include <kronecker/integrations/gpu/machine.hpp>
#include <kronecker/integrations/gpu/mean_kernels.hpp>
#include <kronecker/integrations/gpu/norm_kernels.hpp>
#include <kronecker/integrations/gpu/sort_kernels.hpp>
#include <kronecker/kernels/row_type.hpp>
#include <kronecker/namespace.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <stdexcept>
#include <type_traits>

namespace KRONECKER_NAMESPACE::gpu {

/// How a call is spread over threads; each 0 is chosen. It changes no bit.
struct Launch {
  std::uint32_t threads = 0;  ///< Of a block: of a forward pass at most 1,024, of a backward pass as many.
  std::uint32_t lanes = 0;    ///< Threads side by side that take the columns of one token or cell.
  std::size_t tokens = 0;     ///< That these threads look up at a time in a forward pass, at most 32.
};

namespace detail {

constexpr std::size_t blocks_for(std::size_t count, std::size_t at_once) {
  return (count + at_once - 1) / at_once;
}

/// Calls `use` with a type as a constant; int8 only where rows can have it.
template <bool any_int8, class Use>
void with_type(RowType type, const Use& use) {
  if (type == RowType::float32)
    use(std::integral_constant<RowType, RowType::float32>());
  else if (type == RowType::bfloat16)
    use(std::integral_constant<RowType, RowType::bfloat16>());
  else if (type == RowType::float16)
    use(std::integral_constant<RowType, RowType::float16>());
  else if constexpr (any_int8)
    use(std::integral_constant<RowType, RowType::int8>());
}

inline bool is_aligned(std::initializer_list<const void*> arrays) {
  return std::all_of(arrays.begin(), arrays.end(),
                     [](const void* array) { return reinterpret_cast<std::uintptr_t>(array) % 16 == 0; });
}

inline std::size_t width_of(const EmbeddingArrays& arrays) {
  return static_cast<std::size_t>(arrays.d_model);
}

inline void check_arrays(const EmbeddingArrays& arrays) {
  if (arrays.d_model < 1 || arrays.pos_dim < 1 || arrays.pos_dim > 255 || arrays.code_dim < 1 ||
      arrays.vocab_size < 0)
    kronecker::detail::fail<std::invalid_argument>("an embedding of ", arrays.vocab_size, " tokens, pos_dim ",
                                                   arrays.pos_dim, ", ", arrays.code_dim,
                                                   " cells and d_model ", arrays.d_model, " is none");
  if (static_cast<std::uint64_t>(arrays.code_dim) * static_cast<std::uint64_t>(arrays.d_model) > 0xffffffffu)
    kronecker::detail::fail<std::invalid_argument>(arrays.code_dim, " rows of ", arrays.d_model,
                                                   " numbers are more than 4,294,967,295");
}

inline void check_float_type(RowType type, const char* what) {
  if (type == RowType::int8)
    kronecker::detail::fail<std::invalid_argument>(what,
                                                   " have no scales of columns: int8 is no type for them");
}

inline std::size_t rows_of_part(std::size_t count) {
  return (std::max)(least_rows_of_part, blocks_for(count, most_parts));
}
inline std::size_t parts_of(std::size_t count) {
  return (std::max)(std::size_t{1}, blocks_for(count, rows_of_part(count)));
}

/// The workspace of a backward pass.
struct BackwardMemory {
  SortedTokens sorted;   ///< The tokens by cells.
  double* part_sums;     ///< If a mean is subtracted.
  NormFactors* factors;  ///< If there is a norm.
  float* grad_sums;      ///< (N, d_model), if there is a norm.

  BackwardMemory(const EmbeddingArrays& arrays, std::size_t count, bool subtracts_mean, Division& memory) {
    const std::size_t width = width_of(arrays), blocks = blocks_for(count, tokens_in_block);
    const auto positions = static_cast<std::size_t>(arrays.pos_dim);
    const bool has_own = arrays.own_found != nullptr;
    sorted.groups = positions + (has_own ? 1 : 0);
    sorted.most_tokens = (std::min)(count, tokens_in_block);
    sorted.cells_of_block =
        (std::min)(count, std::size_t{256}) * positions + (has_own ? sorted.most_tokens : 0);
    sorted.places_of_block =
        sorted.most_tokens * positions + (places_at_once - 1) * sorted.cells_of_block + places_at_once;
    sorted.places_of_block -= sorted.places_of_block % places_at_once;
    sorted.cells = memory.take<CellTokens>(blocks * sorted.cells_of_block);
    sorted.places = memory.take<std::uint16_t>(blocks * sorted.places_of_block);
    sorted.counts = memory.take<std::uint32_t>(blocks * 2);
    sorted.scales = memory.take<float>(count);
    sorted.lengths = memory.take<std::uint8_t>(count);
    part_sums = memory.take<double>(subtracts_mean ? parts_of(count) * width : 0);
    const bool has_norm = arrays.norm_weight != nullptr;
    factors = memory.take<NormFactors>(has_norm ? count : 0);
    grad_sums = memory.take<float>(has_norm ? count * width : 0);
  }
};

/// Starts a forward kernel: as many groups of threads as multiprocessors hold in a block each, fewer for few
/// tokens, which are spread over all of them.
template <class Kernel, class Device>
void start_forward(Device& device, const EmbeddingArrays& arrays, const Forward& call, const float* factors,
                   const Launch& launch) {
  const std::size_t width = width_of(arrays), count = call.ids.count;
  constexpr auto columns = static_cast<std::size_t>(Kernel::columns_of_thread);
  std::uint32_t most_threads = static_cast<std::uint32_t>(Kernel::most_threads);
  if (launch.threads >= warp && launch.threads < most_threads) most_threads = launch.threads / warp * warp;
  Shares shares{};
  shares.lanes = warp;
  while (!Kernel::takes_whole_warps && shares.lanes > 4 &&
         (shares.lanes / 2 * columns >= width || (launch.lanes != 0 && shares.lanes / 2 >= launch.lanes)))
    shares.lanes /= 2;
  shares.tiles = static_cast<std::uint32_t>(blocks_for(width, shares.lanes * columns));
  shares.parts = static_cast<std::uint32_t>(
      std::clamp<std::size_t>(device.processors() * (most_threads / shares.lanes) / shares.tiles, 1, count));
  shares.tokens = count / shares.parts;
  shares.longer = static_cast<std::uint32_t>(count % shares.parts);
  shares.staged =
      launch.tokens == 0 ? 24u : static_cast<std::uint32_t>((std::min)(launch.tokens, std::size_t{32}));
  shares.bytes_of_token = StagedToken::bytes(arrays.pos_dim);
  shares.is_plain = arrays.length_rows == nullptr && factors == nullptr && !call.accumulate;
  const std::size_t groups = std::size_t{shares.tiles} * shares.parts;
  auto threads = static_cast<std::uint32_t>(
      (std::min)(blocks_for(blocks_for(groups, device.processors()) * shares.lanes, warp) * warp,
                 std::size_t{most_threads}));
  const auto shared = [&] {
    return std::size_t{threads / shares.lanes} * shares.staged * shares.bytes_of_token;
  };
  while (shares.staged > 1 && shared() > device.shared_bytes() / 2) shares.staged /= 2;
  while (threads > warp && shared() > device.shared_bytes()) threads -= warp;
  device.run(Kernel{arrays, call, shares, factors},
             {blocks_for(groups, threads / shares.lanes), threads, shared()});
}

template <class Device>
void sum_parts(Device& device, RowType type, const void* rows, std::size_t count, std::size_t width,
               const float* scales, const std::uint8_t* lengths, double* sums) {
  constexpr std::uint32_t threads = 128;
  const auto start = [&](auto of, auto columns) {
    device.run(PartSumKernel<of.value, columns.value>{rows, count, width, rows_of_part(count), scales,
                                                      lengths, sums},
               {parts_of(count) * blocks_for(width, threads * columns.value), threads});
  };
  with_type<false>(type, [&](auto of) {
    if (width % 2 == 0 && is_aligned({rows}))
      start(of, std::integral_constant<int, 2>());
    else
      start(of, std::integral_constant<int, 1>());
  });
}

/// The gradient of what goes into the norm, and of its weight.
template <class Device>
void norm_gradient(Device& device, const EmbeddingArrays& arrays, const Backward& call,
                   const BackwardMemory& memory) {
  constexpr std::uint32_t threads = 256;
  const std::size_t width = width_of(arrays), count = call.ids.count;
  with_type<true>(arrays.type, [&](auto type) {
    with_type<false>(call.type, [&](auto grad_type) {
      device.run(
          NormFactorsKernel<type.value, grad_type.value>{arrays, call.ids, call.grad_out, memory.factors},
          {blocks_for(count, threads / norm_lanes), threads, 2 * threads * sizeof(float)});
      for (const bool of_weight : {true, false}) {
        const std::size_t blocks_of_token = blocks_for(width, threads);
        device.run(
            NormGradientKernel<type.value, grad_type.value>{arrays, call.ids, call.grad_out, memory.factors,
                                                            of_weight, memory.grad_sums, blocks_of_token},
            {count * blocks_of_token, threads});
        if (of_weight)
          device.run(NormWeightKernel{memory.grad_sums, count, width, call.grad_norm_weight},
                     {blocks_for(width, 64), 64});
      }
    });
  });
}

template <class Device, RowType type, int columns>
void add_block_sums(Device& device, const SortedTokens& sorted, std::size_t count, const void* grad_out,
                    float* grad_rows, std::size_t width, Launch launch) {
  using Kernel = BlockSumKernel<type, columns>;
  const std::size_t tokens = (std::min)(count, tokens_in_block);
  constexpr auto most_threads = static_cast<std::uint32_t>(Kernel::most_threads);
  if (launch.threads == 0 || launch.threads > most_threads) launch.threads = most_threads;
  // As few columns as leave a multiprocessor for every block, and fit its shared memory.
  constexpr std::uint32_t most_lanes = 32 / columns;
  if (launch.lanes == 0) {
    launch.lanes = most_lanes;
    while (launch.lanes > 1 && blocks_for(width, launch.lanes / 2 * columns) <= device.processors())
      launch.lanes /= 2;
  }
  launch.lanes = (std::min)(launch.lanes, launch.threads);
  while (launch.lanes > 1 && Kernel::shared_bytes(tokens, launch.lanes) > device.shared_bytes())
    launch.lanes /= 2;
  device.run(Kernel{sorted, count, grad_out, grad_rows, width, launch.lanes},
             {blocks_for(width, launch.lanes * columns), launch.threads,
              Kernel::shared_bytes(tokens, launch.lanes)});
}

}  // namespace detail

}  // namespace KRONECKER_NAMESPACE::gpu
