#pragma once

/// An embedding as a GPU takes it: pointers to its arrays, and what a call adds to them.
///
///     std::size_t bytes = kronecker::gpu::memory_size(embedding);  // of device memory
///     auto arrays = kronecker::gpu::place(embedding, memory, copy_to_device);
///
/// with copy_to_device(to, from, bytes), which cudaMemcpy(to, from, bytes, cudaMemcpyDefault) is.
/// Or the pointers are set one by one, to what an engine or a framework holds on the device already.

#include <kronecker/kernels/row_type.hpp>
#include <kronecker/namespace.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <vector>

namespace KRONECKER_NAMESPACE::gpu {

using kernels::RowType;

/// All that an embedding is, with pointers to memory of the device. What it has not is null. Every array may
/// lie anywhere, but 16-byte alignment, with a d_model that is a multiple of 8, is what takes little time.
/// Bytes and lengths are trusted: bytes below char_dim, lengths up to pos_dim.
struct EmbeddingArrays {
  std::int32_t vocab_size = 0;                      ///< V.
  std::int32_t d_model = 0;                         ///< Length of an embedding.
  std::int32_t pos_dim = 0;                         ///< Byte b at position p lights cell b * pos_dim + p.
  std::int32_t code_dim = 0;                        ///< Number of cells, D.
  const std::uint8_t* token_bytes = nullptr;        ///< (V, pos_dim), padded with anything.
  const std::uint8_t* token_lengths = nullptr;      ///< (V)
  const float* scales = nullptr;                    ///< (pos_dim + 1): a_L.
  RowType type = RowType::float32;                  ///< Of the rows, and of the rows of their own.
  const void* rows = nullptr;                       ///< (D, d_model)
  const float* column_scales = nullptr;             ///< (d_model), of int8 rows.
  const float* length_rows = nullptr;               ///< (pos_dim + 1, d_model), as kernels::Rows has them.
  const kernels::OwnRowsOf64* own_found = nullptr;  ///< (V / 64, rounded up), as kernels::OwnRows has them.
  const void* own_rows = nullptr;                   ///< (own_count, d_model)
  const float* own_column_scales = nullptr;         ///< (d_model), of int8 rows.
  std::int32_t own_count = 0;                       ///< Tokens that have rows of their own.
  const float* norm_weight = nullptr;               ///< (d_model)
  float norm_epsilon = 0;                           ///< Of that norm.
  const float* unlit_values = nullptr;              ///< (pos_dim + 1), for the gradient of rounded codes.
};

/// Ids on the device: of 32 or 64 bits. One outside the vocabulary is a token without bytes, and is counted.
struct Ids {
  const void* values = nullptr;  ///< (count)
  std::size_t count = 0;         ///< N.
  bool are_int64 = false;        ///< Of 64 bits.

  Ids() = default;
  Ids(const std::int32_t* ids, std::size_t ids_count) : values(ids), count(ids_count) {}  ///< Of 32 bits.
  Ids(const std::int64_t* ids, std::size_t ids_count)
      : values(ids), count(ids_count), are_int64(true) {}  ///< Of 64 bits.
};

/// A forward pass: what ForwardOptions are on the CPU.
struct Forward {
  Ids ids;                              ///< The tokens.
  void* out = nullptr;                  ///< (N, d_model), stride numbers from one to the next.
  RowType out_type = RowType::float32;  ///< Not int8.
  std::size_t stride = 0;               ///< 0: d_model.
  float gain = 1;                       ///< Multiplies all embeddings.
  bool accumulate = false;              ///< Adds to what is there.
  std::uint32_t* outside = nullptr;     ///< A counter to which the number of ids outside V is added; or null.
};

/// A backward pass.
struct Backward {
  Ids ids;                            ///< The tokens.
  const void* grad_out = nullptr;     ///< (N, d_model): the gradient of the loss by the embeddings.
  RowType type = RowType::float32;    ///< Of `grad_out`; not int8.
  float* grad_rows = nullptr;         ///< (D + own_count, d_model): of the rows, then of those of their own.
  float* grad_norm_weight = nullptr;  ///< (d_model), if there is a norm; it is added to.
  double* shared = nullptr;           ///< (d_model): ProjectionGradient::shared, for rounded codes; added to.
  bool accumulate = false;            ///< Adds to what `grad_rows` holds instead of replacing all of it.
  bool subtracts_mean = false;  ///< Of weights as they lie and z-normalized codes: minus the mean of D rows.
  std::uint32_t* outside = nullptr;  ///< As in Forward.
};

namespace detail {

/// Memory that is divided into arrays, each aligned to 256 bytes. Of null, it only counts.
class Division {
 public:
  explicit Division(void* memory) : memory_(static_cast<char*>(memory)) {}

  template <class T>
  T* take(std::size_t count) {
    constexpr std::size_t alignment = 256;
    char* const array = memory_ == nullptr ? nullptr : memory_ + size_;
    size_ += (count * sizeof(T) + alignment - 1) / alignment * alignment;
    return reinterpret_cast<T*>(array);
  }
  std::size_t size() const { return size_; }

 private:
  char* memory_;
  std::size_t size_ = 0;
};

template <class Embedding, class Copy>
EmbeddingArrays place(const Embedding& embedding, Division& memory, const Copy& copy) {
  const auto placed = [&]<class T>(const T* from, std::size_t count) -> const T* {
    if (from == nullptr || count == 0) return nullptr;
    T* const to = memory.take<T>(count);
    if (to != nullptr) copy(to, static_cast<const void*>(from), count * sizeof(T));
    return to;
  };
  const auto& encoder = embedding.encoder();
  const auto& tokens = embedding.token_bytes();
  const auto& rows = embedding.rows();
  const auto pos_dim = static_cast<std::size_t>(encoder.pos_dim());
  const std::vector<float> scales = encoder.scales();
  EmbeddingArrays arrays;
  arrays.vocab_size = embedding.vocab_size();
  arrays.d_model = embedding.d_model();
  arrays.pos_dim = encoder.pos_dim();
  arrays.code_dim = encoder.code_dim();
  arrays.token_bytes = placed(tokens.bytes().data(), tokens.bytes().size());
  arrays.token_lengths = placed(tokens.lengths().data(), tokens.lengths().size());
  arrays.scales = placed(scales.data(), scales.size());
  arrays.type = std::remove_cvref_t<decltype(rows)>::type;
  arrays.rows = placed(rows.values().data(), rows.values().size());
  arrays.column_scales = placed(rows.column_scales().data(), rows.column_scales().size());
  arrays.length_rows = placed(embedding.length_rows().data(), embedding.length_rows().size());
  if (const auto& own = embedding.own_rows()) {
    const std::size_t words = static_cast<std::size_t>(embedding.vocab_size()) / 64 + 1;
    arrays.own_found = placed(own->tokens().found(), words);
    arrays.own_rows = placed(own->rows().values().data(), own->rows().values().size());
    arrays.own_column_scales = placed(own->rows().column_scales().data(), own->rows().column_scales().size());
    arrays.own_count = static_cast<std::int32_t>(own->size());
  }
  if (const auto& norm = embedding.norm()) {
    arrays.norm_weight = placed(norm->weight().data(), norm->weight().size());
    arrays.norm_epsilon = norm->epsilon();
  }
  if (encoder.has_length_rows()) {
    std::vector<float> unlit(pos_dim + 1);
    for (std::size_t length = 0; length < unlit.size(); ++length)
      unlit[length] = encoder.unlit_value(static_cast<int>(length));
    arrays.unlit_values = placed(unlit.data(), unlit.size());
  }
  return arrays;
}

}  // namespace detail

/// Bytes of device memory that `place` takes for a KroneckerEmbedding.
template <class Embedding>
std::size_t memory_size(const Embedding& embedding) {
  detail::Division counted(nullptr);
  detail::place(embedding, counted, [](void*, const void*, std::size_t) {});
  return counted.size();
}

/// Copies the arrays of a KroneckerEmbedding into `memory`, by `copy(to, from, bytes)`, which has copied when
/// it returns; 256-byte alignment of the memory, as cudaMalloc has it, is that of each array. O(bytes).
template <class Embedding, class Copy>
EmbeddingArrays place(const Embedding& embedding, void* memory, const Copy& copy) {
  detail::Division division(memory);
  return detail::place(embedding, division, copy);
}

}  // namespace KRONECKER_NAMESPACE::gpu
