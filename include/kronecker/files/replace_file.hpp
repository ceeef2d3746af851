#pragma once

/// Writing a file so that a failure leaves the old one as it was: write beside it, then rename.

#include <kronecker/error.hpp>

#include <filesystem>
#include <fstream>
#include <ostream>
#include <system_error>
#include <utility>

namespace kronecker {

/// Replaces the file at `path` by what `write(std::ostream&)` writes. Throws FileError if the directory
/// cannot be written or the disk is full; then, or if `write` throws, the old file is as it was. Two writers
/// of the same path must not run at the same time.
template <class Write>
void replace_file(const std::filesystem::path& path, Write&& write) {
  struct TemporaryFile {
    std::filesystem::path path;
    ~TemporaryFile() {
      std::error_code ignored;
      std::filesystem::remove(path, ignored);
    }
  };
  TemporaryFile temporary{path};
  temporary.path += ".partial";

  std::ofstream file(temporary.path, std::ios::binary | std::ios::trunc);
  if (!file) detail::fail<FileError>(path.string(), ": cannot create ", temporary.path.string());
  std::forward<Write>(write)(static_cast<std::ostream&>(file));
  file.close();
  if (!file)
    detail::fail<FileError>(path.string(), ": cannot write all of ", temporary.path.string(),
                            " (is the disk full?)");

  std::error_code error;
  std::filesystem::rename(temporary.path, path, error);
  if (error) detail::fail<FileError>(path.string(), ": cannot replace the file: ", error.message());
}

}  // namespace kronecker
