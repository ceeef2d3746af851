#pragma once

/// Which tokens keep the rows of a trained table when a projection is fitted to the rest.

#include "token_counts.hpp"

#include <kronecker/types.hpp>
#include <kronecker/vocabulary.hpp>

#include <CLI/CLI.hpp>

#include <optional>
#include <string>
#include <vector>

namespace kron {

/// Tokens with rows of their own, as options: --own-rows NUMBER, --own-rows special, --own-rows-from FILE.
class OwnRowsOption {
 public:
  void add(CLI::App& command);

  /// Their ids, ascending; none if nothing was asked for. Throws std::invalid_argument if the most frequent
  /// are asked for and there are no counts, FileError at what is no id of the vocabulary.
  std::vector<kronecker::TokenId> ids(const kronecker::Vocabulary& vocabulary,
                                      const std::optional<TokenCounts>& counts) const;

  /// What they are, as a sentence says it.
  std::string what() const;

  /// Throws FileError if writing to `output` would replace what is read.
  void check_kept(const std::string& output) const;

 private:
  std::string which_, path_;
};

}  // namespace kron
