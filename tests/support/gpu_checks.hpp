#pragma once

/// What a GPU computes beside what the library on the CPU does, bit for bit, on any `Machine` that runs the
/// calls of integrations/gpu/: an emulated one (gpu_emulation.hpp) or a device (tests/cuda/).
///
///     Machine(random)                        nothing allocated yet
///     copy(values), workspace(bytes)         memory of the device
///     place(embedding), read(memory, count)  there and back
///     forward, backward, length_rows, logits
///     violations()                           accesses outside of that memory

#include "catch.hpp"
#include "gpu_cases.hpp"
#include "matrices.hpp"

#include <kronecker/head.hpp>
#include <kronecker/integrations/gpu/calls.hpp>
#include <kronecker/training/arrays.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

namespace test_support {

namespace gpu = kronecker::gpu;
using kronecker::kernels::RowType;

inline gpu::Launch random_launch(std::mt19937& random) {
  const auto threads = static_cast<std::uint32_t>(32 + random() % 200);
  if (random() % 2 == 0) return {};
  return {threads, static_cast<std::uint32_t>(1 + random() % 33), 1 + random() % 60};
}

template <class Machine, class T>
bool same_numbers(const Machine& machine, const T* on_device, const std::vector<T>& expected) {
  const std::vector<T> found = machine.read(on_device, expected.size());
  return expected.empty() || std::memcmp(found.data(), expected.data(), expected.size() * sizeof(T)) == 0;
}

template <class Machine, class Scalar, class Out>
void check_forward(const GpuCase& of, std::mt19937& random) {
  const auto embedding = gpu_embedding<Scalar>(of, random);
  const std::vector<std::int32_t> ids = gpu_ids(of, random);
  const auto width = static_cast<std::size_t>(of.d_model);
  for (const bool accumulate : {false, true}) {
    const std::size_t gap = random() % 3 == 0 ? 8 * (random() % 3) + random() % 2 : 0;
    const kronecker::ForwardOptions options{width + gap, accumulate ? 1.7f : 1.0f, accumulate};
    std::vector<Out> out(of.count * (width + gap));
    for (Out& number : out) number = static_cast<Out>(std::normal_distribution<float>()(random));
    Machine machine(random);
    const gpu::EmbeddingArrays arrays = machine.place(embedding);
    Out* const found = machine.copy(out);
    gpu::Forward call{{machine.copy(ids), ids.size()},
                      found,
                      kronecker::detail::row_type_of<Out>(),
                      options.stride,
                      options.gain,
                      accumulate};
    machine.forward(arrays, call, machine.workspace(gpu::forward_workspace(arrays, of.count)),
                    random_launch(random));
    if (of.count > 0)
      embedding.forward(ids, std::span(out).first((of.count - 1) * options.stride + width), options);
    INFO("accumulate " << accumulate << ", stride " << options.stride);
    CHECK(same_numbers(machine, found, out));
    CHECK(machine.violations() == 0);
  }
}

template <class Machine, class Scalar>
void check_forward(const GpuCase& of, std::mt19937& random) {
  INFO("d_model " << of.d_model << ", " << of.count << " tokens, own rows " << of.has_own_rows << ", rounded "
                  << of.is_rounded << ", norm " << of.has_norm);
  check_forward<Machine, Scalar, float>(of, random);
  check_forward<Machine, Scalar, Eigen::bfloat16>(of, random);
  check_forward<Machine, Scalar, Eigen::half>(of, random);
}

template <class Machine, class Scalar>
void check_gradient(const GpuCase& of, std::mt19937& random) {
  INFO("d_model " << of.d_model << ", " << of.count << " tokens, own rows " << of.has_own_rows << ", rounded "
                  << of.is_rounded << ", norm " << of.has_norm);
  const auto embedding = gpu_embedding<Scalar>(of, random);
  const std::vector<std::int32_t> ids = gpu_ids(of, random);
  const std::vector<float> grad_out = random_floats(of.count * static_cast<std::size_t>(of.d_model), random);
  kronecker::ProjectionGradient expected(embedding);
  const std::vector<float> before = random_floats(expected.all().size(), random);
  std::copy(before.begin(), before.end(), expected.all().begin());
  const std::vector<double> shared(expected.shared().begin(), expected.shared().end());

  Machine machine(random);
  const gpu::EmbeddingArrays arrays = machine.place(embedding);
  gpu::Backward call;
  call.ids = {machine.copy(ids), ids.size()};
  call.grad_out = machine.copy(grad_out);
  call.grad_rows = machine.copy(before);
  call.grad_norm_weight = of.has_norm ? call.grad_rows + before.size() - of.d_model : nullptr;
  call.shared = of.is_rounded ? machine.copy(shared) : nullptr;
  call.accumulate = true;
  machine.backward(arrays, call, machine.workspace(gpu::backward_workspace(arrays, of.count, false)),
                   random_launch(random));
  kronecker::accumulate_gradient(embedding, ids, grad_out, expected);
  CHECK(same_numbers(machine, call.grad_rows,
                     std::vector<float>(expected.all().begin(), expected.all().end())));
  if (of.is_rounded)
    CHECK(same_numbers(machine, call.shared,
                       std::vector<double>(expected.shared().begin(), expected.shared().end())));
  CHECK(machine.violations() == 0);
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
template <class Machine, class Scalar>
void check_weights_as_they_lie(const GpuCase& of, std::mt19937& random) {
  INFO("d_model " << of.d_model << ", " << of.count << " tokens");
  constexpr RowType type = kronecker::detail::row_type_of<Scalar>();
  const kronecker::KroneckerEncoder encoder(256, of.pos_dim);
  const kronecker::TokenBytes tokens(gpu_vocabulary(of, random), encoder);
  const std::vector<std::int32_t> ids = gpu_ids(of, random);
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

  Machine machine(random);
  gpu::EmbeddingArrays arrays;
  arrays.vocab_size = of.vocab_size, arrays.d_model = of.d_model, arrays.pos_dim = of.pos_dim;
  arrays.code_dim = encoder.code_dim(), arrays.type = type;
  arrays.token_bytes = machine.copy(bytes), arrays.token_lengths = machine.copy(lengths);
  arrays.scales = machine.copy(scales), arrays.rows = machine.copy(rows);
  float* const length_rows =
      machine.copy(std::vector<float>((static_cast<std::size_t>(of.pos_dim) + 1) * width));
  machine.length_rows(arrays, length_rows, machine.workspace(gpu::length_rows_workspace(arrays)));
  arrays.length_rows = length_rows;
  const gpu::Ids on_device{machine.copy(long_ids), ids.size()};
  Scalar* const out = machine.copy(std::vector<Scalar>(of.count * width));
  machine.forward(arrays, {on_device, out, type}, nullptr, random_launch(random));

  const kronecker::detail::ArraySequence sequence(encoder, {bytes.data(), lengths.data(), of.vocab_size},
                                                  long_ids.data(), of.count);
  std::vector<Scalar> expected(of.count * width);
  kronecker::detail::embed_arrays<type, type>(encoder, true, sequence, rows.data(), width, expected.data(),
                                              OneThread{});
  CHECK(same_numbers(machine, out, expected));

  gpu::Backward call{on_device, machine.copy(grad_out), type};
  call.grad_rows =
      machine.copy(std::vector<float>(code_dim * width, std::numeric_limits<float>::quiet_NaN()));
  call.subtracts_mean = true;
  machine.backward(arrays, call, machine.workspace(gpu::backward_workspace(arrays, of.count, true)),
                   random_launch(random));
  std::vector<float> expected_rows(code_dim * width);
  kronecker::detail::scatter_arrays<type, RowType::float32>(encoder, true, sequence, grad_out.data(), width,
                                                            expected_rows.data(), OneThread{});
  CHECK(same_numbers(machine, call.grad_rows, expected_rows));
  CHECK(machine.violations() == 0);
}

/// Logits from products.
template <class Machine>
void check_logits(std::mt19937& random) {
  for (const bool has_own_rows : {false, true})
    for (const bool is_rounded : {false, true}) {
      const auto embedding = gpu_embedding<float>({5, 0, has_own_rows, is_rounded}, random);
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
      Machine machine(random);
      const gpu::EmbeddingArrays arrays = machine.place(embedding);
      REQUIRE(gpu::cell_count(arrays) == cells);
      float* const found = machine.copy(std::vector<float>(expected.size()));
      machine.logits(arrays, machine.copy(by_state), states, 0.7f, found);
      CHECK(same_numbers(machine, found, expected));
      CHECK(machine.violations() == 0);
    }
}

/// Ids outside the vocabulary.
template <class Machine>
void check_ids_outside(std::mt19937& random) {
  const GpuCase of{24, 5, true};
  const auto embedding = gpu_embedding<float>(of, random);
  const std::vector<std::int64_t> ids = {1, -1, 300, std::int64_t{1} << 32, 2};
  Machine machine(random);
  const gpu::EmbeddingArrays arrays = machine.place(embedding);
  float* const out = machine.copy(std::vector<float>(5 * 24, 1.0f));
  std::uint32_t* const outside = machine.copy(std::vector<std::uint32_t>(1));
  gpu::Forward call{{machine.copy(ids), ids.size()}, out};
  call.outside = outside;
  machine.forward(arrays, call, nullptr, {});
  CHECK(machine.read(outside, 1)[0] == 3);
  const std::vector<float> found = machine.read(out, 5 * 24);
  CHECK(std::all_of(&found[24], &found[4 * 24], [](float number) { return number == 0; }));
  const auto expected = embedding.forward({1, 2});
  CHECK(std::memcmp(found.data(), expected.data(), 24 * sizeof(float)) == 0);
  CHECK(std::memcmp(&found[4 * 24], expected.data() + 24, 24 * sizeof(float)) == 0);
  gpu::Backward back;
  back.ids = call.ids, back.grad_out = out, back.outside = outside;
  back.grad_rows =
      machine.copy(std::vector<float>(static_cast<std::size_t>(arrays.code_dim + arrays.own_count) * 24));
  machine.backward(arrays, back, machine.workspace(gpu::backward_workspace(arrays, 5, false)), {});
  CHECK(machine.read(outside, 1)[0] == 6);
  CHECK(machine.violations() == 0);
}

}  // namespace test_support
