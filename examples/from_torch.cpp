/// A projection that was trained elsewhere: `projection.weight` of the PyTorch module, (d_model, D) float32.
///     numpy.save("weight.npy", module.projection.weight.detach().numpy())
///     from_torch weight.npy

#include <kronecker/files/npy.hpp>
#include <kronecker/kronecker.hpp>

#include <fmt/core.h>

int main(int argc, char** argv) try {
  // Weights may come from anywhere: all that counts is a block of floats and its two sizes.
  kronecker::NpyArray<float> weight{{8, 256 * 4}, std::vector<float>(8 * 256 * 4)};
  for (std::size_t i = 0; i < weight.values.size(); ++i) weight.values[i] = static_cast<float>(i % 97) / 97;
  if (argc > 1) weight = kronecker::read_npy<float>(argv[1]);
  if (weight.shape.size() != 2) throw std::invalid_argument("a projection has two dimensions, (d_model, D)");

  const auto d_model = static_cast<Eigen::Index>(weight.shape[0]);
  const auto code_dim = static_cast<Eigen::Index>(weight.shape[1]);
  const Eigen::Map<const kronecker::RowMajorMatrix<float>> matrix(weight.values.data(), d_model, code_dim);

  const kronecker::KroneckerEncoder encoder(256, static_cast<int>(code_dim / 256));  // sizes at run time
  const kronecker::KroneckerEmbedding embedding(encoder, kronecker::Vocabulary({"Hello", ",", " world"}),
                                                kronecker::LearnedProjection::from_torch(matrix));
  const auto vectors = embedding.forward({0, 1, 2});
  fmt::print("pos_dim {}, d_model {}: the embedding of ' world' has norm {:.3f}\n", encoder.pos_dim(),
             vectors.cols(), vectors.row(2).norm());
} catch (const std::exception& error) {
  fmt::print(stderr, "from_torch: {}\n", error.what());
  return 2;
}
