#include "catch.hpp"

#include <kronecker/files/replace_file.hpp>

#include <iterator>

namespace {

std::string content_of(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

}  // namespace

TEST_CASE("a failed write leaves the old file as it was and nothing beside it") {
  const auto folder = std::filesystem::path(KRONECKER_SCRATCH_DIR) / "replace_file";
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
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
  CHECK(std::distance(std::filesystem::directory_iterator(folder), {}) == 1);

  kronecker::replace_file(path, [](std::ostream& file) { file << "new"; });
  CHECK(content_of(path) == "new");
  std::filesystem::remove_all(folder);
}

TEST_CASE("a link stays a link, permissions stay, and what is in the way is not removed") {
  namespace fs = std::filesystem;
  const auto folder = fs::path(KRONECKER_SCRATCH_DIR) / "replace_file_link";
  fs::remove_all(folder);
  fs::create_directories(folder);
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
  fs::remove_all(folder);
}

TEST_CASE("a folder that does not exist is named") {
  CHECK(message_of<kronecker::FileError>([] {
          kronecker::replace_file("/no/such/folder/file", [](std::ostream&) {});
        }) == "/no/such/folder/file: cannot create /no/such/folder/file.partial: No such file or directory");
}
