/// Trains a projection until tokens have given vectors, as a model's loss would: forward pass, gradient,
/// AdamW.

#include "progress.hpp"

#include <fmt/core.h>
#include <kronecker/kronecker.hpp>
#include <kronecker/training/training.hpp>

#include <numeric>
#include <vector>

int main() {
  const kronecker::Vocabulary vocabulary(
      {" one", " two", " three", " four", " five", " six", " seven", " eight"});
  const kronecker::KroneckerEncoder<256, 8> encoder;
  kronecker::KroneckerEmbedding embedding(
      encoder, vocabulary, kronecker::LearnedProjection::normal(32, encoder.code_dim(), /*seed=*/1));
  const kronecker::KroneckerEmbedding teacher(
      encoder, vocabulary, kronecker::LearnedProjection::normal(32, encoder.code_dim(), 2));
  std::vector<kronecker::TokenId> ids(static_cast<std::size_t>(vocabulary.size()));
  std::iota(ids.begin(), ids.end(), 0);
  const auto wanted = teacher.forward(ids);

  kronecker::AdamW optimizer(embedding, {.learning_rate = 1e-3f, .weight_decay = 0.0f});
  kronecker::ProjectionGradient gradient(embedding);
  constexpr int steps = 200;
  examples::Progress progress("training", steps);
  for (int step = 0; step < steps; ++step) {
    const kronecker::RowMajorMatrix<float> difference = embedding.forward(ids) - wanted;
    if (step % 50 == 0) fmt::print("step {:>3}  loss {:.6f}\n", step, difference.squaredNorm());
    const kronecker::RowMajorMatrix<float> grad_out = 2 * difference;
    gradient.clear();
    kronecker::accumulate_gradient(embedding, ids, grad_out, gradient);
    kronecker::clip_norm(gradient, 1.0);
    optimizer.step(embedding, gradient);
    progress.update(static_cast<std::size_t>(step + 1));
  }
  fmt::print("step {}  loss {:.6f}, projection norm {:.3f}\n", steps,
             (embedding.forward(ids) - wanted).squaredNorm(), kronecker::projection_norm(embedding));
}
