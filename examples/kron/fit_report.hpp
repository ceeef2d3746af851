#pragma once

/// What kron fit says of a fit, for people and for programs.

#include "report.hpp"
#include "token_counts.hpp"

#include <kronecker/analysis/fit.hpp>
#include <kronecker/analysis/fit_groups.hpp>
#include <kronecker/vocabulary.hpp>

#include <cstddef>
#include <cstdio>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace kron {

struct FitReport {
  const kronecker::FitResult& fit;
  const kronecker::Vocabulary& vocabulary;
  const Encoder& encoder;
  const kronecker::RowMajorMatrix<float>& table;  ///< May have rows beyond the vocabulary.
  const std::optional<TokenCounts>& counts;       ///< By which the tokens were weighted.
  bool ridge_is_free;                             ///< Whether it was not given.
  std::vector<kronecker::TokenId> own_ids;        ///< Tokens that keep their rows, ascending.
  std::string own_name;                           ///< What they are.

  /// Says on standard error that the rows seem to be other tokens' than those of the ids.
  void warn(const std::string& table_name) const;
  void print(std::FILE* to) const;
  ordered_json json(const std::string& output) const;

 private:
  /// Whether codes that have nothing to do with the table would explain as much of it.
  bool explains_nothing() const;
  /// The numbers of the table, and those that are left of it.
  std::pair<double, double> numbers() const;
  double own_occurrences() const;  ///< The share of all counts that tokens have that keep their rows.
  /// Tokens without bytes and rows of their own, and what they have of the squares of the vocabulary's rows.
  struct Lost {
    std::size_t tokens = 0;
    double share = 0;
  };
  Lost lost() const;
  std::size_t fitted() const;
  std::size_t held_out() const;
  std::vector<kronecker::FitGroup> by_count() const;  ///< By weight, with the counts that these were made of.
  double cost(kronecker::TokenId id) const;           ///< Its share of all weighted squared distances.
  void print_groups(const char* what, const std::vector<kronecker::FitGroup>& groups, std::FILE* to) const;
  void print_worst(std::FILE* to) const;
};

}  // namespace kron
