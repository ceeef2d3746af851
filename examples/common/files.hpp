#pragma once

/// Files that programs are given: said early and by name if something is wrong with them.

#include <kronecker/error.hpp>
#include <kronecker/shown_text.hpp>

#include <fmt/core.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <initializer_list>
#include <iterator>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>

#if __has_include(<unistd.h>) && !defined(_WIN32)
#include <sys/stat.h>
#include <unistd.h>
#endif

namespace examples {

/// The content of a file; throws FileError if it cannot be read.
inline std::string read_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (std::filesystem::is_directory(path) || !file)
    kronecker::detail::fail<kronecker::FileError>(path.string(), ": cannot open the file");
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

/// Does `work` on what the file at `path` holds; an error in it then names the file.
template <class Work>
auto on_values_of(const std::string& path, Work&& work) {
  try {
    return work();
  } catch (const std::invalid_argument& error) {
    throw kronecker::FileError(kronecker::shown_text(path) + ": " + error.what());
  }
}

/// Makes the folder, if it is not there yet; throws FileError with the reason if it cannot be made.
inline void create_folder(const std::filesystem::path& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error)
    kronecker::detail::fail<kronecker::FileError>(folder.string(),
                                                  ": cannot create the folder: ", error.message());
}

/// Throws FileError if the file at `path` surely cannot be written: said before the work, not after it.
inline void check_output(const std::filesystem::path& path) {
  namespace fs = std::filesystem;
  std::error_code ignored;
  const auto refuse = [&](std::string_view why) {
    kronecker::detail::fail<kronecker::FileError>(path.string(), ": cannot be written: ", why);
  };
  const auto check_access = [&]([[maybe_unused]] const fs::path& written) {
#if __has_include(<unistd.h>) && !defined(_WIN32)
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

/// Throws FileError if writing to `output` would replace one of `inputs`, by whatever name or link. Inputs
/// that are not there, or whose names are empty, are none.
inline void check_replaces_none(const std::filesystem::path& output,
                                std::initializer_list<std::filesystem::path> inputs) {
  namespace fs = std::filesystem;
  std::error_code ignored;
  for (const fs::path& input : inputs)
    if (!input.empty() && fs::is_regular_file(input, ignored) && fs::equivalent(output, input, ignored))
      kronecker::detail::fail<kronecker::FileError>(output.string(), ": cannot be written: it is the input ",
                                                    input.string(), ", which would be lost");
}

/// Where a program's report goes when it also writes the file at `output`: to standard output, unless that is
/// this file, which then must stay whole.
inline std::FILE* report_beside([[maybe_unused]] const std::filesystem::path& output) {
#if __has_include(<unistd.h>) && !defined(_WIN32)
  struct stat file {
  }, standard_output{};
  if (!output.empty() && ::stat(output.c_str(), &file) == 0 &&
      ::fstat(STDOUT_FILENO, &standard_output) == 0 && file.st_dev == standard_output.st_dev &&
      file.st_ino == standard_output.st_ino)
    return stderr;
#endif
  return stdout;
}

}  // namespace examples
