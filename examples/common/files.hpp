#pragma once

/// Files that programs are given: said early and by name if something is wrong with them.

#include <kronecker/error.hpp>

#include <fmt/core.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>

#if __has_include(<unistd.h>)
#include <unistd.h>
#endif

namespace examples {

/// The content of a file; throws FileError if it cannot be read.
inline std::string read_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (std::filesystem::is_directory(path) || !file)
    throw kronecker::FileError(path.string() + ": cannot open the file");
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

/// Does `work` on what the file at `path` holds; an error in it then names the file.
template <class Work>
auto on_values_of(const std::string& path, Work&& work) {
  try {
    return work();
  } catch (const std::invalid_argument& error) {
    throw kronecker::FileError(fmt::format("{}: {}", path, error.what()));
  }
}

/// Throws FileError if the file at `path` surely cannot be written: said before the work, not after it.
inline void check_output(const std::filesystem::path& path) {
  namespace fs = std::filesystem;
  std::error_code ignored;
  const auto refuse = [&](std::string_view why) {
    throw kronecker::FileError(fmt::format("{}: cannot be written: {}", path.string(), why));
  };
  const auto check_access = [&]([[maybe_unused]] const fs::path& written) {
#if __has_include(<unistd.h>)
    if (::access(written.c_str(), W_OK) != 0) refuse(written.string() + " may not be written to");
#endif
  };
  const fs::file_status status = fs::status(path, ignored);
  if (fs::is_directory(status)) refuse("it is a folder");
  if (fs::exists(status) && !fs::is_regular_file(status)) return check_access(path);

  // A file is replaced by one that is written beside it; of a link, beside what it leads to.
  const fs::path target = fs::is_symlink(path, ignored) ? fs::weakly_canonical(path, ignored) : path;
  const fs::path folder = target.has_parent_path() ? target.parent_path() : fs::path(".");
  if (!fs::is_directory(folder, ignored)) refuse("there is no folder " + folder.string());
  check_access(folder);
}

}  // namespace examples
