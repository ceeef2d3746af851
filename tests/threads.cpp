/// Eight threads read one embedding, its head and their parts of a gradient: built with ThreadSanitizer,
/// which ends the program at a data race. Exits with 1 if a thread computed anything else than the first.

#include <kronecker/head.hpp>
#include <kronecker/kronecker.hpp>
#include <kronecker/training/gradient.hpp>

#include <chrono>
#include <thread>
#include <vector>

namespace {

using Encoder = kronecker::KroneckerEncoder<256, 16>;

template <class Scalar>
bool threads_agree(const kronecker::KroneckerEmbedding<>& of_floats) {
  const auto embedding = of_floats.cast<Scalar>();
  const kronecker::KroneckerHead head(embedding);
  kronecker::ProjectionGradient gradient(embedding);
  constexpr int thread_count = 8;
  std::vector<kronecker::RowMajorMatrix<float>> tables(thread_count);
  std::vector<std::vector<kronecker::KroneckerHead::TokenLogit>> tops(thread_count);
  std::vector<kronecker::TokenId> ids;
  for (kronecker::TokenId id = 0; id < embedding.vocab_size(); ++id) ids.push_back(id);
  const kronecker::RowMajorMatrix<float> grad_out = of_floats.table();
  const std::span<const float> grad_values(grad_out.data(), static_cast<std::size_t>(grad_out.size()));

  std::vector<std::thread> threads;
  for (int i = 0; i < thread_count; ++i)
    threads.emplace_back([&, i] {
      const auto mine = static_cast<std::size_t>(i);
      const auto copy = embedding;  // shares, and counts references
      tables[mine] = copy.forward(ids);
      tops[mine] = head.top(embedding, grad_values.first(static_cast<std::size_t>(embedding.d_model())), 5);
      const auto columns = static_cast<std::size_t>(embedding.d_model() / thread_count);
      kronecker::accumulate_gradient(embedding, ids, grad_values, gradient,
                                     {mine * columns, (mine + 1) * columns});
    });
  for (std::thread& thread : threads) thread.join();

  kronecker::ProjectionGradient alone(embedding);
  kronecker::accumulate_gradient(embedding, ids, grad_values, alone);
  for (std::size_t i = 1; i < thread_count; ++i)
    if (tables[i] != tables[0] || tops[i] != tops[0]) return false;
  return gradient.to_torch() == alone.to_torch();
}

/// Rows that another thread read through a copy are changed where they lie once the copy is gone: the count
/// of copies must say that they are done, too.
bool changes_rows_after_a_reader(kronecker::KroneckerEmbedding<> embedding) {
  const float* const rows = embedding.rows().values().data();
  float read = 0;
  std::thread reader([&read](kronecker::KroneckerEmbedding<> copy) { read = copy.forward({1})(0, 0); },
                     embedding);
  std::this_thread::sleep_for(std::chrono::milliseconds(200));  // orders nothing, but lets the reader end
  embedding.update_rows([](std::span<float> values) { values[0] += 1; });
  reader.join();
  return embedding.rows().values().data() == rows && read != 0;
}

}  // namespace

int main() {
  std::vector<std::string> tokens;
  for (int i = 0; i < 300; ++i) tokens.push_back(std::to_string(i * 7919));
  const kronecker::KroneckerEmbedding embedding(
      Encoder(), kronecker::Vocabulary(tokens),
      kronecker::LearnedProjection::normal(64, Encoder().code_dim(), 1));
  return threads_agree<float>(embedding) && threads_agree<Eigen::bfloat16>(embedding) &&
                 threads_agree<Eigen::half>(embedding) && threads_agree<std::int8_t>(embedding) &&
                 changes_rows_after_a_reader(kronecker::KroneckerEmbedding(
                     Encoder(), kronecker::Vocabulary(tokens),
                     kronecker::LearnedProjection::normal(64, Encoder().code_dim(), 1)))
             ? 0
             : 1;
}
