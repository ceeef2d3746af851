/// ThreadSanitizer sees every read of the kernels: that one thread writes a row which another one reads is
/// reported for rows of every type, with every instruction set, and that it writes another row is not.

#include "child.hpp"

#include <kronecker/kernels/gather_sum.hpp>

#include <thread>
#include <vector>

namespace kernels = kronecker::kernels;
using kernels::InstructionSet;
using kernels::RowType;

// Without names of functions: looking them up takes most of the time.
extern "C" const char* __tsan_default_options() { return "symbolize=0"; }

namespace {

constexpr std::size_t d_model = 64;

/// One thread reads row 1, another one writes the last number of row `written`.
template <RowType type>
void read_and_write(InstructionSet set, std::size_t written) {
  const std::uint8_t byte = 1, length = 1;
  const std::vector<float> scales = {0, 1}, column_scales(d_model, 1.0f);
  const std::int32_t id = 0;
  std::vector<char> rows(2 * d_model * kernels::size_of(type));
  std::vector<float> out(d_model);
  std::thread writer([&] { rows[(written + 1) * d_model * kernels::size_of(type) - 1] = 1; });
  std::thread reader([&] {
    kernels::gather_sum<type, RowType::float32>(set, {rows.data(), column_scales.data(), d_model, 1},
                                                {&byte, &length, scales.data(), &id, 1},
                                                {out.data(), d_model, false});
  });
  writer.join();
  reader.join();
}

}  // namespace

int main() {
  const bool is_right = test_support::for_each_type_and_set([]<RowType type>(InstructionSet set) {
    return test_support::is_told_apart(
        "rows of type " + std::to_string(static_cast<int>(type)) + ", instruction set " +
            std::to_string(static_cast<int>(set)),
        "data race", [&] { read_and_write<type>(set, 1); }, [&] { read_and_write<type>(set, 0); });
  });
  return is_right ? 0 : 1;
}
