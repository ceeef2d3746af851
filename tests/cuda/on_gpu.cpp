// Compares a GPU with the library on the CPU, bit for bit (the kernels are in on_gpu.cu).

#include "on_gpu.hpp"
#include "catch.hpp"
#include "gpu_checks.hpp"

#include <cstdio>
#include <random>
#include <vector>

using test_support::GpuCase;

namespace {

class Device {
 public:
  explicit Device(std::mt19937&) {}
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;
  ~Device() {
    for (void* const memory : memory_) on_gpu::release(memory);
  }

  template <class T>
  T* copy(const std::vector<T>& values) {
    memory_.push_back(on_gpu::allocate(values.size() * sizeof(T)));
    on_gpu::copy(memory_.back(), values.data(), values.size() * sizeof(T));
    return static_cast<T*>(memory_.back());
  }
  void* workspace(std::size_t bytes) { return copy(std::vector<char>(bytes, '\x5a')); }
  template <class Scalar>
  kronecker::gpu::EmbeddingArrays place(const kronecker::KroneckerEmbedding<Scalar>& embedding) {
    memory_.push_back(on_gpu::allocate(kronecker::gpu::memory_size(embedding)));
    return kronecker::gpu::place(embedding, memory_.back(), on_gpu::copy);
  }
  template <class T>
  std::vector<T> read(const T* from, std::size_t count) const {
    on_gpu::wait();
    std::vector<T> values(count);
    on_gpu::copy(values.data(), from, count * sizeof(T));
    return values;
  }
  std::size_t violations() const { return 0; }  // compute-sanitizer sees them

  void forward(const kronecker::gpu::EmbeddingArrays& arrays, const kronecker::gpu::Forward& call,
               void* workspace, kronecker::gpu::Launch launch) {
    on_gpu::forward(arrays, call, workspace, launch.threads, launch.lanes, launch.tokens);
  }
  void backward(const kronecker::gpu::EmbeddingArrays& arrays, const kronecker::gpu::Backward& call,
                void* workspace, kronecker::gpu::Launch launch) {
    on_gpu::backward(arrays, call, workspace, launch.threads, launch.lanes);
  }
  void length_rows(const kronecker::gpu::EmbeddingArrays& arrays, float* rows, void* workspace) {
    on_gpu::length_rows(arrays, rows, workspace);
  }
  void logits(const kronecker::gpu::EmbeddingArrays& arrays, const float* products, std::size_t states,
              float gain, float* out) {
    on_gpu::logits(arrays, products, states, gain, out);
  }

 private:
  std::vector<void*> memory_;
};

const std::vector<GpuCase> small_sizes = {{1, 0}, {1, 33}, {3, 31}, {96, 1}, {96, 33}, {40, 1100}, {512, 33}};
const std::vector<GpuCase> large_sizes = {{3, 4097},   {96, 4097}, {768, 33},
                                          {768, 4097}, {4096, 31}, {4096, 4097}};

template <class Scalar>
void check_all_forward(const std::vector<GpuCase>& sizes, unsigned seed) {
  std::mt19937 random(seed);
  for (const GpuCase& of : test_support::of_all_kinds(sizes))
    test_support::check_forward<Device, Scalar>(of, random);
}

template <class Scalar>
void check_all_gradients(const std::vector<GpuCase>& sizes, unsigned seed) {
  std::mt19937 random(seed);
  for (const GpuCase& of : test_support::of_all_kinds(sizes))
    test_support::check_gradient<Device, Scalar>(of, random);
}

template <class Scalar>
void check_all_weights_as_they_lie(const std::vector<GpuCase>& sizes, unsigned seed) {
  std::mt19937 random(seed);
  for (const GpuCase& of : sizes) test_support::check_weights_as_they_lie<Device, Scalar>(of, random);
}

}  // namespace

TEST_CASE("which device this is", "[small]") {
  std::printf("%s\n", on_gpu::name());
  CHECK(on_gpu::name()[0] != 0);
}

TEMPLATE_TEST_CASE("embeddings have the CPU's bits", "[small]", float, Eigen::bfloat16, Eigen::half,
                   std::int8_t) {
  check_all_forward<TestType>(small_sizes, 1);
}
TEMPLATE_TEST_CASE("gradients have the CPU's bits", "[small]", float, Eigen::bfloat16) {
  check_all_gradients<TestType>(small_sizes, 2);
}
TEMPLATE_TEST_CASE("weights as they lie have the CPU's bits, forward and back", "[small]", float,
                   Eigen::bfloat16, Eigen::half) {
  check_all_weights_as_they_lie<TestType>(small_sizes, 3);
}
TEST_CASE("logits have the CPU's bits", "[small]") {
  std::mt19937 random(4);
  test_support::check_logits<Device>(random);
}
TEST_CASE("ids outside the vocabulary are tokens without bytes, and counted", "[small]") {
  std::mt19937 random(5);
  test_support::check_ids_outside<Device>(random);
}

TEMPLATE_TEST_CASE("large calls: embeddings have the CPU's bits", "[large]", float, Eigen::bfloat16,
                   Eigen::half, std::int8_t) {
  check_all_forward<TestType>(large_sizes, 11);
}
TEMPLATE_TEST_CASE("large calls: gradients have the CPU's bits", "[large]", float, Eigen::bfloat16) {
  check_all_gradients<TestType>(large_sizes, 12);
}
TEMPLATE_TEST_CASE("large calls: weights as they lie have the CPU's bits", "[large]", float, Eigen::bfloat16,
                   Eigen::half) {
  check_all_weights_as_they_lie<TestType>(large_sizes, 13);
}
