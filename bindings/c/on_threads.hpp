#pragma once

/// Threads for the length of a call: they are started for enough work, and joined before it returns, so that
/// nothing is left for a fork to break.

#include <algorithm>
#include <cstddef>
#include <thread>
#include <vector>

namespace kronecker_c {

/// Numbers that are read, added or written by a thread at least: about 50 microseconds, where starting and
/// joining one takes 20.
inline constexpr std::size_t least_numbers = std::size_t{1} << 19;

/// Into how many parts to split work on so many numbers: at most `threads`, and at most `pieces`.
inline std::size_t part_count(std::size_t numbers, std::size_t threads, std::size_t pieces) noexcept {
  return std::clamp<std::size_t>(std::min(numbers / least_numbers, pieces), 1, threads);
}

/// Calls `work(part)` for each of `count` parts, the first on this thread and each other on one of its own;
/// on this one too, where no more threads are to be had. `work` must not throw.
template <class Work>
void on_threads(std::size_t count, const Work& work) {
  std::vector<std::thread> threads;
  threads.reserve(count - 1);
  std::size_t part = 1;
  try {
    for (; part < count; ++part) threads.emplace_back([&work, part]() noexcept { work(part); });
  } catch (...) {
    for (; part < count; ++part) work(part);
  }
  work(0);
  for (std::thread& thread : threads) thread.join();
}

}  // namespace kronecker_c
