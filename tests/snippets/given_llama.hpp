/// What the snippets for llama.cpp take as given.

#include <kronecker/kronecker.hpp>

#include <llama.h>

extern const kronecker::KroneckerEmbedding<float> embedding;
extern const std::int32_t n_tokens, n_embd;
