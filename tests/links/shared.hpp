#pragma once

/// What one file of a program hands to another: objects of the library, as an argument, as a result and in a
/// variable.

#include <kronecker/kronecker.hpp>

#include <utility>

using Embedding = decltype(kronecker::KroneckerEmbedding(std::declval<kronecker::KroneckerEncoder<256, 8>>(),
                                                         std::declval<kronecker::Vocabulary>(),
                                                         std::declval<kronecker::LearnedProjection>()));

kronecker::TokenId count(const Embedding& embedding);
kronecker::Vocabulary make_vocabulary();
extern const kronecker::Vocabulary the_vocabulary;
