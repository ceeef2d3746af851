#pragma once

/// Files that a test writes.

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

namespace test_support {

/// Where they lie. The tests may run with two instruction sets at a time.
inline const std::filesystem::path& scratch_path() {
  static const std::filesystem::path path = [] {
    const char* const instruction_set = std::getenv("KRONECKER_INSTRUCTION_SET");
    const auto folder = std::filesystem::path(KRONECKER_SCRATCH_DIR) /
                        (instruction_set != nullptr ? instruction_set : "best");
    std::filesystem::create_directories(folder);
    return folder;
  }();
  return path;
}

/// An empty folder that is there for one test.
class ScratchFolder {
 public:
  explicit ScratchFolder(const std::string& name) : path_(scratch_path() / name) {
    std::filesystem::remove_all(path_);
    std::filesystem::create_directories(path_);
  }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  ~ScratchFolder() { std::filesystem::remove_all(path_); }

  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

inline std::string content_of(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

inline void write_content(const std::filesystem::path& path, const std::string& content) {
  std::ofstream(path, std::ios::binary) << content;
}

}  // namespace test_support
