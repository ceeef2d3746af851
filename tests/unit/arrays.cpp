#include "catch.hpp"

#include <kronecker/large_pages.hpp>
#include <kronecker/training/arrays.hpp>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

using kronecker::DynamicEncoder;
using kronecker::Range;
using kronecker::detail::ArraySequence;
using kronecker::detail::TokenArrays;
using kronecker::kernels::RowType;

namespace {

/// Does the parts one after the other, the last one first.
struct Backwards {
  std::size_t most;
  std::size_t least_numbers = 1000;
  template <class Work>
  void operator()(std::size_t count, std::size_t, const Work& work) const {
    for (std::size_t part = count; part-- > 0;) work(part);
  }
};

}  // namespace

TEST_CASE("arrays are split into whole pieces, each in one part") {
  for (const std::size_t total : {0u, 1u, 64u, 65u, 1000u})
    for (const std::size_t count : {1u, 2u, 7u}) {
      std::size_t end = 0;
      for (std::size_t part = 0; part < count; ++part) {
        const Range some = kronecker::detail::part_of(total, 64, part, count);
        CHECK(some.begin == end);
        CHECK((some.end % 64 == 0 || some.end == total));
        end = some.end;
      }
      CHECK(end == total);
    }
}

TEST_CASE("embeddings and gradients on arrays are those of arithmetic in double, in any number of parts") {
  constexpr std::size_t pos_dim = 16, code_dim = 256 * pos_dim, width = 3000, count = 2500;
  const DynamicEncoder encoder(256, pos_dim);
  std::vector<std::uint8_t> bytes(4 * pos_dim, 99);  // of the padding too
  const std::uint8_t token[] = {1, 2, 3, 4};
  std::copy(token, token + 4, bytes.begin());
  bytes[pos_dim] = 9;
  std::copy(token, token + 3, bytes.begin() + 3 * pos_dim);
  const std::vector<std::uint8_t> lengths{4, 1, 0, 3};
  std::vector<std::int64_t> ids(count);
  std::vector<float> rows(code_dim * width), grad_out(count * width);
  for (std::size_t i = 0; i < count; ++i) ids[i] = static_cast<std::int64_t>(i * 7 % 4);
  for (std::size_t i = 0; i < rows.size(); ++i) rows[i] = static_cast<float>(i * 2654435761u % 1001) / 1000;
  for (std::size_t i = 0; i < grad_out.size(); ++i)
    grad_out[i] = static_cast<float>(i * 2654435761u % 997) / 997 - 0.5f;
  const ArraySequence sequence(encoder, TokenArrays{bytes.data(), lengths.data(), 4}, ids.data(), count);

  std::vector<float> out(count * width), grad(code_dim * width), other_out(out), other_grad(grad);
  const auto run = [&](std::size_t threads, std::vector<float>& to, std::vector<float>& grad_rows) {
    kronecker::detail::embed_arrays<RowType::float32, RowType::float32>(encoder, true, sequence, rows.data(),
                                                                        width, to.data(), Backwards{threads});
    kronecker::detail::scatter_arrays<RowType::float32, RowType::float32>(
        encoder, true, sequence, grad_out.data(), width, grad_rows.data(), Backwards{threads});
  };
  run(1, out, grad);
  run(5, other_out, other_grad);
  CHECK(std::memcmp(out.data(), other_out.data(), out.size() * sizeof(float)) == 0);
  CHECK(std::memcmp(grad.data(), other_grad.data(), grad.size() * sizeof(float)) == 0);

  double largest_of_out = 0, largest_of_grad = 0;
  for (std::size_t column = 0; column < width; column += 37) {
    std::vector<double> expected(code_dim);
    double mean = 0, mean_of_grad = 0;
    for (std::size_t cell = 0; cell < code_dim; ++cell) mean += rows[cell * width + column];
    mean /= code_dim;
    for (std::size_t i = 0; i < count; ++i) {
      const auto id = static_cast<std::size_t>(ids[i]);
      const double a = static_cast<double>(encoder.scale(lengths[id]));
      double sum = 0;
      for (std::size_t p = 0; p < lengths[id]; ++p) {
        const std::size_t cell = bytes[id * pos_dim + p] * pos_dim + p;
        sum += rows[cell * width + column] - mean;
        expected[cell] += a * grad_out[i * width + column];
        mean_of_grad += a * grad_out[i * width + column] / code_dim;
      }
      largest_of_out = std::max(largest_of_out, std::abs(out[i * width + column] - a * sum));
    }
    for (std::size_t cell = 0; cell < code_dim; ++cell)
      largest_of_grad =
          std::max(largest_of_grad, std::abs(grad[cell * width + column] - (expected[cell] - mean_of_grad)));
  }
  CHECK(largest_of_out < 1e-4);   // of 15
  CHECK(largest_of_grad < 2e-3);  // of 2,000
}

TEST_CASE("memory that is asked for in large pages keeps what it holds") {
  for (const std::size_t size : {std::size_t{0}, std::size_t{1000}, std::size_t{40} << 20}) {
    std::vector<char> memory(size, 'x');
    kronecker::detail::ask_for_large_pages(memory.data(), size);
    CHECK(std::count(memory.begin(), memory.end(), 'x') == static_cast<std::ptrdiff_t>(size));
  }
}
