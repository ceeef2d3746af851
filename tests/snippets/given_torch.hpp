/// What the snippets for LibTorch take as given.

#include <kronecker/files/checkpoint.hpp>
#include <kronecker/kronecker.hpp>

#include <torch/torch.h>

extern const kronecker::KroneckerEncoder<256, 16> encoder;
extern const kronecker::Vocabulary vocabulary;
extern const torch::Tensor ids, hidden;
