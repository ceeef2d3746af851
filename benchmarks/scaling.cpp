/// The cost of a token as the vocabulary grows: the table's grows with it, the forward pass's does not. One
/// thread.
///     benchmark_scaling [--quick] [--json FILE]

#include "contenders.hpp"
#include "machine.hpp"
#include "report.hpp"

#include <fmt/core.h>

namespace {

using namespace benchmarks;

constexpr int token_bytes = 6, pos_dim = 16, d_model = 1024;

// Tokens of random bytes: even 1,000 of them light nearly all of the 256 * token_bytes rows.
kronecker::Vocabulary random_vocabulary(int vocab_size) {
  std::mt19937_64 random(1);
  std::vector<std::string> tokens(static_cast<std::size_t>(vocab_size), std::string(token_bytes, ' '));
  for (std::string& token : tokens)
    for (char& byte : token) byte = static_cast<char>(random() % 256);
  return kronecker::Vocabulary(std::move(tokens));
}

std::vector<TokenId> random_ids(int vocab_size, std::size_t count) {
  std::mt19937_64 random(2);
  std::vector<TokenId> ids(count);
  for (TokenId& id : ids) id = static_cast<TokenId>(random() % static_cast<std::uint64_t>(vocab_size));
  return ids;
}

// Adds the costs at one size of the vocabulary, of copying rows of its table and of the forward pass with
// each row type: each alone, and taking turns with the copy.
void measure(int vocab_size, bool quick, Table& alone, Table& in_turns) {
  const std::size_t table_bytes = std::size_t{sizeof(float)} * d_model * static_cast<std::size_t>(vocab_size);
  if (!fits_in_memory(table_bytes)) {
    fmt::print("V {} left out: its table of {} MB does not fit\n", vocab_size, table_bytes >> 20);
    return;
  }
  const Embedding<float> embedding = random_embedding(random_vocabulary(vocab_size), pos_dim, d_model);
  const RowMajorMatrix<float> rows_of_table = embedding.table();
  const auto ids = random_ids(vocab_size, quick ? 16384 : 131072);
  const Windows windows{ids, 512, d_model};
  const Output out = windows.new_output();
  const Embed copy = copy_of(rows_of_table);
  check_agreement("float32", forward_of(embedding), copy, ids, d_model);

  const auto best_alone = [&](const Embed& embed) {
    double seconds = 1;
    for (int run = 0; run < 3; ++run)
      seconds = std::min(seconds, median_seconds(windows.through(embed, out), windows.pieces()));
    return windows.nanoseconds_per_token(seconds);
  };
  std::vector<Cell> alone_row{vocab_size, best_alone(copy)}, turns_row{vocab_size, ""};
  for_each_row_type(embedding, [&](const std::string&, const auto& other) {
    const Comparison result = compare(forward_of(other), copy, windows, 1);
    alone_row.push_back(best_alone(forward_of(other)));
    turns_row.push_back(windows.nanoseconds_per_token(result.seconds));
    turns_row[1] = windows.nanoseconds_per_token(result.reference_seconds);  // beside int8 in the end
  });
  alone.rows.push_back(std::move(alone_row));
  in_turns.rows.push_back(std::move(turns_row));
}

}  // namespace

int main(int argc, char** argv) {
  return run("scaling", argc, argv, [](Report& report, const Options& options) {
    const std::string sizes_are = fmt::format(
        "Tokens of {} random bytes, ids drawn evenly, pos_dim {}, d_model {}, 512 ids at a time. The rows "
        "that "
        "are lit are {:.1f} MB of float32 and {:.1f} MB of int8 at every V. ",
        token_bytes, pos_dim, d_model, 256 * token_bytes * d_model * 4 / 1e6,
        256 * token_bytes * d_model / 1e6);
    const std::vector<std::string> columns{"V", "table copy", "float32", "bfloat16", "float16", "int8"};
    Table alone{"scaling", "Size of the vocabulary: nanoseconds a token, each alone",
                sizes_are + "The best of three medians.", columns};
    Table in_turns{"scaling_in_turns", "Size of the vocabulary: nanoseconds a token, in turns with the copy",
                   sizes_are + "A large table pushes the rows out of the near caches.", columns};
    using Sizes = std::vector<int>;
    const Sizes sizes = options.quick ? Sizes{1000, 16000, 128000}
                                      : Sizes{1000, 4000, 16000, 64000, 128000, 256000, 512000, 1000000};
    for (const int vocab_size : sizes) measure(vocab_size, options.quick, alone, in_turns);
    report.add(std::move(alone));
    report.add(std::move(in_turns));
  });
}
