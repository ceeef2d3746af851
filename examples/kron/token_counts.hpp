#pragma once

/// How often tokens occur: as a file of counts says it, or a text.

#include <kronecker/types.hpp>
#include <kronecker/vocabulary.hpp>

#include <CLI/CLI.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace kron {

/// How often each token occurs.
struct TokenCounts {
  std::vector<double> of;  ///< For each id.
  std::string source;      ///< What they are the counts of, as a sentence says it.

  double total() const;
  std::size_t occurring() const;  ///< Tokens that occur at all.
};

/// Counts of tokens, as options: --counts FILE or --text FILE.
class CountsOption {
 public:
  void add(CLI::App& command);
  bool is_given() const noexcept { return !counts_path_.empty() || !text_path_.empty(); }

  /// Reads them. Throws FileError at what is no count, at a negative one, and at ids that are none of the
  /// vocabulary. What was assumed is said on standard error.
  TokenCounts read(const kronecker::Vocabulary& vocabulary) const;

  /// Throws FileError if writing to `output` would replace what is read.
  void check_kept(const std::string& output) const;

 private:
  std::string counts_path_, text_path_;
};

}  // namespace kron
