/// The corrected output head against the dense head that it stands for, and a step of its training, loss and
/// gradients without logits, against that of a dense head, one thread.
///     benchmark_corrected_head [--quick] [--json FILE]

#include "peak_memory.hpp"
#include "report.hpp"
#include "side_by_side.hpp"
#include "workload.hpp"

#include <kronecker/head.hpp>
#include <kronecker/training/training.hpp>

#include <cmath>
#include <random>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace {

using namespace benchmarks;
using Matrix = RowMajorMatrix<float>;

/// A vocabulary, a corrected head, and the rows and biases of the dense one with the same logits.
struct CorrectedHead {
  Embedding<float> embedding;
  kronecker::KroneckerHead head;
  kronecker::HeadCorrection correction;
  Matrix rows;  // (V, d_model)

  CorrectedHead(const Setting& of, int rank)
      : embedding(random_embedding(vocabulary_of(of), of.pos_dim, of.d_model)),
        head(embedding),
        correction(
            kronecker::HeadCorrection::make({embedding.vocab_size(), of.d_model, rank}, random_numbers)),
        rows(embedding.table()) {
    using Map = Eigen::Map<const Matrix>;
    rows.noalias() += Map(correction.token_factors().data(), rows.rows(), rank) *
                      Map(correction.state_factors().data(), rank, rows.cols());
  }

  Eigen::Map<const Eigen::RowVectorXf> bias() const { return {correction.bias().data(), rows.rows()}; }

 private:
  /// The text's, and made-up words up to the number of tokens that the setting asks for.
  static kronecker::Vocabulary vocabulary_of(const Setting& of) {
    const kronecker::Vocabulary found = text_of(of, 1).vocabulary;
    std::vector<std::string> tokens;
    for (TokenId id = 0; id < of.vocab_size; ++id)
      tokens.emplace_back(id < found.size() ? std::string(found.bytes(id))
                                            : "<|" + std::to_string(id) + "|>");
    return kronecker::Vocabulary(std::move(tokens));
  }
  static void random_numbers(std::span<float> all) {
    std::mt19937 random(1);
    std::normal_distribution<float> normal(0, 0.1f);
    for (float& number : all) number = normal(random);
  }
};

void measure_corrected(const Setting& setting, int rank, const std::vector<int>& counts, int pieces,
                       Table& table) {
  const CorrectedHead corrected(setting, rank);
  for (const int count : counts) {
    const Matrix hidden = Matrix::Random(count, setting.d_model);
    Matrix product(count, corrected.rows.rows()), logits(count, corrected.rows.rows());
    const Contender multiply = [&](std::size_t) {
      product.noalias() = hidden * corrected.rows.transpose();
      product.rowwise() += corrected.bias();
    };
    const Contender by_head = [&](std::size_t) {
      corrected.head.logits(corrected.embedding, hidden, logits, &corrected.correction);
    };
    multiply(0), by_head(0);
    const float difference = (logits - product).cwiseAbs().maxCoeff() / product.cwiseAbs().maxCoeff();
    if (!(difference < 1e-5f))
      throw std::runtime_error("corrected logits are " + std::to_string(difference) +
                               " of the largest away from the dense head's");
    const Comparison result = compare(by_head, multiply, static_cast<std::size_t>(pieces), 1);
    table.rows.push_back(
        {setting.name(), rank, count, result.reference_seconds * 1e3, result.seconds * 1e3, result.ratio});
  }
}

/// Loss and gradients as a dense head's are computed: all logits, their softmax in place, two products.
double dense_step(const CorrectedHead& of, const Matrix& hidden, const std::vector<TokenId>& targets,
                  Matrix& logits, Matrix& grad_rows, Matrix& grad_hidden) {
  logits.noalias() = hidden * of.rows.transpose();
  logits.rowwise() += of.bias();
  double loss = 0;
  const auto count = static_cast<float>(hidden.rows());
  for (Eigen::Index n = 0; n < logits.rows(); ++n) {
    const float largest = logits.row(n).maxCoeff();
    float& target = logits(n, targets[static_cast<std::size_t>(n)]);
    loss += static_cast<double>(largest) - static_cast<double>(target);
    logits.row(n) = (logits.row(n).array() - largest).exp();
    const float sum = logits.row(n).sum();
    loss += std::log(static_cast<double>(sum));
    logits.row(n) /= sum * count;
    target -= 1 / count;
  }
  grad_rows.noalias() = logits.transpose() * hidden;
  grad_hidden.noalias() = logits * of.rows;
  return loss / static_cast<double>(count);
}

void measure_step(const Setting& setting, int rank, int count, int pieces, Table& table) {
  const CorrectedHead of(setting, rank);
  const Matrix hidden = Matrix::Random(count, setting.d_model);
  std::vector<TokenId> targets(static_cast<std::size_t>(count));
  for (std::size_t n = 0; n < targets.size(); ++n)
    targets[n] = static_cast<TokenId>(n * 7919 % static_cast<std::size_t>(of.rows.rows()));

  kronecker::ProjectionGradient projection(of.embedding);
  kronecker::HeadCorrectionGradient correction(of.correction);
  Matrix grad_hidden = Matrix::Zero(count, setting.d_model), dense_hidden = grad_hidden,
         grad_rows = 0 * of.rows;
  double loss = 0, dense_loss = 0;
  const auto step = [&] {
    loss = kronecker::accumulate_cross_entropy({of.head, of.embedding, &of.correction}, hidden, targets,
                                               {projection, grad_hidden, &correction});
  };
  const double memory = peak_megabytes(step);
  Matrix logits;
  const double dense_memory = peak_megabytes([&] {
    logits.resize(count, of.rows.rows());
    dense_loss = dense_step(of, hidden, targets, logits, grad_rows, dense_hidden);
  });
  const float difference =
      (grad_hidden - dense_hidden).cwiseAbs().maxCoeff() / dense_hidden.cwiseAbs().maxCoeff();
  if (!(std::abs(loss - dense_loss) < 1e-5 * dense_loss) || !(difference < 1e-4f))
    throw std::runtime_error("the loss without logits or its gradient is not the dense head's");

  const Contender by_blocks = [&](std::size_t) { step(); };
  const Contender dense = [&](std::size_t) {
    dense_step(of, hidden, targets, logits, grad_rows, dense_hidden);
  };
  const Comparison result = compare(by_blocks, dense, static_cast<std::size_t>(pieces), 1);
  const auto add = [&](const char* name, double weights, double working, double seconds) {
    constexpr double megabyte = 1e6, float_size = 4;
    const double megabytes = weights * float_size / megabyte;
    table.rows.push_back({setting.name(), count, name, megabytes, megabytes, 2 * megabytes, working,
                          4 * megabytes + working, seconds * 1e3});
  };
  add("dense", static_cast<double>(of.rows.size() + of.rows.rows()), dense_memory, result.reference_seconds);
  add("corrected", static_cast<double>(projection.all().size() + correction.all().size()), memory,
      result.seconds);
}

}  // namespace

int main(int argc, char** argv) {
  return run("corrected_head", argc, argv, [](Report& report, const Options& options) {
    Table corrected{
        "corrected_head",
        "Corrected output head: logits of all tokens",
        "The product is Eigen's, with the float32 rows of the dense head that has the same logits, without "
        "-march flags, so with SSE2. Medians, taking turns.",
        {settings_are, "rank", "hidden states", "dense product, ms", "corrected head, ms",
         "part of the product's time"}};
    const Setting large{"llama3", 131072, 32, 4096};
    for (const int rank : options.quick ? std::vector{16} : std::vector{16, 64})
      measure_corrected(options.quick ? gpt2 : large, rank,
                        options.quick ? std::vector{1, 16} : std::vector{1, 16, 64}, options.quick ? 1 : 5,
                        corrected);
    report.add(std::move(corrected));

    Table steps{
        "head_step",
        "A step of training a head of rank 64: loss and gradients",
        "In MB: weights, gradients and AdamW's state are counted; what is allocated beside them while the "
        "step runs is measured (the peak of the resident memory), the logits of a dense head for instance.",
        {settings_are, "hidden states", "head", "weights", "gradients", "AdamW", "working memory", "all",
         "ms"}};
    measure_step(gpt2, 64, options.quick ? 64 : 1024, options.quick ? 1 : 3, steps);
    report.add(std::move(steps));
  });
}
