#pragma once

/// What a sanitizer says about a piece of code that runs in a process of its own.

#include <kronecker/kernels/row_type.hpp>

#include "instruction_sets.hpp"

#include <sys/wait.h>
#include <unistd.h>
#include <cstdio>
#include <string>
#include <string_view>

namespace test_support {

/// Runs `work` in a child process. Returns what was printed to its standard error.
template <class Work>
std::string report_on(const Work& work) {
  int ends[2];
  if (pipe(ends) != 0) return "no pipe";
  const pid_t child = fork();
  if (child < 0) return "no child process";
  if (child == 0) {
    dup2(ends[1], STDERR_FILENO);
    work();
    _exit(0);
  }
  close(ends[1]);
  std::string report;
  char part[4096];
  for (ssize_t size; (size = read(ends[0], part, sizeof part)) > 0;)
    report.append(part, static_cast<std::size_t>(size));
  close(ends[0]);
  waitpid(child, nullptr, 0);
  return report;
}

/// Whether `wrong_work` is reported as `mistake` and `right_work` is not reported at all; says so if not.
template <class Wrong, class Right>
bool is_told_apart(const std::string& what, std::string_view mistake, const Wrong& wrong_work,
                   const Right& right_work) {
  const bool is_reported = report_on(wrong_work).find(mistake) != std::string::npos;
  const std::string report = report_on(right_work);
  if (!is_reported) std::printf("%s: no report of %s\n", what.c_str(), std::string(mistake).c_str());
  if (!report.empty()) std::printf("%s: nothing is wrong, but %s\n", what.c_str(), report.c_str());
  std::fflush(stdout);
  return is_reported && report.empty();
}

/// Calls `check` with each type of row, as a constant, and each instruction set that the machine has.
/// Returns whether each call did.
template <class Check>
bool for_each_type_and_set(const Check& check) {
  using kronecker::kernels::RowType;
  bool is_right = true;
  for (const auto set : instruction_sets()) {
    is_right &= check.template operator()<RowType::float32>(set);
    is_right &= check.template operator()<RowType::bfloat16>(set);
    is_right &= check.template operator()<RowType::float16>(set);
    is_right &= check.template operator()<RowType::int8>(set);
  }
  return is_right;
}

}  // namespace test_support
