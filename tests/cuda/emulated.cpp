// All kernels of the GPU integration, emulated, of all types and larger sizes.

#include "catch.hpp"
#include "gpu_emulation.hpp"
// The emulation comes before what includes the kernels.
#include "gpu_checks.hpp"

#include <algorithm>
#include <stdexcept>

namespace gpu = kronecker::gpu;
using kronecker::kernels::RowType;
using test_support::GpuCase;

namespace {

using Machine = test_support::EmulatedMachine<test_support::AllKernels>;

/// Sizes at the ends of vectors, warps and blocks of tokens.
const std::vector<GpuCase> gpu_sizes = {{1, 0},     {1, 33},   {3, 31},     {3, 4097}, {96, 1},   {96, 33},
                                        {96, 4097}, {768, 31}, {768, 1100}, {1024, 5}, {4096, 33}};

}  // namespace

TEMPLATE_TEST_CASE("a GPU's embeddings have the CPU's bits", "", float, Eigen::bfloat16, Eigen::half,
                   std::int8_t) {
  std::mt19937 random(1);
  for (const GpuCase& of : test_support::of_all_kinds(gpu_sizes))
    test_support::check_forward<Machine, TestType>(of, random);
}

TEMPLATE_TEST_CASE("a GPU's gradients have the CPU's bits", "", float, Eigen::bfloat16) {
  std::mt19937 random(2);
  for (const GpuCase& of : test_support::of_all_kinds(gpu_sizes))
    test_support::check_gradient<Machine, TestType>(of, random);
}

TEMPLATE_TEST_CASE("weights as they lie have the CPU's bits on a GPU, forward and back", "", float,
                   Eigen::bfloat16, Eigen::half) {
  std::mt19937 random(3);
  for (const GpuCase& of : gpu_sizes) test_support::check_weights_as_they_lie<Machine, TestType>(of, random);
}

TEST_CASE("a GPU's logits have the CPU's bits") {
  std::mt19937 random(4);
  test_support::check_logits<Machine>(random);
}

TEST_CASE("ids outside the vocabulary are tokens without bytes on a GPU, and counted") {
  std::mt19937 random(5);
  test_support::check_ids_outside<Machine>(random);
}
