#pragma once

/// How many bytes of each token a code must keep so that the token has a code of its own.

#include <kronecker/namespace.hpp>
#include <kronecker/types.hpp>
#include <kronecker/utf8.hpp>
#include <kronecker/vocabulary.hpp>

#include <algorithm>
#include <cstddef>
#include <numeric>
#include <string_view>
#include <vector>

namespace KRONECKER_NAMESPACE {

/// A pos_dim larger than any that a code can have.
inline constexpr int no_pos_dim = 256;

/// For each token, the smallest pos_dim from which on no token with other bytes has the same code;
/// `no_pos_dim` if there is none. Tokens with the same bytes share a code whatever pos_dim is, and do not
/// count here.
///
/// Codes that are equal at a pos_dim are so at every smaller one: so tokens that were told apart once are not
/// looked at again, and this takes a few times as long as sorting the vocabulary. O(V log V) comparisons for
/// each pos_dim in the worst case.
inline std::vector<int> separating_pos_dims(const Vocabulary& vocabulary) {
  std::vector<int> smallest(static_cast<std::size_t>(vocabulary.size()), 1);
  std::vector<TokenId> colliding(smallest.size()), apart_later;
  std::iota(colliding.begin(), colliding.end(), TokenId{0});
  for (int pos_dim = 1; pos_dim < no_pos_dim && !colliding.empty(); ++pos_dim) {
    const auto kept = [&](TokenId id) {
      return utf8_safe_prefix(vocabulary.bytes(id), static_cast<std::size_t>(pos_dim));
    };
    std::sort(colliding.begin(), colliding.end(), [&](TokenId a, TokenId b) { return kept(a) < kept(b); });
    apart_later.clear();
    for (auto begin = colliding.begin(); begin != colliding.end();) {
      const auto end =
          std::find_if(begin, colliding.end(), [&](TokenId id) { return kept(id) != kept(*begin); });
      const bool have_same_bytes = std::all_of(
          begin, end, [&](TokenId id) { return vocabulary.bytes(id) == vocabulary.bytes(*begin); });
      if (!have_same_bytes) apart_later.insert(apart_later.end(), begin, end);
      begin = end;
    }
    for (const TokenId id : apart_later) smallest[static_cast<std::size_t>(id)] = pos_dim + 1;
    colliding.swap(apart_later);
  }
  return smallest;
}

}  // namespace KRONECKER_NAMESPACE
