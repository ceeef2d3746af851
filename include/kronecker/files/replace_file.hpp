#pragma once

/// Writing a file so that a failure leaves the old one as it was: write beside it, then rename.

#include <kronecker/error.hpp>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <ostream>
#include <system_error>
#include <utility>

namespace kronecker {

/// Replaces the file at `path` by what `write(std::ostream&)` writes; a symbolic link stays one, and the old
/// file's permissions are kept. Throws FileError if the folder cannot be written or the disk is full; then,
/// or if `write` throws, the old file is as it was. Two writers of one path must not run at the same time.
template <class Write>
void replace_file(const std::filesystem::path& path, Write&& write) {
  namespace fs = std::filesystem;
  struct TemporaryFile {
    fs::path path;
    ~TemporaryFile() {
      std::error_code ignored;
      fs::remove(path, ignored);
    }
  };
  std::error_code error;
  const fs::path target = fs::is_symlink(path, error) ? fs::weakly_canonical(path, error) : path;
  fs::path beside = target;
  beside += ".partial";

  std::ofstream file(beside, std::ios::binary | std::ios::trunc);
  if (!file)
    detail::fail<FileError>(path.string(), ": cannot create ", beside.string(), ": ",
                            std::generic_category().message(errno));
  const TemporaryFile temporary{beside};
  std::forward<Write>(write)(static_cast<std::ostream&>(file));
  file.close();
  if (!file)
    detail::fail<FileError>(path.string(), ": cannot write all of ", beside.string(), " (is the disk full?)");

  if (const auto old = fs::status(target, error); fs::is_regular_file(old))
    fs::permissions(beside, old.permissions(), error);
  fs::rename(beside, target, error);
  if (error) detail::fail<FileError>(path.string(), ": cannot replace the file: ", error.message());
}

}  // namespace kronecker
