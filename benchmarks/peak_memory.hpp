#pragma once

/// How much memory a piece of work takes while it runs.

#include <cstdlib>
#include <fstream>
#include <limits>
#include <string>

#ifdef __GLIBC__
#include <malloc.h>
#endif

namespace benchmarks {

/// A line of /proc/self/status in MB; not a number where there is none.
inline double status_megabytes(const std::string& name) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with(name + ":"))
      return static_cast<double>(std::strtoull(line.c_str() + name.size() + 1, nullptr, 10)) * 1.024e-3;
  return std::numeric_limits<double>::quiet_NaN();
}

/// The most memory that the program has during `work`, beyond what it has before, in MB. On Linux.
template <class Work>
double peak_megabytes(Work&& work) {
#ifdef __GLIBC__
  malloc_trim(0);
#endif
  std::ofstream("/proc/self/clear_refs") << "5";  // the peak is what there is now
  const double before = status_megabytes("VmRSS");
  work();
  return status_megabytes("VmHWM") - before;
}

}  // namespace benchmarks
