#pragma once

/// A progress line on standard error, if that is a terminal, for work that turns out to take over a second.

#include "terminal.hpp"

#include <fmt/core.h>

#include <chrono>
#include <cstddef>
#include <cstdio>
#include <string>
#include <utility>

namespace examples {

class Progress {
 public:
  Progress(std::string what, std::size_t total) : what_(std::move(what)), total_(total) {}
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  ~Progress() {
    if (is_shown_) fmt::print(stderr, "\n");
  }

  void update(std::size_t done) {
    const auto now = Clock::now();
    if (now < next_ || !is_terminal(stderr)) return;
    next_ = now + std::chrono::milliseconds(200);
    is_shown_ = true;
    fmt::print(stderr, "\r{}: {:3.0f} %", what_,
               100.0 * static_cast<double>(done) / static_cast<double>(total_));
    std::fflush(stderr);
  }

 private:
  using Clock = std::chrono::steady_clock;
  std::string what_;
  std::size_t total_;
  Clock::time_point next_ = Clock::now() + std::chrono::seconds(1);
  bool is_shown_ = false;
};

}  // namespace examples
