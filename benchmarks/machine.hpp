#pragma once

/// The machine on which a figure was measured.

#include <kronecker/kernels/instruction_set.hpp>

#include <cstddef>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>

namespace benchmarks {

/// The value of `key` in a file of lines `key : value`, as Linux writes them; empty if there is none.
inline std::string value_in(const std::filesystem::path& path, const std::string& key) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);)
    if (line.starts_with(key)) {
      const std::size_t value = line.find_first_not_of(" \t", line.find(':') + 1);
      return value == std::string::npos ? "" : line.substr(value);
    }
  return "";
}

/// The processor's name, as Linux tells it, with the numbers that say which one it is.
inline std::string cpu_name() {
  const std::filesystem::path cpuinfo = "/proc/cpuinfo";
  const std::string name = value_in(cpuinfo, "model name");
  if (name.empty()) return "unknown CPU";
  return name + " (family " + value_in(cpuinfo, "cpu family") + ", model " + value_in(cpuinfo, "model\t") +
         ")";
}

/// The instructions that the kernels use on it, or are told to use.
inline std::string instructions_name() {
  using kronecker::kernels::InstructionSet;
  const InstructionSet set = kronecker::kernels::instruction_set();
  if (set == InstructionSet::avx512) return "avx512";
  if (set == InstructionSet::avx2) return "avx2";
  return "baseline";
}

/// The caches that the first core sees: "L1 Data 32K, L1 Instruction 32K, L2 Unified 1024K".
inline std::string cache_sizes() {
  std::string sizes;
  for (int index = 0;; ++index) {
    const std::filesystem::path cache =
        "/sys/devices/system/cpu/cpu0/cache/index" + std::to_string(index) + "/";
    std::ifstream level(cache / "level"), type(cache / "type"), size(cache / "size");
    std::string level_name, type_name, size_name;
    if (!(level >> level_name && type >> type_name && size >> size_name)) return sizes;
    sizes += (sizes.empty() ? "L" : ", L") + level_name + " " + type_name + " " + size_name;
  }
}

/// The compiler that built this program.
inline std::string compiler_name() {
#ifdef __clang__
  return "clang " __clang_version__;
#elif defined(__GNUC__)
  return "g++ " __VERSION__;
#else
  return "unknown compiler";
#endif
}

/// Number of cores.
inline unsigned core_count() { return std::thread::hardware_concurrency(); }

/// How many programs wanted a core in the last minute, as Linux tells it: what else may have disturbed.
inline std::string load_average() {
  std::ifstream file("/proc/loadavg");
  std::string load;
  file >> load;
  return load;
}

/// A quantity of memory in bytes, as Linux tells it in kB; 0 elsewhere.
inline std::size_t memory_in(const std::filesystem::path& path, const std::string& key) {
  const std::string kilobytes = value_in(path, key);
  return kilobytes.empty() ? 0 : std::stoull(kilobytes) * 1024;
}

/// Resident memory of this process in MB.
inline double resident_megabytes() {
  return static_cast<double>(memory_in("/proc/self/status", "VmRSS")) / 1e6;
}

/// Whether `bytes` may be allocated without hurry; yes where Linux does not tell.
inline bool fits_in_memory(std::size_t bytes) {
  const std::size_t available = memory_in("/proc/meminfo", "MemAvailable");
  return available == 0 || bytes < available / 10 * 7;
}

}  // namespace benchmarks
