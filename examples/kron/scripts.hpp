#pragma once

/// How well a code fits the tokens of each script.

#include "unicode_scripts.hpp"

#include <kronecker/analysis/separation.hpp>
#include <kronecker/utf8.hpp>
#include <kronecker/vocabulary.hpp>

#include <algorithm>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace kron {

/// The tokens of a script, and what a pos_dim does to them.
struct ScriptCoverage {
  std::string script;
  kronecker::TokenId tokens = 0;
  kronecker::TokenId truncated = 0;    ///< Longer than pos_dim bytes.
  kronecker::TokenId colliding = 0;    ///< With the code of a token of other bytes, of any script.
  int pos_dim_without_truncation = 1;  ///< `no_pos_dim` if no pos_dim is large enough.
  int pos_dim_without_collisions = 1;  ///< The same.
};

/// The script of a token: that of its first character that is not shared by several scripts. Tokens that are
/// special or no text are by themselves.
inline std::string_view script_of_token(const kronecker::Vocabulary& vocabulary, kronecker::TokenId id) {
  std::string_view bytes = vocabulary.bytes(id);
  if (vocabulary.is_special(id)) return "(special)";
  if (bytes.empty()) return "(no bytes)";
  if (!kronecker::is_valid_utf8(bytes)) return "(parts of characters)";
  while (!bytes.empty()) {
    const auto [character, length] = kronecker::read_code_point(bytes);
    const std::string_view script = script_names[script_of(character)];
    if (script != "Common" && script != "Inherited" && script != "Unknown") return script;
    bytes.remove_prefix(length);
  }
  return "(digits, signs, spaces)";
}

/// The scripts of a vocabulary, those with most tokens first.
inline std::vector<ScriptCoverage> coverage_by_script(const kronecker::Vocabulary& vocabulary, int pos_dim) {
  const std::vector<int> separating = kronecker::separating_pos_dims(vocabulary);
  std::map<std::string_view, ScriptCoverage> by_script;
  for (kronecker::TokenId id = 0; id < vocabulary.size(); ++id) {
    const int separated = separating[static_cast<std::size_t>(id)];
    const auto length =
        static_cast<int>(std::min<std::size_t>(vocabulary.bytes(id).size(), kronecker::no_pos_dim));
    ScriptCoverage& script = by_script[script_of_token(vocabulary, id)];
    ++script.tokens;
    script.truncated += length > pos_dim ? 1 : 0;
    script.colliding += separated > pos_dim ? 1 : 0;
    script.pos_dim_without_truncation = std::max(script.pos_dim_without_truncation, length);
    script.pos_dim_without_collisions = std::max(script.pos_dim_without_collisions, separated);
  }
  std::vector<ScriptCoverage> scripts;
  for (auto& [name, script] : by_script) {
    script.script = name;
    scripts.push_back(std::move(script));
  }
  std::stable_sort(scripts.begin(), scripts.end(),
                   [](const ScriptCoverage& a, const ScriptCoverage& b) { return a.tokens > b.tokens; });
  return scripts;
}

}  // namespace kron
