#include "golden.hpp"

#include <kronecker/analysis/neighbors.hpp>

#include <algorithm>
#include <cctype>
#include <map>
#include <random>
#include <set>

using kronecker::KroneckerEmbedding;
using kronecker::KroneckerEncoder;
using kronecker::LearnedProjection;
using kronecker::nearest_tokens;
using kronecker::nearest_tokens_projected;
using kronecker::Neighbor;
using kronecker::Neighbors;
using kronecker::TokenBytes;
using kronecker::TokenId;
using kronecker::Vocabulary;
using test_support::modes;

namespace {

using DynamicEncoder = KroneckerEncoder<Eigen::Dynamic, Eigen::Dynamic>;

std::string up_to_random_bytes(std::mt19937& random, int char_dim, unsigned most) {
  std::string bytes(random() % (most + 1), '\0');
  for (char& byte : bytes) byte = static_cast<char>(random() % static_cast<unsigned>(char_dim));
  return bytes;
}

/// All tokens of which bytes are kept, with `cosine(id)`, best first.
template <class Encoder, class Cosine>
std::vector<Neighbor> ranked(const Vocabulary& vocabulary, const Encoder& encoder, Cosine cosine) {
  std::vector<Neighbor> tokens;
  for (TokenId id = 0; id < vocabulary.size(); ++id)
    if (!encoder.truncate(vocabulary.bytes(id)).empty()) tokens.push_back({id, cosine(id)});
  std::stable_sort(tokens.begin(), tokens.end(),
                   [](const Neighbor& a, const Neighbor& b) { return a.cosine > b.cosine; });
  return tokens;
}

void check_is_head_of(const Neighbors& found, const std::vector<Neighbor>& all, int k) {
  const std::size_t listed = std::min(all.size(), static_cast<std::size_t>(k));
  REQUIRE(found.tokens ==
          std::vector<Neighbor>(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(listed)));
  std::size_t tied = 0;
  for (std::size_t i = listed; i < all.size(); ++i) tied += all[i].cosine == all[listed - 1].cosine ? 1 : 0;
  CHECK(found.tied_with_last == tied);
}

/// A token as the published lists show it: its bytes, or \xNN escapes if they are not text.
std::string bytes_from_display(const std::string& token) {
  if (!token.starts_with("\\x")) return token;
  std::string hex;
  for (std::size_t i = 0; i < token.size(); i += 4) hex += token.substr(i + 2, 2);
  return test_support::from_hex(hex);
}

/// The published form of a token in stability.json: lower case, without what is not a letter or a digit.
std::string canonical(std::string_view token) {
  std::string form;
  for (const char byte : token)
    if (static_cast<unsigned char>(byte) >= 0x80 || std::isalnum(static_cast<unsigned char>(byte)))
      form += static_cast<char>(std::tolower(static_cast<unsigned char>(byte)));
  return form;
}

/// A real vocabulary under the paper's production encoder.
struct EncodedVocabulary {
  explicit EncodedVocabulary(const std::filesystem::path& file)
      : vocabulary(test_support::read_token_file(file)), token_bytes(vocabulary, encoder) {}

  Neighbors nearest(const std::string& query, int k) const {
    return nearest_tokens(token_bytes, encoder, query, k);
  }

  KroneckerEncoder<> encoder;
  Vocabulary vocabulary;
  TokenBytes token_bytes;
};

std::filesystem::path data_path(const std::string& name) {
  return std::filesystem::path(KRONECKER_DATA_DIR) / name;
}

/// Published results, or null, with a warning, where they or the vocabulary are absent.
nlohmann::json published(const std::string& name, const std::string& vocabulary) {
  if (!std::filesystem::exists(data_path(name)) || !std::filesystem::exists(data_path(vocabulary))) {
    WARN("skipped: no " << name << " or no " << vocabulary << " in " << KRONECKER_DATA_DIR);
    return nullptr;
  }
  std::ifstream file(data_path(name));
  return nlohmann::json::parse(file);
}

/// Whether a published list of (token, cosine) is right, its tokens' cosines and that there are no better
/// ones; which of several equal tokens it lists is arbitrary.
bool agrees(const EncodedVocabulary& real, const std::string& probe, const nlohmann::json& list) {
  constexpr double published_digit = 1e-3;
  const auto best = real.nearest(probe, static_cast<int>(list.size())).tokens;
  std::set<std::string> listed;
  for (std::size_t i = 0; i < list.size(); ++i) {
    const std::string token = bytes_from_display(list[i][0]);
    const double cosine = list[i][1];
    const auto of_token = static_cast<double>(real.encoder.cosine(probe, token));
    if (!real.vocabulary.find(token) || !listed.insert(token).second ||
        std::abs(of_token - cosine) > published_digit ||
        std::abs(static_cast<double>(best[i].cosine) - cosine) > published_digit)
      return false;
  }
  return true;
}

/// Number of the stability probes whose list of a model is right: at each cosine, forms of tokens that have
/// it.
int agreeing_stability_probes(const EncodedVocabulary& real, const nlohmann::json& probes,
                              const char* model) {
  int agreeing = 0;
  for (const auto& [probe, results] : probes.items()) {
    const auto& forms = results["top5"][model];
    const int k = static_cast<int>(forms.size());
    const Neighbors cut = real.nearest(probe, k);
    const Neighbors whole = real.nearest(probe, k + static_cast<int>(cut.tied_with_last));
    std::map<float, std::multiset<std::string>> forms_with_cosine;
    for (const auto& [id, cosine] : whole.tokens)
      forms_with_cosine[cosine].insert(canonical(real.vocabulary.bytes(id)));
    bool is_right = true;
    for (std::size_t i = 0; i < forms.size(); ++i) {
      auto& tied = forms_with_cosine[cut.tokens[i].cosine];
      const auto found = tied.find(forms[i].get<std::string>());
      is_right = is_right && found != tied.end();
      if (found != tied.end()) tied.erase(found);
    }
    if (is_right) ++agreeing;
  }
  return agreeing;
}

}  // namespace

TEST_CASE("the nearest tokens are those of the encoder's cosine, bit for bit, in every mode and size") {
  std::mt19937 random(3);
  for (int round = 0; round < 400; ++round) {
    const int char_dim = round % 3 == 0 ? 256 : 2 + static_cast<int>(random() % 6);
    const int pos_dim = round % 50 == 0  ? 255
                        : round % 2 == 0 ? 8 << (random() % 3)
                                         : 1 + static_cast<int>(random() % 40);
    kronecker::CodeOptions options = modes()[random() % 4].second;
    if (random() % 2 == 0) options.rounding = kronecker::CodeRounding::bfloat16;
    const DynamicEncoder encoder(char_dim, pos_dim, options);
    std::vector<std::string> tokens(1 + random() % 200);
    for (std::string& token : tokens)
      token = up_to_random_bytes(random, char_dim, static_cast<unsigned>(pos_dim) + 8);
    const Vocabulary vocabulary(tokens);
    const TokenBytes token_bytes(vocabulary, encoder);
    std::string query = up_to_random_bytes(random, char_dim, static_cast<unsigned>(pos_dim) + 8);
    if (round % 4 == 0) query = tokens[random() % tokens.size()];
    const int k = 1 + static_cast<int>(random() % 30);
    INFO("char_dim " << char_dim << ", pos_dim " << pos_dim << ", V " << tokens.size() << ", k " << k);
    check_is_head_of(
        nearest_tokens(token_bytes, encoder, query, k),
        ranked(vocabulary, encoder, [&](TokenId id) { return encoder.cosine(query, vocabulary.bytes(id)); }),
        k);
  }
}

TEST_CASE("ties go to the lowest id, and those beyond the cut are counted") {
  const Vocabulary vocabulary({"bx", "ax", "", "ay", "az", "a", "ay"});
  const KroneckerEncoder<> encoder;
  const TokenBytes token_bytes(vocabulary, encoder);
  const Neighbors found = nearest_tokens(token_bytes, encoder, "a", 2);
  REQUIRE(found.tokens.size() == 2);
  CHECK(found.tokens[0] == Neighbor{5, 1.0f});
  CHECK(found.tokens[1].id == 1);
  CHECK(found.tied_with_last == 3);
  CHECK(nearest_tokens(token_bytes, encoder, "a", 5).tied_with_last == 0);
}

TEST_CASE("tokens without bytes are never near, and k may be more than there are") {
  const KroneckerEncoder<> encoder;
  const TokenBytes some(Vocabulary({"", "a", "", "b"}), encoder);
  CHECK(nearest_tokens(some, encoder, "a", 10).tokens.size() == 2);
  const TokenBytes none(Vocabulary({"", ""}), encoder);
  CHECK(nearest_tokens(none, encoder, "a", 1).tokens.empty());
  CHECK(nearest_tokens(none, encoder, "a", 1).tied_with_last == 0);
}

TEST_CASE("to an empty query all tokens are equally near") {
  const KroneckerEncoder<> encoder;
  const Neighbors found = nearest_tokens(TokenBytes(Vocabulary({"", "a", "bc"}), encoder), encoder, "", 1);
  CHECK(found.tokens == std::vector<Neighbor>{{1, 0.0f}});
  CHECK(found.tied_with_last == 1);
}

TEST_CASE("what stands behind a token's bytes is not compared") {
  using Bytes = kronecker::SharedArray<std::uint8_t>;
  const auto array = [](std::vector<std::uint8_t> values) {
    return Bytes::make(values.size(), [&](std::span<std::uint8_t> to) {
      std::copy(values.begin(), values.end(), to.begin());
    });
  };
  const KroneckerEncoder<256, 4> encoder;
  const TokenBytes token_bytes(array({'a', 'b', 'c', 'd', 'a', 'b', 'c', 'd'}), array({2, 4}), 256, 4, 0);
  CHECK(nearest_tokens(token_bytes, encoder, "abcd", 2).tokens ==
        std::vector<Neighbor>{{1, 1.0f}, {0, encoder.cosine("abcd", "ab")}});
}

TEST_CASE("a search that cannot be made is refused") {
  const KroneckerEncoder<128, 4> encoder;
  const TokenBytes token_bytes(Vocabulary({"a"}), encoder);
  const auto message = [&](const auto& used, std::string_view query, int k) {
    return message_of<std::invalid_argument>([&] { nearest_tokens(token_bytes, used, query, k); });
  };
  CHECK(message(encoder, "a", 0) == "a search for the 0 nearest tokens finds none");
  CHECK(message(encoder, "a\xc8", 1) == "byte 200 at position 1 is outside the alphabet of char_dim 128");
  CHECK(message(KroneckerEncoder<128, 8>(), "a", 1) == "the token bytes' pos_dim 4 is not the encoder's 8");
  const KroneckerEmbedding embedding(encoder, Vocabulary({"a"}), LearnedProjection::normal(3, 512, 1));
  CHECK(message_of<std::invalid_argument>([&] { nearest_tokens_projected(embedding, "a", -2); }) ==
        "a search for the -2 nearest tokens finds none");
  CHECK(message_of<std::invalid_argument>([&] { nearest_tokens_projected(embedding, "a\xc8", 1); }) ==
        "byte 200 at position 1 is outside the alphabet of char_dim 128");
}

TEST_CASE("the nearest embeddings are those of the table") {
  std::mt19937 random(5);
  const KroneckerEncoder encoder(8, 6);
  for (const int vocab_size : {1, 255, 256, 257, 600}) {
    std::vector<std::string> tokens(static_cast<std::size_t>(vocab_size));
    for (std::string& token : tokens) token = up_to_random_bytes(random, 8, 3);
    const Vocabulary vocabulary(tokens);
    const KroneckerEmbedding embedding(encoder, vocabulary, LearnedProjection::normal(5, 48, 9));
    const Eigen::MatrixXd table = embedding.table().cast<double>();
    for (const std::string query : {"\1\2\3", "\7", ""}) {
      const Eigen::VectorXd wanted = embedding.embed(query).cast<double>();
      const auto all = ranked(vocabulary, encoder, [&](TokenId id) {
        const double norms = wanted.norm() * table.row(id).norm();
        return norms == 0 ? 0.0f : static_cast<float>(table.row(id).dot(wanted) / norms);
      });
      const Neighbors found = nearest_tokens_projected(embedding, query, vocab_size);
      REQUIRE(found.tokens.size() == all.size());
      CHECK(found.tied_with_last == 0);
      for (std::size_t i = 0; i < all.size(); ++i)  // the sums differ in order, by less than a float shows
        CHECK(std::abs(static_cast<double>(found.tokens[i].cosine - all[i].cosine)) <= 1.2e-7);
      const Neighbors first = nearest_tokens_projected(embedding, query, 3);
      CHECK(std::equal(first.tokens.begin(), first.tokens.end(), found.tokens.begin()));
    }
  }
}

TEST_CASE("the published neighbors of words in Llama 3's vocabulary come out") {
  const auto results = published("paper/cross_model_neighbors.json", "truth/llama3.tokens.bin");
  const auto oov = published("paper/oov.json", "truth/llama3.tokens.bin");
  if (results.is_null() || oov.is_null()) return;
  const EncodedVocabulary llama(data_path("truth/llama3.tokens.bin"));
  const auto& model = results["models"]["llama-3.2-1B"];
  int probes = 0;
  const auto check = [&](const nlohmann::json& row, const char* list) {
    INFO(row["probe"]);
    CHECK(agrees(llama, row["probe"], row[list]));
    ++probes;
  };
  for (const auto& family : model["families"])
    for (const auto& row : family) check(row, "kronecker");
  for (const auto& row : model["oov_whole_string"]) check(row, "kronecker");
  CHECK(probes == 35);
  probes = 0;
  for (const auto& category : oov["models"]["llama-3.2-1B"])
    for (const auto& row : category) check(row, "top5");
  CHECK(probes == 20);  // of five rows each
}

TEST_CASE("the published stable neighbors come out in two vocabularies") {
  const auto results = published("paper/stability.json", "truth/llama3.tokens.bin");
  if (results.is_null() || !std::filesystem::exists(data_path("truth/qwen2_5.tokens.bin"))) return;
  const auto& probes = results["probes"];
  CHECK(probes.size() == 8);
  const EncodedVocabulary llama(data_path("truth/llama3.tokens.bin"));
  CHECK(agreeing_stability_probes(llama, probes, "llama-3.2-1B") == 8);
  const EncodedVocabulary qwen(data_path("truth/qwen2_5.tokens.bin"));
  CHECK(agreeing_stability_probes(qwen, probes, "qwen3-32B") == 8);
}
