#include "catch.hpp"
#include "scratch.hpp"

#include <kronecker/files/replace_file.hpp>

#if __has_include(<sys/wait.h>) && !defined(__EMSCRIPTEN__)
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
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

#ifndef _WIN32  // whose C++ library may have no links, and whose files have no such permissions
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

  fs::create_symlink("not yet there", folder / "dangling");
  kronecker::replace_file(folder / "dangling", [](std::ostream& file) { file << "new"; });
  CHECK(fs::is_symlink(folder / "dangling"));
  CHECK(content_of(folder / "not yet there") == "new");
}

TEST_CASE("nobody else may read the new content of a private file while it is written") {
  namespace fs = std::filesystem;
  const ScratchFolder folder("replace_file");
  std::ofstream(folder / "private") << "old";
  constexpr auto owner_alone = fs::perms::owner_read | fs::perms::owner_write;
  fs::permissions(folder / "private", owner_alone);
  kronecker::replace_file(folder / "private", [&](std::ostream&) {
    for (const auto& entry : fs::directory_iterator(folder.path()))
      CHECK(entry.status().permissions() == owner_alone);
  });
  fs::permissions(folder / "private", owner_alone | fs::perms::group_read);
  kronecker::replace_file(folder / "private", [](std::ostream& file) { file << "new"; });
  CHECK(fs::status(folder / "private").permissions() == (owner_alone | fs::perms::group_read));
}
#else
TEST_CASE("a file that is open is not replaced, and the message says what to do") {
  const ScratchFolder folder("replace_file");
  const auto path = folder / "file";
  test_support::write_content(path, "old");
  const auto replace = [&] { kronecker::replace_file(path, [](std::ostream& file) { file << "new"; }); };
  {
    const std::ifstream reader(path);
    CHECK(message_of<kronecker::FileError>(replace).ends_with("or write to another path)"));
  }
  CHECK(content_of(path) == "old");
  CHECK(std::distance(std::filesystem::directory_iterator(folder.path()), {}) == 1);
  replace();
  CHECK(content_of(path) == "new");
}
#endif

TEST_CASE(
    "the file that is written beside another has a name of its own, which no other name makes too long") {
  namespace fs = std::filesystem;
  const ScratchFolder folder("replace_file");
  const fs::path longest = folder / std::string(255, 'n');
  kronecker::replace_file(longest, [&](std::ostream& file) {
    file << "outer";
    kronecker::replace_file(longest, [](std::ostream& inner) { inner << "inner"; });
    CHECK(content_of(longest) == "inner");
    const auto files = std::distance(fs::directory_iterator(folder.path()), {});
    CHECK(files == 2);  // both: the other's is gone, this one's is still there
  });
  CHECK(content_of(longest) == "outer");
  CHECK(std::distance(fs::directory_iterator(folder.path()), {}) == 1);
}

TEST_CASE("a folder that does not exist is named") {
  CHECK(message_of<kronecker::FileError>([] {
          kronecker::replace_file("/no/such/folder/file", [](std::ostream&) {});
        }) == "/no/such/folder/file: cannot create a file in /no/such/folder: No such file or directory");
}

#if __has_include(<sys/wait.h>) && !defined(__EMSCRIPTEN__)
TEST_CASE("a write that is killed at any moment leaves the old file or the new one, whole") {
  const ScratchFolder folder("replace_file");
  const auto path = folder / "file";
  constexpr std::size_t size = 1 << 16;
  test_support::write_content(path, std::string(size, 'a'));
  for (int time = 0; time < 100; ++time) {
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      for (char letter = 'a';; letter = letter == 'z' ? 'a' : static_cast<char>(letter + 1))
        kronecker::replace_file(path, [&](std::ostream& file) {
          for (std::size_t i = 0; i < size; ++i) file.put(letter);
        });
    }
    ::usleep(static_cast<useconds_t>(time * 100));
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    const std::string content = content_of(path);
    REQUIRE(content.size() == size);
    REQUIRE(content.find_first_not_of(content[0]) == std::string::npos);
  }
}

TEST_CASE("what is no regular file is written into and stays what it is") {
  namespace fs = std::filesystem;
  const ScratchFolder folder("replace_file");
  const auto pipe = folder / "pipe", link = folder / "link";
  REQUIRE(::mkfifo(pipe.c_str(), 0600) == 0);
  fs::create_symlink("pipe", link);
  const int both_ends = ::open(pipe.c_str(), O_RDWR);  // so that no end waits for the other
  REQUIRE(both_ends >= 0);
  kronecker::replace_file(pipe, [](std::ostream& file) { file << "one\n"; });
  kronecker::replace_file(link, [](std::ostream& file) { file << "two\n"; });
  char text[8] = {};
  CHECK(::read(both_ends, text, sizeof text) == static_cast<ssize_t>(sizeof text));
  CHECK(std::string(text, sizeof text) == "one\ntwo\n");
  ::close(both_ends);
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
