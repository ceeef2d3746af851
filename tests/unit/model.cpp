#include "catch.hpp"
#include "golden.hpp"
#include "matrices.hpp"
#include "scratch.hpp"

#include <kronecker/files/model.hpp>
#include <kronecker/head.hpp>

#include <cstring>
#include <variant>

using kronecker::FileError;
using kronecker::KroneckerEmbedding;
using kronecker::KroneckerEncoder;
using kronecker::LearnedProjection;
using kronecker::RowMajorMatrix;
using kronecker::Vocabulary;
using test_support::same_bits;
using test_support::ScratchFolder;

namespace {

KroneckerEmbedding<> saved_embedding(const kronecker::DynamicEncoder& encoder) {
  return {encoder, Vocabulary({"", "a", "two words", "longer than the others", "\x7f"}),
          LearnedProjection::normal(12, encoder.code_dim(), 1)};
}

/// The file with one text of its header replaced by another of the same size.
void replace_in(const std::filesystem::path& path, const std::string& what, const std::string& by) {
  std::string content = test_support::content_of(path);
  const std::size_t at = content.find(what);
  REQUIRE(at != std::string::npos);
  REQUIRE(what.size() == by.size());
  test_support::write_content(path, content.replace(at, what.size(), by));
}

}  // namespace

TEST_CASE("a loaded embedding is the saved one, bit for bit, in every mode") {
  const ScratchFolder folder("model");
  for (const auto& [mode, options] : test_support::modes()) {
    INFO("mode " << mode);
    const KroneckerEncoder<256, 16> encoder(options);
    const auto saved = saved_embedding(encoder);
    kronecker::save(folder / "model", saved);
    const auto loaded = kronecker::load(folder / "model");
    CHECK(same_bits(loaded.table(), saved.table()));
    CHECK(same_bits(loaded.embed("unseen").transpose(), saved.embed("unseen").transpose()));
    CHECK(same_bits(loaded.projection().to_torch(), saved.projection().to_torch()));
    CHECK(loaded.truncated_tokens() == 1);
    CHECK(loaded.encoder().options().length_normalize == options.length_normalize);
    CHECK(loaded.encoder().options().z_normalize == options.z_normalize);
    CHECK(loaded.encoder().options().epsilon == options.epsilon);
    kronecker::save(folder / "again", loaded);
    CHECK(test_support::content_of(folder / "again") == test_support::content_of(folder / "model"));
  }
}

TEST_CASE("a file that an earlier version of the library wrote is read") {
  const auto loaded = kronecker::load(KRONECKER_GOLDEN_DIR "/saved.kron");
  const KroneckerEncoder<256, 2> encoder;
  const KroneckerEmbedding<> saved(encoder, Vocabulary({"the", " quick", "", " brown", " fox"}),
                                   LearnedProjection::normal(24, encoder.code_dim(), 1));
  CHECK(same_bits(loaded.table(), saved.table()));
  CHECK(same_bits(loaded.projection().to_torch(), saved.projection().to_torch()));
  CHECK(loaded.truncated_tokens() == 4);
}

TEST_CASE("an embedding of any size loads") {
  const ScratchFolder folder("model");
  const KroneckerEncoder encoder(128, 5, {.epsilon = 0.1f});
  const auto saved = saved_embedding(encoder);
  kronecker::save(folder / "model", saved);
  const auto loaded = kronecker::load(folder / "model");
  CHECK(loaded.encoder().char_dim() == 128);
  CHECK(loaded.encoder().pos_dim() == 5);
  CHECK(loaded.encoder().options().epsilon == 0.1f);
  CHECK(same_bits(loaded.table(), saved.table()));
}

TEMPLATE_TEST_CASE("rows of every type are saved and loaded, and as no other type", "", Eigen::bfloat16,
                   Eigen::half, std::int8_t) {
  const ScratchFolder folder("model");
  using Encoder = KroneckerEncoder<256, 16>;
  const auto saved = saved_embedding(Encoder()).cast<TestType>();
  kronecker::save(folder / "model", saved);
  const auto loaded = kronecker::load<TestType>(folder / "model");
  CHECK(same_bits(loaded.table(), saved.table()));
  CHECK(message_of<FileError>([&] {
          kronecker::load(folder / "model");
        }).starts_with((folder / "model").generic_string() + ": tensor 'projection.rows' is of type "));
  const kronecker::AnyEmbedding any = kronecker::load_any(folder / "model");
  REQUIRE(std::holds_alternative<KroneckerEmbedding<TestType>>(any));
  CHECK(same_bits(std::get<KroneckerEmbedding<TestType>>(any).table(), saved.table()));
  kronecker::save(folder / "again", loaded);
  CHECK(test_support::content_of(folder / "again") == test_support::content_of(folder / "model"));
}

TEST_CASE("int8 rows without their scales are refused") {
  const ScratchFolder folder("model");
  using Encoder = KroneckerEncoder<256, 16>;
  kronecker::save(folder / "model", saved_embedding(Encoder()).cast<std::int8_t>());
  replace_in(folder / "model", "column_scales", "column_scalez");
  CHECK(message_of<FileError>([&] { kronecker::load<std::int8_t>(folder / "model"); }) ==
        (folder / "model").generic_string() +
            ": not a saved embedding: the tensor 'projection.column_scales' is missing");
}

TEST_CASE("a loaded embedding outlives its file") {
  const ScratchFolder folder("model");
  const KroneckerEncoder<256, 16> encoder;
  const auto saved = saved_embedding(encoder);
  kronecker::save(folder / "model", saved);
  const auto loaded = kronecker::load(folder / "model");
  std::error_code refused;  // by Windows, where it stays while the rows are mapped
  std::filesystem::remove(folder / "model", refused);
  CHECK(same_bits(loaded.table(), saved.table()));
}

TEST_CASE(
    "a file that is written into while it is open gives other numbers, and nothing outside its rows is "
    "read") {
  const ScratchFolder folder("model");
  const auto path = folder / "model";
  const KroneckerEncoder<128, 16> encoder;
  const auto saved = saved_embedding(encoder);
  kronecker::save(path, saved);
  const auto loaded = kronecker::load(path);
  const std::size_t size = test_support::content_of(path).size();
  std::fstream(path, std::ios::in | std::ios::out | std::ios::binary) << std::string(size, '\xFF');
  CHECK(loaded.token_bytes() == saved.token_bytes());
  CHECK(std::equal(loaded.token_bytes().lengths().begin(), loaded.token_bytes().lengths().end(),
                   saved.token_bytes().lengths().begin()));
  CHECK(loaded.table().rows() == saved.vocab_size());  // numbers as the file has them now; or as it had them
  const kronecker::KroneckerHead head(loaded);
  const std::vector<float> hidden(static_cast<std::size_t>(loaded.d_model()), 1.0f);
  std::vector<float> logits(static_cast<std::size_t>(loaded.vocab_size()));
  head.logits(loaded, hidden, logits);
  CHECK(loaded.with_vocabulary(kronecker::Vocabulary({"a"})).vocab_size() == 1);
}

TEST_CASE("a file from a newer version or damaged is refused by name") {
  const ScratchFolder folder("model");
  const auto path = folder / "model";
  using Encoder = KroneckerEncoder<128, 16>;
  kronecker::save(path, saved_embedding(Encoder()));
  const std::string good = test_support::content_of(path);
  const auto message = [&] {
    const std::string text = message_of<FileError>([&] { kronecker::load(path); });
    REQUIRE(text.starts_with(path.generic_string() + ": "));
    return text.substr(path.generic_string().size() + 2);
  };
  const auto message_after = [&](const std::string& what, const std::string& by) {
    test_support::write_content(path, good);
    replace_in(path, what, by);
    return message();
  };
  CHECK(message_after(R"("format_version":"1")", R"("format_version":"3")") ==
        "format version 3 is unknown: this library reads versions 1 to 2");
  CHECK(message_after("kronecker-embedding", "kronecker-something") ==
        "not a saved embedding: the format is 'kronecker-something'");
  CHECK(message_after(R"("epsilon")", R"("epsilom")") ==
        "not a saved embedding: the metadata 'epsilon' is missing");
  CHECK(message_after(R"("pos_dim":"16")", R"("pos_dim":"1x")") ==
        "the metadata 'pos_dim' is '1x', not a number");
  CHECK(message_after(R"("pos_dim":"16")", R"("pos_dim":"00")") ==
        "the metadata 'pos_dim' is 0, outside 1 to 255");
  CHECK(message_after(R"("z_normalize":"true")", R"("z_normalize":"True")") ==
        "the metadata 'z_normalize' is 'True', not true or false");
  CHECK(message_after(R"("epsilon":"1e-06")", R"("epsilon":"-1e-6")") ==
        "the metadata 'epsilon' is -1e-06, not a finite number >= 0");
  CHECK(message_after("token_lengths", "token_lenghts") ==
        "not a saved embedding: the tensor 'token_lengths' is missing");
  CHECK(message_after("[2048,12]", "[12,2048]") ==
        "'projection.rows' is 12 x 2048, not code_dim 2048 x d_model");
  CHECK(message_after("[5,16]", "[16,5]") ==
        "'token_bytes' of 16 x 5 and 5 'token_lengths' do not fit pos_dim 16");
  CHECK(message_after(R"("truncated_tokens":"1")", R"("truncated_tokens":"9")") ==
        "the metadata 'truncated_tokens' is 9, outside 0 to 5");
  const std::string lengths = {0, 1, 9, 16, 1};
  CHECK(message_after(lengths, std::string{0, 1, 9, 17, 1}) ==
        "token id 3 has a length of 17 over pos_dim 16");
  CHECK(message_after("two words",
                      "two w\xf6"
                      "rds")
            .starts_with("token id 2 has the byte 246 outside"));
}

namespace {

/// Rounded codes, rows of their own and a norm.
template <class Scalar>
KroneckerEmbedding<Scalar> embedding_with_all() {
  const KroneckerEncoder<256, 16> encoder({.rounding = kronecker::CodeRounding::bfloat16});
  const KroneckerEmbedding<float> by_code = saved_embedding(encoder);
  return by_code.with_own_rows({4, 0}, test_support::random_matrix(2, 12, 1))
      .with_norm(test_support::random_matrix(1, 12, 2), 1e-5f)
      .template cast<Scalar>();
}

}  // namespace

TEMPLATE_TEST_CASE("rounded codes, own rows and a norm are saved, in version 2, and nothing else is", "",
                   float, Eigen::bfloat16, Eigen::half, std::int8_t) {
  const ScratchFolder folder("model");
  const auto saved = embedding_with_all<TestType>();
  kronecker::save(folder / "model", saved);
  const auto loaded = kronecker::load<TestType>(folder / "model");
  CHECK(same_bits(loaded.table(), saved.table()));
  CHECK(same_bits(loaded.embed("unseen").transpose(), saved.embed("unseen").transpose()));
  CHECK(loaded.own_rows()->tokens() == saved.own_rows()->tokens());
  CHECK(loaded.norm()->epsilon() == 1e-5f);
  CHECK(loaded.encoder().options() == saved.encoder().options());
  kronecker::save(folder / "again", loaded);
  CHECK(test_support::content_of(folder / "again") == test_support::content_of(folder / "model"));

  const auto version_of = [&](const auto& embedding) {
    kronecker::save(folder / "part", embedding);
    const kronecker::SafetensorsFile file(folder / "part");
    return file.metadata().at("format_version");
  };
  const auto plain = saved_embedding(KroneckerEncoder<256, 16>());
  CHECK(version_of(plain) == "1");
  CHECK(version_of(plain.with_own_rows({1}, std::vector<float>(12))) == "2");
  CHECK(version_of(plain.with_norm(std::vector<float>(12), 0)) == "2");
  CHECK(version_of(saved_embedding(
            KroneckerEncoder<256, 16>({.rounding = kronecker::CodeRounding::bfloat16}))) == "2");
}

TEST_CASE("own rows and norms that are damaged are refused by name") {
  const ScratchFolder folder("model");
  const auto path = folder / "model";
  kronecker::save(path, embedding_with_all<std::int8_t>());
  const std::string good = test_support::content_of(path);
  const auto message_after = [&](const std::string& what, const std::string& by) {
    test_support::write_content(path, good);
    replace_in(path, what, by);
    const std::string text = message_of<FileError>([&] { kronecker::load<std::int8_t>(path); });
    REQUIRE(text.starts_with(path.generic_string() + ": "));
    return text.substr(path.generic_string().size() + 2);
  };
  const std::string ids = {0, 0, 0, 0, 4, 0, 0, 0};
  CHECK(message_after(ids, {0, 0, 0, 0, 5, 0, 0, 0}) ==
        "'own_rows.ids' has the id 5 at index 1: they must ascend within the vocabulary of 5 tokens");
  CHECK(message_after(ids, {4, 0, 0, 0, 0, 0, 0, 0}) ==
        "'own_rows.ids' has the id 0 at index 1: they must ascend within the vocabulary of 5 tokens");
  CHECK(message_after("own_rows.ids", "own_rows.idz") ==
        "not a saved embedding: the tensor 'own_rows.ids' is missing");
  CHECK(message_after("own_rows.rows", "own_rows.rowz") ==
        "not a saved embedding: the tensor 'own_rows.rows' is missing");
  CHECK(message_after("own_rows.column_scales", "own_rows.column_scalez") ==
        "not a saved embedding: the tensor 'own_rows.column_scales' is missing");
  CHECK(message_after("[2,12]", "[12,2]") == "'own_rows.rows' is 12 x 2, not the number of ids 2 x d_model");
  CHECK(message_after("norm.weight", "norm.weighz") ==
        "not a saved embedding: the tensor 'norm.weight' is missing");
  CHECK(message_after("norm_epsilon", "norm_epsilom") ==
        "not a saved embedding: the metadata 'norm_epsilon' is missing");
  CHECK(message_after(R"("norm_epsilon":"1e-05")", R"("norm_epsilon":"-1e-5")") ==
        "the metadata 'norm_epsilon' is -1e-05, not a finite number >= 0");
  CHECK(message_after(R"("code_rounding":"bfloat16")", R"("code_rounding":"bfloat61")") ==
        "the metadata 'code_rounding' is 'bfloat61', not bfloat16");
}
