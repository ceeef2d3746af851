/// AddressSanitizer sees every read of the kernels: a buffer that ends one number too early is reported for
/// rows of every type, with every instruction set, and one of the right size is not. (Of a read of 32 bytes
/// and more that begins inside the buffer it may say unknown-crash in place of heap-buffer-overflow.)

#include "child.hpp"

#include <kronecker/kernels/gather_sum.hpp>
#include <kronecker/kernels/row_products.hpp>
#include <kronecker/kernels/scatter_add.hpp>
#include <kronecker/training/tokens_by_cell.hpp>

#include <memory>
#include <vector>

namespace kernels = kronecker::kernels;
using kernels::InstructionSet;
using kernels::RowType;

// Without names of functions: looking them up takes most of the time.
extern "C" const char* __asan_default_options() { return "symbolize=0"; }

namespace {

/// One token of the byte 1, of two bytes: it lights the second and last of the rows.
const std::uint8_t token_byte = 1, token_length = 1;
const float token_scales[] = {0, 1};
const std::int32_t token_id = 0;
constexpr kernels::Tokens token{&token_byte, &token_length, token_scales, &token_id, 1};

/// Zeros, on the heap.
template <class T>
std::unique_ptr<T[]> zeros(std::size_t count) {
  return std::make_unique<T[]>(count);
}

template <RowType type>
void sum_rows(InstructionSet set, std::size_t d_model, std::size_t missing) {
  const auto rows = zeros<char>((2 * d_model - missing) * kernels::size_of(type));
  const auto column_scales = zeros<float>(d_model), out = zeros<float>(d_model);
  kernels::gather_sum<type, RowType::float32>(set, {rows.get(), column_scales.get(), d_model, 1}, token,
                                              {out.get(), d_model, false});
}

template <RowType type>
void multiply_rows(InstructionSet set, std::size_t d_model, std::size_t missing) {
  const auto rows = zeros<char>((2 * d_model - missing) * kernels::size_of(type));
  const auto vector = zeros<float>(d_model), out = zeros<float>(2);
  const std::uint32_t cells[] = {0, 1};
  kernels::multiply_rows<type>(set, {rows.get(), nullptr, d_model, 1},
                               {cells, 2, vector.get(), 1, out.get(), 1});
}

void add_gradient(InstructionSet set, std::size_t d_model, std::size_t missing) {
  const auto grad_out = zeros<float>(d_model - missing), gradient = zeros<float>(2 * d_model);
  kernels::scatter_add(set, token, grad_out.get(), {gradient.get(), d_model, 1, 0, d_model});
}

void add_block_sums(InstructionSet set, std::size_t d_model, std::size_t missing) {
  const auto grad_out = zeros<float>(d_model - missing), gradient = zeros<float>(2 * d_model);
  kronecker::detail::TokensByCell by_cell(1, 1);
  by_cell.assign(token);
  kernels::add_block_sums<RowType::float32>(set, by_cell.view(), grad_out.get(),
                                            {gradient.get(), d_model, 0, d_model});
}

bool check(const std::string& kernel, void (*run)(InstructionSet, std::size_t, std::size_t),
           InstructionSet set) {
  bool is_right = true;
  for (const std::size_t d_model : {300u, 64u, 3u}) {
    const std::string what = kernel + ", instruction set " + std::to_string(static_cast<int>(set)) +
                             ", d_model " + std::to_string(d_model);
    is_right &= test_support::is_told_apart(
        what, "ERROR: AddressSanitizer", [&] { run(set, d_model, 1); }, [&] { run(set, d_model, 0); });
  }
  return is_right;
}

}  // namespace

int main() {
  bool is_right = test_support::for_each_type_and_set([]<RowType type>(InstructionSet set) {
    const std::string rows = " of rows of type " + std::to_string(static_cast<int>(type));
    const bool is_seen = check("sums" + rows, sum_rows<type>, set);
    return check("products" + rows, multiply_rows<type>, set) && is_seen;
  });
  for (const InstructionSet set : test_support::instruction_sets())
    is_right &= check("gradients", add_gradient, set) & check("sums of blocks", add_block_sums, set);
  return is_right ? 0 : 1;
}
