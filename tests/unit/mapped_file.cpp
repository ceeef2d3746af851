#include "catch.hpp"
#include "scratch.hpp"

#include <kronecker/files/mapped_file.hpp>

#if __has_include(<sys/wait.h>) && !defined(__EMSCRIPTEN__)
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <thread>
#endif

using kronecker::FileError;
using kronecker::MappedFile;
using test_support::content_of;
using test_support::ScratchFolder;

TEST_CASE("a mapped file has the file's bytes, and arrays taken from it outlive it") {
  const ScratchFolder folder("mapped_file");
  test_support::write_content(folder / "file", std::string("abcd\1\0\2\0wxyz", 12));
  kronecker::SharedArray<std::uint16_t> aligned, misaligned;
  {
    const MappedFile file(folder / "file");
    CHECK(file.size() == 12);
    CHECK(file.text() == std::string_view("abcd\1\0\2\0wxyz", 12));
    aligned = file.values<std::uint16_t>(4, 2);
    misaligned = file.values<std::uint16_t>(5, 1);
  }
  CHECK(aligned[0] == 1);
  CHECK(aligned[1] == 2);
  CHECK(misaligned[0] == 0x0200);
}

TEST_CASE("a file's name is in any writing, and is told in UTF-8") {
  const ScratchFolder folder("mapped_file");
  const std::filesystem::path path = folder.path() / u8"Gewichte \u00e9 \u4e2d\u6587 \U0001f600";
  test_support::write_content(path, "abcd");
  const MappedFile file(path);
  CHECK(file.text() == "abcd");
  CHECK(file.path().ends_with("Gewichte \xc3\xa9 \xe4\xb8\xad\xe6\x96\x87 \xf0\x9f\x98\x80"));
}

TEST_CASE("an empty file maps to no bytes") {
  const ScratchFolder folder("mapped_file");
  test_support::write_content(folder / "file", "");
  const MappedFile file(folder / "file");
  CHECK(file.text().empty());
}

TEST_CASE("what cannot be mapped is named with the reason") {
  const ScratchFolder folder("mapped_file");
  const std::string missing = (folder / "none").generic_string();
  CHECK(message_of<FileError>([&] { MappedFile{missing}; }) ==
        missing + ": cannot open the file: No such file or directory");
  CHECK(message_of<FileError>([&] { MappedFile{folder.path()}; }) ==
        folder.path().generic_string() + ": not a regular file");
}

#if __has_include(<sys/wait.h>) && !defined(__EMSCRIPTEN__)
TEST_CASE("a pipe is read to its end, however slowly it is filled") {
  const ScratchFolder folder("mapped_file");
  REQUIRE(::mkfifo((folder / "pipe").c_str(), 0600) == 0);
  const std::string content = std::string(3 << 20, 'x') + "end";
  std::thread writer([&] {
    std::ofstream pipe(folder / "pipe", std::ios::binary);
    pipe << content.substr(0, 5) << std::flush;
    ::usleep(100'000);
    pipe << content.substr(5);
  });
  const MappedFile file(folder / "pipe");
  writer.join();
  CHECK(file.text() == content);
  CHECK(file.values<char>(content.size() - 3, 3)[2] == 'd');
}

TEST_CASE("a named pipe that nobody writes to is refused instead of waited for, and so are devices") {
  const ScratchFolder folder("mapped_file");
  const std::string pipe = (folder / "pipe").generic_string();
  REQUIRE(::mkfifo(pipe.c_str(), 0600) == 0);
  CHECK(message_of<FileError>([&] { MappedFile{pipe}; }) ==
        pipe + ": a named pipe that nothing is writing to");
  if (std::filesystem::exists("/dev/null"))
    CHECK(message_of<FileError>([&] { MappedFile{"/dev/null"}; }) ==
          "/dev/null: a device, not a regular file");
}

TEST_CASE("a file that says no size, or cannot be mapped, is read") {
  // The kernel's own files: /proc says a size of 0, and /sys says a page's size and refuses to map it.
  for (const char* const path : {"/proc/version", "/sys/kernel/mm/transparent_hugepage/enabled"}) {
    if (!std::filesystem::exists(path)) continue;
    CHECK(!content_of(path).empty());
    const MappedFile file(path);
    CHECK(file.text() == content_of(path));
  }
}
#endif
