/// The functions of the C interface that work on the caller's arrays.

#include "on_threads.hpp"
#include "status.hpp"

#include <kronecker/encoder.hpp>
#include <kronecker/kernels/row_type.hpp>
#include <kronecker/training/arrays.hpp>

#include <cstdint>
#include <limits>
#include <type_traits>

namespace {

using kronecker::detail::ArraySequence;
using kronecker::detail::fail;
using kronecker::kernels::RowType;
using kronecker_c::check_pointer;
using kronecker_c::Threads;

kronecker::DynamicEncoder encoder_of(const kronecker_code* code) {
  check_pointer("code", code);
  return {
      code->char_dim, code->pos_dim, {code->length_normalize != 0, code->z_normalize != 0, code->epsilon}};
}

/// Whether the rows' mean is to be subtracted: they lie as they were learned, not centered.
bool subtracts_mean(const kronecker_code& code) { return code.z_normalize != 0 && code.z_normalize != 2; }

std::size_t checked_width(std::int64_t d_model) {
  if (d_model < 1 || d_model > std::numeric_limits<std::int32_t>::max())
    fail<std::invalid_argument>("d_model ", d_model, " is outside 1 to ",
                                std::numeric_limits<std::int32_t>::max());
  return static_cast<std::size_t>(d_model);
}

Threads checked_threads(std::int32_t threads) {
  if (threads < 1) fail<std::invalid_argument>("threads ", threads, " is below 1");
  return {.most = static_cast<std::size_t>(threads)};
}

/// Calls `work` with the type as a constant.
template <class Work>
void with_type(const char* name, kronecker_type type, Work work) {
  switch (type) {
    case KRONECKER_FLOAT32:
      return work(std::integral_constant<RowType, RowType::float32>());
    case KRONECKER_BFLOAT16:
      return work(std::integral_constant<RowType, RowType::bfloat16>());
    case KRONECKER_FLOAT16:
      return work(std::integral_constant<RowType, RowType::float16>());
  }
  fail<std::invalid_argument>(name, " ", static_cast<int>(type), " is none of kronecker_type");
}

ArraySequence sequence_of(const kronecker::DynamicEncoder& encoder, const kronecker_tokens* tokens,
                          const std::int64_t* ids, std::size_t count) {
  check_pointer("tokens", tokens);
  check_pointer("ids", ids, count);
  check_pointer("tokens->bytes", tokens->bytes, count);
  check_pointer("tokens->lengths", tokens->lengths, count);
  return {encoder, {tokens->bytes, tokens->lengths, tokens->vocab_size}, ids, count};
}

void check_size(std::size_t count, std::size_t width) {
  if (count > std::numeric_limits<std::size_t>::max() / sizeof(float) / width)
    fail<std::invalid_argument>(count, " embeddings of d_model ", width, " do not fit into memory");
}

}  // namespace

kronecker_status kronecker_forward(const kronecker_code* code, const kronecker_tokens* tokens,
                                   const void* rows, kronecker_type row_type, int64_t d_model,
                                   const int64_t* ids, size_t count, void* out, kronecker_type out_type,
                                   int32_t threads) {
  return kronecker_c::guarded([&] {
    const kronecker::DynamicEncoder encoder = encoder_of(code);
    const std::size_t width = checked_width(d_model);
    const Threads parallel = checked_threads(threads);
    check_pointer("rows", rows, count);
    check_pointer("out", out, count);
    check_size(count, width);
    const ArraySequence sequence = sequence_of(encoder, tokens, ids, count);
    with_type("row_type", row_type, [&](auto type) {
      with_type("out_type", out_type, [&](auto to_type) {
        kronecker::detail::embed_arrays<type, to_type>(encoder, subtracts_mean(*code), sequence, rows, width,
                                                       out, parallel);
      });
    });
  });
}

kronecker_status kronecker_backward(const kronecker_code* code, const kronecker_tokens* tokens,
                                    int64_t d_model, const int64_t* ids, size_t count, const void* grad_out,
                                    kronecker_type grad_type, void* grad_rows, kronecker_type row_type,
                                    int32_t threads) {
  return kronecker_c::guarded([&] {
    const kronecker::DynamicEncoder encoder = encoder_of(code);
    const std::size_t width = checked_width(d_model);
    const Threads parallel = checked_threads(threads);
    check_pointer("grad_out", grad_out, count);
    check_pointer("grad_rows", grad_rows);
    check_size(count, width);
    const ArraySequence sequence = sequence_of(encoder, tokens, ids, count);
    with_type("grad_type", grad_type, [&](auto type) {
      with_type("row_type", row_type, [&](auto to_type) {
        kronecker::detail::scatter_arrays<type, to_type>(encoder, subtracts_mean(*code), sequence, grad_out,
                                                         width, grad_rows, parallel);
      });
    });
  });
}

void kronecker_use_pool(kronecker_pool run) { kronecker_c::pool = run; }
