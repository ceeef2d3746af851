#pragma once

/// Writing a file so that a failure, a kill or a power cut leaves the old one or the new one, whole: write
/// beside it, flush that to the disk, then rename.

#include <kronecker/error.hpp>
#include <kronecker/namespace.hpp>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <ostream>
#include <string>
#include <system_error>
#include <utility>

#if defined(_WIN32)
#include <fcntl.h>
#include <io.h>
#include <share.h>
#include <sys/stat.h>
#elif __has_include(<unistd.h>)
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#define KRONECKER_HAS_POSIX_FILES 1
#endif

namespace KRONECKER_NAMESPACE {
namespace detail {

/// Opens `target` for writing; errors name `path`, what the caller asked for.
inline std::ofstream create_file(const std::filesystem::path& path, const std::filesystem::path& target) {
  std::ofstream file(target, std::ios::binary | std::ios::trunc);
  if (!file) fail<FileError>(path, ": cannot create ", target, ": ", std::generic_category().message(errno));
  return file;
}

/// Lets `write` fill the file and closes it; throws FileError if not all of it could be written.
template <class Write>
void write_and_close(std::ofstream file, const std::filesystem::path& path,
                     const std::filesystem::path& target, Write&& write) {
  std::forward<Write>(write)(static_cast<std::ostream&>(file));
  file.close();
  if (!file) fail<FileError>(path, ": cannot write all of ", target, " (is the disk full?)");
}

/// Makes an empty file of which nobody but its owner may read, unless `is_shared`; false, with errno, if it
/// cannot be made or if there is something of that name.
inline bool make_new_file(const std::filesystem::path& path, [[maybe_unused]] bool is_shared) {
#ifdef KRONECKER_HAS_POSIX_FILES
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, is_shared ? 0666 : 0600);
  return file >= 0 && ::close(file) == 0;
#elif defined(_WIN32)
  int file = -1;
  errno = ::_wsopen_s(&file, path.c_str(), _O_WRONLY | _O_CREAT | _O_EXCL | _O_BINARY, _SH_DENYNO,
                      _S_IREAD | _S_IWRITE);
  return errno == 0 && ::_close(file) == 0;
#else
  std::error_code error;
  errno = std::filesystem::exists(path, error) ? EEXIST : 0;
  return errno == 0 && std::ofstream(path, std::ios::binary);
#endif
}

/// Has the disk take a file, or, on POSIX, the entries of a folder, before this returns; false, with errno,
/// if that failed. Where the system or the file system knows no such thing, nothing is done.
inline bool flush_to_disk([[maybe_unused]] const std::filesystem::path& path) {
#ifdef KRONECKER_HAS_POSIX_FILES
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return false;
#ifdef F_FULLFSYNC
  const bool is_flushed = ::fcntl(file, F_FULLFSYNC) == 0 || ::fsync(file) == 0;
#else
  const bool is_flushed = ::fsync(file) == 0;
#endif
  const int error = errno;
  ::close(file);
  errno = error;
  return is_flushed || error == EINVAL || error == ENOTSUP || error == ENOSYS || error == EROFS;
#elif defined(_WIN32)
  int file = -1;
  errno = ::_wsopen_s(&file, path.c_str(), _O_RDWR | _O_BINARY, _SH_DENYNO, _S_IREAD | _S_IWRITE);
  if (errno != 0) return false;
  const bool is_flushed = ::_commit(file) == 0;
  const int error = errno;
  ::_close(file);
  errno = error;
  return is_flushed;
#else
  return true;
#endif
}

/// A new file in a folder, under a name that is its own and that no length of another name makes too long.
/// It goes with this object, unless it was renamed.
class TemporaryFile {
 public:
  /// Errors name `path`, what the caller asked for.
  TemporaryFile(const std::filesystem::path& path, const std::filesystem::path& folder, bool is_shared) {
    constexpr int tries = 100;
    for (int i = 0; i < tries; ++i) {
      path_ = folder / name();
      if (make_new_file(path_, is_shared)) return;
      if (errno != EEXIST) break;
    }
    const std::string reason = std::generic_category().message(errno);
    fail<FileError>(path, ": cannot create a file in ", folder.empty() ? "." : folder, ": ", reason);
  }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  ~TemporaryFile() {
    std::error_code ignored;
    if (!is_renamed_) std::filesystem::remove(path_, ignored);
  }

  const std::filesystem::path& path() const noexcept { return path_; }

  /// Nothing if it worked.
  std::error_code rename(const std::filesystem::path& target) {
    std::error_code error;
    std::filesystem::rename(path_, target, error);
    is_renamed_ = !error;
    return error;
  }

 private:
  static std::string name() {
    static std::atomic<std::uint64_t> count{0};
    const auto now = static_cast<std::uint64_t>(std::chrono::system_clock::now().time_since_epoch().count());
    std::uint64_t bits = (now ^ count.fetch_add(1) << 32) * 0x9E3779B97F4A7C15u;
    std::string name = ".kronecker-";
    for (int digit = 0; digit < 16; ++digit, bits >>= 4) name += "0123456789abcdef"[bits & 15];
    return name + ".partial";
  }

  std::filesystem::path path_;
  bool is_renamed_ = false;
};

/// What a symbolic link leads to, link after link, whether it is there or not; another path itself.
inline std::filesystem::path followed(std::filesystem::path path) {
  constexpr int most = 40;
  std::error_code error;
  for (int i = 0; i < most && std::filesystem::is_symlink(path, error); ++i) {
    const std::filesystem::path next = std::filesystem::read_symlink(path, error);
    if (error) break;
    path = path.parent_path() / next;  // that is `next` if it is absolute
  }
  return path;
}

/// Gives a file the permissions of the one whose place it takes, and its owner where that may be done.
inline void take_permissions(const std::filesystem::path& file, const std::filesystem::path& old) {
  std::error_code ignored;
#ifdef KRONECKER_HAS_POSIX_FILES
  struct stat was {
  }, is{};
  if (::stat(old.c_str(), &was) == 0 && ::stat(file.c_str(), &is) == 0 &&
      (was.st_uid != is.st_uid || was.st_gid != is.st_gid) &&
      ::chown(file.c_str(), was.st_uid, was.st_gid) != 0)
    errno = 0;  // it belongs to whoever writes it
#endif
  const std::filesystem::file_status status = std::filesystem::status(old, ignored);
  if (std::filesystem::is_regular_file(status))
    std::filesystem::permissions(file, status.permissions(), ignored);
}

/// What the system's message leaves out, and what to do about it; empty for most reasons.
inline const char* why_not_replaced([[maybe_unused]] const std::error_code& refused) {
#ifdef _WIN32  // whose libraries have several codes for it
  return " (Windows replaces no file that is read-only or open, in this program or another one: close it and "
         "what was loaded from it, or write to another path)";
#else
  const bool is_mounted =
      refused == std::errc::device_or_resource_busy || refused == std::errc::cross_device_link;
  return is_mounted ? " (a file that is mounted by itself can be written into, but not replaced: mount its "
                      "folder, or write to another path)"
                    : "";
#endif
}

}  // namespace detail

/// Replaces the file at `path` by what `write(std::ostream&)` writes; a symbolic link stays one, and the old
/// file's permissions are kept. Whatever ends the program or the power meanwhile leaves the old file or the
/// new one, whole, and perhaps a file `.kronecker-*.partial` beside it, which may be removed. Of two writers
/// at the same time the last one's file stays. Throws FileError if the folder cannot be written, the disk is
/// full, or the file cannot be replaced because it is mounted by itself or, on Windows, open; then, or if
/// `write` throws, the old file is as it was.
///
/// What is there but is no regular file (a pipe, /dev/stdout, /dev/null) is not replaced: it is written into.
template <class Write>
void replace_file(const std::filesystem::path& path, Write&& write) {
  namespace fs = std::filesystem;
  std::error_code error;
  const fs::file_status old = fs::status(path, error);
  if (fs::exists(old) && !fs::is_regular_file(old))
    return detail::write_and_close(detail::create_file(path, path), path, path, std::forward<Write>(write));

  const fs::path target = detail::followed(path), folder = target.parent_path();
  detail::TemporaryFile beside(path, folder, !fs::exists(old));
  detail::write_and_close(detail::create_file(path, beside.path()), path, beside.path(),
                          std::forward<Write>(write));
  if (!detail::flush_to_disk(beside.path())) {
    const std::string reason = std::generic_category().message(errno);
    detail::fail<FileError>(path, ": cannot write all of ", beside.path(), ": ", reason);
  }
  if (fs::exists(old)) detail::take_permissions(beside.path(), target);
  if (const std::error_code refused = beside.rename(target))
    detail::fail<FileError>(path, ": cannot replace the file: ", refused.message(),
                            detail::why_not_replaced(refused));
#ifdef KRONECKER_HAS_POSIX_FILES
  detail::flush_to_disk(folder.empty() ? fs::path(".") : folder);  // the new file is in place, come what may
#endif
}

}  // namespace KRONECKER_NAMESPACE
