#include "catch.hpp"
#include "instruction_sets.hpp"
#include "matrices.hpp"

#include <kronecker/kernels/scatter_add.hpp>

#include <cstring>
#include <random>
#include <vector>

namespace kernels = kronecker::kernels;
using kernels::InstructionSet;

using test_support::random_floats;

TEST_CASE(
    "gradients are scaled, rounded, and added in the order of the tokens, bit for bit, in any split of "
    "columns") {
  constexpr std::size_t pos_dim = 5, vocab_size = 12, count = 40;
  std::mt19937 random(7);
  std::vector<std::uint8_t> bytes(vocab_size * pos_dim), lengths(vocab_size);
  for (auto& byte : bytes) byte = random() % 2;
  for (auto& length : lengths) length = static_cast<std::uint8_t>(random() % (pos_dim + 1));
  const std::vector<float> scales = random_floats(pos_dim + 1, random);
  std::vector<std::int32_t> ids(count);
  for (auto& id : ids) id = static_cast<std::int32_t>(random() % vocab_size);
  const kernels::Tokens tokens{bytes.data(), lengths.data(), scales.data(), ids.data(), count};

  for (const std::size_t d_model : {1u, 3u, 16u, 17u, 64u, 100u, 150u}) {
    const std::vector<float> grad_out = random_floats(count * d_model, random);
    const std::vector<float> before = random_floats(2 * pos_dim * d_model, random);
    std::vector<float> expected = before;
    for (std::size_t i = 0; i < count; ++i) {
      const auto id = static_cast<std::size_t>(ids[i]);
      for (std::size_t p = 0; p < lengths[id]; ++p)
        for (std::size_t column = 0; column < d_model; ++column) {
          const volatile float step = scales[lengths[id]] * grad_out[i * d_model + column];
          expected[(bytes[id * pos_dim + p] * pos_dim + p) * d_model + column] += step;
        }
    }
    for (const InstructionSet set : test_support::instruction_sets())
      for (const std::size_t split : {std::size_t{0}, d_model / 3, d_model}) {
        std::vector<float> gradient = before;
        kernels::scatter_add(set, tokens, grad_out.data(), {gradient.data(), d_model, pos_dim, 0, split});
        kernels::scatter_add(set, tokens, grad_out.data(),
                             {gradient.data(), d_model, pos_dim, split, d_model});
        INFO("d_model " << d_model << ", instruction set " << static_cast<int>(set) << ", split at "
                        << split);
        CHECK(std::memcmp(gradient.data(), expected.data(), expected.size() * sizeof(float)) == 0);
      }
  }
}
