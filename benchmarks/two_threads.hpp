#pragma once

/// Two threads for work that can be split, and what plain ways to move numbers gain by them.

#include "contenders.hpp"

#include <kronecker/types.hpp>

#include <atomic>
#include <functional>
#include <thread>

namespace benchmarks {

/// A second thread that waits for its half of some work, spinning, as the pools of inference engines do.
class SecondThread {
 public:
  SecondThread() : thread_([this] { serve(); }) {}
  ~SecondThread() {
    work_ = nullptr;
    ++given_;
    thread_.join();
  }
  SecondThread(const SecondThread&) = delete;
  SecondThread& operator=(const SecondThread&) = delete;

  /// Runs `theirs` on the second thread and `ours` here, and returns when both are done.
  void run_both(const std::function<void()>& ours, const std::function<void()>& theirs) {
    work_ = &theirs;
    const unsigned ticket = ++given_;
    ours();
    while (done_ != ticket) std::this_thread::yield();
  }

  /// Does `work` of the first half of `count` things here, and of the second there.
  void split(std::size_t count, const std::function<void(kronecker::Range)>& work) {
    const std::size_t half = count / 2;
    run_both([&] { work({0, half}); }, [&] { work({half, count}); });
  }

 private:
  void serve() {
    for (unsigned ticket = 1;; ++ticket) {
      while (given_ != ticket) std::this_thread::yield();
      if (work_ == nullptr) return;
      (*work_)();
      done_ = ticket;
    }
  }

  const std::function<void()>* work_ = nullptr;  // handed over by given_
  std::atomic<unsigned> given_ = 0, done_ = 0;
  std::thread thread_;
};

/// The same with the first half of the ids here and the second on the other thread.
inline Embed with_two_threads(const Embed& embed, SecondThread& second) {
  return [embed, &second](std::span<const TokenId> ids, std::span<float> out) {
    const std::size_t columns = out.size() / ids.size();
    second.split(ids.size(), [&](kronecker::Range some) {
      embed(ids.subspan(some.begin, some.size()), out.subspan(some.begin * columns, some.size() * columns));
    });
  };
}

}  // namespace benchmarks
