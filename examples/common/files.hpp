#pragma once

/// Files that programs are given: said early and by name if something is wrong with them.

#include <kronecker/error.hpp>

#include <fmt/core.h>

#include <filesystem>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>

#if __has_include(<unistd.h>)
#include <unistd.h>
#endif

namespace examples {

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
  const fs::path folder = path.has_parent_path() ? path.parent_path() : fs::path(".");
  std::error_code ignored;
  const auto refuse = [&](std::string_view why) {
    throw kronecker::FileError(fmt::format("{}: cannot be written: {}", path.string(), why));
  };
  if (fs::is_directory(path, ignored)) refuse("it is a folder");
  if (!fs::is_directory(folder, ignored)) refuse(fmt::format("there is no folder {}", folder.string()));
#if __has_include(<unistd.h>)
  const fs::file_status status = fs::status(path, ignored);
  const bool is_replaced = !fs::exists(status) || fs::is_regular_file(status);
  const fs::path& written = is_replaced ? folder : path;
  if (::access(written.c_str(), W_OK) != 0) refuse(fmt::format("{} may not be written to", written.string()));
#endif
}

}  // namespace examples
