/// The tied output head against the product with the materialized table, one thread.
///     benchmark_head [--quick] [--json FILE]

#include "report.hpp"
#include "side_by_side.hpp"
#include "workload.hpp"

#include <kronecker/head.hpp>

#include <cstdlib>

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
  });
}
