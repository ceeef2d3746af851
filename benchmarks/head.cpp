/// The tied output head against the product with the materialized table, one thread.
///     benchmark_head [--quick] [--json FILE]

#include "machine.hpp"
#include "memory.hpp"
#include "report.hpp"
#include "side_by_side.hpp"
#include "workload.hpp"

#include <kronecker/head.hpp>

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <thread>

namespace {

using namespace benchmarks;
using Matrix = RowMajorMatrix<float>;

// Throws unless `logits` are those of `product`, up to what rounding the rows may do, and choose the same
// token as `top`.
template <class Scalar>
void check(const kronecker::KroneckerHead& head, const Embedding<Scalar>& embedding, const Matrix& hidden,
           const Matrix& logits, const Matrix& product, float tolerance) {
  const float difference = (logits - product).cwiseAbs().maxCoeff() / product.cwiseAbs().maxCoeff();
  if (!(difference < tolerance))
    throw std::runtime_error("the head's logits are " + std::to_string(difference) +
                             " of the largest away from the product");
  Eigen::Index best = 0;
  logits.row(0).maxCoeff(&best);
  if (head.top(embedding, hidden.row(0), 1)[0].first != best)
    throw std::runtime_error("the head's best token is not that of the product");
}

void measure(const Setting& setting, const std::vector<int>& counts, int pieces, Table& table) {
  const Workload work(setting, true);
  for (const int count : counts) {
    const Matrix hidden = Matrix::Random(count, setting.d_model);
    Matrix product(count, work.table.rows()), logits(count, work.table.rows());
    const Contender multiply = [&](std::size_t) { product.noalias() = hidden * work.table.transpose(); };
    for_each_row_type(work.embedding, [&](const std::string& rows, const auto& embedding) {
      const kronecker::KroneckerHead head(embedding);
      const Contender by_head = [&](std::size_t) { head.logits(embedding, hidden, logits); };
      const Comparison result = compare(by_head, multiply, static_cast<std::size_t>(pieces), 1);
      check(head, embedding, hidden, logits, product, rows == "float32" ? 1e-5f : 0.02f);
      const double top = median_seconds(
          [&](std::size_t) {
            if (head.top(embedding, hidden.row(0), 10).size() != 10) std::abort();
          },
          9);
      table.rows.push_back({setting.name(), rows, count, result.reference_seconds * 1e3, result.seconds * 1e3,
                            1 / result.ratio, count == 1 ? Cell(top * 1e3) : ""});
    });
  }
}

// Does `work(first half)` and `work(second half)` of `count` things, each on a thread of its own.
template <class Work>
void on_two_threads(std::size_t count, const Work& work) {
  std::thread other(work, kronecker::Range{count / 2, count});
  work(kronecker::Range{0, count / 2});
  other.join();
}

// One hidden state on one thread, and spread over two: the products of half of the cells each, then the
// logits of half of the tokens each. Beside it, what two threads gain where nothing is done but to read the
// same rows.
template <class Scalar>
void measure_threads(const Setting& setting, const std::string& rows, const Embedding<Scalar>& embedding,
                     std::size_t pieces, Table& table) {
  const kronecker::KroneckerHead head(embedding);
  const Matrix hidden = Matrix::Random(1, setting.d_model);
  const auto vocab_size = static_cast<std::size_t>(head.vocab_size());
  const auto cells = head.cells();
  std::vector<float> products(head.products_size(1)), by_one(vocab_size), by_two(vocab_size);
  const Contender one = [&](std::size_t) { head.logits(embedding, hidden, by_one); };
  const Contender two = [&](std::size_t) {
    on_two_threads(cells.size(),
                   [&](kronecker::Range some) { head.cell_products(embedding, hidden, products, some); });
    on_two_threads(vocab_size, [&](kronecker::Range some) {
      head.token_logits(products, std::span(by_two).subspan(some.begin, some.size()), some);
    });
  };

  const std::size_t row_bytes = static_cast<std::size_t>(setting.d_model) * sizeof(Scalar);
  const auto* values = reinterpret_cast<const char*>(embedding.rows().values().data());
  std::atomic<float> sink = 0;  // so that nothing is left out
  const auto read = [&](kronecker::Range some) {
    float sum = 0;
    for (std::size_t i = some.begin; i < some.end; ++i)
      sum += read_all(
          {reinterpret_cast<const float*>(values + cells[i] * row_bytes), row_bytes / sizeof(float)});
    sink = sum;
  };
  const Contender read_by_one = [&](std::size_t) { read({0, cells.size()}); };
  const Contender read_by_two = [&](std::size_t) { on_two_threads(cells.size(), read); };

  one(0);
  two(0);
  if (std::memcmp(by_one.data(), by_two.data(), vocab_size * sizeof(float)) != 0)
    throw std::runtime_error("two threads make other logits than one");
  const auto seconds = time_side_by_side({one, two, read_by_one, read_by_two}, pieces);
  table.rows.push_back({setting.name(), rows, median(seconds[0]) * 1e3, median(seconds[1]) * 1e3,
                        median_ratio(seconds[0], seconds[1]), median(seconds[2]) * 1e3,
                        median(seconds[3]) * 1e3, median_ratio(seconds[2], seconds[3])});
}

}  // namespace

int main(int argc, char** argv) {
  return run("head", argc, argv, [](Report& report, const Options& options) {
    Table table{
        "head",
        "Output head: logits of all tokens",
        "The product is Eigen's, hidden states times the float32 table, without -march flags, so with "
        "SSE2; for one hidden state it waits for the table's memory. Medians, taking turns.",
        {settings_are, "rows", "hidden states", "product, ms", "head, ms", "times faster",
         "the 10 best, ms"}};
    measure(gpt2, options.quick ? std::vector{1, 16} : std::vector{1, 4, 16, 64}, options.quick ? 1 : 5,
            table);
    measure(llama3, options.quick ? std::vector{1, 4} : std::vector{1, 4, 16, 64}, options.quick ? 1 : 5,
            table);
    report.add(std::move(table));

    if (!has_avx2() || core_count() < 2) return;
    Table threads{
        "head_threads",
        "Output head: one hidden state on two threads",
        "The products of half of the cells each, then the logits of half of the tokens each; the bits are "
        "those "
        "of one thread, which is checked. Reading is that of the same rows, and nothing else. All four take "
        "turns; medians, and medians of the ratios. Starting a thread is part of the times.",
        {settings_are, "rows", "head, ms", "on two threads, ms", "times faster", "reading, ms",
         "reading on two threads, ms", "reading times faster"}};
    const Text text = text_of(llama3, 1);
    const Embedding<float> embedding = random_embedding(text.vocabulary, llama3.pos_dim, llama3.d_model);
    for_each_row_type(embedding, [&](const std::string& rows, const auto& other) {
      measure_threads(llama3, rows, other, options.quick ? 15 : 51, threads);
    });
    report.add(std::move(threads));
  });
}
