#pragma once

/// How an ONNX model cuts tokens into chunks of bytes.
///
/// The graph gathers a row for each chunk of a token and adds them, as many for every token, so few chunks
/// are fast. A chunk of several bytes has the sum of their rows for its row, and each that some token has
/// takes one, so many chunks are small. What lies between depends on the vocabulary alone: here is for each
/// number of chunks the cut that takes the fewest rows.

#include <kronecker/namespace.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <numeric>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace KRONECKER_NAMESPACE::detail {

/// How tokens are cut: chunk k is what a token has from `ends[k - 1]`, or 0, to before `ends[k]`.
struct ChunkCut {
  std::vector<std::size_t> ends;  ///< Ascending; the last is the length of the longest token, at least 1.
  std::size_t rows = 0;           ///< How many different chunks tokens have, empty ones left out.

  /// Whether chunks are single bytes.
  bool is_by_bytes() const noexcept { return ends.size() == ends.back(); }
};

/// Entry n: how many different chunks of at most n bytes tokens have from position `first` on. `width` is the
/// length of the longest token. O(V log V) comparisons.
inline std::vector<std::size_t> count_chunks(const std::vector<std::string_view>& tokens, std::size_t first,
                                             std::size_t width) {
  std::vector<std::string_view> rests;
  for (const std::string_view token : tokens)
    if (token.size() > first) rests.push_back(token.substr(first));
  std::sort(rests.begin(), rests.end());
  rests.erase(std::unique(rests.begin(), rests.end()), rests.end());
  // In this order a rest is a new chunk as soon as chunks are longer than what it shares with the one before.
  std::vector<std::size_t> counts(width - first + 1);
  std::string_view before;
  for (const std::string_view rest : rests) {
    const auto end = rest.begin() + static_cast<std::ptrdiff_t>((std::min)(rest.size(), before.size()));
    const auto shared = std::mismatch(rest.begin(), end, before.begin()).first - rest.begin();
    ++counts[static_cast<std::size_t>(shared) + 1];
    before = rest;
  }
  std::partial_sum(counts.begin(), counts.end(), counts.begin());
  return counts;
}

/// Entry n - 1 has n chunks and the fewest rows that these can have; the last entry is by bytes. O(width)
/// times `count_chunks`, and O(width^3).
inline std::vector<ChunkCut> best_cuts(const std::vector<std::string_view>& tokens) {
  std::size_t width = 1;
  for (const std::string_view token : tokens) width = (std::max)(width, token.size());
  std::vector<std::vector<std::size_t>> counts;
  for (std::size_t first = 0; first < width; ++first) counts.push_back(count_chunks(tokens, first, width));

  // best[n][end]: n chunks before `end`. The last of them may begin anywhere.
  constexpr std::size_t impossible = (std::numeric_limits<std::size_t>::max)();
  struct Best {
    std::size_t rows = impossible, last_begin = 0;
  };
  std::vector<std::vector<Best>> best(width + 1, std::vector<Best>(width + 1));
  best[0][0].rows = 0;
  for (std::size_t n = 1; n <= width; ++n)
    for (std::size_t end = n; end <= width; ++end)
      for (std::size_t begin = n - 1; begin < end; ++begin) {
        if (best[n - 1][begin].rows == impossible) continue;
        const std::size_t rows = best[n - 1][begin].rows + counts[begin][end - begin];
        if (rows < best[n][end].rows) best[n][end] = {rows, begin};
      }

  std::vector<ChunkCut> cuts;
  for (std::size_t n = 1; n <= width; ++n) {
    ChunkCut cut{std::vector<std::size_t>(n), best[n][width].rows};
    for (std::size_t k = n, end = width; k > 0; end = best[k--][end].last_begin) cut.ends[k - 1] = end;
    cuts.push_back(cut);
  }
  return cuts;
}

/// The bytes of tokens from a position on.
struct Chunk {
  std::size_t first;       ///< Position of the first byte.
  std::string_view bytes;  ///< Not empty.
};

/// The different chunks of some tokens, and for each token the numbers of its chunks.
struct ChunkedTokens {
  std::vector<Chunk> chunks;             ///< Valid as long as the tokens.
  std::vector<std::uint32_t> of_tokens;  ///< (V, chunks of the cut); where there is none, `chunks.size()`.
};

/// Cuts tokens. Equal chunks have the same number; numbers go up with the position, then the token. O(V *
/// chunks).
inline ChunkedTokens cut_tokens(const std::vector<std::string_view>& tokens, const ChunkCut& cut) {
  ChunkedTokens found;
  const auto none = static_cast<std::uint32_t>(cut.rows);
  found.chunks.reserve(cut.rows);
  found.of_tokens.assign(tokens.size() * cut.ends.size(), none);
  std::size_t first = 0;
  for (std::size_t k = 0; k < cut.ends.size(); first = cut.ends[k++]) {
    std::unordered_map<std::string_view, std::uint32_t> numbers;
    for (std::size_t id = 0; id < tokens.size(); ++id) {
      if (tokens[id].size() <= first) continue;
      const std::string_view bytes = tokens[id].substr(first, cut.ends[k] - first);
      const auto [number, is_new] = numbers.emplace(bytes, static_cast<std::uint32_t>(found.chunks.size()));
      if (is_new) found.chunks.push_back({first, bytes});
      found.of_tokens[id * cut.ends.size() + k] = number->second;
    }
  }
  return found;
}

}  // namespace KRONECKER_NAMESPACE::detail
