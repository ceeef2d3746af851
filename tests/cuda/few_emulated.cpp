// The kernels of the GPU integration, emulated, that compile fast; emulated.cpp has all of them.

#include "catch.hpp"
#include "gpu_emulation.hpp"
// The emulation comes before what includes the kernels.
#include "gpu_checks.hpp"

#include <stdexcept>

namespace gpu = kronecker::gpu;
using test_support::GpuCase;

namespace {

using FewOnGpu = test_support::EmulatedMachine<test_support::FewKernels>;

/// Sizes at the ends of vectors, warps and blocks of tokens.
const std::vector<GpuCase> few_gpu_sizes = {{1, 0}, {3, 31}, {96, 33}, {40, 1100}, {512, 5}};

}  // namespace

TEST_CASE("a GPU's embeddings of bfloat16 have the CPU's bits") {
  std::mt19937 random(1);
  for (const GpuCase& of : test_support::of_all_kinds(few_gpu_sizes))
    test_support::check_forward<FewOnGpu, Eigen::bfloat16, Eigen::bfloat16>(of, random);
}

TEST_CASE("a forward pass on a GPU moves little but its output and the rows of cells") {
  std::mt19937 random(7);
  const GpuCase of{4096, 40};
  const auto embedding = test_support::gpu_embedding<Eigen::bfloat16>(of, random);
  const std::vector<std::int32_t> ids = test_support::gpu_ids(of, random);
  FewOnGpu machine(random);
  const gpu::EmbeddingArrays arrays = machine.place(embedding);
  std::uint16_t* const out = machine.copy(std::vector<std::uint16_t>(of.count * 4096));
  machine.forward(arrays, {{machine.copy(ids), ids.size()}, out, kronecker::kernels::RowType::bfloat16},
                  nullptr, {});
  std::size_t lit_cells = 0;
  for (const std::int32_t id : ids)
    lit_cells += embedding.token_bytes().lengths()[static_cast<std::size_t>(id)];
  const std::size_t bytes_of_row = 4096 * sizeof(std::uint16_t), of_output = of.count * bytes_of_row,
                    must_move = of_output + of.count * (sizeof(std::int32_t) + 1 + 6);
  const auto& memory = test_support::allowed_memory();
  CHECK(memory.moved(out) == of_output);
  CHECK(memory.moved(arrays.rows) == lit_cells * bytes_of_row);
  CHECK(memory.moved() - memory.moved(arrays.rows) <= must_move + must_move / 10);
}

TEST_CASE("a GPU's gradients of bfloat16 have the CPU's bits") {
  std::mt19937 random(2);
  for (const GpuCase& of : test_support::of_all_kinds(few_gpu_sizes))
    test_support::check_gradient<FewOnGpu, Eigen::bfloat16>(of, random);
}

TEST_CASE("weights of bfloat16 as they lie have the CPU's bits on a GPU, forward and back") {
  std::mt19937 random(3);
  for (const GpuCase& of : few_gpu_sizes)
    test_support::check_weights_as_they_lie<FewOnGpu, Eigen::bfloat16>(of, random);
}

TEST_CASE("a GPU's logits have the CPU's bits, by few kernels") {
  std::mt19937 random(4);
  test_support::check_logits<FewOnGpu>(random);
}

TEST_CASE("a GPU's calls refuse what they cannot do") {
  std::mt19937 random(6);
  const auto embedding = test_support::gpu_embedding<std::int8_t>({8, 0}, random);
  FewOnGpu machine(random);
  const gpu::EmbeddingArrays arrays = machine.place(embedding);
  test_support::EmulatedGpu<test_support::FewKernels> device(random);
  gpu::Forward call;
  call.out_type = kronecker::kernels::RowType::int8;
  CHECK_THROWS_AS(gpu::forward(device, arrays, call), std::invalid_argument);
  call.out_type = kronecker::kernels::RowType::float32;
  call.stride = 7;
  CHECK(message_of<std::invalid_argument>([&] { gpu::forward(device, arrays, call); }) ==
        "a stride of 7 is below d_model 8");
  CHECK_THROWS_AS(gpu::length_rows(device, arrays, nullptr, nullptr), std::invalid_argument);
  CHECK_THROWS_AS(gpu::forward(device, {}, {}), std::invalid_argument);
  gpu::EmbeddingArrays large = arrays;
  large.code_dim = 1 << 16, large.d_model = 1 << 16;
  CHECK_THROWS_AS(gpu::forward(device, large, {}), std::invalid_argument);
}
