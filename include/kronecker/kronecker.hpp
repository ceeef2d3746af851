#pragma once

/// Kronecker Embeddings: a language model's input embedding without the table (arXiv 2605.29459).
///
/// This is the whole core. It needs the standard library and Eigen, and includes, in the order in which data
/// flows: bytes -> codes -> vocabulary -> token bytes -> learned projection -> embeddings.

#include <kronecker/embedding.hpp>
#include <kronecker/encoder.hpp>
#include <kronecker/error.hpp>
#include <kronecker/projection.hpp>
#include <kronecker/shown_text.hpp>
#include <kronecker/token_bytes.hpp>
#include <kronecker/token_strings.hpp>
#include <kronecker/types.hpp>
#include <kronecker/utf8.hpp>
#include <kronecker/version.hpp>
#include <kronecker/vocabulary.hpp>
