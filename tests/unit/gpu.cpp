#include "catch.hpp"
#include "gpu_emulation.hpp"
// The emulation comes before what includes the kernels.
#include "gpu_cases.hpp"
#include "matrices.hpp"

#include <kronecker/head.hpp>
#include <kronecker/training/arrays.hpp>

#include <cstring>
#include <limits>
#include <map>
#include <type_traits>

namespace gpu = kronecker::gpu;
namespace kernels = kronecker::kernels;
using kernels::RowType;
using test_support::allowed_memory;
using test_support::EmulatedGpu;
using test_support::GpuCase;
using test_support::random_floats;

namespace {

#ifdef KRONECKER_TEST_MORE_GPU_CASES
constexpr bool all_gpu_cases = true;
#else
constexpr bool all_gpu_cases = false;
#endif

/// Arrays on the emulated device: of their size, so that every access beyond is noted.
class DeviceMemory {
 public:
  DeviceMemory() { allowed_memory().clear(); }

  template <class T>
  T* copy(const std::vector<T>& values) {
    blocks_.push_back(std::make_unique<gpu::Words<4>[]>(values.size() * sizeof(T) / 16 + 1));
    void* const memory = blocks_.back().get();
    if (!values.empty()) std::memcpy(memory, values.data(), values.size() * sizeof(T));
    allowed_memory().add(memory, values.size() * sizeof(T));
    return static_cast<T*>(memory);
  }
  void* workspace(std::size_t bytes) { return copy(std::vector<char>(bytes, '\x5a')); }

  template <class Scalar>
  gpu::EmbeddingArrays place(const kronecker::KroneckerEmbedding<Scalar>& embedding) {
    blocks_.push_back(std::make_unique<gpu::Words<4>[]>(gpu::memory_size(embedding) / 16 + 1));
    return gpu::place(embedding, blocks_.back().get(), [](void* to, const void* from, std::size_t bytes) {
      std::memcpy(to, from, bytes);
      allowed_memory().add(to, bytes);
    });
  }

 private:
  std::vector<std::unique_ptr<gpu::Words<4>[]>> blocks_;
};

gpu::Launch random_launch(std::mt19937& random) {
  const auto threads = static_cast<std::uint32_t>(32 + random() % 200);
  if (random() % 2 == 0) return {};
  return {threads, static_cast<std::uint32_t>(1 + random() % 33), 1 + random() % 60};
}

template <class T>
bool same_numbers(const T* found, const std::vector<T>& expected) {
  return expected.empty() || std::memcmp(found, expected.data(), expected.size() * sizeof(T)) == 0;
}

template <class Scalar, class Out>
void check_forward(const GpuCase& of, std::mt19937& random) {
  const auto embedding = test_support::gpu_embedding<Scalar>(of, random);
  const std::vector<std::int32_t> ids = test_support::gpu_ids(of, random);
  const auto width = static_cast<std::size_t>(of.d_model);
  for (const bool accumulate : {false, true}) {
    const std::size_t gap = random() % 3 == 0 ? 8 * (random() % 3) + random() % 2 : 0;
    const kronecker::ForwardOptions options{width + gap, accumulate ? 1.7f : 1.0f, accumulate};
    std::vector<Out> out(of.count * (width + gap));
    for (Out& number : out) number = static_cast<Out>(std::normal_distribution<float>()(random));
    DeviceMemory memory;
    const gpu::EmbeddingArrays arrays = memory.place(embedding);
    Out* const found = memory.copy(out);
    EmulatedGpu device(random, 1 + random() % 8);
    gpu::Forward call{{memory.copy(ids), ids.size()},
                      found,
                      kronecker::detail::row_type_of<Out>(),
                      options.stride,
                      options.gain,
                      accumulate};
    gpu::forward(device, arrays, call, memory.workspace(gpu::forward_workspace(arrays, of.count)),
                 random_launch(random));
    if (of.count > 0)
      embedding.forward(ids, std::span(out).first((of.count - 1) * options.stride + width), options);
    INFO("accumulate " << accumulate << ", stride " << options.stride);
    CHECK(same_numbers(found, out));
    CHECK(allowed_memory().violations == 0);
  }
}

template <class Scalar>
void check_forward(const GpuCase& of, std::mt19937& random) {
  INFO("d_model " << of.d_model << ", " << of.count << " tokens, own rows " << of.has_own_rows << ", rounded "
                  << of.is_rounded << ", norm " << of.has_norm);
  check_forward<Scalar, float>(of, random);
  check_forward<Scalar, Eigen::bfloat16>(of, random);
  check_forward<Scalar, Eigen::half>(of, random);
}

template <class Scalar>
void check_gradient(const GpuCase& of, std::mt19937& random) {
  INFO("d_model " << of.d_model << ", " << of.count << " tokens, own rows " << of.has_own_rows << ", rounded "
                  << of.is_rounded << ", norm " << of.has_norm);
  const auto embedding = test_support::gpu_embedding<Scalar>(of, random);
  const std::vector<std::int32_t> ids = test_support::gpu_ids(of, random);
  const std::vector<float> grad_out = random_floats(of.count * static_cast<std::size_t>(of.d_model), random);
  kronecker::ProjectionGradient expected(embedding);
  const std::vector<float> before = random_floats(expected.all().size(), random);
  std::copy(before.begin(), before.end(), expected.all().begin());
  const std::vector<double> shared(expected.shared().begin(), expected.shared().end());

  DeviceMemory memory;
  const gpu::EmbeddingArrays arrays = memory.place(embedding);
  EmulatedGpu device(random, 1 + random() % 8);
  gpu::Backward call;
  call.ids = {memory.copy(ids), ids.size()};
  call.grad_out = memory.copy(grad_out);
  call.grad_rows = memory.copy(before);
  call.grad_norm_weight = of.has_norm ? call.grad_rows + before.size() - of.d_model : nullptr;
  call.shared = of.is_rounded ? memory.copy(shared) : nullptr;
  call.accumulate = true;
  gpu::backward(device, arrays, call, memory.workspace(gpu::backward_workspace(arrays, of.count, false)),
                random_launch(random));
  kronecker::accumulate_gradient(embedding, ids, grad_out, expected);
  CHECK(same_numbers(call.grad_rows, std::vector<float>(expected.all().begin(), expected.all().end())));
  if (of.is_rounded)
    CHECK(same_numbers(call.shared, std::vector<double>(expected.shared().begin(), expected.shared().end())));
  CHECK(allowed_memory().violations == 0);
}

/// Calls its work, one part after the other.
struct OneThread {
  std::size_t most = 1, least_numbers = 1;
  template <class Work>
  void operator()(std::size_t count, std::size_t, const Work& work) const {
    for (std::size_t part = 0; part < count; ++part) work(part);
  }
};

/// Weights as they lie, forward and back, as the functions for frameworks have them.
template <class Scalar>
void check_weights_as_they_lie(const GpuCase& of, std::mt19937& random) {
  INFO("d_model " << of.d_model << ", " << of.count << " tokens");
  constexpr RowType type = kronecker::detail::row_type_of<Scalar>();
  const kronecker::KroneckerEncoder encoder(256, of.pos_dim);
  const kronecker::TokenBytes tokens(test_support::gpu_vocabulary(of, random), encoder);
  const std::vector<std::int32_t> ids = test_support::gpu_ids(of, random);
  const std::vector<std::int64_t> long_ids(ids.begin(), ids.end());
  const auto width = static_cast<std::size_t>(of.d_model),
             code_dim = static_cast<std::size_t>(encoder.code_dim());
  const auto numbers = [&](std::size_t count) {
    std::vector<Scalar> rounded;
    for (const float number : random_floats(count, random)) rounded.push_back(static_cast<Scalar>(number));
    return rounded;
  };
  const std::vector<Scalar> rows = numbers(code_dim * width), grad_out = numbers(of.count * width);
  const std::vector<float> scales = encoder.scales();
  const std::vector<std::uint8_t> bytes(tokens.bytes().data(), tokens.bytes().data() + tokens.bytes().size()),
      lengths(tokens.lengths().data(), tokens.lengths().data() + tokens.lengths().size());

  DeviceMemory memory;
  gpu::EmbeddingArrays arrays;
  arrays.vocab_size = of.vocab_size, arrays.d_model = of.d_model, arrays.pos_dim = of.pos_dim;
  arrays.code_dim = encoder.code_dim(), arrays.type = type;
  arrays.token_bytes = memory.copy(bytes), arrays.token_lengths = memory.copy(lengths);
  arrays.scales = memory.copy(scales), arrays.rows = memory.copy(rows);
  float* const length_rows =
      memory.copy(std::vector<float>((static_cast<std::size_t>(of.pos_dim) + 1) * width));
  EmulatedGpu device(random, 1 + random() % 8);
  gpu::length_rows(device, arrays, length_rows, memory.workspace(gpu::length_rows_workspace(arrays)));
  arrays.length_rows = length_rows;
  const gpu::Ids on_device{memory.copy(long_ids), ids.size()};
  Scalar* const out = memory.copy(std::vector<Scalar>(of.count * width));
  gpu::forward(device, arrays, {on_device, out, type}, nullptr, random_launch(random));

  const kronecker::detail::ArraySequence sequence(encoder, {bytes.data(), lengths.data(), of.vocab_size},
                                                  long_ids.data(), of.count);
  std::vector<Scalar> expected(of.count * width);
  kronecker::detail::embed_arrays<type, type>(encoder, true, sequence, rows.data(), width, expected.data(),
                                              OneThread{});
  CHECK(same_numbers(out, expected));

  gpu::Backward call{on_device, memory.copy(grad_out), type};
  call.grad_rows = memory.copy(std::vector<float>(code_dim * width, std::numeric_limits<float>::quiet_NaN()));
  call.subtracts_mean = true;
  gpu::backward(device, arrays, call, memory.workspace(gpu::backward_workspace(arrays, of.count, true)),
                random_launch(random));
  std::vector<float> expected_rows(code_dim * width);
  kronecker::detail::scatter_arrays<type, RowType::float32>(encoder, true, sequence, grad_out.data(), width,
                                                            expected_rows.data(), OneThread{});
  CHECK(same_numbers(call.grad_rows, expected_rows));
  CHECK(allowed_memory().violations == 0);
}

/// Sizes at the ends of vectors, warps and blocks of tokens.
std::vector<GpuCase> gpu_sizes() {
  if constexpr (all_gpu_cases)
    return {{1, 0},   {1, 33},    {3, 31},   {3, 4097},   {96, 1},
            {96, 33}, {96, 4097}, {768, 31}, {768, 4097}, {4096, 33}};
  return {{1, 0}, {1, 33}, {3, 31}, {96, 1}, {96, 33}, {40, 1100}, {768, 2}};
}

}  // namespace

TEMPLATE_TEST_CASE("a GPU's embeddings have the CPU's bits", "", float, Eigen::bfloat16, Eigen::half,
                   std::int8_t) {
  std::mt19937 random(1);
  for (GpuCase of : gpu_sizes()) {
    if (!all_gpu_cases) of.count = (std::min)(of.count, std::size_t{33});
    check_forward<TestType>(of, random);
    of.has_own_rows = true;
    check_forward<TestType>(of, random);
    of.is_rounded = true;
    check_forward<TestType>(of, random);
    of.has_norm = true;
    check_forward<TestType>(of, random);
  }
}

TEMPLATE_TEST_CASE("a GPU's gradients have the CPU's bits", "", float, Eigen::bfloat16) {
  std::mt19937 random(2);
  for (GpuCase of : gpu_sizes()) {
    check_gradient<TestType>(of, random);
    of.has_own_rows = of.is_rounded = true;
    check_gradient<TestType>(of, random);
    of.has_norm = true;
    check_gradient<TestType>(of, random);
  }
}

TEMPLATE_TEST_CASE("weights as they lie have the CPU's bits on a GPU, forward and back", "", float,
                   Eigen::bfloat16, Eigen::half) {
  std::mt19937 random(3);
  for (const GpuCase& of : gpu_sizes()) check_weights_as_they_lie<TestType>(of, random);
}

TEST_CASE("a GPU's logits have the CPU's bits") {
  std::mt19937 random(4);
  for (const bool has_own_rows : {false, true})
    for (const bool is_rounded : {false, true}) {
      const auto embedding = test_support::gpu_embedding<float>({5, 0, has_own_rows, is_rounded}, random);
      const kronecker::KroneckerHead head(embedding, 0.7f);
      constexpr std::size_t states = 3;
      const auto vocabulary = static_cast<std::size_t>(embedding.vocab_size());
      std::vector<float> products = random_floats(head.products_size(states), random),
                         expected(states * vocabulary);
      head.token_logits(products, expected);
      const std::size_t cells = head.cell_count(), stride = products.size() / cells;
      std::vector<float> by_state(states * cells);
      for (std::size_t state = 0; state < states; ++state)
        for (std::size_t cell = 0; cell < cells; ++cell)
          by_state[state * cells + cell] = products[cell * stride + state];
      DeviceMemory memory;
      const gpu::EmbeddingArrays arrays = memory.place(embedding);
      REQUIRE(gpu::cell_count(arrays) == cells);
      float* const found = memory.copy(std::vector<float>(expected.size()));
      EmulatedGpu device(random);
      gpu::logits(device, arrays, memory.copy(by_state), states, 0.7f, found);
      CHECK(same_numbers(found, expected));
      CHECK(allowed_memory().violations == 0);
    }
}

TEST_CASE("ids outside the vocabulary are tokens without bytes on a GPU, and counted") {
  std::mt19937 random(5);
  const GpuCase of{24, 5, true};
  const auto embedding = test_support::gpu_embedding<float>(of, random);
  const std::vector<std::int64_t> ids = {1, -1, 300, std::int64_t{1} << 32, 2};
  DeviceMemory memory;
  const gpu::EmbeddingArrays arrays = memory.place(embedding);
  float* const out = memory.copy(std::vector<float>(5 * 24, 1.0f));
  std::uint32_t* const outside = memory.copy(std::vector<std::uint32_t>(1));
  EmulatedGpu device(random);
  gpu::Forward call{{memory.copy(ids), ids.size()}, out};
  call.outside = outside;
  gpu::forward(device, arrays, call);
  CHECK(*outside == 3);
  CHECK(std::all_of(out + 24, out + 4 * 24, [](float number) { return number == 0; }));
  const auto expected = embedding.forward({1, 2});
  CHECK(std::memcmp(out, expected.data(), 24 * sizeof(float)) == 0);
  CHECK(std::memcmp(out + 4 * 24, expected.data() + 24, 24 * sizeof(float)) == 0);
  gpu::Backward back;
  back.ids = call.ids, back.grad_out = out, back.outside = outside;
  back.grad_rows =
      memory.copy(std::vector<float>(static_cast<std::size_t>(arrays.code_dim + arrays.own_count) * 24));
  gpu::backward(device, arrays, back, memory.workspace(gpu::backward_workspace(arrays, 5, false)));
  CHECK(*outside == 6);
  CHECK(allowed_memory().violations == 0);
}

TEST_CASE("a GPU's calls refuse what they cannot do") {
  std::mt19937 random(6);
  const auto embedding = test_support::gpu_embedding<std::int8_t>({8, 0}, random);
  DeviceMemory memory;
  const gpu::EmbeddingArrays arrays = memory.place(embedding);
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
