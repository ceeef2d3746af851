#pragma once

/// The library for JavaScript: a request and its answer, both JSON. The WebAssembly module (exports.cpp) and
/// a native program (tests/web) answer with the same text, which is what shows that they compute the same.
///
/// A request is an object with "call", the name of one of the functions in `calls()`, and what that takes; an
/// answer is an object, of {"error": what is wrong, in words} if there is none. Bytes are hexadecimal digits.

#include "saved_embedding.hpp"
#include "scripts.hpp"

#include <kronecker/analysis/accounting.hpp>
#include <kronecker/analysis/coverage.hpp>
#include <kronecker/analysis/neighbors.hpp>
#include <kronecker/shown_text.hpp>
#include <kronecker/version.hpp>
#include <kronecker/vocabularies/load.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstdint>
#include <exception>
#include <limits>
#include <map>
#include <new>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace web {

using Json = nlohmann::ordered_json;
using kronecker::DynamicEncoder;
using kronecker::TokenId;
using kronecker::Vocabulary;

/// A saved embedding. Rows of 16 bits become floats, with the same bits in every result.
using Embedding =
    std::variant<kronecker::KroneckerEmbedding<float>, kronecker::KroneckerEmbedding<std::int8_t>>;

/// A file that was opened.
struct Opened {
  Vocabulary vocabulary;
  std::optional<Embedding> embedding;                     ///< If it is a saved one.
  std::optional<kronecker::TokenBytes> token_bytes = {};  ///< At the pos_dim that was last asked for.
};

/// All opened files, by handle.
inline std::map<int, Opened>& opened() {
  static std::map<int, Opened> files;
  return files;
}

inline Opened& opened(const Json& request) {
  const auto file = opened().find(request.at("handle").get<int>());
  if (file == opened().end()) throw std::invalid_argument("the file is closed");
  return file->second;
}

inline std::string hex(std::string_view bytes) {
  std::string digits;
  for (const char c : bytes)
    for (const int shift : {4, 0}) digits += "0123456789abcdef"[static_cast<unsigned char>(c) >> shift & 0xF];
  return digits;
}

inline std::string bytes_of(const Json& request, const char* name) {
  const auto& digits = request.at(name).get_ref<const std::string&>();
  std::string bytes;
  for (std::size_t i = 0; i + 1 < digits.size(); i += 2)
    bytes += static_cast<char>(std::stoi(digits.substr(i, 2), nullptr, 16));
  return bytes;
}

/// A whole number of a request that is not negative. What else it may be is for the function that takes it to
/// say.
inline int number(const Json& request, const char* name) {
  const Json& value = request.at(name);
  const bool is_whole = value.is_number_integer();
  if (!is_whole || value < 0 || value > (std::numeric_limits<int>::max)())
    throw std::invalid_argument(std::string(name) + ' ' + value.dump() +
                                (is_whole ? " is too small or too large" : " is not a whole number"));
  return value.get<int>();
}
inline std::size_t size(const Json& request, const char* name) {
  return static_cast<std::size_t>(number(request, name));
}

inline DynamicEncoder encoder_of(const Json& request) { return {256, number(request, "posDim")}; }

/// The name of a kind as tests and people read it.
inline std::string_view name_of(kronecker::TokenKind kind) {
  constexpr std::string_view names[] = {"hole",       "unused", "bytes",   "byte-level", "piece",
                                        "byte piece", "text",   "special", "reference"};
  return names[static_cast<std::size_t>(kind)];
}

inline Json token(const Vocabulary& vocabulary, TokenId id) {
  const std::string_view bytes = vocabulary.bytes(id);
  return {{"id", id},
          {"bytes", hex(bytes)},
          {"text", kronecker::shown_text(bytes)},
          {"kind", name_of(vocabulary.kind(id))}};
}

/// The code of a byte string: which cells are lit, and what they and the others hold.
inline Json code(const DynamicEncoder& encoder, std::string_view bytes) {
  const std::string_view kept = encoder.truncate(bytes);
  const float unlit = encoder.unlit_value(static_cast<int>(kept.size()));
  return {{"bytes", hex(bytes)},
          {"kept", kept.size()},
          {"cells", encoder.cells(bytes)},
          {"lit", unlit + encoder.scale(static_cast<int>(kept.size()))},
          {"unlit", unlit}};
}

/// Two codes: where they agree, and their cosine by the closed form.
inline Json compare(const Json& request) {
  const DynamicEncoder encoder = encoder_of(request);
  const std::string a = bytes_of(request, "a"), b = bytes_of(request, "b");
  const std::string_view kept_a = encoder.truncate(a), kept_b = encoder.truncate(b);
  Json shared = Json::array();
  for (std::size_t p = 0; p < std::min(kept_a.size(), kept_b.size()); ++p)
    if (kept_a[p] == kept_b[p]) shared.push_back(p);
  return {{"a", code(encoder, a)},
          {"b", code(encoder, b)},
          {"shared", shared},
          {"cosine", encoder.cosine(a, b)},
          {"codeDim", encoder.code_dim()}};
}

inline Json comparison(const kronecker::Comparison& costs) {
  return {{"table", costs.table}, {"kronecker", costs.kronecker}, {"savedPercent", costs.saved_percent()}};
}

/// What a model of some sizes saves.
inline Json costs(const Json& request) {
  kronecker::EmbeddingSizes sizes{number(request, "vocabSize"), number(request, "dModel"),
                                  number(request, "posDim")};
  sizes.bytes_per_parameter = number(request, "bytesPerParameter");
  if (request.at("tied").get<bool>()) sizes.table_head = kronecker::OutputHead::tied;
  const kronecker::Accounting costs = kronecker::account(sizes);
  return {{"inputParameters", comparison(costs.input_parameters)},
          {"inputMemory", comparison(costs.input_memory)},
          {"parametersWithHead", comparison(costs.parameters_with_head)},
          {"tokenBytesMemory", costs.token_bytes_memory}};
}

/// Opens a file, or a folder, of a vocabulary or of a saved embedding.
inline Json open(const Json& request) {
  const auto& path = request.at("path").get_ref<const std::string&>();
  static int last_handle = 0;
  Json answer{{"handle", last_handle + 1}};
  const auto add = [&](Vocabulary vocabulary, std::optional<Embedding> embedding) {
    answer["size"] = vocabulary.size();
    answer["notes"] = vocabulary.notes();
    opened().emplace(++last_handle, Opened{std::move(vocabulary), std::move(embedding)});
  };
  if (kron::is_saved_embedding(path)) {
    const kron::SavedEmbedding saved(path);
    const DynamicEncoder encoder = saved.encoder();
    answer.update({{"format", "saved embedding"},
                   {"rows", saved.row_type()},
                   {"posDim", encoder.pos_dim()},
                   {"dModel", saved.d_model()},
                   {"ownRows", saved.own_row_count()}});
    add(saved.vocabulary(), saved.visit_widened([](const auto& rows) { return Embedding(rows); }));
  } else {
    const kronecker::VocabularyFile file(path);
    answer["format"] = name_of(file.format());
    add(file.vocabulary(), std::nullopt);
  }
  return answer;
}

inline Json close(const Json& request) {
  opened().erase(request.at("handle").get<int>());
  return Json::object();
}

/// A part of a vocabulary's tokens: those of a kind, or cut, that contain some bytes, from a place on.
inline Json tokens(const Json& request) {
  const Vocabulary& vocabulary = opened(request).vocabulary;
  const auto& only = request.at("only").get_ref<const std::string&>();
  const std::string contained = bytes_of(request, "containing");
  const auto pos_dim = size(request, "posDim"), first = size(request, "first"),
             count = size(request, "count");
  std::size_t found = 0;
  Json list = Json::array();
  for (TokenId id = 0; id < vocabulary.size(); ++id) {
    const std::string_view bytes = vocabulary.bytes(id);
    if (bytes.find(contained) == bytes.npos) continue;
    if (only == "cut" && bytes.size() <= pos_dim) continue;
    if (only == "special" && !vocabulary.is_special(id)) continue;
    if (only == "notText" && kronecker::is_valid_utf8(bytes)) continue;
    if (found >= first && list.size() < count) list.push_back(token(vocabulary, id));
    ++found;
  }
  return {{"found", found}, {"tokens", list}};
}

/// What is cut and what collides at a pos_dim, by script and for other choices.
inline Json audit(const Json& request) {
  const Vocabulary& vocabulary = opened(request).vocabulary;
  const DynamicEncoder encoder = encoder_of(request);
  const kronecker::Coverage coverage = kronecker::coverage(vocabulary, encoder);

  constexpr std::size_t most_groups = 100, most_tokens = 4;
  Json groups = Json::array(), scripts = Json::array(), choices = Json::array();
  for (const auto& [ids, reason] :
       std::span(coverage.shared_codes).first(std::min(most_groups, coverage.shared_codes.size()))) {
    Json some = Json::array();
    for (const TokenId id : std::span(ids).first(std::min(most_tokens, ids.size())))
      some.push_back(token(vocabulary, id));
    groups.push_back({{"count", ids.size()},
                      {"sameBytes", reason == kronecker::SharedCodeReason::same_bytes},
                      {"tokens", some}});
  }
  const auto pos_dim_or_null = [](int pos_dim) {
    return pos_dim < kronecker::no_pos_dim ? Json(pos_dim) : Json();
  };
  for (const kron::ScriptCoverage& script : kron::coverage_by_script(vocabulary, encoder.pos_dim()))
    scripts.push_back({{"script", script.script},
                       {"tokens", script.tokens},
                       {"cut", script.truncated},
                       {"colliding", script.colliding},
                       {"posDimUncut", pos_dim_or_null(script.pos_dim_without_truncation)},
                       {"posDimApart", pos_dim_or_null(script.pos_dim_without_collisions)}});
  for (const kronecker::PosDimChoice& choice : kronecker::compare_pos_dims(vocabulary, 1))
    choices.push_back({{"posDim", choice.pos_dim},
                       {"cut", choice.truncated_tokens},
                       {"colliding", choice.colliding_tokens}});
  return {{"tokens", coverage.vocab_size},
          {"cut", coverage.truncated_tokens},
          {"empty", coverage.empty_tokens},
          {"sameBytes", coverage.same_bytes_tokens},
          {"colliding", coverage.colliding_tokens},
          {"reachedCells", coverage.reached_cells},
          {"codeDim", coverage.code_dim},
          {"groups", coverage.shared_codes.size()},
          {"sharedCodes", groups},
          {"scripts", scripts},
          {"posDims", choices}};
}

/// The tokens nearest to a byte string: of a saved embedding by embedding, else by code.
inline Json nearest(const Json& request) {
  Opened& file = opened(request);
  const std::string bytes = bytes_of(request, "bytes");
  const int count = number(request, "count");
  kronecker::Neighbors nearest;
  if (file.embedding) {
    nearest = std::visit(
        [&](const auto& embedding) { return kronecker::nearest_tokens_projected(embedding, bytes, count); },
        *file.embedding);
  } else {
    const DynamicEncoder encoder = encoder_of(request);
    if (!file.token_bytes || file.token_bytes->pos_dim() != encoder.pos_dim())
      file.token_bytes.emplace(file.vocabulary, encoder);
    nearest = kronecker::nearest_tokens(*file.token_bytes, encoder, bytes, count);
  }
  Json list = Json::array();
  for (const auto& [id, cosine] : nearest.tokens) {
    list.push_back(token(file.vocabulary, id));
    list.back()["cosine"] = cosine;
  }
  return {{"tokens", list}, {"tiedWithLast", nearest.tied_with_last}};
}

/// A checksum of the embeddings of a vocabulary's tokens, with random weights or, of a saved embedding, its
/// own: FNV-1a of the 32-bit patterns of all numbers.
inline Json checksum(const Json& request) {
  const Opened& file = opened(request);
  std::uint64_t sum = 0xcbf29ce484222325u;
  const auto add_all = [&](const auto& embedding) {
    std::vector<float> vector(static_cast<std::size_t>(embedding.d_model()));
    for (TokenId id = 0; id < embedding.vocab_size(); ++id) {
      embedding.forward({id}, vector);
      for (const float value : vector)
        sum = (sum ^ Eigen::numext::bit_cast<std::uint32_t>(value)) * 0x100000001b3u;
    }
  };
  if (file.embedding) {
    std::visit(add_all, *file.embedding);
  } else {
    const DynamicEncoder encoder = encoder_of(request);
    const auto weights = kronecker::LearnedProjection::normal(number(request, "dModel"), encoder.code_dim(),
                                                              size(request, "seed"));
    add_all(kronecker::KroneckerEmbedding(encoder, file.vocabulary, weights));
  }
  std::string bytes;
  for (int shift = 56; shift >= 0; shift -= 8) bytes += static_cast<char>(sum >> shift & 0xFF);
  return {{"checksum", hex(bytes)}};
}

inline Json version(const Json&) {
  std::string version = std::to_string(KRONECKER_VERSION_MAJOR);
  version += '.' + std::to_string(KRONECKER_VERSION_MINOR) + '.' + std::to_string(KRONECKER_VERSION_PATCH);
  return {{"version", version}};
}

/// All functions by name.
inline const auto& calls() {
  static const std::map<std::string_view, Json (*)(const Json&)> functions{
      {"version", version}, {"compare", compare}, {"costs", costs},
      {"open", open},       {"close", close},     {"tokens", tokens},
      {"audit", audit},     {"nearest", nearest}, {"checksum", checksum}};
  return functions;
}

/// The answer to a request.
inline std::string answer(std::string_view request_text) {
  Json answer;
  try {
    const Json request = Json::parse(request_text);
    answer = calls().at(request.at("call").get_ref<const std::string&>())(request);
  } catch (const std::bad_alloc&) {
    answer = {{"error", "there is not enough memory for this"}};
  } catch (const std::exception& error) {
    answer = {{"error", error.what()}};
  }
  return answer.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace web
