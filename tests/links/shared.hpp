#pragma once

/// What one file of a program hands to another: objects of the library, as an argument, as a result and in a
/// variable.

#include <kronecker/kronecker.hpp>

using Embedding = kronecker::KroneckerEmbedding<>;

kronecker::TokenId count(const Embedding& embedding);
kronecker::Vocabulary make_vocabulary();
extern const kronecker::Vocabulary the_vocabulary;
