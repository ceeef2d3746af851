#pragma once

/// The bytes of a file without reading it: mapped into memory where the system can (POSIX, Windows), so that
/// opening costs nothing, pages are read when they are touched, and processes share them. What cannot be
/// mapped is read: a pipe, and a file on a file system or a system that maps none.

#include <kronecker/error.hpp>
#include <kronecker/files/little_endian.hpp>
#include <kronecker/namespace.hpp>
#include <kronecker/shared_array.hpp>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

#if defined(_WIN32)
#include <fcntl.h>
#include <io.h>
#include <share.h>
#include <sys/stat.h>

// The four functions that map a file, declared as windows.h does, whose macros would be everywhere otherwise.
struct _SECURITY_ATTRIBUTES;
extern "C" {
__declspec(dllimport) void* __stdcall CreateFileMappingW(void* file, _SECURITY_ATTRIBUTES*,
                                                         unsigned long protection, unsigned long high_size,
                                                         unsigned long low_size, const wchar_t* name);
__declspec(dllimport) void* __stdcall MapViewOfFile(
    void* mapping, unsigned long access, unsigned long high_offset, unsigned long low_offset,
    std::conditional_t<sizeof(void*) == 8, unsigned long long, unsigned long> size);
__declspec(dllimport) int __stdcall UnmapViewOfFile(const void* view);
__declspec(dllimport) int __stdcall CloseHandle(void* handle);
}
#elif __has_include(<sys/mman.h>)
#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#define KRONECKER_HAS_MMAP 1
#endif

namespace KRONECKER_NAMESPACE {

/// A file's content, read-only. Copies, and arrays taken from it, share the mapping and keep it alive.
///
/// Where a file is mapped, one that is written into meanwhile gives other bytes, so what was checked must be
/// copied before it is trusted; one that is cut off ends the program with SIGBUS as soon as what is gone is
/// read. Files that are replaced by another (`replace_file`) do neither. Windows neither cuts off nor
/// replaces a file that is mapped.
class MappedFile {
 public:
  /// Maps the file at `path`, or reads a pipe or what cannot be mapped to its end. Throws FileError if it
  /// cannot be opened, is a folder, a device or a terminal, or is a named pipe that nobody opens for writing
  /// within two seconds. O(1) if it is mapped.
  explicit MappedFile(const std::filesystem::path& path)
      : path_(detail::path_text(path)), bytes_(content_of(path)) {}

  const std::string& path() const noexcept {
    return path_;
  }  ///< As it was given, with slashes on every system.
  std::size_t size() const noexcept { return bytes_.size(); }  ///< In bytes.

  /// The whole content, valid as long as a copy of this or an array taken from it.
  std::string_view text() const& noexcept { return {reinterpret_cast<const char*>(bytes_.data()), size()}; }

  std::string_view text() const&& = delete;  ///< It would be unmapped at once.

  /// `count` values of T, which are little-endian, from byte `offset` on: in the file's own memory if they
  /// are aligned there and the machine is little-endian, else a copy. The range must lie within the file.
  template <class T>
  SharedArray<T> values(std::size_t offset, std::size_t count) const {
    const std::uint8_t* first = bytes_.data() + offset;
    const bool is_native = detail::is_little_endian || sizeof(T) == 1;
    if (is_native && reinterpret_cast<std::uintptr_t>(first) % alignof(T) == 0)
      return {std::shared_ptr<const T>(owner_of(bytes_), reinterpret_cast<const T*>(first)), count};
    return SharedArray<T>::make(count, [&](std::span<T> copy) {
      std::memcpy(copy.data(), first, copy.size_bytes());
      detail::swap_unless_little_endian(copy);
    });
  }

 private:
  using Bytes = SharedArray<std::uint8_t>;

  static std::shared_ptr<const void> owner_of(const Bytes& bytes) {
    return std::shared_ptr<const void>(std::make_shared<Bytes>(bytes), bytes.data());
  }

  static Bytes in_memory(std::vector<std::uint8_t> content) {
    const auto kept = std::make_shared<std::vector<std::uint8_t>>(std::move(content));
    return {std::shared_ptr<const std::uint8_t>(kept, kept->data()), kept->size()};
  }

  static constexpr std::size_t bytes_at_a_time = std::size_t{1} << 20;

#if defined(_WIN32)
  struct Descriptor {
    int number = -1;
    ~Descriptor() {
      if (number >= 0) ::_close(number);
    }
  };

  /// Stores the opened file; false, with errno, if it cannot be opened. "/dev/stdin" is standard input.
  static bool open(const std::filesystem::path& path, Descriptor& file) {
    if (path != "/dev/stdin") {
      errno = ::_wsopen_s(&file.number, path.c_str(), _O_RDONLY | _O_BINARY | _O_NOINHERIT, _SH_DENYNO, 0);
      return errno == 0;
    }
    file.number = ::_dup(0);
    return file.number >= 0 && ::_setmode(file.number, _O_BINARY) >= 0;
  }

  static Bytes content_of(const std::filesystem::path& path) {
    std::error_code ignored;
    if (std::filesystem::is_directory(path, ignored)) fail(path, "not a regular file");
    Descriptor file;
    struct _stat64 status {};
    if (!open(path, file) || ::_fstat64(file.number, &status) != 0)
      fail(path, "cannot open the file: ", std::generic_category().message(errno));
    if ((status.st_mode & _S_IFMT) == _S_IFIFO) return read(path, file.number, 0);
    if ((status.st_mode & _S_IFMT) != _S_IFREG)
      fail(path, ::_isatty(file.number) ? "a terminal: give a file, or pipe one into the program"
                                        : "a device, not a regular file");
    if (static_cast<std::uint64_t>(status.st_size) > (std::numeric_limits<std::size_t>::max)() / 2)
      fail(path, "a file of ", status.st_size, " bytes is too large for this system");
    const auto size = static_cast<std::size_t>(status.st_size);
    const void* const view = size == 0 ? nullptr : view_of(file.number, size);
    if (view == nullptr) return read(path, file.number, size);
    const auto unmap = [](const std::uint8_t* bytes) { ::UnmapViewOfFile(bytes); };
    return {std::shared_ptr<const std::uint8_t>(static_cast<const std::uint8_t*>(view), unmap), size};
  }

  /// The first `size` bytes in memory; null if they cannot be mapped.
  static const void* view_of(int file, std::size_t size) {
    constexpr unsigned long page_readonly = 2, file_map_read = 4;
    void* const handle = reinterpret_cast<void*>(::_get_osfhandle(file));
    void* const mapping = ::CreateFileMappingW(handle, nullptr, page_readonly, 0, 0, nullptr);
    if (mapping == nullptr) return nullptr;
    const void* const view = ::MapViewOfFile(mapping, file_map_read, 0, 0, size);
    ::CloseHandle(mapping);  // the view keeps it
    return view;
  }

  /// All bytes up to the end.
  static Bytes read(const std::filesystem::path& path, int file, std::size_t likely_size) {
    std::vector<std::uint8_t> content;
    content.reserve(likely_size + 1);
    for (std::size_t size = 0;;) {
      content.resize(size + bytes_at_a_time);
      const int count = ::_read(file, content.data() + size, static_cast<unsigned>(bytes_at_a_time));
      if (count < 0) fail(path, "cannot read the file: ", std::generic_category().message(errno));
      size += static_cast<std::size_t>(count);
      content.resize(size);
      if (count == 0) return in_memory(std::move(content));
    }
  }
#elif defined(KRONECKER_HAS_MMAP)
  struct Descriptor {
    int number;
    ~Descriptor() {
      if (number >= 0) ::close(number);
    }
  };

  /// Without waiting for the other end of a pipe. Standard input may be a socket, which has no name.
  static int opened(const std::filesystem::path& path) {
    const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    return file < 0 && errno == ENXIO && path == "/dev/stdin" ? ::dup(STDIN_FILENO) : file;
  }

  static Bytes content_of(const std::filesystem::path& path) {
    const Descriptor file{opened(path)};
    struct stat status {};
    if (file.number < 0 || ::fstat(file.number, &status) != 0)
      fail(path, "cannot open the file: ", std::generic_category().message(errno));
    if (S_ISFIFO(status.st_mode) || S_ISSOCK(status.st_mode)) return read_pipe(path, file.number);
    if (!S_ISREG(status.st_mode))
      fail(path, S_ISDIR(status.st_mode) ? "not a regular file" : what_else(file));
    if (static_cast<std::uintmax_t>(status.st_size) > (std::numeric_limits<std::size_t>::max)() / 2)
      fail(path, "a file of ", status.st_size, " bytes is too large for this system");
    const auto size = static_cast<std::size_t>(status.st_size);
    void* const memory =
        size == 0 ? MAP_FAILED : ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.number, 0);
    if (memory == MAP_FAILED)
      return read(path, file.number, size);  // also what has no size before it is read
    const auto unmap = [size](const std::uint8_t* bytes) {
      ::munmap(const_cast<std::uint8_t*>(bytes), size);
    };
    return {std::shared_ptr<const std::uint8_t>(static_cast<const std::uint8_t*>(memory), unmap), size};
  }

  static const char* what_else(const Descriptor& file) {
    return ::isatty(file.number) ? "a terminal: give a file, or pipe one into the program"
                                 : "a device, not a regular file";
  }

  static Bytes read_pipe(const std::filesystem::path& path, int file) {
    pollfd first_bytes{file, POLLIN, 0};
    constexpr int milliseconds = 2000;
    const bool is_silent = ::poll(&first_bytes, 1, milliseconds) == 0;
    Bytes content = read(path, file, 0);
    if (is_silent && content.size() == 0) fail(path, "a named pipe that nothing is writing to");
    return content;
  }

  /// All bytes up to the end, however many there are and however long that takes.
  static Bytes read(const std::filesystem::path& path, int file, std::size_t likely_size) {
    std::vector<std::uint8_t> content;
    content.reserve(likely_size + 1);
    for (std::size_t size = 0;;) {
      content.resize((std::min)((std::max)(content.capacity(), size + 1), size + bytes_at_a_time));
      const ::ssize_t count = ::read(file, content.data() + size, content.size() - size);
      if (count > 0) {
        size += static_cast<std::size_t>(count);
      } else if (count == 0) {
        content.resize(size);
        return in_memory(std::move(content));
      } else if (errno == EAGAIN) {
        pollfd more{file, POLLIN, 0};
        ::poll(&more, 1, -1);
      } else if (errno != EINTR) {
        fail(path, "cannot read the file: ", std::generic_category().message(errno));
      }
    }
  }
#else
  static Bytes content_of(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    if (!file) fail(path, "cannot open the file: ", std::generic_category().message(errno));
    std::vector<std::uint8_t> content;
    for (std::size_t size = 0; file;) {
      content.resize(size + bytes_at_a_time);
      file.read(reinterpret_cast<char*>(content.data() + size),
                static_cast<std::streamsize>(bytes_at_a_time));
      size += static_cast<std::size_t>(file.gcount());
      content.resize(size);
    }
    if (file.bad()) fail(path, "cannot read the file");
    return in_memory(std::move(content));
  }
#endif

  template <class... Parts>
  [[noreturn]] static void fail(const std::filesystem::path& path, const Parts&... parts) {
    detail::fail<FileError>(path, ": ", parts...);
  }

  std::string path_;
  Bytes bytes_;
};

}  // namespace KRONECKER_NAMESPACE
