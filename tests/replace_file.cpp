#include "catch.hpp"
#include "scratch.hpp"

#include <kronecker/files/replace_file.hpp>

#if __has_include(<sys/stat.h>)
#include <sys/stat.h>
#endif

using test_support::content_of;
using test_support::ScratchFolder;

TEST_CASE("a failed write leaves the old file as it was and nothing beside it") {
  const ScratchFolder folder("replace_file");
  const auto path = folder / "file";
  kronecker::replace_file(path, [](std::ostream& file) { file << "old"; });
  CHECK(content_of(path) == "old");

  CHECK(message_of<kronecker::FileError>([&] {
          kronecker::replace_file(path, [](std::ostream& file) {
            file << "new";
            file.setstate(std::ios::badbit);  // as a full disk would
          });
        }).find("cannot write all of") != std::string::npos);
  CHECK_THROWS_AS(
      kronecker::replace_file(path, [](std::ostream&) { throw std::runtime_error("changed my mind"); }),
      std::runtime_error);
  CHECK(content_of(path) == "old");
  CHECK(std::distance(std::filesystem::directory_iterator(folder.path()), {}) == 1);

  kronecker::replace_file(path, [](std::ostream& file) { file << "new"; });
  CHECK(content_of(path) == "new");
}

TEST_CASE("a link stays a link, permissions stay, and what is in the way is not removed") {
  namespace fs = std::filesystem;
  const ScratchFolder folder("replace_file");
  std::ofstream(folder / "file") << "old";
  fs::permissions(folder / "file", fs::perms::owner_read | fs::perms::owner_write);
  fs::create_symlink("file", folder / "link");
  kronecker::replace_file(folder / "link", [](std::ostream& file) { file << "new"; });
  CHECK(fs::is_symlink(folder / "link"));
  CHECK(content_of(folder / "file") == "new");
  CHECK(fs::status(folder / "file").permissions() == (fs::perms::owner_read | fs::perms::owner_write));

  fs::create_directory(folder / "file.partial");
  CHECK_THROWS_AS(kronecker::replace_file(folder / "file", [](std::ostream&) {}), kronecker::FileError);
  CHECK(fs::is_directory(folder / "file.partial"));
}

TEST_CASE("a folder that does not exist is named") {
  CHECK(message_of<kronecker::FileError>([] {
          kronecker::replace_file("/no/such/folder/file", [](std::ostream&) {});
        }) == "/no/such/folder/file: cannot create /no/such/folder/file.partial: No such file or directory");
}

#if __has_include(<sys/stat.h>)
TEST_CASE("what is no regular file is written into and stays what it is") {
  namespace fs = std::filesystem;
  const ScratchFolder folder("replace_file");
  const auto pipe = folder / "pipe", link = folder / "link";
  REQUIRE(::mkfifo(pipe.c_str(), 0600) == 0);
  fs::create_symlink("pipe", link);
  std::fstream both_ends(pipe);  // so that no end waits for the other
  kronecker::replace_file(pipe, [](std::ostream& file) { file << "one\n"; });
  kronecker::replace_file(link, [](std::ostream& file) { file << "two\n"; });
  std::string one, two;
  both_ends >> one >> two;
  CHECK(one + two == "onetwo");
  CHECK(fs::is_fifo(pipe));
  CHECK(fs::is_symlink(link));

  CHECK(message_of<kronecker::FileError>([&] {
          kronecker::replace_file(folder.path(), [](std::ostream&) {});
        }).ends_with(": Is a directory"));
  CHECK(std::distance(fs::directory_iterator(folder.path()), {}) == 2);
  if (!fs::exists("/dev/full")) return;
  CHECK(message_of<kronecker::FileError>([] {
          kronecker::replace_file("/dev/full", [](std::ostream& file) { file << "some text"; });
        }) == "/dev/full: cannot write all of /dev/full (is the disk full?)");
}
#endif
