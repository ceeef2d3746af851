#pragma once

/// Where a fit (fit.hpp) is good and where it is not: by the length of tokens, by tenths of ids or of
/// weights, and the tokens that cost most.

#include <kronecker/analysis/fit.hpp>
#include <kronecker/analysis/fit_target.hpp>
#include <kronecker/error.hpp>
#include <kronecker/namespace.hpp>
#include <kronecker/token_bytes.hpp>
#include <kronecker/types.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <map>
#include <stdexcept>
#include <utility>
#include <vector>

namespace KRONECKER_NAMESPACE {

/// Some of the tokens that took part in a fit. R^2 is about the mean row of all tokens, so it is below 0
/// where that row is nearer to the group's than their embeddings.
struct FitGroup {
  double first;                   ///< The least length or id, or the greatest weight.
  double last;                    ///< The greatest length or id, or the least weight.
  std::vector<TokenId> ids = {};  ///< By length and id, or the greatest weight first.
  double r_squared = 0;           ///< NaN if all rows are the mean row.
  double held_out_r_squared = 0;  ///< Of those that were held out; NaN if none were.
  std::size_t held_out = 0;       ///< Their number.
};

namespace detail {

/// Measures the tokens of a group.
inline FitGroup measured_group(const FitResult& fit, FitGroup group) {
  FitSquares all, held_out;
  for (const TokenId id : group.ids) {
    const TokenFit& token = fit.tokens[static_cast<std::size_t>(id)];
    all.add(token.weight, {token.distance, token.spread});
    if (std::isnan(token.held_out)) continue;
    held_out.add(token.weight, {token.held_out, token.spread});
    ++group.held_out;
  }
  group.r_squared = all.r_squared();
  group.held_out_r_squared = held_out.r_squared();
  return group;
}

inline std::vector<TokenId> fitted_ids(const FitResult& fit) {
  std::vector<TokenId> ids;
  for (std::size_t id = 0; id < fit.tokens.size(); ++id)
    if (fit.tokens[id].weight > 0) ids.push_back(static_cast<TokenId>(id));
  return ids;
}

/// The ids, which are sorted, in ten groups of almost equal size; fewer if there are fewer ids.
template <class Value>
std::vector<FitGroup> tenths(const FitResult& fit, const std::vector<TokenId>& ids, Value value) {
  constexpr std::size_t parts = 10;
  std::vector<FitGroup> groups;
  for (std::size_t part = 0; part < parts; ++part) {
    const auto begin = static_cast<std::ptrdiff_t>(ids.size() * part / parts);
    const auto end = static_cast<std::ptrdiff_t>(ids.size() * (part + 1) / parts);
    if (begin == end) continue;
    FitGroup group{value(ids[static_cast<std::size_t>(begin)]),
                   value(ids[static_cast<std::size_t>(end - 1)])};
    group.ids.assign(ids.begin() + begin, ids.begin() + end);
    groups.push_back(measured_group(fit, std::move(group)));
  }
  return groups;
}

}  // namespace detail

/// The tokens of each length in bytes that there is, the shortest first; those of `longest` and more are one
/// group. Throws std::invalid_argument if the
/// token bytes are not of as many tokens. O(V).
inline std::vector<FitGroup> fit_by_length(const FitResult& fit, const TokenBytes& token_bytes,
                                           std::size_t longest = 255) {
  if (token_bytes.lengths().size() != fit.tokens.size())
    detail::fail<std::invalid_argument>("the bytes of ", token_bytes.lengths().size(),
                                        " tokens do not fit a fit of ", fit.tokens.size());
  const auto length_of = [&](TokenId id) {
    return std::size_t{token_bytes.lengths()[static_cast<std::size_t>(id)]};
  };
  std::map<std::size_t, FitGroup> by_length;
  for (const TokenId id : detail::fitted_ids(fit)) {
    const auto length = static_cast<double>(length_of(id));
    FitGroup& group =
        by_length.try_emplace((std::min)(length_of(id), longest), FitGroup{length, length}).first->second;
    group.first = (std::min)(group.first, length);
    group.last = (std::max)(group.last, length);
    group.ids.push_back(id);
  }
  std::vector<FitGroup> groups;
  for (auto& [length, group] : by_length) groups.push_back(detail::measured_group(fit, std::move(group)));
  return groups;
}

/// Ten groups of equal size by id, the lowest ids first: often the order in which a tokenizer learned them.
/// O(V).
inline std::vector<FitGroup> fit_by_id(const FitResult& fit) {
  return detail::tenths(fit, detail::fitted_ids(fit), [](TokenId id) { return static_cast<double>(id); });
}

/// Ten groups of equal size by weight, the greatest first. O(V log V).
inline std::vector<FitGroup> fit_by_weight(const FitResult& fit) {
  const auto weight = [&](TokenId id) { return fit.tokens[static_cast<std::size_t>(id)].weight; };
  std::vector<TokenId> ids = detail::fitted_ids(fit);
  std::stable_sort(ids.begin(), ids.end(), [&](TokenId a, TokenId b) { return weight(a) > weight(b); });
  return detail::tenths(fit, ids, weight);
}

/// The `count` tokens that cost most, weight times squared distance, the worst first; fewer if there are
/// fewer. O(V log V).
inline std::vector<TokenId> worst_fitted(const FitResult& fit, std::size_t count) {
  const auto cost = [&](TokenId id) {
    const TokenFit& token = fit.tokens[static_cast<std::size_t>(id)];
    return token.weight * token.distance;
  };
  std::vector<TokenId> ids = detail::fitted_ids(fit);
  std::stable_sort(ids.begin(), ids.end(), [&](TokenId a, TokenId b) { return cost(a) > cost(b); });
  ids.resize((std::min)(ids.size(), count));
  return ids;
}

}  // namespace KRONECKER_NAMESPACE
