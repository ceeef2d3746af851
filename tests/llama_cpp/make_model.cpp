/// Writes a small random model.gguf, and a projection for it, into a folder.
///     llama_cpp_model FOLDER [ARCHITECTURE]

#include "random_model.hpp"

#include <kronecker/files/checkpoint.hpp>

#include <exception>
#include <filesystem>
#include <iostream>
#include <stdexcept>
#include <string>

int main(int argc, char** argv) {
  try {
    if (argc != 2 && argc != 3) throw std::invalid_argument("usage: llama_cpp_model FOLDER [ARCHITECTURE]");
    const std::filesystem::path folder = argv[1];
    std::filesystem::create_directories(folder);
    const std::string architecture = argc == 3 ? argv[2] : "llama";
    llama_cpp_tests::write_random_model(folder / "model.gguf", {architecture});
    llama_cpp_tests::write_random_model(folder / "tied.gguf", {architecture, /*is_tied=*/true});
    kronecker::export_projection(folder / "projection.safetensors",
                                 kronecker::LearnedProjection::normal(llama_cpp_tests::d_model, 256 * 16, 1));
  } catch (const std::exception& error) {
    std::cerr << "llama_cpp_model: " << error.what() << "\n";
    return 2;
  }
}
