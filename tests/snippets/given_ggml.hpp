/// What the snippets for ggml take as given.

#include <kronecker/kronecker.hpp>

#include <ggml.h>

extern const kronecker::KroneckerEmbedding<float> embedding;
extern ggml_context* const context;
extern ggml_tensor* const ids;
