#pragma once

/// The bytes of a file without reading it: mapped into memory where the system can (POSIX), so that opening
/// costs nothing, pages are read when they are touched, and processes share them. Elsewhere the file is read.

#include <kronecker/error.hpp>
#include <kronecker/namespace.hpp>
#include <kronecker/shared_array.hpp>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <system_error>

#if __has_include(<sys/mman.h>)
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#define KRONECKER_HAS_MMAP 1
#endif

namespace KRONECKER_NAMESPACE {

/// A file's content, read-only. Copies, and arrays taken from it, share the mapping and keep it alive. The
/// file must not be shortened meanwhile.
class MappedFile {
 public:
  /// Maps the file at `path`; throws FileError if it cannot be opened or is not a regular file. O(1).
  explicit MappedFile(const std::filesystem::path& path) : path_(path.string()), bytes_(map(path_)) {}

  const std::string& path() const noexcept { return path_; }   ///< As it was given.
  std::size_t size() const noexcept { return bytes_.size(); }  ///< In bytes.

  /// The whole content, valid as long as a copy of this or an array taken from it.
  std::string_view text() const& noexcept { return {reinterpret_cast<const char*>(bytes_.data()), size()}; }

  std::string_view text() const&& = delete;  ///< It would be unmapped at once.

  /// `count` values of T from byte `offset` on, in the file's own memory if they are aligned there, else a
  /// copy. The range must lie within the file.
  template <class T>
  SharedArray<T> values(std::size_t offset, std::size_t count) const {
    const std::uint8_t* first = bytes_.data() + offset;
    if (reinterpret_cast<std::uintptr_t>(first) % alignof(T) == 0)
      return {std::shared_ptr<const T>(owner_of(bytes_), reinterpret_cast<const T*>(first)), count};
    return SharedArray<T>::make(
        count, [&](std::span<T> copy) { std::memcpy(copy.data(), first, copy.size_bytes()); });
  }

 private:
  using Bytes = SharedArray<std::uint8_t>;

  static std::shared_ptr<const void> owner_of(const Bytes& bytes) {
    return std::shared_ptr<const void>(std::make_shared<Bytes>(bytes), bytes.data());
  }

  static Bytes map(const std::string& path) {
#ifdef KRONECKER_HAS_MMAP
    struct Descriptor {
      int number;
      ~Descriptor() {
        if (number >= 0) ::close(number);
      }
    };
    const Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
    struct stat status {};
    if (file.number < 0 || ::fstat(file.number, &status) != 0)
      detail::fail<FileError>(path, ": cannot open the file: ", std::generic_category().message(errno));
    if (!S_ISREG(status.st_mode)) detail::fail<FileError>(path, ": not a regular file");
    const auto size = static_cast<std::size_t>(status.st_size);
    if (size == 0) return {};
    void* const memory = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, file.number, 0);
    if (memory == MAP_FAILED)
      detail::fail<FileError>(path, ": cannot map the file: ", std::generic_category().message(errno));
    const auto unmap = [size](const std::uint8_t* bytes) {
      ::munmap(const_cast<std::uint8_t*>(bytes), size);
    };
    return {std::shared_ptr<const std::uint8_t>(static_cast<const std::uint8_t*>(memory), unmap), size};
#else
    std::ifstream file(path, std::ios::binary | std::ios::ate);
    if (!file)
      detail::fail<FileError>(path, ": cannot open the file: ", std::generic_category().message(errno));
    const auto size = static_cast<std::size_t>(file.tellg());
    file.seekg(0);
    const Bytes bytes = Bytes::make(size, [&](std::span<std::uint8_t> content) {
      file.read(reinterpret_cast<char*>(content.data()), static_cast<std::streamsize>(content.size()));
    });
    if (!file) detail::fail<FileError>(path, ": cannot read the file");
    return bytes;
#endif
  }

  std::string path_;
  Bytes bytes_;
};

}  // namespace KRONECKER_NAMESPACE
