#pragma once

/// What an ONNX model of chunks is made of, chosen by its size before anything of it is made.

#include <kronecker/embedding.hpp>
#include <kronecker/error.hpp>
#include <kronecker/integrations/onnx_chunks.hpp>
#include <kronecker/integrations/onnx_rows.hpp>
#include <kronecker/namespace.hpp>
#include <kronecker/types.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string_view>
#include <type_traits>
#include <vector>

namespace KRONECKER_NAMESPACE::detail {

/// What is known of a model before anything is written.
template <class Scalar>
struct OnnxPlan {
  using Embedding = KroneckerEmbedding<Scalar>;
  /// The types of rows of single bytes, of which the runtimes hardly know bfloat16, and of longer chunks.
  using Single = std::conditional_t<std::is_same_v<Scalar, Eigen::bfloat16>, float, Scalar>;
  using Summed = std::conditional_t<std::is_same_v<Scalar, std::int8_t>, std::int16_t, float>;

  OnnxPlan(const Embedding& of, std::optional<std::size_t> max_size)
      : embedding(of), own_rows(of.own_rows() ? of.own_rows()->size() : 0) {
    for (TokenId id = 0; id < embedding.vocab_size(); ++id) {
      const bool is_own = own_rows > 0 && embedding.own_rows()->tokens().find(id);
      tokens.push_back(is_own ? std::string_view()
                              : embedding.token_bytes().bytes_of(static_cast<std::size_t>(id)));
    }
    const std::vector<ChunkCut> cuts = best_cuts(tokens);
    is_exact = sums_are_exact(embedding.rows(), cut_tokens(tokens, cuts.back()).chunks, pos_dim());
    cut = chosen(cuts, max_size);
  }

  std::size_t d_model() const { return static_cast<std::size_t>(embedding.d_model()); }
  std::size_t pos_dim() const { return static_cast<std::size_t>(embedding.encoder().pos_dim()); }
  std::size_t own_kind() const { return pos_dim() + 1; }  // lengths are the kinds before
  std::size_t kinds() const { return pos_dim() + 2; }
  bool has_length_rows() const { return embedding.length_rows().size() > 0; }
  bool takes_product() const { return !is_exact && !has_length_rows(); }

  /// Bytes of the rows of one cut, the zeros and the tokens' own included, and of all that comes with them.
  std::size_t size_of(const ChunkCut& cut_tried) const {
    constexpr std::size_t nodes_and_names = 8192;
    const std::size_t rows = cut_tried.rows + 1 + own_rows, chunks = cut_tried.ends.size();
    const std::size_t number = cut_tried.is_by_bytes() ? sizeof(Single) : sizeof(Summed);
    const std::size_t floats_of_kind = (takes_product()                       ? chunks
                                        : std::is_same_v<Scalar, std::int8_t> ? d_model()
                                                                              : 1) +
                                       (has_length_rows() ? d_model() : 0);
    return nodes_and_names + rows * d_model() * number +
           tokens.size() * (chunks * (has_short_numbers(rows) ? 2 : 4) + sizeof(std::int32_t)) +
           (kinds() * floats_of_kind + d_model()) * sizeof(float);
  }
  static bool has_short_numbers(std::size_t rows) { return rows <= 0x10000; }

  /// The cut of the fewest chunks that fits.
  ChunkCut chosen(const std::vector<ChunkCut>& cuts, std::optional<std::size_t> max_size) const {
    const std::size_t sixth_of_table = tokens.size() * d_model() * sizeof(Summed) / 6;
    const ChunkCut* smallest = &cuts.front();
    for (const ChunkCut& tried : cuts) {
      if (size_of(tried) <= max_size.value_or(sixth_of_table)) return tried;
      if (size_of(tried) < size_of(*smallest)) smallest = &tried;
    }
    if (max_size.value_or(0) > 0)
      fail<std::invalid_argument>("an ONNX model of at most ", *max_size,
                                  " bytes cannot be written: the smallest takes ", size_of(*smallest));
    return *smallest;
  }

  const Embedding& embedding;
  std::size_t own_rows;
  std::vector<std::string_view> tokens;  ///< Empty those that have rows of their own.
  bool is_exact;                         ///< Whether sums of rows have the same bits in every order.
  ChunkCut cut;
};

}  // namespace KRONECKER_NAMESPACE::detail
