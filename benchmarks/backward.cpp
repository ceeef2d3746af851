/// Gradients: of the embedding against adding into the gradient of a dense table, as a framework takes it
/// against writing as much memory, of the tied head against the two products, and the step, one thread.
///     benchmark_backward [--quick] [--json FILE]

#include "contenders.hpp"
#include "report.hpp"

#include <kronecker/training/arrays.hpp>
#include <kronecker/training/gradient.hpp>
#include <kronecker/training/optimizer.hpp>

namespace {

using namespace benchmarks;
using Matrix = RowMajorMatrix<float>;

// Throws unless `gradient` is what the tokens `ids` add up to, in its first columns.
void check(const Embedding<float>& embedding, std::span<const TokenId> ids, const Matrix& grad_out,
           const kronecker::ProjectionGradient& gradient) {
  constexpr Eigen::Index columns = 16;
  const auto& tokens = embedding.token_bytes();
  const auto pos_dim = static_cast<std::size_t>(tokens.pos_dim());
  Matrix expected = Matrix::Zero(gradient.code_dim(), columns);
  for (std::size_t i = 0; i < ids.size(); ++i) {
    const auto id = static_cast<std::size_t>(ids[i]);
    for (std::size_t p = 0; p < tokens.lengths()[id]; ++p)
      expected.row(static_cast<Eigen::Index>(tokens.bytes()[id * pos_dim + p] * pos_dim + p)) +=
          embedding.encoder().scale(tokens.lengths()[id]) *
          grad_out.row(static_cast<Eigen::Index>(i)).head(columns);
  }
  const Eigen::Map<const Matrix> found(gradient.values().data(), gradient.code_dim(), gradient.d_model());
  const float difference =
      (found.leftCols(columns) - expected).cwiseAbs().maxCoeff() / expected.cwiseAbs().maxCoeff();
  if (!(difference < 1e-5f))
    throw std::runtime_error("the gradient is " + std::to_string(difference) + " away from its definition");
}

void measure_embedding(const Workload& work, Table& table) {
  const auto d_model = static_cast<std::size_t>(work.setting.d_model);
  kronecker::ProjectionGradient gradient(work.embedding);
  Matrix table_gradient = Matrix::Zero(work.table.rows(), work.table.cols());
  const double clear_ours = median_seconds([&](std::size_t) { gradient.clear(); }, 3);
  const double clear_theirs = median_seconds([&](std::size_t) { table_gradient.setZero(); }, 3);
  for (const std::size_t window : {64u, 512u, 4096u}) {
    const Windows windows{work.text.ids, window, d_model};
    Matrix grad_out = Matrix::Random(static_cast<Eigen::Index>(window), work.setting.d_model);
    const auto ids_of = [&](std::size_t piece) { return windows.ids.subspan(piece * window, window); };
    gradient.clear();
    kronecker::accumulate_gradient(work.embedding, ids_of(0), grad_out, gradient);
    check(work.embedding, ids_of(0), grad_out, gradient);
    const Comparison result = compare(
        [&](std::size_t piece) {
          kronecker::accumulate_gradient(work.embedding, ids_of(piece), grad_out, gradient);
        },
        [&](std::size_t piece) {
          Eigen::Index row = 0;
          for (const TokenId id : ids_of(piece)) table_gradient.row(id) += grad_out.row(row++);
        },
        windows.pieces());
    table.rows.push_back(
        {work.setting.name(), window, windows.nanoseconds_per_token(result.reference_seconds),
         windows.nanoseconds_per_token(result.seconds), result.ratio, clear_theirs * 1e3, clear_ours * 1e3});
  }
}

// How a framework that holds the weights gives its threads: here, one.
struct OneThread {
  static constexpr std::size_t most = 1, least_numbers = 1;

  template <class Work>
  void operator()(std::size_t count, std::size_t, const Work& work) const {
    for (std::size_t part = 0; part < count; ++part) work(part);
  }
};

// The whole gradient of z-normalized rows, of which every one has a number, into memory that holds anything.
void measure_whole_gradient(const Workload& work, Table& table) {
  const auto d_model = static_cast<std::size_t>(work.setting.d_model);
  const auto& encoder = work.embedding.encoder();
  const auto& bytes = work.embedding.token_bytes();
  const kronecker::detail::TokenArrays tokens{bytes.bytes().data(), bytes.lengths().data(), bytes.size()};
  kronecker::ProjectionGradient sums(work.embedding);
  std::vector<float> gradient(sums.values().size());
  kronecker::detail::ask_for_large_pages(gradient.data(), gradient.size() * sizeof(float));
  for (const std::size_t window : {64u, 2048u}) {
    const Windows windows{work.text.ids, window, d_model};
    const std::size_t pieces = std::min<std::size_t>(windows.pieces(), 25);
    const Matrix grad_out = Matrix::Random(static_cast<Eigen::Index>(window), work.setting.d_model);
    const auto ids_of = [&](std::size_t piece) { return windows.ids.subspan(piece * window, window); };
    const Contender write = [&](std::size_t piece) {
      const std::vector<std::int64_t> ids(ids_of(piece).begin(), ids_of(piece).end());
      kronecker::detail::scatter_arrays<kronecker::kernels::RowType::float32,
                                        kronecker::kernels::RowType::float32>(
          encoder, true, kronecker::detail::ArraySequence(encoder, tokens, ids.data(), window),
          grad_out.data(), d_model, gradient.data(), OneThread{});
    };
    const Contender add = [&](std::size_t piece) {
      kronecker::accumulate_gradient(work.embedding, ids_of(piece), grad_out, sums);
    };
    sums.clear();
    add(0);
    write(0);
    const Matrix expected = sums.to_torch();
    const Eigen::Map<const Matrix> found(gradient.data(), sums.code_dim(), work.setting.d_model);
    const float difference =
        (found.transpose() - expected).cwiseAbs().maxCoeff() / expected.cwiseAbs().maxCoeff();
    if (!(difference < 1e-5f))
      throw std::runtime_error("the whole gradient is " + std::to_string(difference) + " away");
#ifdef KRONECKER_HAS_AVX
    const Contender fill = [&](std::size_t) { stream_all(gradient); };
#else
    const Contender fill = [&](std::size_t) { write_all(gradient); };
#endif
    const std::vector<std::int64_t> ids(ids_of(0).begin(), ids_of(0).end());
    const kronecker::detail::ArraySequence first_ids(encoder, tokens, ids.data(), window);
    const Contender mean = [&](std::size_t) {
      kronecker::detail::minus_mean_of_gradient<kronecker::kernels::RowType::float32>(
          first_ids, static_cast<std::size_t>(encoder.code_dim()), grad_out.data(), d_model, OneThread{});
    };
    const auto seconds = time_side_by_side({write, add, fill, mean}, pieces);
    std::vector<double> ratios(pieces);
    for (std::size_t piece = 0; piece < pieces; ++piece)
      ratios[piece] = (seconds[0][piece] - seconds[1][piece] - seconds[3][piece]) / seconds[2][piece];
    table.rows.push_back({work.setting.name(), window, median(seconds[2]) * 1e3, median(seconds[1]) * 1e3,
                          median(seconds[3]) * 1e3, median(seconds[0]) * 1e3, median(ratios)});
  }
}

// A step of AdamW, beside reading its gradient and changing weights, means and squares by it.
void measure_step(const Workload& work, Table& table) {
  auto embedding = work.embedding;
  kronecker::AdamW optimizer(embedding);
  kronecker::ProjectionGradient gradient(embedding);
  const Matrix grad_out = Matrix::Random(2048, work.setting.d_model);
  kronecker::accumulate_gradient(embedding, std::span(work.text.ids).first(2048), grad_out, gradient);
  const std::span<const float> read = gradient.all();
  std::vector<float> a(read.size()), b(read.size()), c(read.size());
  const Contender step = [&](std::size_t) { optimizer.step(embedding, gradient); };
  const Contender change = [&](std::size_t) { add_to_three(read, a.data(), b.data(), c.data()); };
  const auto seconds = time_side_by_side({step, change}, 15);
  table.rows.push_back({work.setting.name(), median(seconds[1]) * 1e3, median(seconds[0]) * 1e3,
                        median_ratio(seconds[0], seconds[1])});
}

void measure_head(const Workload& work, int count, Table& table) {
  const kronecker::KroneckerHead head(work.embedding);
  kronecker::ProjectionGradient gradient(work.embedding);
  Matrix table_gradient = Matrix::Zero(work.table.rows(), work.table.cols());
  Matrix hidden = Matrix::Random(count, work.table.cols());
  Matrix grad_logits = Matrix::Random(count, work.table.rows());
  Matrix ours = Matrix::Zero(count, work.table.cols()), theirs = ours;
  const Contender by_head = [&](std::size_t) {
    kronecker::accumulate_gradient(head, work.embedding, hidden, grad_logits, gradient, ours);
  };
  const Contender by_products = [&](std::size_t) {
    theirs.noalias() += grad_logits * work.table;
    table_gradient.noalias() += grad_logits.transpose() * hidden;
  };
  by_head(0);
  by_products(0);
  const float difference = (ours - theirs).cwiseAbs().maxCoeff() / theirs.cwiseAbs().maxCoeff();
  if (!(difference < 1e-4f))
    throw std::runtime_error("the gradients of hidden states differ by " + std::to_string(difference));
  const Comparison result = compare(by_head, by_products, 3, 1);
  table.rows.push_back(
      {work.setting.name(), count, result.reference_seconds * 1e3, result.seconds * 1e3, 1 / result.ratio});
}

}  // namespace

int main(int argc, char** argv) {
  return run("backward", argc, argv, [](Report& report, const Options& options) {
    Table embedding{"backward",
                    "Gradient of the embedding, against adding rows into the gradient of a float32 table",
                    "Taking turns window by window, best of three runs. Clearing is what every step pays "
                    "besides: the table's gradient is as large as the table.",
                    {settings_are, "ids at a time", "table, ns/token", "Kronecker, ns/token", "ratio",
                     "clearing the table's, ms", "clearing Kronecker's, ms"}};
    Table whole{
        "whole_gradient",
        "The whole gradient of z-normalized rows, as a framework takes it, in milliseconds",
        "Into memory that held anything before. Writing fills as much memory around the caches, "
        "adding is what the tokens add to rows that are there, and the mean is that of all rows, from the "
        "outputs' gradients. The four take turns; medians.",
        {settings_are, "ids at a time", "writing", "adding", "mean", "gradient",
         "(gradient - adding - mean) / writing"}};
    Table step{
        "adamw_step",
        "A step of AdamW, in milliseconds",
        "Moving is to read as many numbers as the gradient has, and to read and write three times as many. "
        "Besides that, a step reads the gradient for its mean, and the weights twice to center them. The "
        "two take turns; medians.",
        {settings_are, "moving", "step", "ratio"}};
    Table head{"head_backward",
               "Gradient of the output head: of the projection and of the hidden states",
               "Against Eigen's two products with the table and into its gradient, with SSE2; medians.",
               {settings_are, "hidden states", "products, ms", "head, ms", "times faster"}};
    for (const Setting& setting : settings(options.quick)) {
      const Workload work(setting, options.quick);
      measure_embedding(work, embedding);
      measure_whole_gradient(work, whole);
      measure_step(work, step);
      measure_head(work, 16, head);
    }
    report.add(std::move(embedding));
    report.add(std::move(whole));
    report.add(std::move(step));
    report.add(std::move(head));
  });
}
