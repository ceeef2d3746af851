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
        }).starts_with((folder / "model").string() + ": tensor 'projection.rows' is of type "));
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
        (folder / "model").string() +
            ": not a saved embedding: the tensor 'projection.column_scales' is missing");
}

TEST_CASE("a loaded embedding outlives its file") {
  const ScratchFolder folder("model");
  const KroneckerEncoder<256, 16> encoder;
  const auto saved = saved_embedding(encoder);
  kronecker::save(folder / "model", saved);
  const auto loaded = kronecker::load(folder / "model");
  std::filesystem::remove(folder / "model");
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
    REQUIRE(text.starts_with(path.string() + ": "));
    return text.substr(path.string().size() + 2);
  };
  const auto message_after = [&](const std::string& what, const std::string& by) {
    test_support::write_content(path, good);
    replace_in(path, what, by);
    return message();
  };
  CHECK(message_after(R"("format_version":"1")", R"("format_version":"2")") ==
        "format version 2 is unknown: this library reads versions 1 to 1");
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
