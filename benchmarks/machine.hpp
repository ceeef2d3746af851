#pragma once

/// The machine on which a figure was measured.

#include <fstream>
#include <string>

namespace benchmarks {

/// The processor's name, as Linux tells it.
inline std::string cpu_name() {
  std::ifstream cpuinfo("/proc/cpuinfo");
  for (std::string line; std::getline(cpuinfo, line);)
    if (line.starts_with("model name")) return line.substr(line.find(':') + 2);
  return "unknown CPU";
}

/// Resident memory of this process in MB, as Linux tells it; 0 elsewhere.
inline double resident_megabytes() {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;)
    if (word == "VmRSS:") {
      double kilobytes = 0;
      status >> kilobytes;
      return kilobytes / 1000;
    }
  return 0;
}

}  // namespace benchmarks
