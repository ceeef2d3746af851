/// What is done once: reading bytes, centering and rounding, at (V 131,072, pos_dim 32, d_model 4096), one
/// thread.
///     benchmark_construction [--quick] [--json FILE]

#include "report.hpp"
#include "side_by_side.hpp"
#include "workload.hpp"

namespace {

using namespace benchmarks;

std::vector<std::string> tokens_of(const kronecker::Vocabulary& vocabulary, std::size_t count) {
  std::vector<std::string> tokens;
  for (std::size_t i = 0; i < count; ++i)
    tokens.emplace_back(
        vocabulary.bytes(static_cast<TokenId>(i % static_cast<std::size_t>(vocabulary.size()))));
  return tokens;
}

}  // namespace

int main(int argc, char** argv) {
  return run("construction", argc, argv, [](Report& report, const Options& options) {
    const Text text = text_of(llama3, 1);
    const auto tokens = tokens_of(text.vocabulary, 131072);
    const kronecker::Vocabulary vocabulary(tokens);
    const Encoder encoder(256, 32);
    const auto projection = kronecker::LearnedProjection::normal(4096, encoder.code_dim(), 1);
    const Embedding<float> embedding(encoder, vocabulary, projection);

    Table table{"construction",
                "Construction at V 131,072, pos_dim 32, d_model 4096: milliseconds",
                "Medians. MB is what the result occupies.",
                {"what", "ms", "MB"}};
    const auto add = [&](const std::string& what, std::size_t bytes, const std::function<void()>& work) {
      const double seconds = median_seconds([&](std::size_t) { work(); }, options.quick ? 1 : 5);
      table.rows.push_back({what, seconds * 1e3, static_cast<double>(bytes) / 1e6});
    };
    const std::size_t numbers = embedding.rows().values().size();
    add("vocabulary, sorted for look-up", 0, [&] { kronecker::Vocabulary{tokens}; });
    table.rows.back()[2] = "";
    add("token bytes", embedding.token_bytes_memory(), [&] { kronecker::TokenBytes(vocabulary, encoder); });
    add("random projection", numbers * 4,
        [&] { kronecker::LearnedProjection::normal(4096, encoder.code_dim(), 1); });
    add("embedding, float32 rows: centering and token bytes", numbers * 4,
        [&] { Embedding<float>(encoder, vocabulary, projection); });
    add("rounding to bfloat16", numbers * 2, [&] { embedding.cast<Eigen::bfloat16>(); });
    add("rounding to float16", numbers * 2, [&] { embedding.cast<Eigen::half>(); });
    add("rounding to int8", numbers, [&] { embedding.cast<std::int8_t>(); });
    report.add(std::move(table));
  });
}
