/// What a second thread gains, beside what it gains where numbers are only copied, written or read.
///     benchmark_threads [--quick] [--json FILE]

#include "machine.hpp"
#include "memory.hpp"
#include "report.hpp"
#include "two_threads.hpp"

#include <kronecker/head.hpp>
#include <kronecker/training/arrays.hpp>
#include <kronecker/training/gradient.hpp>

#include <fmt/core.h>

#include <cstring>

namespace {

using namespace benchmarks;
using kronecker::Range;
using Matrix = RowMajorMatrix<float>;

// Something that one thread does, and the same on two.
struct Work {
  std::string name;
  Contender by_one, by_two;
};

class Threads {
 public:
  explicit Threads(std::size_t pieces) : pieces_(pieces) {}

  // `work` and what it is measured by, all four in turns.
  void add(const std::string& setting, const Work& work, const Work& plain) {
    const auto seconds = time_side_by_side({work.by_one, work.by_two, plain.by_one, plain.by_two}, pieces_);
    const double gain = median_ratio(seconds[0], seconds[1]),
                 plain_gain = median_ratio(seconds[2], seconds[3]);
    table.rows.push_back({setting, work.name, median(seconds[0]) * 1e3, median(seconds[1]) * 1e3, gain,
                          plain.name, median(seconds[2]) * 1e3, median(seconds[3]) * 1e3, plain_gain,
                          gain / plain_gain});
  }

  Table table{
      "threads",
      "Two threads against one",
      "Each half of the work on a thread of its own, of which the second waits for it, spinning; the bits "
      "are those of one thread, which is checked. Beside it, what moves as many bytes and does nothing "
      "else. All four take turns; medians, and medians of the ratios.",
      {settings_are, "what", "ms", "on two, ms", "times faster", "beside it", "ms, beside it",
       "on two, ms, beside it", "times faster, beside it", "of what that gains"}};

 private:
  std::size_t pieces_;
};

void check_same(const std::string& what, std::span<const float> by_one, std::span<const float> by_two) {
  if (std::memcmp(by_one.data(), by_two.data(), by_one.size_bytes()) != 0)
    throw std::runtime_error(what + ": two threads make other bits than one");
}

void measure_forward(const Setting& setting, const Text& text, const Embedding<float>& embedding,
                     SecondThread& second, Threads& threads) {
  const RowMajorMatrix<float> table = embedding.table();
  const auto d_model = static_cast<std::size_t>(setting.d_model);
  const Embed copy = copy_of(table);
  for (const std::size_t window : {512u, 4096u}) {
    const Windows windows{text.ids, window, d_model};
    const Output out = windows.new_output(), other_out = windows.new_output();
    const auto contend = [&](const std::string& name, const Embed& embed) {
      return Work{name, windows.through(embed, out),
                  windows.through(with_two_threads(embed, second), other_out)};
    };
    for_each_row_type(embedding, [&](const std::string& rows, const auto& other) {
      const Work forward = contend(fmt::format("forward, {} rows, {} ids", rows, window), forward_of(other));
      forward.by_one(0);
      forward.by_two(0);
      check_same(forward.name, *out, *other_out);
      threads.add(setting.name(), forward, contend("copy", copy));
    });
  }
}

// Threads as training/arrays.hpp takes them.
struct BothThreads {
  SecondThread* second;
  std::size_t most = 2, least_numbers = 1;

  template <class Part>
  void operator()(std::size_t count, std::size_t at_most, const Part& work) const {
    const auto some_parts = [&](Range some) {
      for (std::size_t part = some.begin; part < some.end; ++part) work(part);
    };
    if (second == nullptr || at_most < 2) return some_parts({0, count});
    second->split(count, some_parts);
  }
};

void measure_backward(const Setting& setting, const Text& text, const Embedding<float>& embedding,
                      SecondThread& second, Threads& threads) {
  constexpr std::size_t count = 2048;
  const auto d_model = static_cast<std::size_t>(setting.d_model);
  const std::span<const TokenId> ids = std::span(text.ids).first(count);
  const Matrix grad_out = Matrix::Random(static_cast<Eigen::Index>(count), setting.d_model);
  const std::span<const float> read_numbers(grad_out.data(), count * d_model);

  kronecker::ProjectionGradient by_one(embedding), by_two(embedding);
  const Work add{fmt::format("adding to a gradient, {} ids", count),
                 [&](std::size_t) { kronecker::accumulate_gradient(embedding, ids, grad_out, by_one); },
                 [&](std::size_t) {
                   second.split(d_model, [&](Range columns) {
                     kronecker::accumulate_gradient(embedding, ids, grad_out, by_two, columns);
                   });
                 }};
  add.by_one(0);
  add.by_two(0);
  check_same(add.name, by_one.all(), by_two.all());
  std::atomic<float> sink = 0;  // so that nothing is left out
  const auto read = [&](Range some) { sink = read_all(read_numbers.subspan(some.begin, some.size())); };
  threads.add(setting.name(), add,
              {"reading the outputs' gradients",
               [&](std::size_t) {
                 read({0, read_numbers.size()});
               },
               [&](std::size_t) { second.split(read_numbers.size(), read); }});

  const auto& encoder = embedding.encoder();
  const auto& bytes = embedding.token_bytes();
  const kronecker::detail::TokenArrays tokens{bytes.bytes().data(), bytes.lengths().data(), bytes.size()};
  const std::vector<std::int64_t> long_ids(ids.begin(), ids.end());
  const kronecker::detail::ArraySequence sequence(encoder, tokens, long_ids.data(), count);
  const auto write_to = [&](std::span<float> gradient, SecondThread* with) -> Contender {
    return [&, gradient, with](std::size_t) {
      using kronecker::kernels::RowType;
      kronecker::detail::scatter_arrays<RowType::float32, RowType::float32>(
          encoder, true, sequence, grad_out.data(), d_model, gradient.data(), BothThreads{with});
    };
  };
  const Work whole{fmt::format("the whole gradient, {} ids", count), write_to(by_one.all(), nullptr),
                   write_to(by_two.all(), &second)};
  whole.by_one(0);
  whole.by_two(0);
  check_same(whole.name, by_one.all(), by_two.all());
  const auto fill = [&](Range some) {
#ifdef KRONECKER_HAS_AVX
    stream_all(by_one.all().subspan(some.begin, some.size()));
#else
    write_all(by_one.all().subspan(some.begin, some.size()));
#endif
  };
  threads.add(setting.name(), whole,
              {"writing as much",
               [&](std::size_t) {
                 fill({0, by_one.all().size()});
               },
               [&](std::size_t) { second.split(by_one.all().size(), fill); }});
}

// One hidden state: the products of half of the cells each, then the logits of half of the tokens each.
template <class Scalar>
void measure_head(const Setting& setting, const std::string& rows, const Embedding<Scalar>& embedding,
                  SecondThread& second, Threads& threads) {
  const kronecker::KroneckerHead head(embedding);
  const Matrix hidden = Matrix::Random(1, setting.d_model);
  const auto vocab_size = static_cast<std::size_t>(head.vocab_size());
  const auto cells = head.cells();
  std::vector<float> products(head.products_size(1)), by_one(vocab_size), by_two(vocab_size);
  const Work logits{fmt::format("head, {} rows, one hidden state", rows),
                    [&](std::size_t) { head.logits(embedding, hidden, by_one); },
                    [&](std::size_t) {
                      second.split(cells.size(), [&](Range some) {
                        head.cell_products(embedding, hidden, products, some);
                      });
                      second.split(vocab_size, [&](Range some) {
                        head.token_logits(products, std::span(by_two).subspan(some.begin, some.size()), some);
                      });
                    }};
  logits.by_one(0);
  logits.by_two(0);
  check_same(logits.name, by_one, by_two);

  const std::size_t row_bytes = static_cast<std::size_t>(setting.d_model) * sizeof(Scalar);
  const auto* values = reinterpret_cast<const char*>(embedding.rows().values().data());
  std::atomic<float> sink = 0;
  const auto read = [&](Range some) {
    float sum = 0;
    for (std::size_t i = some.begin; i < some.end; ++i)
      sum += read_all(
          {reinterpret_cast<const float*>(values + cells[i] * row_bytes), row_bytes / sizeof(float)});
    sink = sum;
  };
  threads.add(setting.name(), logits,
              {"reading the rows",
               [&](std::size_t) {
                 read({0, cells.size()});
               },
               [&](std::size_t) { second.split(cells.size(), read); }});
}

}  // namespace

int main(int argc, char** argv) {
  return run("threads", argc, argv, [](Report& report, const Options& options) {
    if (!has_avx2() || core_count() < 2) throw std::runtime_error("this takes two cores, on x86 with AVX2");
    Threads threads(options.quick ? 9 : 45);
    SecondThread second;
    for (const Setting& setting : settings(options.quick)) {
      const Text text = text_of(setting, std::size_t{1} << (options.quick ? 16 : 18));
      const Embedding<float> embedding = random_embedding(text.vocabulary, setting.pos_dim, setting.d_model);
      measure_forward(setting, text, embedding, second, threads);
      measure_backward(setting, text, embedding, second, threads);
      for_each_row_type(embedding, [&](const std::string& rows, const auto& other) {
        measure_head(setting, rows, other, second, threads);
      });
    }
    report.add(std::move(threads.table));
  });
}
