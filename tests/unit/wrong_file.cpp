#include "catch.hpp"
#include "scratch.hpp"

#include <kronecker/files/checkpoint.hpp>
#include <kronecker/files/gguf.hpp>
#include <kronecker/files/npy.hpp>

using kronecker::FileError;
using test_support::ScratchFolder;

TEST_CASE("every reader of weights says what a file is that it does not read") {
  const ScratchFolder folder("wrong_file");
  const std::string path = (folder / "pytorch_model.bin").generic_string();
  const auto check_found = [&](const std::string& content, const std::string& found) {
    CAPTURE(found);
    test_support::write_content(path, content);
    CHECK(message_of<FileError>([&] {
            kronecker::read_matrix(path, "weight");
          }).starts_with(path + ": expected a safetensors file, found " + found));
    CHECK(message_of<FileError>([&] {
            kronecker::read_npy_matrix(path);
          }).starts_with(path + ": expected a NumPy array (.npy), found " + found));
    CHECK(message_of<FileError>([&] {
            kronecker::read_gguf_metadata(path);
          }).starts_with(path + ": expected a GGUF file, found " + found));
  };
  check_found("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
              "a git-lfs pointer: run git lfs pull");
  check_found("<!DOCTYPE html><html>Not found</html>", "an HTML or XML page");
  check_found(std::string("\x80\x02}q\0.", 6), "a Python pickle; pickles are not read");
  check_found("\x1F\x8B\x08", "a file compressed by gzip: unpack it first");
  check_found("\x89HDF\r\n\x1A\n", "an HDF5 file");

  std::string zip = "PK\3\4" + std::string(22, '\0') + '\x0d' + std::string(3, '\0') + "arch/data.pkl";
  check_found(zip, "what torch.save writes, a pickle in a zip archive; pickles are not read");
  CHECK(message_of<FileError>([&] { kronecker::read_matrix(path, "weight"); })
            .ends_with("Two lines of Python make a safetensors file of one that PyTorch wrote:\n"
                       "  import torch; from safetensors.torch import save_file\n"
                       "  save_file({k: v.clone().contiguous() for k, v in torch.load(\"pytorch_model.bin\", "
                       "map_location=\"cpu\").items()}, \"model.safetensors\")"));
}
