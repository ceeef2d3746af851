#include "catch.hpp"
#include "scratch.hpp"

#include <kronecker/files/mapped_file.hpp>

using kronecker::FileError;
using kronecker::MappedFile;
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

TEST_CASE("an empty file maps to no bytes") {
  const ScratchFolder folder("mapped_file");
  test_support::write_content(folder / "file", "");
  const MappedFile file(folder / "file");
  CHECK(file.text().empty());
}

TEST_CASE("what cannot be mapped is named with the reason") {
  const ScratchFolder folder("mapped_file");
  const std::string missing = (folder / "none").string();
  CHECK(message_of<FileError>([&] { MappedFile{missing}; }) ==
        missing + ": cannot open the file: No such file or directory");
  CHECK(message_of<FileError>([&] { MappedFile{folder.path()}; }) ==
        folder.path().string() + ": not a regular file");
}
