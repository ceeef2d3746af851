/// Forward pass against the embedding table that it replaces, and against the product that defines it, on
/// real text: (V 50,257, pos_dim 16, d_model 768), GPT-2's vocabulary, one thread. Also the part of
/// construction that grows with V.

#include "machine.hpp"
#include "side_by_side.hpp"
#include "token_file.hpp"

#include <fmt/core.h>
#include <kronecker/files/npy.hpp>
#include <kronecker/kronecker.hpp>

#include <cmath>
#include <cstring>
#include <random>

namespace {

using kronecker::RowMajorMatrix;
using kronecker::TokenId;
using Encoder = kronecker::KroneckerEncoder<256, 16>;

constexpr int d_model = 768;

struct Workload {
  std::string name;
  std::vector<std::string> tokens;
  std::vector<TokenId> stream;
};

/// Words of 1 to 8 letters, drawn with a frequency that falls with their rank as in text.
Workload synthetic_workload() {
  std::mt19937_64 random(1);
  Workload workload{"synthetic words (the real text was not found)", {}, {}};
  for (int id = 0; id < 50257; ++id) {
    std::string token(1 + random() % 8, 'a');
    for (char& letter : token) letter = static_cast<char>('a' + random() % 26);
    workload.tokens.push_back(token);
  }
  for (int i = 0; i < 200000; ++i) {
    const double uniform = static_cast<double>(random() >> 11) / 9007199254740992.0;
    workload.stream.push_back(static_cast<TokenId>(std::pow(50257.0, uniform)) - 1);
  }
  return workload;
}

Workload load_workload() {
  const std::filesystem::path data = KRONECKER_DATA_DIR;
  if (!std::filesystem::exists(data / "truth" / "gpt2.tokens.bin")) return synthetic_workload();
  return {"English prose", test_support::read_token_file(data / "truth" / "gpt2.tokens.bin"),
          kronecker::read_npy<TokenId>(data / "streams" / "english_gpt2.npy").values};
}

}  // namespace

int main() {
  const Workload workload = load_workload();
  const kronecker::Vocabulary vocabulary(workload.tokens);
  const auto projection = kronecker::LearnedProjection::normal(d_model, Encoder().code_dim(), 1);
  const kronecker::KroneckerEmbedding embedding(Encoder(), vocabulary, projection);
  const RowMajorMatrix<float> table = embedding.table();
  const RowMajorMatrix<float> weight = embedding.projection().to_torch();

  double bytes_read = 0;
  for (const TokenId id : workload.stream)
    bytes_read += static_cast<double>(embedding.encoder().truncate(vocabulary.bytes(id)).size());
  fmt::print("{}; {}: {} tokens, {:.2f} bytes a token\n", benchmarks::cpu_name(), workload.name,
             workload.stream.size(), bytes_read / static_cast<double>(workload.stream.size()));
  fmt::print("V {}, pos_dim {}, d_model {}, float32 rows, one thread, medians\n\n", vocabulary.size(),
             embedding.encoder().pos_dim(), d_model);
  fmt::print(
      "| ids at a time | table copy, ns/token | Kronecker, ns/token | ratio | dense product, ns/token | "
      "ratio |\n");
  fmt::print("|---|---|---|---|---|---|\n");

  for (const std::size_t window : {64u, 512u, 4096u}) {
    const std::size_t windows = workload.stream.size() / window;
    const auto ids_of = [&](std::size_t piece) {
      return std::span<const TokenId>(workload.stream).subspan(piece * window, window);
    };
    std::vector<float> copied(window * d_model), embedded(window * d_model);
    const auto copy_rows = [&](std::size_t piece) {
      float* out = copied.data();
      for (const TokenId id : ids_of(piece)) {
        std::memcpy(out, table.row(id).data(), d_model * sizeof(float));
        out += d_model;
      }
    };
    const auto forward = [&](std::size_t piece) { embedding.forward(ids_of(piece), embedded); };

    copy_rows(windows / 2);
    forward(windows / 2);
    if (copied != embedded) {
      fmt::print(stderr, "the forward pass disagrees with the table\n");
      return 1;
    }
    const auto seconds = benchmarks::time_side_by_side({copy_rows, forward}, windows);

    RowMajorMatrix<float> codes, product;
    std::vector<std::string> window_tokens;
    const auto encode_window = [&](std::size_t piece) {
      window_tokens.clear();
      for (const TokenId id : ids_of(piece)) window_tokens.emplace_back(vocabulary.bytes(id));
      codes = embedding.encoder().encode_all(window_tokens);
    };
    encode_window(windows / 2);
    const std::vector<double> dense = benchmarks::time_side_by_side(
        {[&](std::size_t) { product.noalias() = codes * weight.transpose(); }}, window == 4096 ? 3 : 9)[0];
    forward(windows / 2);
    const float difference =
        (product - Eigen::Map<RowMajorMatrix<float>>(embedded.data(), product.rows(), d_model))
            .cwiseAbs()
            .maxCoeff();
    if (!(difference < 1e-3f)) {
      fmt::print(stderr, "the forward pass is {} away from the dense product\n", difference);
      return 1;
    }

    const double per_token = 1e9 / static_cast<double>(window);
    const double forward_seconds = benchmarks::median(seconds[1]);
    const double dense_seconds = benchmarks::median(dense);
    fmt::print("| {} | {:.0f} | {:.0f} | {:.2f} | {:.0f} | {:.0f} |\n", window,
               benchmarks::median(seconds[0]) * per_token, forward_seconds * per_token,
               benchmarks::median_ratio(seconds[1], seconds[0]), dense_seconds * per_token,
               dense_seconds / forward_seconds);
  }

  std::vector<std::string> many_tokens;
  for (std::size_t id = 0; id < 131072; ++id)
    many_tokens.push_back(workload.tokens[id % workload.tokens.size()]);
  const kronecker::Vocabulary many(many_tokens);
  const kronecker::KroneckerEncoder<> encoder;
  std::size_t memory = 0;
  const auto seconds = benchmarks::time_side_by_side(
      {[&](std::size_t) { memory += kronecker::Vocabulary(many_tokens).size() > 0 ? 1u : 0u; },
       [&](std::size_t) { memory = kronecker::TokenBytes(many, encoder).memory(); }},
      9);
  fmt::print("\nV 131,072, pos_dim 32: vocabulary {:.1f} ms, token bytes {:.1f} ms and {} bytes\n",
             benchmarks::median(seconds[0]) * 1e3, benchmarks::median(seconds[1]) * 1e3, memory);
}
