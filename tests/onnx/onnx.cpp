#include <onnx/checker.h>  // first: it has a name that is a macro of <sys/mman.h>

#include "catch.hpp"
#include "scratch.hpp"

#include <kronecker/integrations/onnx.hpp>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <map>
#include <string>
#include <vector>

using kronecker::KroneckerEmbedding;
using kronecker::KroneckerEncoder;
using kronecker::LearnedProjection;
using kronecker::RowMajorMatrix;
using kronecker::TokenId;
using kronecker::Vocabulary;
using test_support::ScratchFolder;

namespace {

/// Tokens with an empty one, one that is truncated, and one of bytes that are not text.
KroneckerEmbedding<> make_embedding(kronecker::CodeOptions options = {}) {
  const KroneckerEncoder<256, 8> encoder(options);
  return {encoder, Vocabulary({"the", " quick", "", "\xFF\x01", " foxes and more"}),
          LearnedProjection::normal(12, encoder.code_dim(), 1)};
}

const onnx::TensorProto& constant(const onnx::ModelProto& model, const std::string& name) {
  for (const auto& tensor : model.graph().initializer())
    if (tensor.name() == name) return tensor;
  FAIL("there is no constant " << name);
  return model.graph().initializer(0);
}

template <class T>
std::vector<T> values(const onnx::TensorProto& tensor) {
  std::vector<T> found(tensor.raw_data().size() / sizeof(T));
  std::memcpy(found.data(), tensor.raw_data().data(), tensor.raw_data().size());
  return found;
}

/// What the graph computes for all tokens before a norm, by its constants; `Stored` are the rows.
template <class Stored>
RowMajorMatrix<float> compute(const onnx::ModelProto& model, Eigen::Index vocab_size, Eigen::Index d_model) {
  const auto chunks = values<std::uint16_t>(constant(model, "token_chunks"));
  const auto kinds = values<std::int32_t>(constant(model, "token_kinds"));
  const auto factors = values<float>(constant(model, "kind_factors"));
  const auto rows = values<Stored>(constant(model, "chunk_rows"));
  std::vector<float> kind_rows;
  for (const auto& tensor : model.graph().initializer())
    if (tensor.name() == "kind_rows") kind_rows = values<float>(tensor);
  const auto width = static_cast<std::size_t>(constant(model, "token_chunks").dims(1));
  const bool by_column = std::is_same_v<Stored, std::int8_t> || std::is_same_v<Stored, std::int16_t>;
  const std::size_t columns = static_cast<std::size_t>(d_model);
  const std::size_t factors_of_kind = static_cast<std::size_t>(constant(model, "kind_factors").dims(0));
  RowMajorMatrix<float> out = RowMajorMatrix<float>::Zero(vocab_size, d_model);
  for (Eigen::Index id = 0; id < vocab_size; ++id)
    for (Eigen::Index column = 0; column < d_model; ++column) {
      const auto i = static_cast<std::size_t>(id), j = static_cast<std::size_t>(column);
      const auto kind = static_cast<std::size_t>(kinds[i]);
      float sum = 0;
      for (std::size_t p = 0; p < width; ++p)
        sum += static_cast<float>(rows[chunks[i * width + p] * columns + j]);
      if (!kind_rows.empty()) sum += kind_rows[kind * columns + j];
      const std::size_t stride = factors.size() / factors_of_kind;
      out(id, column) = sum * factors[kind * stride + (by_column ? j : 0)];
    }
  return out;
}

/// The greatest difference of a number, relative to the length of its vector.
float greatest_difference(const RowMajorMatrix<float>& found, const RowMajorMatrix<float>& expected) {
  float greatest = 0;
  for (Eigen::Index i = 0; i < found.rows(); ++i)
    greatest = (std::max)(greatest, (found.row(i) - expected.row(i)).cwiseAbs().maxCoeff() /
                                        (std::max)(expected.row(i).norm(), 1e-30f));
  return greatest;
}

std::map<std::string, std::string> metadata(const onnx::ModelProto& model) {
  std::map<std::string, std::string> found;
  for (const auto& entry : model.metadata_props()) found[entry.key()] = entry.value();
  return found;
}

/// "Operator(inputs) output" of every node.
std::vector<std::string> nodes(const onnx::ModelProto& model) {
  std::vector<std::string> found;
  for (const auto& node : model.graph().node()) {
    std::string text = node.op_type();
    for (const auto& input : node.input()) (text += ' ') += input;
    found.push_back((text += " > ") += node.output(0));
  }
  return found;
}

}  // namespace

TEMPLATE_TEST_CASE("a model's constants and operators make the embeddings", "", float, Eigen::bfloat16,
                   Eigen::half, std::int8_t) {
  using Plan = kronecker::detail::OnnxPlan<TestType>;
  for (const kronecker::CodeOptions options :
       {kronecker::CodeOptions{}, kronecker::CodeOptions{false, false},
        kronecker::CodeOptions{.rounding = kronecker::CodeRounding::bfloat16}}) {
    const auto coded = make_embedding(options).cast<TestType>();
    const auto own = coded.with_own_rows({0, 4}, std::vector<float>(24, 0.75f));
    for (const auto& embedding : {coded, own}) {
      const float tolerance =
          std::is_same_v<TestType, Eigen::half> || std::is_same_v<TestType, std::int8_t> ? 0 : 1e-6f;
      const onnx::ModelProto model = kronecker::to_onnx(embedding, {.max_size = 20000});
      onnx::checker::check_model(model);
      CHECK(constant(model, "token_chunks").dims(1) == 1);
      CHECK(greatest_difference(compute<typename Plan::Summed>(model, 5, 12), embedding.table()) <=
            tolerance);

      const onnx::ModelProto smallest = kronecker::to_onnx(embedding, {.max_size = 0});
      onnx::checker::check_model(smallest);
      if (constant(smallest, "chunk_rows").data_type() !=
          kronecker::detail::onnx_type_of<typename Plan::Single>())
        continue;
      CHECK(greatest_difference(compute<typename Plan::Single>(smallest, 5, 12), embedding.table()) <=
            tolerance);
    }
  }
}

TEST_CASE("a model's operators are standard, and it is documented") {
  const onnx::ModelProto model = kronecker::to_onnx(make_embedding());
  CHECK(model.opset_import(0).version() == 13);
  CHECK(nodes(model) == std::vector<std::string>{
                            "Unique input_ids > different_ids", "Less different_ids zero > is_negative",
                            "Where is_negative vocab_size different_ids > checked_ids",
                            "Gather token_chunks checked_ids > chunks_16", "Cast chunks_16 > chunks",
                            "Gather token_kinds checked_ids > kinds", "Gather chunk_rows chunks > lit_rows",
                            "Gather kind_factors kinds > factors", "MatMul factors lit_rows > products",
                            "Squeeze products chunk_axis > vectors", "Shape input_ids > shape",
                            "Reshape places_in_order shape > places", "Gather vectors places > embeddings"});
  REQUIRE(model.graph().input_size() == 1);
  CHECK(model.graph().input(0).name() == "input_ids");
  CHECK(model.graph().input(0).type().tensor_type().elem_type() == onnx::TensorProto::INT64);
  CHECK(model.graph().output(0).name() == "embeddings");
  CHECK(model.graph().output(0).type().tensor_type().shape().dim(2).dim_value() == 12);
  auto found = metadata(model);
  CHECK(found["vocab_size"] == "5");
  CHECK(found["pos_dim"] == "8");
  CHECK(found["z_normalize"] == "true");
  CHECK(found["norm"] == "false");
  CHECK(found["form"].starts_with("chunks of bytes that end before "));
  CHECK(found["bits"] == "within 1e-6 of a vector's Euclidean length of the library's");
}

TEST_CASE("rows whose sums are exact are added by ReduceSum") {
  const onnx::ModelProto model = kronecker::to_onnx(make_embedding().cast<std::int8_t>());
  CHECK(metadata(model)["bits"] == "the library's");
  const std::vector<std::string> found = nodes(model);
  CHECK(std::find(found.begin(), found.end(), "ReduceSum lit_rows_32 chunk_axis > sums") != found.end());
}

TEST_CASE("a norm follows the embeddings, and the metadata says so") {
  const auto normed = make_embedding().with_norm(std::vector<float>(12, 0.5f), 1e-6f);
  const onnx::ModelProto model = kronecker::to_onnx(normed);
  onnx::checker::check_model(model);
  CHECK(metadata(model)["norm"] == "true");
  CHECK(nodes(model).back() == "Gather normed_and_weighted places > embeddings");
}

TEST_CASE("ids are of the type and rank that is asked for") {
  for (const int rank : {0, 1, 3}) {
    const onnx::ModelProto model =
        kronecker::to_onnx(make_embedding(), {.ids = kronecker::OnnxIds::int32, .rank = rank});
    onnx::checker::check_model(model);
    const auto& ids = model.graph().input(0).type().tensor_type();
    CHECK(ids.elem_type() == onnx::TensorProto::INT32);
    CHECK(ids.shape().dim_size() == rank);
    CHECK(model.graph().output(0).type().tensor_type().shape().dim_size() == rank + 1);
  }
  CHECK_THROWS_AS(kronecker::to_onnx(make_embedding(), {.rank = -1}), std::invalid_argument);
}

TEST_CASE("a model of the table holds the library's own numbers") {
  const auto embedding = make_embedding().cast<std::int8_t>();
  const onnx::ModelProto model = kronecker::to_onnx(embedding, {.is_table = true});
  onnx::checker::check_model(model);
  const auto table = values<float>(constant(model, "table"));
  const RowMajorMatrix<float> expected = embedding.table();
  CHECK(std::equal(table.begin(), table.end(), expected.data(), expected.data() + expected.size()));
}

TEST_CASE("a model is at most as large as asked for") {
  const auto embedding = make_embedding();
  const std::size_t most = 9500;
  CHECK(kronecker::to_onnx(embedding, {.max_size = most}).ByteSizeLong() <= most);
  CHECK_THROWS_AS(kronecker::to_onnx(embedding, {.max_size = 1}), std::invalid_argument);
}

TEST_CASE("a written model is read again, and one that cannot be written is reported") {
  const ScratchFolder folder("onnx");
  kronecker::export_onnx(folder / "e.onnx", make_embedding());
  std::ifstream file(folder / "e.onnx", std::ios::binary);
  onnx::ModelProto model;
  REQUIRE(model.ParseFromIstream(&file));
  CHECK(model.SerializeAsString() == kronecker::to_onnx(make_embedding()).SerializeAsString());
  CHECK_THROWS_AS(kronecker::export_onnx(folder / "absent" / "e.onnx", make_embedding()),
                  kronecker::FileError);
}
