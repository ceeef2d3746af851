#pragma once

/// How the code of a token is normalized and rounded.

#include <kronecker/namespace.hpp>

namespace KRONECKER_NAMESPACE {

/// What the values of a normalized code are rounded to.
enum class CodeRounding {
  exact,     ///< Nothing: they are float32, and the embedding is that of the exact code.
  bfloat16,  ///< bfloat16, to nearest even, as the production model of arXiv 2606.07404 has it.
};

/// How a code is normalized. The defaults are the paper's.
struct CodeOptions {
  bool length_normalize = true;  ///< Lit cells hold s = 1 / sqrt(L) instead of s = 1.
  bool z_normalize = true;       ///< The code is shifted and scaled to mean 0 and (unbiased) deviation 1.
  float epsilon = 1e-6f;         ///< Added to the deviation before dividing by it; finite and >= 0.
  CodeRounding rounding = CodeRounding::exact;  ///< Of the normalized code's values.

  bool operator==(const CodeOptions&) const = default;  ///< Whether all are the same.
};

}  // namespace KRONECKER_NAMESPACE
