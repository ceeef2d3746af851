#pragma once

/// Ways to turn ids into embeddings, and how they are led through a text window by window.

#include "memory.hpp"
#include "side_by_side.hpp"
#include "workload.hpp"

#include <memory>
#include <stdexcept>

namespace benchmarks {

/// Writes the embeddings of `ids`, (N, d_model), to `out`.
using Embed = std::function<void(std::span<const TokenId> ids, std::span<float> out)>;

/// Copies rows of `count` numbers from `values` on, which must outlive it, each to its place in the output.
template <class Number>
Embed copy_of_rows(const Number* values, std::size_t count, bool in_vectors) {
  return [=](std::span<const TokenId> ids, std::span<float> out) {
    const std::size_t size = count * sizeof(Number);
    auto* to = reinterpret_cast<char*>(out.data());
    for (const TokenId id : ids) {
      copy_fairly(values + static_cast<std::size_t>(id) * count, size, to, in_vectors);
      to += size;
    }
  };
}

/// Whether vectors copy rows of that table faster than memcpy does.
inline bool are_vectors_faster(const RowMajorMatrix<float>& table) {
  constexpr std::size_t rows_in_piece = 64, pieces = 101;
  const auto d_model = static_cast<std::size_t>(table.cols());
  std::vector<float> out(rows_in_piece * d_model);
  const auto copy = [&](bool in_vectors) {
    return [&, embed = copy_of_rows(table.data(), d_model, in_vectors)](std::size_t piece) {
      std::vector<TokenId> ids(rows_in_piece);
      for (std::size_t i = 0; i < rows_in_piece; ++i)
        ids[i] = static_cast<TokenId>((piece * rows_in_piece + i) * 48271 %
                                      static_cast<std::size_t>(table.rows()));
      embed(ids, out);
    };
  };
  return compare(copy(true), copy(false), pieces, 1).ratio < 1;
}

/// Copies rows of `table`, which must outlive it: with memcpy, or with vectors where those are faster.
inline Embed copy_of(const RowMajorMatrix<float>& table) {
  return copy_of_rows(table.data(), static_cast<std::size_t>(table.cols()), are_vectors_faster(table));
}

/// The library's forward pass.
template <class Scalar>
Embed forward_of(const Embedding<Scalar>& embedding) {
  return [embedding](std::span<const TokenId> ids, std::span<float> out) { embedding.forward(ids, out); };
}

using Output = std::shared_ptr<std::vector<float>>;

/// Ids in windows of `window`, each embedded by a call of its own. A piece that is timed is a window, or as
/// many small ones as make 64 ids, so that reading the clock costs nothing beside it.
struct Windows {
  std::span<const TokenId> ids;
  std::size_t window;
  std::size_t d_model;

  std::size_t ids_in_piece() const { return std::max<std::size_t>(window, 64); }
  std::size_t pieces() const { return std::max<std::size_t>(ids.size() / ids_in_piece(), 1); }
  double nanoseconds_per_token(double seconds_per_piece) const {
    return seconds_per_piece * 1e9 / static_cast<double>(std::min(ids_in_piece(), ids.size()));
  }

  /// Memory for the embeddings of a window. How fast it is depends on the physical pages that the system
  /// happened to give, by up to a factor of 1.7 where windows are large: what is compared shares outputs.
  Output new_output() const { return std::make_shared<std::vector<float>>(window * d_model); }

  /// A contender that embeds the windows of a piece into `out`.
  Contender through(const Embed& embed, const Output& out) const {
    return [embed, out, *this](std::size_t piece) {
      const auto piece_ids = ids.subspan(piece * ids_in_piece(), std::min(ids_in_piece(), ids.size()));
      for (std::size_t at = 0; at < piece_ids.size(); at += window)
        embed(piece_ids.subspan(at, window), *out);
    };
  }
};

/// Compares two ways to embed the same windows. Each has an output of its own, and in a second pass the
/// other's; the times of a piece in both passes are added.
inline Comparison compare(const Embed& ours, const Embed& reference, const Windows& windows, int runs = 3) {
  const Output a = windows.new_output(), b = windows.new_output();
  const auto pass = [&](const Output& of_reference, const Output& of_ours) {
    return time_side_by_side({windows.through(reference, of_reference), windows.through(ours, of_ours)},
                             windows.pieces());
  };
  return best_comparison(runs, [&] {
    auto seconds = pass(a, b);
    const auto exchanged = pass(b, a);
    for (std::size_t c = 0; c < 2; ++c)
      for (std::size_t piece = 0; piece < windows.pieces(); ++piece)
        seconds[c][piece] = (seconds[c][piece] + exchanged[c][piece]) / 2;
    return seconds;
  });
}

/// Throws std::runtime_error unless the two embed the first `count` ids alike: each embedding's cosine with
/// the reference's is at least `least_cosine`, and with 1 they have the same bits.
inline void check_agreement(const std::string& name, const Embed& ours, const Embed& reference,
                            std::span<const TokenId> ids, std::size_t d_model, double least_cosine = 1,
                            std::size_t count = 512) {
  ids = ids.first(std::min(ids.size(), count));
  const auto rows = static_cast<Eigen::Index>(ids.size());
  RowMajorMatrix<float> a(rows, static_cast<Eigen::Index>(d_model)), b(a.rows(), a.cols());
  ours(ids, {a.data(), ids.size() * d_model});
  reference(ids, {b.data(), ids.size() * d_model});
  if (a == b) return;
  for (Eigen::Index row = 0; row < rows; ++row) {
    const double norms = static_cast<double>(a.row(row).norm()) * static_cast<double>(b.row(row).norm());
    const double cosine = a.row(row).cast<double>().dot(b.row(row).cast<double>()) / norms;
    if (least_cosine >= 1 || !(norms == 0 || cosine >= least_cosine))
      throw std::runtime_error(name + ": the embeddings of token " +
                               std::to_string(ids[static_cast<std::size_t>(row)]) + " have the cosine " +
                               std::to_string(cosine));
  }
}

/// How close embeddings from rounded rows must be to those from float32 rows.
inline double least_cosine(const std::string& row_type) {
  return row_type == "float32" ? 1 : row_type == "int8" ? 0.9999 : 0.99999;
}

}  // namespace benchmarks
