#include "catch.hpp"
#include "golden.hpp"
#include "matrices.hpp"
#include "scratch.hpp"

#include <kronecker/files/checkpoint.hpp>

#include <cmath>
#include <limits>

using kronecker::export_projection;
using kronecker::export_table;
using kronecker::FileError;
using kronecker::import_projection;
using kronecker::KroneckerEmbedding;
using kronecker::KroneckerEncoder;
using kronecker::read_matrix;
using kronecker::RowMajorMatrix;
using test_support::ScratchFolder;

namespace {

template <class Scalar>
void write_matrices(const std::filesystem::path& path, const std::vector<std::string>& names,
                    const RowMajorMatrix<Scalar>& matrix) {
  std::vector<kronecker::TensorToWrite> tensors;
  for (const std::string& name : names)
    tensors.push_back({name,
                       std::string(kronecker::detail::tensor_type_name<Scalar>()),
                       {static_cast<std::size_t>(matrix.rows()), static_cast<std::size_t>(matrix.cols())},
                       [&](std::ostream& file) {
                         kronecker::write_little_endian<Scalar>(
                             file, {matrix.data(), static_cast<std::size_t>(matrix.size())});
                       }});
  kronecker::write_safetensors(path, tensors);
}

const RowMajorMatrix<float> golden_weight = test_support::golden_matrix("emb_d8_p8_weight.npy");

}  // namespace

TEST_CASE("a projection is imported by its full name or a unique suffix, from every type") {
  const ScratchFolder folder("checkpoint");
  const auto path = folder / "model.safetensors";
  write_matrices(path, {"transformer.wte.projection.weight", "lm_head.weight"}, golden_weight);
  CHECK(import_projection(path).to_torch() == golden_weight);
  CHECK(import_projection(path, "transformer.wte.projection.weight").to_torch() == golden_weight);
  CHECK(import_projection(path, "wte.projection.weight").to_torch() == golden_weight);
  write_matrices<Eigen::bfloat16>(path, {"projection.weight"}, golden_weight.cast<Eigen::bfloat16>());
  CHECK(import_projection(path).to_torch() == golden_weight.cast<Eigen::bfloat16>().cast<float>());
  write_matrices<Eigen::half>(path, {"projection.weight"}, golden_weight.cast<Eigen::half>());
  CHECK(import_projection(path).to_torch() == golden_weight.cast<Eigen::half>().cast<float>());
}

TEST_CASE("an exported projection is imported again bit for bit") {
  const ScratchFolder folder("checkpoint");
  const auto projection = kronecker::LearnedProjection::from_torch(golden_weight);
  export_projection(folder / "w.safetensors", projection);
  CHECK(import_projection(folder / "w.safetensors").to_torch() == golden_weight);
  export_projection(folder / "w.safetensors", projection, "wte.projection.weight");
  const kronecker::SafetensorsFile file(folder / "w.safetensors");
  CHECK(file.find("wte.projection.weight") != nullptr);
}

TEST_CASE("a checkpoint in several files is read through its index") {
  const ScratchFolder folder("checkpoint");
  write_matrices<float>(folder / "b.safetensors", {"wte.projection.weight"}, golden_weight);
  const auto index = folder / "model.safetensors.index.json";
  test_support::write_content(index, R"({"metadata":{},"weight_map":{"lm_head.weight":"a.safetensors",
                                        "wte.projection.weight":"b.safetensors"}})");
  CHECK(import_projection(index).to_torch() == golden_weight);
  CHECK(kronecker::checkpoint_files(index) ==
        std::vector<std::filesystem::path>{folder / "a.safetensors", folder / "b.safetensors"});
  CHECK(kronecker::checkpoint_files(folder / "a.safetensors").size() == 1);
  CHECK(message_of<FileError>([&] {
          read_matrix(index, "lm_head.weight");
        }).find("a.safetensors: cannot open") != std::string::npos);
  std::filesystem::copy_file(folder / "b.safetensors", folder.path() / u8"\u00e9.safetensors");
  test_support::write_content(index, R"({"weight_map":{"wte.projection.weight":"\u00e9.safetensors"}})");
  CHECK(import_projection(index).to_torch() == golden_weight);
  test_support::write_content(index,
                              R"({"weight_map":{"other.weight":"b.safetensors","projection.weight":7}})");
  CHECK(message_of<FileError>([&] {
          read_matrix(index, "other.weight");
        }).ends_with("'other.weight' is not in this file"));
  CHECK(message_of<FileError>([&] {
          import_projection(index);
        }).ends_with("names no file for 'projection.weight'"));
  test_support::write_content(index, std::string(R"({"weight_map":{}})") + '\0' + "garbage");
  CHECK(message_of<kronecker::FileError>([&] {
          import_projection(index);
        }).ends_with("not valid JSON: a NUL byte at offset 17"));
  test_support::write_content(index, "[]");
  CHECK(message_of<FileError>([&] {
          import_projection(index);
        }).ends_with("not the index of a checkpoint: it has no object 'weight_map'"));
}

TEST_CASE("a name that is missing or ambiguous, and a tensor that is no matrix of floats, are refused") {
  const ScratchFolder folder("checkpoint");
  const auto path = folder / "model.safetensors";
  write_matrices<float>(path, {"a.projection.weight", "b.projection.weight"}, golden_weight);
  CHECK(message_of<FileError>([&] { import_projection(path); }) ==
        path.generic_string() +
            ": 'projection.weight' could be 'a.projection.weight' or 'b.projection.weight': give the full "
            "name");
  CHECK(message_of<FileError>([&] { read_matrix(path, "weight.projection"); }) ==
        path.generic_string() + ": of 2 tensors none is named 'weight.projection'");
  const std::uint8_t byte = 0;
  const auto write_byte = [&](std::ostream& file) { file.put(static_cast<char>(byte)); };
  kronecker::write_safetensors(path, {{"flat", "U8", {1}, write_byte}, {"bytes", "U8", {1, 1}, write_byte}});
  CHECK(message_of<FileError>([&] {
          read_matrix(path, "flat");
        }).ends_with("tensor 'flat' has 1 dimension, not 2"));
  CHECK(message_of<FileError>([&] {
          read_matrix(path, "bytes");
        }).ends_with("tensor 'bytes' is of type U8; F64, F32, F16, BF16, F8_E4M3 and F8_E5M2 are supported"));
}

TEST_CASE("floats of 64 and of 8 bits are read as float32") {
  const ScratchFolder folder("checkpoint");
  const auto path = folder / "model.safetensors";
  write_matrices<double>(path, {"weight"}, golden_weight.cast<double>());
  CHECK(read_matrix(path, "weight") == golden_weight);
  const auto write_bytes = [&](std::ostream& file) { file << "\x38\x40\xB8\x7E"; };
  RowMajorMatrix<float> e4m3(2, 2), e5m2(2, 2);
  e4m3 << 1, 2, -1, 448;
  e5m2 << 0.5f, 2, -0.5f, std::numeric_limits<float>::quiet_NaN();
  kronecker::write_safetensors(path, {{"weight", "F8_E4M3", {2, 2}, write_bytes}});
  CHECK(read_matrix(path, "weight") == e4m3);
  kronecker::write_safetensors(path, {{"weight", "F8_E5M2", {2, 2}, write_bytes}});
  CHECK(read_matrix(path, "weight").topRows(1) == e5m2.topRows(1));
  kronecker::write_safetensors(path, {{"weight", "F8_E4M3", {2, 2}, write_bytes},
                                      {"weight_scale_inv", "F8_E4M3", {2, 2}, write_bytes}});
  CHECK(message_of<FileError>([&] { read_matrix(path, "weight"); })
            .ends_with(": tensor 'weight' is of type F8_E4M3 and is to be multiplied by 'weight_scale_inv', "
                       "which is not done here: give a table of another type"));
}

TEST_CASE("a vocabulary that Model2Vec quantized is read as the table that it stands for") {
  // model2vec 0.10: embeddings[mapping[id]] * weights[id].
  const ScratchFolder folder("checkpoint");
  const auto path = folder / "model.safetensors";
  const auto writer = [](const auto& numbers) {
    return [&numbers](std::ostream& file) { kronecker::write_little_endian(file, std::span(numbers)); };
  };
  const std::vector<float> embeddings = {1, 2, 10, 20};
  std::vector<std::int64_t> mapping = {1, 0, 1};
  const std::vector<double> weights = {0.5, 3, 1};
  const auto write = [&] {
    kronecker::write_safetensors(path, {{"embeddings", "F32", {2, 2}, writer(embeddings)},
                                        {"mapping", "I64", {3}, writer(mapping)},
                                        {"weights", "F64", {3}, writer(weights)}});
  };
  write();
  RowMajorMatrix<float> expected(3, 2);
  expected << 5, 10, 3, 6, 10, 20;
  CHECK(read_matrix(path, "embeddings") == expected);
  const std::vector<std::int32_t> narrow = {1, 0, 1};
  kronecker::write_safetensors(
      path, {{"embeddings", "F32", {2, 2}, writer(embeddings)}, {"mapping", "I32", {3}, writer(narrow)}});
  expected << 10, 20, 1, 2, 10, 20;
  CHECK(read_matrix(path, "embeddings") == expected);
  for (const std::int64_t outside : {-1, 2}) {
    mapping[1] = outside;
    write();
    CHECK(message_of<FileError>([&] { read_matrix(path, "embeddings"); })
              .ends_with(": 'mapping' gives token id 1 row " + std::to_string(outside) +
                         " of the 2 of 'embeddings'"));
  }
}

TEST_CASE("a matrix with a dimension that no matrix can have is refused, also beside a 0") {
  const ScratchFolder folder("checkpoint");
  const auto path = folder / "model.safetensors";
  for (const std::vector<std::size_t>& shape :
       {std::vector<std::size_t>{0, std::size_t{1} << 31}, std::vector<std::size_t>{~std::size_t{0}, 0}}) {
    kronecker::write_safetensors(path, {{"t", "F32", shape, [](std::ostream&) {}}});
    CHECK(message_of<FileError>([&] {
            read_matrix(path, "t");
          }).ends_with(": over the limit of 2147483647 rows or columns"));
  }
  kronecker::write_safetensors(path, {{"t", "F32", {0, 3}, [](std::ostream&) {}}});
  CHECK(read_matrix(path, "t").cols() == 3);
}

TEST_CASE("an exported table is the table, in the type asked for") {
  const ScratchFolder folder("checkpoint");
  const auto path = folder / "table.safetensors";
  const KroneckerEncoder<256, 8> encoder;
  std::vector<std::string> tokens;
  for (int i = 0; i < 2500; ++i) tokens.push_back(std::to_string(i * i));  // several blocks and a rest
  const KroneckerEmbedding embedding(encoder, kronecker::Vocabulary(tokens),
                                     kronecker::LearnedProjection::from_torch(golden_weight));
  export_table(path, embedding, "model.embed_tokens.weight");
  CHECK(read_matrix(path, "model.embed_tokens.weight") == embedding.table());
  export_table<Eigen::bfloat16>(path, embedding, "transformer.wte.weight");
  CHECK(read_matrix(path, "wte.weight") == embedding.table().cast<Eigen::bfloat16>().cast<float>());
  export_table<Eigen::half>(path, embedding, "wte");
  CHECK(read_matrix(path, "wte") == embedding.table().cast<Eigen::half>().cast<float>());
}

TEST_CASE("a checkpoint of the production layer is imported, saved and exported") {
  // The truth is the definition, in double, of the code's values, which have golden tests of their own.
  const ScratchFolder folder("checkpoint");
  const auto path = folder / "model.safetensors";
  constexpr int d_model = 32, code_dim = 256 * 8;
  const RowMajorMatrix<Eigen::bfloat16> weight =
      test_support::random_matrix(d_model, code_dim, 1).cast<Eigen::bfloat16>();
  const std::vector<float> norm(d_model, 1.5f);
  kronecker::write_safetensors(path, {{"model.pf_to_model.weight",
                                       "BF16",
                                       {d_model, code_dim},
                                       [&](std::ostream& file) {
                                         kronecker::write_little_endian<Eigen::bfloat16>(
                                             file, {weight.data(), static_cast<std::size_t>(weight.size())});
                                       }},
                                      {"model.embed_norm.weight", "F32", {d_model}, [&](std::ostream& file) {
                                         kronecker::write_little_endian<float>(file, norm);
                                       }}});

  const KroneckerEncoder<256, 8> encoder({.rounding = kronecker::CodeRounding::bfloat16});
  const std::vector<std::string> tokens = {"the", " of", "x", "", "longer than eight"};
  const auto embedding = KroneckerEmbedding<Eigen::bfloat16>(encoder, kronecker::Vocabulary(tokens),
                                                             import_projection(path, "pf_to_model.weight"))
                             .with_norm(kronecker::read_vector(path, "embed_norm.weight"), 1e-6f);
  const RowMajorMatrix<float> table = embedding.table();
  for (std::size_t id = 0; id < tokens.size(); ++id) {
    const Eigen::VectorXd sums = weight.cast<double>() * encoder.encode(tokens[id]).cast<double>();
    const Eigen::VectorXd expected = 1.5 * sums / std::sqrt(sums.squaredNorm() / d_model + 1e-6);
    INFO(tokens[id]);
    CHECK(test_support::max_difference(table.row(static_cast<Eigen::Index>(id)).transpose(), expected) <=
          1e-5);
  }
  export_table(folder / "table.safetensors", embedding, "wte.weight");
  CHECK(read_matrix(folder / "table.safetensors", "wte.weight") == table);

  CHECK(message_of<FileError>([&] {
          kronecker::read_vector(path, "pf_to_model.weight");
        }).ends_with(": tensor 'model.pf_to_model.weight' has 2 dimensions, not 1"));
  CHECK(message_of<FileError>([&] {
          read_matrix(path, "embed_norm.weight");
        }).ends_with(": tensor 'model.embed_norm.weight' has 1 dimension, not 2"));
  test_support::write_content(folder / "model.safetensors.index.json",
                              R"({"weight_map": {"model.embed_norm.weight": "model.safetensors"}})");
  CHECK(kronecker::read_vector(folder / "model.safetensors.index.json", "embed_norm.weight") == norm);
}
