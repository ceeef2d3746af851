#pragma once

/// What the library is compared with in LibTorch.

#include "workload.hpp"

#include <fmt/core.h>
#include <torch/torch.h>

#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace benchmarks {

using at::Tensor;

/// A tensor that shares the numbers of a row-major (rows, columns) array.
inline Tensor share(const void* numbers, std::int64_t rows, std::int64_t columns, at::ScalarType type) {
  return at::from_blob(const_cast<void*>(numbers), {rows, columns}, at::TensorOptions(type));
}
inline Tensor share(const RowMajorMatrix<float>& matrix) {
  return share(matrix.data(), matrix.rows(), matrix.cols(), at::kFloat);
}

/// The layer as torch holds it.
class TorchLayer {
 public:
  explicit TorchLayer(const Workload& work)
      : embedding_(work.embedding),
        pos_dim_(work.setting.pos_dim),
        code_dim_(work.embedding.encoder().code_dim()),
        table_(share(work.table)),
        rows_(share(work.embedding.rows().values().data(), code_dim_, work.setting.d_model, at::kFloat)
                  .clone()),
        weight_(rows_.t().contiguous()),
        bytes_(
            share(work.embedding.token_bytes().bytes().data(), work.setting.vocab_size, pos_dim_, at::kByte)),
        lengths_(share(work.embedding.token_bytes().lengths().data(), work.setting.vocab_size, 1, at::kByte)
                     .flatten()
                     .to(at::kShort)),
        cells_(bytes_.to(at::kLong) * pos_dim_ + at::arange(pos_dim_)) {}

  Tensor embedding(const Tensor& ids) const { return at::embedding(table_, ids); }
  Tensor index_select(const Tensor& ids) const { return table_.index_select(0, ids); }

  // The sums of rows, without the factor; which rows is found out beforehand.
  Tensor bag(const Tensor& cells, const Tensor& offsets) const {
    return std::get<0>(at::embedding_bag(rows_, cells, offsets));
  }

  // The same from ids: the cells of every token of the vocabulary are kept, (V, pos_dim), and those that a
  // token lights are picked out.
  Tensor bag(const Tensor& ids) const {
    const Tensor lengths = lengths_.index_select(0, ids).to(at::kLong);
    const Tensor is_byte = at::arange(pos_dim_) < lengths.unsqueeze(1);
    return bag(cells_.index_select(0, ids).masked_select(is_byte), lengths.cumsum(0) - lengths);
  }

  // Codes made for the occasion, as the reference makes them: scattered, then normalized.
  Tensor codes(const Tensor& ids) const {
    const Tensor bytes = bytes_.index_select(0, ids).to(at::kLong);
    const Tensor lengths = lengths_.index_select(0, ids).to(at::kLong);
    const Tensor positions = at::arange(pos_dim_).unsqueeze(0).expand({ids.size(0), -1});
    const Tensor is_byte = (positions < lengths.unsqueeze(1)).to(at::kFloat);
    const Tensor norm = at::rsqrt(lengths.clamp_min(1).to(at::kFloat));
    Tensor code = at::zeros({ids.size(0), code_dim_});
    code.scatter_add_(1, bytes * pos_dim_ + positions, is_byte * norm.unsqueeze(1));
    const Tensor mean = code.mean(-1, true);
    const Tensor deviation = (code - mean).std(-1, /*unbiased=*/true, /*keepdim=*/true) + 1e-6;
    return (code - mean) / deviation;
  }
  Tensor project(const Tensor& codes) const { return at::linear(codes, weight_); }

  // All codes, (V, D), as the reference's cached mode keeps them.
  Tensor all_codes() const {
    std::vector<Tensor> parts;
    for (const Tensor& ids : at::arange(lengths_.size(0)).split(1024)) parts.push_back(codes(ids));
    return at::cat(parts);
  }

  // The cells of tokens, one after the other, and where each token's start.
  std::pair<Tensor, Tensor> cells(std::span<const TokenId> ids) const {
    std::vector<std::int64_t> cells, offsets;
    const auto pos_dim = static_cast<std::size_t>(pos_dim_);
    for (const TokenId token : ids) {
      const auto id = static_cast<std::size_t>(token);
      offsets.push_back(static_cast<std::int64_t>(cells.size()));
      for (std::size_t p = 0; p < embedding_.token_bytes().lengths()[id]; ++p)
        cells.push_back(
            static_cast<std::int64_t>(embedding_.token_bytes().bytes()[id * pos_dim + p] * pos_dim + p));
    }
    return {at::tensor(cells), at::tensor(offsets)};
  }

 private:
  Embedding<float> embedding_;
  std::int64_t pos_dim_, code_dim_;
  Tensor table_, rows_, weight_, bytes_, lengths_, cells_;
};

/// Throws unless all numbers are close.
inline void check_close(const std::string& name, const Tensor& found, const Tensor& expected) {
  const double difference = (found - expected).abs().max().item<double>();
  if (!(difference < 1e-3)) throw std::runtime_error(fmt::format("{} is {} away", name, difference));
}

}  // namespace benchmarks
