#pragma once

/// How well a code fits a vocabulary: which tokens it cuts, which it cannot tell apart, how many of its cells
/// any token lights, and what another pos_dim would cost and save.
///
/// Two codes are equal exactly if the tokens' bytes after truncation are, in every mode; so all of this is a
/// matter of byte strings, and no code is computed.

#include <kronecker/encoder.hpp>
#include <kronecker/error.hpp>
#include <kronecker/namespace.hpp>
#include <kronecker/types.hpp>
#include <kronecker/vocabulary.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <span>
#include <string_view>
#include <vector>

namespace KRONECKER_NAMESPACE {

/// Why tokens share a code.
enum class SharedCodeReason {
  same_bytes,  ///< Their bytes are the same: no code could tell them apart.
  truncation,  ///< Some differ, but only in bytes that are cut: a larger pos_dim would tell them apart.
};

/// Tokens that have one and the same code, and therefore the same embedding.
struct SharedCode {
  std::vector<TokenId> ids;  ///< Two or more, ascending.
  SharedCodeReason reason;   ///< Whether a larger pos_dim would help.
};

/// How well a code fits a vocabulary.
struct Coverage {
  TokenId vocab_size;                    ///< Number of tokens, V.
  TokenId truncated_tokens;              ///< Tokens longer than pos_dim bytes.
  TokenId empty_tokens;                  ///< Tokens of which no byte is kept: their embedding is zero.
  TokenId same_bytes_tokens;             ///< Tokens whose bytes another token has too, whatever pos_dim is.
  TokenId colliding_tokens;              ///< Tokens in `shared_codes`.
  std::vector<SharedCode> shared_codes;  ///< By lowest id. Several empty tokens share the code of zeros.
  int reached_cells;                     ///< Cells that at least one token lights.
  int code_dim;                          ///< All cells, D.
};

/// One choice of pos_dim for a vocabulary.
struct PosDimChoice {
  int pos_dim;                       ///< Bytes kept of a token.
  std::uint64_t parameters;          ///< Of the projection: char_dim * pos_dim * d_model.
  std::uint64_t token_bytes_memory;  ///< In bytes: V * (pos_dim + 1).
  TokenId truncated_tokens;          ///< Tokens longer than pos_dim bytes.
  TokenId colliding_tokens;          ///< Tokens whose code another token has too.
};

/// The choices that `compare_pos_dims` compares if none are given.
inline constexpr std::array default_pos_dims{4, 8, 12, 16, 24, 32, 48, 64};

namespace detail {

/// Calls `visit(ids)` for every set of two or more tokens that have the same bytes after truncation; ids are
/// ascending. O(V log V) comparisons.
template <class Visit>
void for_each_shared_code(const Vocabulary& vocabulary, const DynamicEncoder& encoder, Visit visit) {
  std::vector<std::string_view> kept(static_cast<std::size_t>(vocabulary.size()));
  for (TokenId id = 0; id < vocabulary.size(); ++id)
    kept[static_cast<std::size_t>(id)] = encoder.truncate(vocabulary.bytes(id));
  const auto bytes = [&](TokenId id) { return kept[static_cast<std::size_t>(id)]; };

  std::vector<TokenId> ids(kept.size());
  std::iota(ids.begin(), ids.end(), TokenId{0});
  std::sort(ids.begin(), ids.end(), [&](TokenId a, TokenId b) {
    const int order = bytes(a).compare(bytes(b));
    return order != 0 ? order < 0 : a < b;
  });
  for (auto begin = ids.begin(); begin != ids.end();) {
    const auto end = std::find_if(begin, ids.end(), [&](TokenId id) { return bytes(id) != bytes(*begin); });
    if (end - begin > 1) visit(std::span<const TokenId>(&*begin, static_cast<std::size_t>(end - begin)));
    begin = end;
  }
}

inline TokenId count_truncated(const Vocabulary& vocabulary, int pos_dim) {
  TokenId truncated = 0;
  for (TokenId id = 0; id < vocabulary.size(); ++id)
    if (vocabulary.bytes(id).size() > static_cast<std::size_t>(pos_dim)) ++truncated;
  return truncated;
}

inline TokenId count_same_bytes(const Vocabulary& vocabulary) {
  std::vector<bool> has_double(static_cast<std::size_t>(vocabulary.size()));
  for (TokenId id = 0; id < vocabulary.size(); ++id) {
    const TokenId first = *vocabulary.find(vocabulary.bytes(id));
    if (first == id) continue;
    has_double[static_cast<std::size_t>(first)] = true;
    has_double[static_cast<std::size_t>(id)] = true;
  }
  return static_cast<TokenId>(std::count(has_double.begin(), has_double.end(), true));
}

}  // namespace detail

/// How well the codes of `encoder` fit `vocabulary`. Throws std::invalid_argument if a token has a byte
/// outside the encoder's alphabet. O(V log V) comparisons.
inline Coverage coverage(const Vocabulary& vocabulary, const DynamicEncoder& encoder) {
  Coverage result{.vocab_size = vocabulary.size(),
                  .truncated_tokens = detail::count_truncated(vocabulary, encoder.pos_dim()),
                  .empty_tokens = 0,
                  .same_bytes_tokens = detail::count_same_bytes(vocabulary),
                  .colliding_tokens = 0,
                  .shared_codes = {},
                  .reached_cells = 0,
                  .code_dim = encoder.code_dim()};
  std::vector<bool> is_reached(static_cast<std::size_t>(encoder.code_dim()));
  for (TokenId id = 0; id < vocabulary.size(); ++id) {
    const std::string_view kept = encoder.truncate(vocabulary.bytes(id));
    detail::check_alphabet(kept, encoder.char_dim(), "token id ", id);
    if (kept.empty()) ++result.empty_tokens;
    for (const int cell : encoder.cells(kept)) is_reached[static_cast<std::size_t>(cell)] = true;
  }
  result.reached_cells = static_cast<int>(std::count(is_reached.begin(), is_reached.end(), true));

  detail::for_each_shared_code(vocabulary, encoder, [&](std::span<const TokenId> ids) {
    const bool same_bytes = std::all_of(ids.begin(), ids.end(), [&](TokenId id) {
      return vocabulary.bytes(id) == vocabulary.bytes(ids.front());
    });
    result.shared_codes.push_back(
        {{ids.begin(), ids.end()}, same_bytes ? SharedCodeReason::same_bytes : SharedCodeReason::truncation});
    result.colliding_tokens += static_cast<TokenId>(ids.size());
  });
  std::sort(result.shared_codes.begin(), result.shared_codes.end(),
            [](const SharedCode& a, const SharedCode& b) { return a.ids.front() < b.ids.front(); });
  return result;
}

/// What each of `pos_dims` would cost in parameters and memory, and which tokens it would cut or make
/// collide; in the order given. Throws std::invalid_argument if d_model is not positive or a pos_dim or
/// char_dim is out of its range. O(V log V) comparisons for each.
inline std::vector<PosDimChoice> compare_pos_dims(const Vocabulary& vocabulary, int d_model,
                                                  std::span<const int> pos_dims = default_pos_dims,
                                                  int char_dim = 256) {
  if (d_model < 1) detail::fail<std::invalid_argument>("d_model ", d_model, " is not positive");
  std::vector<PosDimChoice> choices;
  for (const int pos_dim : pos_dims) {
    const KroneckerEncoder encoder(char_dim, pos_dim);
    TokenId colliding = 0;
    detail::for_each_shared_code(vocabulary, encoder, [&](std::span<const TokenId> ids) {
      colliding += static_cast<TokenId>(ids.size());
    });
    choices.push_back(
        {.pos_dim = pos_dim,
         .parameters = static_cast<std::uint64_t>(encoder.code_dim()) * static_cast<std::uint64_t>(d_model),
         .token_bytes_memory =
             static_cast<std::uint64_t>(vocabulary.size()) * (static_cast<std::uint64_t>(pos_dim) + 1),
         .truncated_tokens = detail::count_truncated(vocabulary, pos_dim),
         .colliding_tokens = colliding});
  }
  return choices;
}

}  // namespace KRONECKER_NAMESPACE
