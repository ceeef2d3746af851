/// One half of an exchange of weights with Python, which interchange.py leads:
///     interchange WEIGHTS_IN OUTPUTS WEIGHTS_OUT
/// loads golden weights that Python wrote, writes the module's outputs for the golden ids, and its weights.

#include <kronecker/files/checkpoint.hpp>
#include <kronecker/integrations/torch.hpp>

#undef CHECK  // torch's, which Catch2 has too

#include "golden_embedding.hpp"

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  kronecker::torch_module::KroneckerEmbedding module(test_support::GoldenEncoder(),
                                                     test_support::golden_vocabulary(), 8);
  module->set_projection(kronecker::import_projection(argv[1], "projection.weight"));
  const auto ids = test_support::golden_ids();
  const torch::Tensor out = module(torch::tensor(std::vector<std::int64_t>(ids.begin(), ids.end())));
  kronecker::write_npy(argv[2],
                       std::span<const float>(out.data_ptr<float>(), static_cast<std::size_t>(out.numel())),
                       std::vector<std::size_t>{ids.size(), 8});
  kronecker::export_projection(argv[3], module->learned_projection(), "model.wte.projection.weight");
}
