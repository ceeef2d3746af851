#pragma once

/// Threads for the length of a call: they are started for enough work, and joined before it returns, so that
/// nothing is left for a fork to break.

#include <cstddef>
#include <thread>
#include <vector>

namespace kronecker_c {

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

/// Threads as training/arrays.hpp takes them.
struct Threads {
  std::size_t most;  ///< At a time.

  template <class Work>
  void operator()(std::size_t count, const Work& work) const {
    on_threads(count, work);
  }
};

}  // namespace kronecker_c
