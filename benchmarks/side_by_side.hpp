#pragma once

/// Timing that survives a busy machine: contenders take turns on the same pieces of work, and are compared by
/// the median of the ratios, piece by piece.

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <functional>
#include <vector>

namespace benchmarks {

/// Does a contender's work on one piece.
using Contender = std::function<void(std::size_t piece)>;

inline double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

/// Runs every contender on every piece, in turns, each starting at its own place, so that none finds in the
/// cache what another has just read. Returns seconds[contender][piece].
inline std::vector<std::vector<double>> time_side_by_side(const std::vector<Contender>& contenders,
                                                          std::size_t pieces) {
  using Clock = std::chrono::steady_clock;
  std::vector<std::vector<double>> seconds(contenders.size(), std::vector<double>(pieces));
  for (const Contender& contender : contenders) contender(0);
  for (std::size_t turn = 0; turn < pieces; ++turn)
    for (std::size_t c = 0; c < contenders.size(); ++c) {
      const std::size_t piece = (turn + c * pieces / contenders.size()) % pieces;
      const auto start = Clock::now();
      contenders[c](piece);
      seconds[c][piece] = std::chrono::duration<double>(Clock::now() - start).count();
    }
  return seconds;
}

/// Median over the pieces of (time of a) / (time of b).
inline double median_ratio(const std::vector<double>& a, const std::vector<double>& b) {
  std::vector<double> ratios(a.size());
  std::transform(a.begin(), a.end(), b.begin(), ratios.begin(), std::divides<>());
  return median(std::move(ratios));
}

/// Median seconds that one contender takes for a piece, alone.
inline double median_seconds(const Contender& contender, std::size_t pieces) {
  return median(time_side_by_side({contender}, pieces)[0]);
}

/// What came out of letting one contender take turns with another.
struct Comparison {
  double ratio;              ///< median over the pieces of (time of ours) / (time of theirs)
  double seconds;            ///< median for one piece, ours
  double reference_seconds;  ///< median for one piece, theirs
};

/// Compares `runs` times by what `time` returns, {seconds of theirs, seconds of ours} for each piece; the run
/// with the least ratio.
template <class Time>
Comparison best_comparison(int runs, Time&& time) {
  std::vector<Comparison> results;
  for (int run = 0; run < runs; ++run) {
    const std::vector<std::vector<double>> seconds = time();
    results.push_back({median_ratio(seconds[1], seconds[0]), median(seconds[1]), median(seconds[0])});
  }
  return *std::min_element(results.begin(), results.end(),
                           [](const Comparison& a, const Comparison& b) { return a.ratio < b.ratio; });
}

/// Lets `ours` and `reference` take turns over all pieces, `runs` times over; the run with the least ratio.
/// Two at a time, since more contenders would push each other's numbers out of the caches.
inline Comparison compare(const Contender& ours, const Contender& reference, std::size_t pieces,
                          int runs = 3) {
  return best_comparison(runs, [&] { return time_side_by_side({reference, ours}, pieces); });
}

}  // namespace benchmarks
