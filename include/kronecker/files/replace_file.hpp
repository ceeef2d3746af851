#pragma once

/// Writing a file so that a failure leaves the old one as it was: write beside it, then rename.

#include <kronecker/error.hpp>
#include <kronecker/namespace.hpp>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <ostream>
#include <system_error>
#include <utility>

namespace KRONECKER_NAMESPACE {
namespace detail {

/// Opens `target` for writing; errors name `path`, what the caller asked for.
inline std::ofstream create_file(const std::filesystem::path& path, const std::filesystem::path& target) {
  std::ofstream file(target, std::ios::binary | std::ios::trunc);
  if (!file)
    fail<FileError>(path.string(), ": cannot create ", target.string(), ": ",
                    std::generic_category().message(errno));
  return file;
}

/// Lets `write` fill the file and closes it; throws FileError if not all of it could be written.
template <class Write>
void write_and_close(std::ofstream file, const std::filesystem::path& path,
                     const std::filesystem::path& target, Write&& write) {
  std::forward<Write>(write)(static_cast<std::ostream&>(file));
  file.close();
  if (!file)
    fail<FileError>(path.string(), ": cannot write all of ", target.string(), " (is the disk full?)");
}

}  // namespace detail

/// Replaces the file at `path` by what `write(std::ostream&)` writes; a symbolic link stays one, and the old
/// file's permissions are kept. Throws FileError if the folder cannot be written or the disk is full; then,
/// or if `write` throws, the old file is as it was. Two writers of one path must not run at the same time.
///
/// What is there but is no regular file (a pipe, /dev/stdout, /dev/null) is not replaced: it is written into.
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
  const fs::file_status old = fs::status(path, error);
  if (fs::exists(old) && !fs::is_regular_file(old))
    return detail::write_and_close(detail::create_file(path, path), path, path, std::forward<Write>(write));

  const fs::path target = fs::is_symlink(path, error) ? fs::weakly_canonical(path, error) : path;
  fs::path beside = target;
  beside += ".partial";
  std::ofstream file = detail::create_file(path, beside);
  const TemporaryFile temporary{beside};
  detail::write_and_close(std::move(file), path, beside, std::forward<Write>(write));
  if (fs::is_regular_file(old)) fs::permissions(beside, old.permissions(), error);
  fs::rename(beside, target, error);
  if (error) detail::fail<FileError>(path.string(), ": cannot replace the file: ", error.message());
}

}  // namespace KRONECKER_NAMESPACE
