/// What the snippets for llama.cpp take as given.

#include <kronecker/kronecker.hpp>

#include <llama.h>

extern const kronecker::KroneckerEmbedding<float> embedding;
extern llama_model* model;
extern llama_context* context;
