/// What files and searches cost: reading a tokenizer, opening a saved embedding of 134 MB (D 8192, d_model
/// 4096) and its first forward pass, and a search for the nearest tokens.
///     benchmark_files [--quick] [--json FILE] [TOKENIZER_FILE]     made-up tokens if none is named

#include "machine.hpp"
#include "report.hpp"
#include "side_by_side.hpp"

#include <fmt/core.h>
#include <kronecker/analysis/neighbors.hpp>
#include <kronecker/files/model.hpp>
#include <kronecker/vocabularies/load.hpp>

#include <array>
#include <cstdlib>
#include <filesystem>

namespace {

using namespace benchmarks;
using kronecker::TokenId;

kronecker::Vocabulary made_up_vocabulary() {
  std::vector<std::string> tokens(131072);
  for (std::size_t i = 0; i < tokens.size(); ++i) tokens[i] = std::to_string(i * 7919);
  return kronecker::Vocabulary(tokens);
}

double median_milliseconds(const Contender& work) { return 1e3 * median_seconds(work, 15); }

void measure(const Options& options, Table& table) {
  const std::string tokenizer = options.arguments.empty() ? "" : options.arguments[0];
  const auto load_tokenizer = [&] { return kronecker::load_vocabulary(tokenizer); };
  const kronecker::Vocabulary vocabulary = tokenizer.empty() ? made_up_vocabulary() : load_tokenizer();
  if (!tokenizer.empty())
    table.rows.push_back(
        {fmt::format("reading {} ({} tokens)", std::filesystem::path(tokenizer).filename().string(),
                     vocabulary.size()),
         median_milliseconds([&](std::size_t) {
           if (load_tokenizer().size() != vocabulary.size()) std::abort();
         }),
         ""});

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
  const double memory = resident_megabytes();
  const auto embedding = kronecker::load<>(path);
  const double memory_opened = resident_megabytes();
  const bool is_equal = embedding.forward(ids) == before;
  const double memory_used = resident_megabytes();
  const double file_megabytes = static_cast<double>(std::filesystem::file_size(path)) / 1e6;
  std::filesystem::remove(path);
  if (!is_equal) throw std::runtime_error("the loaded embedding differs from the saved one");
  table.rows.push_back(
      {fmt::format("opening a saved embedding of {:.0f} MB", file_megabytes), open, memory_opened - memory});
  table.rows.push_back({fmt::format("... and after {} tokens", ids.size()), "", memory_used - memory});

  const auto& token_bytes = embedding.token_bytes();
  const double search = median_milliseconds([&](std::size_t) {
    if (kronecker::nearest_tokens(token_bytes, encoder, " computer", 10).tokens.empty()) std::abort();
  });
  table.rows.push_back(
      {fmt::format("the 10 nearest of {} tokens at pos_dim 32", token_bytes.size()), search, ""});
}

}  // namespace

int main(int argc, char** argv) {
  return run("files", argc, argv, [](Report& report, const Options& options) {
    Table table{"files",
                "Files and searches: milliseconds",
                "Medians of 15; MB is resident memory that was added.",
                {"what", "ms", "MB"}};
    measure(options, table);
    report.add(std::move(table));
  });
}
