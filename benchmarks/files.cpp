/// What files and searches cost: reading a tokenizer, opening a saved embedding of 134 MB (D 8192, d_model
/// 4096) and its first forward pass, and a search for the nearest tokens.
///     benchmark_files [TOKENIZER_FILE]     made-up tokens if none is named

#include "machine.hpp"
#include "side_by_side.hpp"

#include <fmt/core.h>
#include <kronecker/analysis/neighbors.hpp>
#include <kronecker/files/model.hpp>
#include <kronecker/vocabularies/load.hpp>

#include <array>
#include <cstdlib>
#include <filesystem>

namespace {

using kronecker::TokenId;

kronecker::Vocabulary made_up_vocabulary() {
  std::vector<std::string> tokens(131072);
  for (std::size_t i = 0; i < tokens.size(); ++i) tokens[i] = std::to_string(i * 7919);
  return kronecker::Vocabulary(tokens);
}

double median_milliseconds(const benchmarks::Contender& work) {
  return 1e3 * benchmarks::median(benchmarks::time_side_by_side({work}, 15)[0]);
}

}  // namespace

int main(int argc, char** argv) try {
  fmt::print("{}, one thread, medians of 15\n", benchmarks::cpu_name());
  const kronecker::Vocabulary vocabulary =
      argc > 1 ? kronecker::load_vocabulary(argv[1]) : made_up_vocabulary();
  if (argc > 1)
    fmt::print("reading {} ({} tokens): {:.1f} ms\n", argv[1], vocabulary.size(),
               median_milliseconds([&](std::size_t) {
                 if (kronecker::load_vocabulary(argv[1]).size() != vocabulary.size()) std::abort();
               }));

  const kronecker::KroneckerEncoder<> encoder;
  const auto path = std::filesystem::temp_directory_path() / "kronecker-benchmark.kron";
  const std::array<TokenId, 3> ids = {1, 100, 1000};
  kronecker::RowMajorMatrix<float> before;
  {
    const kronecker::KroneckerEmbedding embedding(
        encoder, vocabulary, kronecker::LearnedProjection::normal(4096, encoder.code_dim(), 1));
    before = embedding.forward(ids);
    kronecker::save(path, embedding);
  }
  const double open = median_milliseconds([&](std::size_t) { kronecker::load<>(path); });
  const double memory = benchmarks::resident_megabytes();
  const auto embedding = kronecker::load<>(path);
  const double memory_opened = benchmarks::resident_megabytes();
  const bool is_equal = embedding.forward(ids) == before;
  fmt::print(
      "opening a saved embedding of {:.0f} MB: {:.2f} ms; resident memory +{:.1f} MB, after {} tokens "
      "+{:.1f} MB\n",
      static_cast<double>(std::filesystem::file_size(path)) / 1e6, open, memory_opened - memory, ids.size(),
      benchmarks::resident_megabytes() - memory);
  std::filesystem::remove(path);
  if (!is_equal) {
    fmt::print(stderr, "the loaded embedding differs from the saved one\n");
    return 1;
  }

  const auto& token_bytes = embedding.token_bytes();
  const double search = median_milliseconds([&](std::size_t) {
    if (kronecker::nearest_tokens(token_bytes, encoder, " computer", 10).tokens.empty()) std::abort();
  });
  fmt::print("the 10 nearest of {} tokens at pos_dim 32: {:.2f} ms\n", token_bytes.size(), search);
} catch (const std::exception& error) {
  fmt::print(stderr, "benchmark_files: {}\n", error.what());
  return 2;
}
