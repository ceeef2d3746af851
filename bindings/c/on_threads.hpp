#pragma once

/// Threads for the length of a call: those of a pool, if one was given, or started ones, which are joined
/// before the call returns, so that nothing is left for a fork to break.

#include "kronecker.h"

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <thread>
#include <vector>

namespace kronecker_c {

/// The pool that kronecker_use_pool was given last.
inline std::atomic<kronecker_pool> pool = nullptr;

/// Threads as training/arrays.hpp takes them.
struct Threads {
  std::size_t most;  ///< At a time.
  kronecker_pool run = pool;

  /// Numbers for which a thread is worth having. Starting and joining one, whose caches have nothing of the
  /// work, takes up to a fifth of the half millisecond that 2^22 take; those of a pool are there.
  std::size_t least_numbers = std::size_t{1} << (run == nullptr ? 22 : 17);

  /// Calls `work(part)`, which must not throw, for each of `count` parts. Threads take one after the other,
  /// so that it does not matter how many come, and when.
  template <class Work>
  void operator()(std::size_t count, std::size_t threads, const Work& work) const {
    std::atomic<std::size_t> next = 0;
    auto take_parts = [&]() noexcept {
      for (std::size_t part = next++; part < count; part = next++) work(part);
    };
    threads = (std::min)(threads, count);
    if (threads < 2) return take_parts();
    if (run != nullptr) {
      run([](void* taken) { (*static_cast<decltype(take_parts)*>(taken))(); }, &take_parts,
          static_cast<unsigned>(threads), 0);
      return;
    }
    std::vector<std::thread> started;
    started.reserve(threads - 1);
    try {
      while (started.size() < threads - 1) started.emplace_back(take_parts);
    } catch (...) {  // no more are to be had
    }
    take_parts();
    for (std::thread& thread : started) thread.join();
  }
};

}  // namespace kronecker_c
