#pragma once

/// What a vocabulary's file does not say and its reader can be told.

#include <kronecker/namespace.hpp>
#include <kronecker/types.hpp>
#include <kronecker/vocabularies/token_text.hpp>

#include <map>
#include <string>

namespace KRONECKER_NAMESPACE {

/// How a vocabulary is to be read.
struct VocabularyOptions {
  TokenText text = TokenText::raw;               ///< Which bytes are a token's.
  std::map<std::string, TokenId> specials = {};  ///< Special tokens and their ids, for tiktoken's ranks.
};

}  // namespace KRONECKER_NAMESPACE
