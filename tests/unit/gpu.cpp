#include "catch.hpp"
#include "gpu_emulation.hpp"
// The emulation comes before what includes the kernels.
#include "gpu_checks.hpp"

#include <algorithm>
#include <stdexcept>

namespace gpu = kronecker::gpu;
using kronecker::kernels::RowType;
using test_support::EmulatedGpu;
using test_support::EmulatedMachine;
using test_support::GpuCase;

namespace {

#ifdef KRONECKER_TEST_MORE_GPU_CASES
constexpr bool all_gpu_cases = true;
#else
constexpr bool all_gpu_cases = false;
#endif

/// Sizes at the ends of vectors, warps and blocks of tokens.
std::vector<GpuCase> gpu_sizes() {
  if constexpr (all_gpu_cases)
    return {{1, 0},   {1, 33},    {3, 31},   {3, 4097},   {96, 1},
            {96, 33}, {96, 4097}, {768, 31}, {768, 4097}, {4096, 33}};
  return {{1, 0}, {1, 33}, {3, 31}, {96, 1}, {96, 33}, {40, 1100}, {1024, 5}};
}

}  // namespace

TEMPLATE_TEST_CASE("a GPU's embeddings have the CPU's bits", "", float, Eigen::bfloat16, Eigen::half,
                   std::int8_t) {
  std::mt19937 random(1);
  for (GpuCase of : gpu_sizes()) {
    if (!all_gpu_cases) of.count = (std::min)(of.count, std::size_t{33});
    test_support::check_forward<EmulatedMachine, TestType>(of, random);
    of.has_own_rows = true;
    test_support::check_forward<EmulatedMachine, TestType>(of, random);
    of.is_rounded = true;
    test_support::check_forward<EmulatedMachine, TestType>(of, random);
    of.has_norm = true;
    test_support::check_forward<EmulatedMachine, TestType>(of, random);
  }
}

TEMPLATE_TEST_CASE("a GPU's gradients have the CPU's bits", "", float, Eigen::bfloat16) {
  std::mt19937 random(2);
  for (GpuCase of : gpu_sizes()) {
    test_support::check_gradient<EmulatedMachine, TestType>(of, random);
    of.has_own_rows = of.is_rounded = true;
    test_support::check_gradient<EmulatedMachine, TestType>(of, random);
    of.has_norm = true;
    test_support::check_gradient<EmulatedMachine, TestType>(of, random);
  }
}

TEMPLATE_TEST_CASE("weights as they lie have the CPU's bits on a GPU, forward and back", "", float,
                   Eigen::bfloat16, Eigen::half) {
  std::mt19937 random(3);
  for (const GpuCase& of : gpu_sizes())
    test_support::check_weights_as_they_lie<EmulatedMachine, TestType>(of, random);
}

TEST_CASE("a GPU's logits have the CPU's bits") {
  std::mt19937 random(4);
  test_support::check_logits<EmulatedMachine>(random);
}

TEST_CASE("ids outside the vocabulary are tokens without bytes on a GPU, and counted") {
  std::mt19937 random(5);
  test_support::check_ids_outside<EmulatedMachine>(random);
}

TEST_CASE("a GPU's calls refuse what they cannot do") {
  std::mt19937 random(6);
  const auto embedding = test_support::gpu_embedding<std::int8_t>({8, 0}, random);
  EmulatedMachine machine(random);
  const gpu::EmbeddingArrays arrays = machine.place(embedding);
  EmulatedGpu device(random);
  gpu::Forward call;
  call.out_type = RowType::int8;
  CHECK_THROWS_AS(gpu::forward(device, arrays, call), std::invalid_argument);
  call.out_type = RowType::float32;
  call.stride = 7;
  CHECK(message_of<std::invalid_argument>([&] { gpu::forward(device, arrays, call); }) ==
        "a stride of 7 is below d_model 8");
  CHECK_THROWS_AS(gpu::length_rows(device, arrays, nullptr, nullptr), std::invalid_argument);
  CHECK_THROWS_AS(gpu::forward(device, {}, {}), std::invalid_argument);
}
