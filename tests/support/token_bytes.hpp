#pragma once

/// The bytes of a token of a vocabulary that the test does not keep.

#include <kronecker/vocabulary.hpp>

#include <string>

namespace test_support {

inline std::string bytes_in(const kronecker::Vocabulary& vocabulary, kronecker::TokenId id) {
  return std::string(vocabulary.bytes(id));
}

}  // namespace test_support
