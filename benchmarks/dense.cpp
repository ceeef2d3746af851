/// The forward pass against the product that defines it, W times dense codes, one thread. The codes are made
/// beforehand.
///     benchmark_dense [--quick] [--json FILE]

#include "contenders.hpp"
#include "report.hpp"

namespace {

using namespace benchmarks;

void measure(const Setting& setting, std::vector<std::size_t> counts, Table& table) {
  const Text text = text_of(setting, 4096);
  const Embedding<float> embedding = random_embedding(text.vocabulary, setting.pos_dim, setting.d_model);
  const RowMajorMatrix<float> weight = embedding.projection().to_torch();
  for (const std::size_t count : counts) {
    const auto ids = std::span<const TokenId>(text.ids).first(count);
    std::vector<std::string> tokens;
    for (const TokenId id : ids) tokens.emplace_back(text.vocabulary.bytes(id));
    const RowMajorMatrix<float> codes = embedding.encoder().encode_all(tokens);
    RowMajorMatrix<float> product, embeddings(codes.rows(), setting.d_model);
    const double dense = median_seconds([&](std::size_t) { product.noalias() = codes * weight.transpose(); },
                                        count == counts[0] ? 5 : 3);
    const double forward = median_seconds([&](std::size_t) { embedding.forward(ids, embeddings); }, 99);
    const float difference = (product - embeddings).cwiseAbs().maxCoeff();
    if (!(difference < 1e-3f))
      throw std::runtime_error("the forward pass is " + std::to_string(difference) +
                               " away from the dense product");
    const double to_nanoseconds = 1e9 / static_cast<double>(count);
    table.rows.push_back(
        {setting.name(), count, dense * to_nanoseconds, forward * to_nanoseconds, dense / forward});
  }
}

}  // namespace

int main(int argc, char** argv) {
  return run("dense", argc, argv, [](Report& report, const Options& options) {
    Table table{
        "dense",
        "The definition: Eigen's product of W with dense codes, and the forward pass with float32 rows",
        "Medians; the forward pass repeats the same ids, so its rows are in the caches. No -march "
        "flag, so the product has SSE2 only.",
        {settings_are, "ids at a time", "product, ns/token", "forward, ns/token", "times faster"}};
    using Counts = std::vector<std::size_t>;
    measure(gpt2, options.quick ? Counts{64, 512} : Counts{64, 512, 4096}, table);
    measure(llama3, options.quick ? Counts{64} : Counts{64, 512}, table);
    report.add(std::move(table));
  });
}
